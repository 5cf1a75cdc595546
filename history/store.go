package history

import (
	"context"
	"errors"
	"time"
)

// ErrNotFound is wrapped when no conversation fits what was asked for.
var ErrNotFound = errors.New("no such conversation")

// ErrLocked is wrapped when another window has the conversation open.
var ErrLocked = errors.New("open in another window")

// Store is a folder of conversations.
type Store struct{}

// Entry is one conversation in a list. Its texts are data: make them harmless before they are displayed.
type Entry struct {
	Path     string
	ID       string
	Name     string
	Title    string // Name, else the start of the first user message, else the file's name
	Modified time.Time
	Messages int    // message lines of all branches
	Preview  string // the start of the last message
	Model    string
	Err      error // why it cannot be opened; the other fields are then what is known
}

// OpenStore opens the folder, making it when it is missing.
func OpenStore(dir string) (*Store, error) { return &Store{}, nil }

// Create starts a conversation. Nothing is on disk until the first Append. The missing of ID, Schema and Created are
// filled in.
func (s *Store) Create(h Header) (*File, error) { return &File{}, nil }

// Open opens a conversation anywhere on disk, for writing when that is possible; see File.ReadOnly.
func (s *Store) Open(path string) (*File, error) { return &File{}, nil }

// OpenID opens the conversation of the store with this id, start of an id, or name.
func (s *Store) OpenID(idOrName string) (*File, error) { return &File{}, nil }

// Latest returns the path of the conversation that was written to last. It wraps ErrNotFound in an empty store.
func (s *Store) Latest() (string, error) { return "", ErrNotFound }

// List returns all conversations, the one written to last first.
func (s *Store) List(ctx context.Context) ([]Entry, error) { return nil, nil }

// Rename names a conversation that is not open here.
func (s *Store) Rename(path, name string) error { return nil }

// Delete moves a conversation that is not open here to the trash and returns what brings it back.
func (s *Store) Delete(path string) (undo func() error, err error) { return nil, nil }
