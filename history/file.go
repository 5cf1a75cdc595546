package history

import "errors"

// ErrReadOnly is wrapped by every refused change to a conversation that this process may only read.
var ErrReadOnly = errors.New("read-only")

// File is one conversation and its place on disk. Its methods may be called from several goroutines.
type File struct{}

// Conversation returns a snapshot of all that is in the file, the reply being written included. It costs nothing when
// nothing has changed.
func (f *File) Conversation() *Conversation { return nil }

// Append adds a message, or replaces the one with its id (the partial reply so far, or a reply that was continued), makes it
// the leaf and returns it with ID and CreatedAt filled in. It returns after fsync. On an error of the disk the message is
// in the conversation and its line in memory; the next call tries again.
func (f *File) Append(m Message) (Message, error) { return m, nil }

// Partial notes the reply so far. m.ID must be set (NewID) and stay the same until Append finishes the reply. It does no
// I/O: what is new is on disk at most half a second later. The error is that of the last writing.
func (f *File) Partial(m Message) error { return nil }

// SetLeaf makes id the tip of the current branch; "" means before the first message.
func (f *File) SetLeaf(id string) error { return nil }

// SetName names the conversation.
func (f *File) SetName(name string) error { return nil }

// SetHeader notes a change of Model, Quantization, Template, System or Context from here on. The other fields of h are
// ignored.
func (f *File) SetHeader(h Header) error { return nil }

// DeleteBranch removes a message and all below it, and returns what takes that back. When the leaf was among them, the
// tip of the version beside it becomes the leaf, or its parent.
func (f *File) DeleteBranch(id string) (undo func() error, err error) { return nil, nil }

// CopyTo writes the conversation to another file, atomically.
func (f *File) CopyTo(path string) error { return nil }

// ReadOnly says why this process may only read the conversation; "" means that it may write.
func (f *File) ReadOnly() string { return "" }

// Path returns where the conversation lies, or will lie after the first Append.
func (f *File) Path() string { return "" }

// Unsaved returns how many bytes wait in memory for a disk that refused them.
func (f *File) Unsaved() int { return 0 }

// Sync writes all that is in memory, the reply so far included.
func (f *File) Sync() error { return nil }

// Close writes what is in memory, gives the lock up and closes the file.
func (f *File) Close() error { return nil }
