package history

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// loaded is what reading a file found.
type loaded struct {
	tree *tree
	size int64 // bytes read
	// torn is where a last line without an end begins, -1 when there is none; tornBytes are its bytes.
	torn      int64
	tornBytes []byte
	// open says that the last line is whole, or too long to judge, and lacks only its newline.
	open bool
	// foreign says why the file may not be written, whoever holds it; "" when it is ours.
	foreign string
}

// load reads a conversation. It fails when r does and when nothing in it belongs to a conversation.
func load(r io.Reader) (*loaded, error) {
	l := &loaded{tree: newTree(), torn: -1}
	s := newScanner(io.LimitReader(r, maxBytes+1))
	headed, first := false, true
	for n := 1; ; n++ {
		line, err := s.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		l.open = !line.ended
		if len(l.tree.nodes) > maxMessages {
			l.tree.unfinished = true
			break
		}
		text := bytes.TrimSpace(line.text)
		if first {
			text = bytes.TrimPrefix(text, []byte("\ufeff"))
		}
		if len(text) == 0 && !line.long {
			continue
		}
		l.line(line, text, n)
		headed = headed || first && l.tree.harness != ""
		first = false
	}
	l.size = s.offset
	if l.size > maxBytes {
		l.tree.unfinished = true
	}
	l.tree.warnMissing()
	l.foreign = l.reason(headed)
	if !headed && len(l.tree.nodes) == 0 {
		return nil, errors.New("not a conversation: its first line is no session line and no line holds a message")
	}
	return l, nil
}

// line takes one line that is not blank into account.
func (l *loaded) line(line scanned, text []byte, n int) {
	t := l.tree
	if line.long {
		t.warn("line %d: longer than %d bytes; not shown", n, maxLine)
		return
	}
	r, warning, err := decode(text)
	switch {
	case err != nil && !line.ended:
		l.torn, l.tornBytes, l.open = line.start, bytes.Clone(line.text), false
	case err != nil:
		t.warn("line %d: no JSON object (%v); not shown", n, err)
	default:
		if warning != "" {
			t.warn("line %d: %s", n, warning)
		}
		t.apply(r, n)
	}
}

// warnMissing notes that the limits of this package ended the reading.
func (t *tree) warnMissing() {
	if t.unfinished {
		t.warn("more than %d messages or %d bytes; the rest is not shown", maxMessages, maxBytes)
	}
}

// reason says why the file may not be written, "" when it is ours.
func (l *loaded) reason(headed bool) string {
	t := l.tree
	switch {
	case !headed:
		return "its first line is no session line: damaged, or another program's"
	case t.harness != harness:
		return fmt.Sprintf("written by another program, %q", excerpt(t.harness, titleRunes))
	case t.header.Schema > Schema:
		return fmt.Sprintf("its format, version %d, is newer than this program's, %d", t.header.Schema, Schema)
	case t.unfinished:
		return "too large to be read to its end"
	}
	return ""
}

// partialOnly reports whether a torn line was the beginning of a partial line: at most half a second of a reply. Zeros are
// what some file systems leave after a power cut.
func partialOnly(torn []byte) bool {
	return bytes.HasPrefix(torn, partialBegin) || bytes.HasPrefix(partialBegin, torn) ||
		len(bytes.Trim(torn, "\x00")) == 0
}

// Read reads a conversation without locking, repairing or changing its file: what another window writes may be read too.
func Read(path string) (*Conversation, error) {
	if err := regular(path); err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	defer f.Close()
	l, err := load(f)
	if err != nil {
		return nil, fmt.Errorf("history: %s: %w", path, err)
	}
	return l.tree.snapshot(), nil
}

// regular refuses what is not a regular file: opening a pipe could wait for ever.
func regular(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("history: %s: %w: %w", path, ErrNotFound, syscall.ENOENT)
	case err != nil:
		return fmt.Errorf("history: %w", err)
	case info.IsDir():
		return fmt.Errorf("history: %s: a folder, not a conversation file", path)
	case !info.Mode().IsRegular():
		return fmt.Errorf("history: %s: not a regular file", path)
	}
	return nil
}
