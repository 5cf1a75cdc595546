package history

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
)

// ErrReadOnly is wrapped by every refused change to a conversation that this process may only read.
var ErrReadOnly = errors.New("read-only")

// File is one conversation and its place on disk. Its methods may be called from several goroutines; Conversation, Partial,
// ReadOnly and Path never wait for the disk.
type File struct {
	disk writer

	mu       sync.Mutex // guards what follows; never held during I/O
	tree     *tree
	readOnly string
	started  bool // the session line is queued or on disk
	closed   bool
	queue    []byte      // whole lines that are not on disk
	pending  *Message    // the newest partial reply, if lines for it are still to be made
	noted    noted       // what the lines say of the reply being written
	timer    *time.Timer // writes pending; nil when none is due
	failed   error       // of the last writing
}

// newFile returns a conversation that is not on disk yet.
func newFile(path string, h Header) *File {
	f := &File{tree: newTree(), disk: writer{path: path}}
	f.tree.header, f.tree.harness = h, harness
	return f
}

// Conversation returns a snapshot of all that is in the file, the reply being written included. It costs nothing when
// nothing has changed.
func (f *File) Conversation() *Conversation {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.tree.snapshot()
}

// Append adds a message, or replaces the one with its id (the partial reply so far, or a reply that was continued). A new
// message becomes the leaf. It returns the message with ID and CreatedAt filled in, after fsync. On an error of the disk the
// message is in the conversation and its line in memory; the next call tries again. The message's slices are kept: do not
// change them.
func (f *File) Append(m Message) (Message, error) {
	if m.ID == "" {
		m.ID = NewID()
	}
	if m.CreatedAt.IsZero() {
		m.CreatedAt = time.Now()
	}
	m.CreatedAt = m.CreatedAt.UTC()
	m.Content = strings.ToValidUTF8(m.Content, "\ufffd")
	m.Partial = false
	line, err := encodeMessage(m)
	if err != nil {
		return m, err
	}
	f.mu.Lock()
	if err := f.accepts(m); err != nil {
		f.mu.Unlock()
		return m, err
	}
	if f.pending != nil && f.pending.ID == m.ID {
		f.pending = nil
	}
	f.queuePartial()
	if f.noted.id == m.ID {
		f.noted = noted{}
	}
	f.start()
	f.tree.put(m)
	f.queue = append(f.queue, line...)
	f.mu.Unlock()
	return m, f.flush()
}

// accepts says why a message cannot be added. f.mu is held.
func (f *File) accepts(m Message) error {
	if err := f.writable(); err != nil {
		return err
	}
	if _, ok := f.tree.index[m.ParentID]; !ok && m.ParentID != "" {
		return fmt.Errorf("history: %s: message %s: its parent %q is not in the conversation", f.disk.at(), m.ID, m.ParentID)
	}
	if m.ParentID == m.ID || !f.tree.replaceable(m) {
		return fmt.Errorf("history: %s: message %s: the id is another message's", f.disk.at(), m.ID)
	}
	return nil
}

// writable returns why the file may not be changed. f.mu is held.
func (f *File) writable() error {
	switch {
	case f.readOnly != "":
		return fmt.Errorf("history: %s: %w: %s", f.disk.at(), ErrReadOnly, f.readOnly)
	case f.closed:
		return fmt.Errorf("history: %s: already closed", f.disk.at())
	}
	return nil
}

// start queues the session line before the first other one. f.mu is held.
func (f *File) start() {
	if f.started {
		return
	}
	line, err := encodeSession(f.tree.header)
	if err != nil { // Create and SetHeader refuse what a line cannot hold; a file without this line could not be read
		h := f.tree.header
		line, _ = encodeSession(Header{Schema: h.Schema, ID: h.ID, Created: h.Created})
	}
	f.queue, f.started = append(f.queue, line...), true
}

// SetLeaf makes id the tip of the current branch; "" means before the first message. In a conversation that may only be
// read it moves this process's view alone.
func (f *File) SetLeaf(id string) error {
	f.mu.Lock()
	if _, ok := f.tree.index[id]; !ok && id != "" {
		f.mu.Unlock()
		return fmt.Errorf("history: %s: message %q is not in the conversation", f.disk.at(), id)
	}
	if f.tree.leaf == id || f.readOnly != "" || !f.started {
		f.tree.leaf = id
		f.tree.changed(false)
		f.mu.Unlock()
		return nil
	}
	f.mu.Unlock()
	return f.change(idLine{Type: typeLeaf, ID: id}, func() { f.tree.leaf = id })
}

// SetName names the conversation; see CleanName. "" takes the name away.
func (f *File) SetName(name string) error {
	name = CleanName(name)
	return f.change(nameLine{Type: typeName, Name: name}, func() { f.tree.header.Name = name })
}

