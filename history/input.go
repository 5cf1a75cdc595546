package history

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Limits of what is remembered of typed texts. The file is cut back to its newer half when it grows beyond its limit.
const (
	inputsFile    = "inputs"
	maxInputs     = 2000
	maxInput      = 1 << 20 // bytes of one line; longer texts are not remembered
	maxInputBytes = 8 << 20
	lockWithin    = 2 * time.Second
)

// Inputs returns the texts that were typed in all conversations, the oldest first: at most two thousand, those of the last
// 8 MiB. Lines that cannot be read are passed over.
func (s *Store) Inputs() ([]Text, error) {
	f, err := os.Open(filepath.Join(s.dir, inputsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("history: inputs: %w", err)
	}
	defer f.Close()
	b, err := newest(f, maxInputBytes)
	if err != nil {
		return nil, fmt.Errorf("history: inputs: %w", err)
	}
	return decodeInputs(b), nil
}

// newest returns the last whole lines of a file, at most n bytes of them.
func newest(f *os.File, n int64) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", f.Name())
	}
	from := max(info.Size()-n, 0)
	b, err := io.ReadAll(io.NewSectionReader(f, from, min(n, info.Size())))
	if err != nil {
		return nil, err
	}
	if from > 0 {
		_, b, _ = bytes.Cut(b, []byte("\n")) // it began in the middle of a line
	}
	return b, nil
}

func decodeInputs(b []byte) []Text {
	var texts []Text
	for line := range bytes.Lines(b) {
		if len(line) > maxInput {
			continue
		}
		if t, err := decodeText(line); err == nil && !t.Empty() {
			texts = append(texts, t)
		}
	}
	return texts[max(len(texts)-maxInputs, 0):]
}

// AddInput remembers texts that were typed, in a file for its owner alone (0600) that all windows share. Texts of more than a
// mebibyte are left out: they lie in their conversation.
func (s *Store) AddInput(texts ...Text) error {
	var lines []byte
	now := formatTime(time.Now())
	for _, t := range texts {
		line, err := encodeText(t, textLine{SavedAt: now})
		if err == nil && len(line) <= maxInput && !t.Empty() {
			lines = append(lines, line...)
		}
	}
	if len(lines) == 0 {
		return nil
	}
	path := filepath.Join(s.dir, inputsFile)
	f, err := openInputs(path)
	if err != nil {
		return fmt.Errorf("history: inputs: %w", err)
	}
	defer f.Close()
	if err := appendInputs(f, path, lines); err != nil {
		return fmt.Errorf("history: inputs: %w", err)
	}
	return nil
}

// openInputs opens and locks the file, waiting a little for another window that is writing.
func openInputs(path string) (*os.File, error) {
	for start := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
		if err != nil {
			return nil, err
		}
		err = lock(f)
		if err == nil && sameFile(f, path) { // else it was cut back, and is another file now
			return f, nil
		}
		if err := f.Close(); err != nil {
			return nil, err
		}
		if time.Since(start) > lockWithin {
			return nil, fmt.Errorf("%s: another window has locked it for %v", path, lockWithin)
		}
	}
}

// appendInputs appends lines to the locked file, and cuts it back when it has become too long.
func appendInputs(f *os.File, path string, lines []byte) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	size := info.Size()
	if size > 0 {
		last := make([]byte, 1)
		if _, err := f.ReadAt(last, size-1); err != nil {
			return err
		}
		if last[0] != '\n' { // a crash tore the last line
			lines = append([]byte("\n"), lines...)
		}
	}
	if _, err := f.Write(lines); err != nil {
		return errors.Join(err, f.Truncate(size))
	}
	if size+int64(len(lines)) <= maxInputBytes {
		return nil
	}
	b, err := newest(f, maxInputBytes/2)
	if err != nil {
		return err
	}
	short, err := replaceFile(path, b)
	if err != nil {
		return err
	}
	return short.Close()
}
