package history

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// Open opens a conversation anywhere on disk. Where that is possible it takes the writer's lock and repairs the end of the
// file; otherwise the conversation is read, and File.ReadOnly says why.
func Open(path string) (*File, error) {
	if err := regular(path); err != nil {
		return nil, err
	}
	file, reason, err := openLocked(path)
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	l, err := load(file)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("history: %s: %w", path, err), file.Close())
	}
	if reason == "" && l.foreign != "" {
		unlock(file)
		reason = l.foreign
	}
	if reason == "" {
		if err := l.repair(path, file); err != nil {
			unlock(file)
			reason = fmt.Sprintf("its torn last line cannot be repaired: %v", err)
		}
	}
	if l.torn >= 0 { // cut off, or being written by someone else
		l.size = l.torn
	}
	return &File{tree: l.tree, readOnly: reason, started: true, disk: writer{path: path, file: file, size: l.size}}, nil
}

// openLocked opens a file for appending and locks it, or for reading and says why.
func openLocked(path string) (file *os.File, reason string, err error) {
	file, err = os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0)
	switch {
	case err == nil:
		if err := lock(file); err != nil {
			return file, err.Error(), nil
		}
		return file, "", nil
	case errors.Is(err, fs.ErrPermission):
		reason = "no permission to write the file"
	case errors.Is(err, syscall.EROFS):
		reason = "its file system is read-only"
	default:
		return nil, "", err
	}
	file, err = os.Open(path)
	return file, reason, err
}

// repair makes the file end after a whole line, so that the next one can be appended. The caller holds the lock.
func (l *loaded) repair(path string, file *os.File) error {
	switch {
	case l.torn >= 0:
		if !partialOnly(l.tornBytes) {
			if err := keepTorn(path+tornSuffix, l.tornBytes); err != nil {
				return err
			}
			l.tree.warn("the last line was torn; its bytes are kept in %s%s", path, tornSuffix)
		}
		if err := file.Truncate(l.torn); err != nil {
			return err
		}
	case l.open:
		if _, err := file.Write([]byte("\n")); err != nil {
			return err
		}
		l.size++
	default:
		return nil
	}
	return file.Sync()
}

const tornSuffix = ".torn"

// keepTorn appends the bytes of a torn line, and a newline, to the file beside the conversation.
func keepTorn(path string, torn []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(torn[:len(torn):len(torn)], '\n'))
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