// CleanName returns a name as it is stored: one line without control characters, at most 200 characters. It never becomes a
// part of a path.
func CleanName(name string) string {
	name = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(name, "\ufffd"))
	return excerpt(name, nameRunes)
}

const nameRunes = 200

// SetHeader notes a change of Model, Quantization, Template, System or Context from here on. The other fields of h are
// ignored.
func (f *File) SetHeader(h Header) error {
	f.mu.Lock()
	now := f.tree.header
	f.mu.Unlock()
	now.Model, now.Quantization, now.Template, now.System, now.Context = h.Model, h.Quantization, h.Template, h.System, h.Context
	return f.change(headerLine{
		Type: typeHeader, Model: h.Model, Quantization: h.Quantization, Template: h.Template, System: h.System, Context: h.Context,
	}, func() {
		name := f.tree.header.Name
		f.tree.header = now
		f.tree.header.Name = name
	})
}

// DeleteBranch removes a message and all below it, and returns what takes that back. When the leaf was among them, the tip
// of the version beside it becomes the leaf, or else its parent.
func (f *File) DeleteBranch(id string) (undo func() error, err error) {
	before := f.Conversation()
	m, ok := before.Message(id)
	if !ok {
		return nil, fmt.Errorf("history: %s: message %q is not in the conversation", f.disk.at(), id)
	}
	leaf := before.Leaf()
	if slices.ContainsFunc(before.Path(leaf), func(m Message) bool { return m.ID == id }) {
		leaf = beside(before, m)
	}
	if err := f.change(idLine{Type: typeDelete, ID: id}, func() { f.tree.setDeleted(id, true) }); isRefusal(err) {
		return nil, err
	}
	undo = func() error {
		err := f.change(idLine{Type: typeRestore, ID: id}, func() { f.tree.setDeleted(id, false) })
		return errors.Join(err, f.SetLeaf(before.Leaf()))
	}
	return undo, f.SetLeaf(leaf)
}

// beside returns where a reader goes when m is deleted.
func beside(c *Conversation, m Message) string {
	versions := c.Siblings(m.ID)
	i := slices.Index(versions, m.ID)
	switch {
	case i > 0:
		return c.Tip(versions[i-1])
	case len(versions) > 1:
		return c.Tip(versions[1])
	}
	return m.ParentID
}

// isRefusal tells a change that was not made from one that waits for the disk.
func isRefusal(err error) bool {
	var w *writeError
	return err != nil && !errors.As(err, &w)
}

// change makes a change in memory and on disk. Before the first message there is nothing to write: the session line will say
// it.
func (f *File) change(line any, apply func()) error {
	b, err := encode(line)
	if err != nil {
		return err
	}
	f.mu.Lock()
	if err := f.writable(); err != nil {
		f.mu.Unlock()
		return err
	}
	f.queuePartial()
	apply()
	f.tree.changed(true)
	if !f.started {
		f.mu.Unlock()
		return nil
	}
	f.queue = append(f.queue, b...)
	f.mu.Unlock()
	return f.flush()
}

// flush writes the queue. The lines of other calls may go with it; their order is kept.
func (f *File) flush() error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	f.mu.Lock()
	batch, idle := f.queue, f.closed || f.readOnly != "" || !f.started
	if idle {
		f.mu.Unlock()
		return nil
	}
	f.queue = nil
	f.mu.Unlock()
	rest, err := f.disk.write(batch)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.queue = append(rest, f.queue...)
	f.failed = err
	return err
}

// ReadOnly says why this process may only read the conversation; "" means that it may write.
func (f *File) ReadOnly() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.readOnly
}

// Path returns where the conversation lies, or will lie after the first Append.
func (f *File) Path() string { return f.disk.at() }

// Unsaved returns how many bytes wait in memory for a disk that refused them. A partial reply counts once its time has come.
func (f *File) Unsaved() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.queue)
}

// Sync writes all that is in memory, the reply so far included.
func (f *File) Sync() error {
	f.mu.Lock()
	f.queuePartial()
	f.mu.Unlock()
	return f.flush()
}

// Close writes what is in memory, gives the lock up and closes the file. When the disk refuses, nothing is lost yet: the
// file stays open, CopyTo can still save it elsewhere, and Close may be called again.
func (f *File) Close() error {
	if err := f.Sync(); err != nil {
		return err
	}
	f.mu.Lock()
	if f.timer != nil {
		f.timer.Stop()
	}
	f.mu.Unlock()
	f.disk.mu.Lock() // waits for a timer that is writing
	defer f.disk.mu.Unlock()
	f.mu.Lock()
	closed := f.closed
	f.closed = true
	f.mu.Unlock()
	if closed {
		return nil
	}
	return f.disk.close()
}
