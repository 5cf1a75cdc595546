package history

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// SaveAs does what "/save NAME|PATH" asks for: it names the conversation, or writes a copy (CopyTo) when arg is a path
// (IsPath), in which ~ is home. It returns the path of the copy, "" for a name.
func (f *File) SaveAs(arg, home string) (path string, err error) {
	arg = strings.TrimSpace(arg)
	switch {
	case arg == "":
		return "", errors.New("history: save: a name or a path is missing")
	case !IsPath(arg):
		return "", f.SetName(arg)
	}
	arg = ExpandHome(arg, home)
	return arg, f.CopyTo(arg)
}

// CopyTo writes the conversation to another file, atomically: the file is whole or not there. The copy is a conversation of
// its own, with a new id and "copied_from". It keeps every line and field, known to this version or not, but those of deleted
// messages and of partial replies that were finished. A copy of another program's file, or of a damaged one, can be
// continued. A file that is there already is replaced only if nothing is lost by it: if it is an older copy of the same
// conversation. CopyOver replaces any.
func (f *File) CopyTo(path string) error { return f.copyTo(path, false) }

// CopyOver is CopyTo, replacing whatever file is at path.
func (f *File) CopyOver(path string) error { return f.copyTo(path, true) }

func (f *File) copyTo(path string, over bool) (err error) {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	if err := f.mayReplace(path, over); err != nil {
		return err
	}
	temp, err := os.CreateTemp(filepath.Dir(path), ".copy-*"+extension) // 0600
	if err != nil {
		var at *fs.PathError
		if errors.As(err, &at) {
			err = at.Err // it names the temporary file, of which the user knows nothing
		}
		return fmt.Errorf("history: copy to %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("history: copy to %s: %w", path, err), os.Remove(temp.Name()))
		}
	}()
	if err := errors.Join(f.copyLines(temp), temp.Sync(), temp.Close()); err != nil {
		return err
	}
	if err := os.Rename(temp.Name(), path); err != nil {
		return err
	}
	syncDir(filepath.Dir(path))
	return nil
}

// mayReplace refuses paths at which something would be lost.
func (f *File) mayReplace(path string, over bool) error {
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err := regular(path); err != nil {
		return err
	}
	if own, err := os.Stat(f.Path()); err == nil && os.SameFile(own, info) {
		return fmt.Errorf("history: %s: is this conversation's own file, which is always up to date", path)
	}
	if over || f.covers(path) {
		return nil
	}
	return fmt.Errorf("history: %s: there is a file already, and it is no older copy of this conversation; choose another path", path)
}

// covers reports whether the file at path is a copy of this conversation that holds nothing that is not here.
func (f *File) covers(path string) bool {
	there, err := Read(path)
	if err != nil || len(there.Warnings) > 0 {
		return false
	}
	first, err := firstLine(path)
	if err != nil {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	id := f.tree.header.ID
	if from := textOf(first["copied_from"]); id == "" || from != id && there.Header.ID != id {
		return false
	}
	return !slices.ContainsFunc(there.Messages, func(m Message) bool {
		here, ok := f.tree.get(m.ID)
		return !ok || here.Role != m.Role || !strings.HasPrefix(here.Content, m.Content)
	})
}

// firstLine returns the fields of a file's first line.
func firstLine(path string) (map[string]json.RawMessage, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	line, err := newScanner(f).next()
	if err != nil {
		return nil, err
	}
	var fields map[string]json.RawMessage
	return fields, json.Unmarshal(line.text, &fields)
}

// copyLines writes the lines of the copy.
func (f *File) copyLines(to io.Writer) error {
	f.disk.mu.Lock() // nothing moves from the queue to the disk meanwhile
	defer f.disk.mu.Unlock()
	f.mu.Lock()
	f.queuePartial()
	queue := slices.Clone(f.queue)
	keep, last := f.tree.keeper()
	header, started := f.tree.header, f.started
	f.mu.Unlock()
	if !started {
		_, err := copyHeader(to, nil, header)
		return err
	}

	var written io.Reader = bytes.NewReader(nil)
	if f.disk.file != nil {
		written = io.NewSectionReader(f.disk.file, 0, f.disk.size)
	}
	s := newScanner(io.MultiReader(written, bytes.NewReader(queue)))
	w := bufio.NewWriter(to)
	for first := true; ; first = false {
		line, err := s.next()
		if errors.Is(err, io.EOF) {
			_, _ = w.Write(last) // Flush returns its error
			return w.Flush()
		}
		if err != nil {
			return err
		}
		if line.long {
			return fmt.Errorf("a line at byte %d is longer than %d bytes", line.start, maxLine)
		}
		replaced := false
		if first {
			if replaced, err = copyHeader(w, line.text, header); err != nil {
				return err
			}
		}
		if !replaced && keep(line.text) {
			_, err = w.Write(append(line.text, '\n'))
		}
		if err != nil {
			return err
		}
	}
}

// copyHeader writes the copy's session line: the fields of the first line, unknown ones included, and what makes it ours. It
// reports whether first was a session line; any other is still to be copied.
func copyHeader(w io.Writer, first []byte, h Header) (bool, error) {
	var fields map[string]json.RawMessage
	first = bytes.TrimPrefix(bytes.TrimSpace(first), []byte("\ufeff"))
	session := json.Unmarshal(first, &fields) == nil && textOf(fields["type"]) == typeSession
	if !session {
		fields = map[string]json.RawMessage{}
	}
	from := h.ID
	h.ID = NewID()
	h.Schema = max(h.Schema, Schema)
	line, err := encodeSession(h)
	if err != nil {
		return false, err
	}
	var own map[string]json.RawMessage
	if err := json.Unmarshal(line, &own); err != nil {
		return false, err
	}
	extra := map[string]string{"copied_from": from}
	if by := textOf(fields["harness"]); by != harness && by != "" {
		extra["copied_harness"] = by
	}
	for name, text := range extra {
		if fields[name], err = json.Marshal(text); err != nil {
			return false, err
		}
	}
	return session, writeFields(w, line, own, fields)
}

// writeFields writes line with those of the other fields, sorted, that it does not have itself.
func writeFields(w io.Writer, line []byte, own, other map[string]json.RawMessage) error {
	var names []string
	for name := range other {
		if _, ok := own[name]; !ok && name != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	out := bytes.TrimSuffix(bytes.TrimSpace(line), []byte("}"))
	for _, name := range names {
		key, err := json.Marshal(name)
		if err != nil {
			return err
		}
		out = fmt.Appendf(out, ",%s:%s", key, other[name])
	}
	_, err := w.Write(append(out, "}\n"...))
	return err
}

// keeper returns which lines a copy keeps, and the line that ends it when some are left out: the leaf, which may have been
// known by them. Where ids are not those of the lines every line stays, since leaving some out would change the ids of the
// others.
func (t *tree) keeper() (keep func(line []byte) bool, last []byte) {
	if t.irregular {
		return func([]byte) bool { return true }, nil
	}
	hidden := t.hidden()
	if len(hidden) > 0 {
		last, _ = encode(idLine{Type: typeLeaf, ID: t.snapshot().Leaf()})
	}
	finished := map[string]bool{}
	for _, n := range t.nodes {
		finished[n.ID] = !n.Partial
	}
	return func(line []byte) bool {
		r, _, err := decode(line)
		if err != nil {
			return true
		}
		switch r.Type {
		case typePartial:
			return !hidden[r.id()] && !finished[r.id()]
		case typeMessage, typeLeaf:
			return !hidden[r.id()]
		case typeDelete, typeRestore:
			return false
		}
		return true
	}, last
}
