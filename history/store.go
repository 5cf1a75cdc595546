package history

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// ErrNotFound is wrapped when no conversation fits what was asked for. How the others are listed is for the caller to say.
var ErrNotFound = errors.New("no such conversation")

// ErrLocked is wrapped when another window has the conversation open.
var ErrLocked = errors.New("open in another window")

// The names in a store's folder.
const (
	extension = ".jsonl"
	trash     = "trash"
)

// Store is a folder of conversations. Deleted ones lie in its folder "trash", which is never emptied from here; what a search
// needs to know of the others lies in its file ".index", which may be deleted at any time.
type Store struct {
	dir   string
	index *index
}

// OpenStore opens the folder, making it when it is missing. Folders are made for their owner alone (0700), as are files
// (0600).
func OpenStore(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("history: %w; set XDG_DATA_HOME to a folder that can be written", err)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	return &Store{dir: dir, index: newIndex(dir)}, nil
}

// Dir returns the folder.
func (s *Store) Dir() string { return s.dir }

// ReadOnly says why nothing can be saved in the store; "" means that it can, as far as permissions tell.
func (s *Store) ReadOnly() string {
	if err := unix.Access(s.dir, unix.W_OK|unix.X_OK); err != nil {
		return fmt.Sprintf("no permission to write in %s: %v", s.dir, err)
	}
	return ""
}

// Create starts a conversation. Nothing is on disk until the first Append or Partial; what the disk then refuses stays in
// memory. ID, Schema and Created are filled in where they are missing.
func (s *Store) Create(h Header) (*File, error) {
	h = h.filled()
	if strings.ContainsAny(h.ID, "/\\\x00") || len(h.ID) > 64 {
		return nil, fmt.Errorf("history: conversation id %q: it becomes a part of a file name", h.ID)
	}
	name := h.Created.Format("20060102-150405") + "-" + h.ID + extension
	return Create(filepath.Join(s.dir, name), h)
}

// Create starts a conversation at a path anywhere on disk, as Store.Create does in its folder. Where a file is already, Append
// returns an error and that file stays as it is.
func Create(path string, h Header) (*File, error) {
	h = h.filled()
	if _, err := encodeSession(h); err != nil {
		return nil, err
	}
	return newFile(path, h), nil
}

// filled returns the header of a new file: with an id, a time and this version's schema.
func (h Header) filled() Header {
	if h.ID == "" {
		h.ID = NewID()
	}
	if h.Created.IsZero() {
		h.Created = time.Now()
	}
	h.Created, h.Schema, h.Name = h.Created.UTC(), Schema, CleanName(h.Name)
	return h
}

// Open opens a conversation anywhere on disk, as the function Open does.
func (s *Store) Open(path string) (*File, error) { return Open(path) }

// OpenID opens the conversation of the store with this id, the only one whose id starts so, or the only one with this name.
// It wraps ErrNotFound, and names the candidates when there are several.
func (s *Store) OpenID(idOrName string) (*File, error) {
	path, err := s.Find(idOrName)
	if err != nil {
		return nil, err
	}
	return Open(path)
}

// Find returns the path of the conversation that OpenID would open.
func (s *Store) Find(idOrName string) (string, error) {
	entries, err := s.List(context.Background())
	if err != nil {
		return "", err
	}
	want := strings.TrimSpace(idOrName)
	for _, fits := range []func(Entry) bool{
		func(e Entry) bool { return e.ID == want },
		func(e Entry) bool { return e.Name == want },
		func(e Entry) bool { return strings.EqualFold(e.Name, want) },
		func(e Entry) bool { return len(want) >= 4 && strings.HasPrefix(e.ID, want) },
	} {
		var found []Entry
		for _, e := range entries {
			if want != "" && fits(e) {
				found = append(found, e)
			}
		}
		switch {
		case len(found) == 1:
			return found[0].Path, nil
		case len(found) > 1:
			return "", ambiguous(idOrName, found)
		}
	}
	return "", fmt.Errorf("history: %q: %w in %s", idOrName, ErrNotFound, s.dir)
}

func ambiguous(what string, found []Entry) error {
	const most = 5
	var list []string
	for _, e := range found[:min(len(found), most)] {
		list = append(list, fmt.Sprintf("%s (%s, %q)", e.ID, e.Modified.Format("2006-01-02 15:04"), e.Title))
	}
	if len(found) > most {
		list = append(list, fmt.Sprintf("and %d more", len(found)-most))
	}
	return fmt.Errorf("history: %q: %d conversations go by that: %s; give the id", what, len(found), strings.Join(list, ", "))
}

// Rename names a conversation that is not open here; its place in a list by time does not change.
func (s *Store) Rename(path, name string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("history: %w", err)
	}
	f, err := Open(path)
	if err != nil {
		return err
	}
	if err := errors.Join(f.SetName(name), f.Close()); err != nil {
		return err
	}
	_ = os.Chtimes(path, time.Time{}, info.ModTime()) // only the order of the list depends on it
	return nil
}

// Delete moves a conversation of the store to the trash and returns what brings it back. It must not be open: close it
// first, else Delete wraps ErrLocked.
func (s *Store) Delete(path string) (undo func() error, err error) {
	if abs, err := filepath.Abs(path); err != nil || filepath.Dir(abs) != s.dir {
		return nil, fmt.Errorf("history: %s: not in the store %s; remove the file yourself", path, s.dir)
	}
	if err := regular(path); err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	defer f.Close()
	if err := lock(f); err != nil {
		return nil, fmt.Errorf("history: %s: %w; close it there first", path, err)
	}
	dir := filepath.Join(s.dir, trash)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	there := filepath.Join(dir, filepath.Base(path))
	if _, err := os.Lstat(there); err == nil {
		there = filepath.Join(dir, NewID()+"-"+filepath.Base(path))
	}
	if err := os.Rename(path, there); err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	return func() error { return bringBack(there, path) }, nil
}

// bringBack moves a file out of the trash, never over another.
func bringBack(from, to string) error {
	if _, err := os.Lstat(to); err == nil {
		return fmt.Errorf("history: %s: there is a file of that name again; the deleted one is %s", to, from)
	}
	if err := os.Rename(from, to); err != nil {
		return fmt.Errorf("history: %w", err)
	}
	return nil
}
