package history

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
)

// disk is what a writer needs of an open file; *os.File is one.
type disk interface {
	io.Writer
	io.ReaderAt
	io.Closer
	Sync() error
	Truncate(size int64) error
	Stat() (os.FileInfo, error)
}

// writer appends lines to the conversation's file, which it makes when the first line comes. The path may be read at any
// time; everything else belongs to who holds mu.
type writer struct {
	path  string
	moved atomic.Pointer[string] // where the lines go since the file at path was deleted under us

	mu       sync.Mutex
	file     disk // nil before the first line
	size     int64
	unsynced bool
}

// writeError is an error of the disk: the lines are still in memory.
type writeError struct{ err error }

func (e *writeError) Error() string {
	return fmt.Sprintf("history: %v; the text is kept in memory and written as soon as that works", e.err)
}

func (e *writeError) Unwrap() error { return e.err }

// at returns the path of the file.
func (w *writer) at() string {
	if p := w.moved.Load(); p != nil {
		return *p
	}
	return w.path
}

// write appends whole lines and waits until they are on disk. On an error it returns what is still to be written; the file
// then ends after a whole line, if the disk lets it be cut back there.
func (w *writer) write(lines []byte) (rest []byte, err error) {
	if err := w.ready(); err != nil {
		return lines, &writeError{err}
	}
	if len(lines) > 0 {
		n, err := w.file.Write(lines)
		if err != nil {
			if n > 0 && w.file.Truncate(w.size) != nil {
				w.size += int64(n)
				lines = lines[n:]
			}
			return lines, &writeError{err}
		}
		w.size += int64(n)
		w.unsynced = true
	}
	if w.unsynced {
		if err := w.file.Sync(); err != nil {
			return nil, &writeError{err}
		}
		w.unsynced = false
	}
	return nil, nil
}

// ready makes the file when there is none, or none any more.
func (w *writer) ready() error {
	if w.file != nil {
		if !deleted(w.file) {
			return nil
		}
		return w.remake()
	}
	f, err := makeFile(w.path)
	if err != nil {
		return err
	}
	w.file = f
	return nil
}

// makeFile makes a new, empty file with its folder, locks it, and makes both last.
func makeFile(path string) (*os.File, error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lock(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	syncDir(dir)
	return f, nil
}

// remake writes the lines of a file that someone deleted into a new one: what was deleted was a name, and the conversation
// goes on in this window.
func (w *writer) remake() error {
	path := w.at()
	f, err := makeFile(path)
	if errors.Is(err, os.ErrExist) { // another file took the name
		path = strings.TrimSuffix(path, extension) + "-" + NewID() + extension
		f, err = makeFile(path)
	}
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, io.NewSectionReader(w.file, 0, w.size)); err != nil {
		return errors.Join(err, f.Close(), os.Remove(path))
	}
	old := w.file
	w.file, w.unsynced = f, true
	w.moved.Store(&path)
	return old.Close()
}

// deleted reports whether the open file has no name any more.
func deleted(f disk) bool {
	info, err := f.Stat()
	if err != nil {
		return false
	}
	sys, ok := info.Sys().(*syscall.Stat_t)
	return ok && sys.Nlink == 0
}

// syncDir makes a new name in dir last. Some file systems cannot; the file's own fsync has done the main thing.
func syncDir(dir string) {
	d, err := os.Open(dir)
	if err != nil {
		return
	}
	_ = d.Sync()
	_ = d.Close()
}

func (w *writer) close() error {
	if w.file == nil {
		return nil
	}
	return w.file.Close()
}
