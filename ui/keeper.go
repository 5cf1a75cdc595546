package ui

import (
	"errors"
	"sync"
	"sync/atomic"

	"peregrine/history"
)

// keeper writes one conversation to its file. It is used by commands, one after the other, and once more when the
// conversation is left: whatever commands were still to run then, close saves all that was said and makes all that was noted.
type keeper struct {
	store Store        // nil: nothing is kept
	turns atomic.Int64 // counts how often another branch was turned to

	notes sync.Mutex // guards noted; never held during I/O
	noted []*noted   // in the order in which they were asked for

	mu     sync.Mutex
	file   *history.File // nil until something is saved
	closed bool
}

// save appends a message, the last of path, or replaces the one with its id. Without a file yet it makes one with the whole
// path.
func (k *keeper) save(h history.Header, path []history.Message, msg history.Message) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.closed || k.store == nil && k.file == nil:
		return nil // close has saved it
	case k.file == nil:
		return k.create(h, path)
	}
	if _, there := k.file.Conversation().Message(msg.ParentID); msg.ParentID != "" && !there {
		if err := k.complete(path[:max(len(path)-1, 0)]); err != nil { // the command that saves it has not run yet
			return err
		}
	}
	_, err := k.file.Append(msg)
	return err
}

// create makes the file. k.mu is held.
func (k *keeper) create(h history.Header, path []history.Message) error {
	file, err := k.store.Create(h)
	if err != nil {
		return err
	}
	k.file = file
	for _, msg := range path {
		_, appendErr := file.Append(msg)
		err = errors.Join(err, appendErr)
	}
	return err
}

// createAt makes the file at a path of the user's, where there must be none. Unless all of messages is written the
// conversation stays without a file.
func (k *keeper) createAt(path string, h history.Header, messages []history.Message) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed || k.file != nil {
		return nil
	}
	file, err := history.Create(path, h)
	if err != nil {
		return err
	}
	for _, msg := range messages {
		if _, err = file.Append(msg); err != nil {
			_ = file.Close() // it would say the same
			return err
		}
	}
	k.file = file
	return nil
}

// noted is a change of the file that a command is to make.
type noted struct {
	change func(*history.File) error
	err    error
}

// note takes a change of the file and returns what makes it, if there is a file. Update calls note itself, since commands run side
// by side: the first of them makes all that was noted so far, in that order, and close makes what none of them has made yet.
func (k *keeper) note(change func(*history.File) error) (run func() error) {
	n := &noted{change: change}
	k.notes.Lock()
	defer k.notes.Unlock()
	k.noted = append(k.noted, n)
	return func() error {
		k.mu.Lock()
		defer k.mu.Unlock()
		_ = k.catchUp() // the command of each says what became of it
		return n.err
	}
}

// catchUp makes what was noted and is not made yet. k.mu is held.
func (k *keeper) catchUp() error {
	k.notes.Lock()
	all := k.noted
	k.noted = nil
	k.notes.Unlock()
	if k.file == nil || k.closed {
		return nil
	}
	var err error
	for _, n := range all {
		n.err = n.change(k.file)
		err = errors.Join(err, n.err)
	}
	return err
}

// current returns the file, nil while a command is writing: a disk that hangs must not stop Update. Who asks asks again once that
// command has said how it went.
func (k *keeper) current() *history.File {
	if !k.mu.TryLock() {
		return nil
	}
	defer k.mu.Unlock()
	return k.file
}

// close saves what of path is not in the file yet, makes what was noted, and closes the file.
func (k *keeper) close(h history.Header, path []history.Message) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return nil
	}
	var err error
	switch {
	case k.file == nil && (k.store == nil || len(path) == 0):
		k.closed = true
		return nil
	case k.file == nil:
		if err = k.create(h, path); k.file == nil {
			return err
		}
	case k.file.ReadOnly() == "":
		err = errors.Join(k.complete(path), k.catchUp(), endAt(k.file, path), describe(k.file, h))
	}
	err = errors.Join(err, k.file.Close())
	k.closed = err == nil
	return err
}

// endAt makes path the branch that the file opens with: a version that was turned to before its last message was sent may have been
// noted later in the file.
func endAt(f *history.File, path []history.Message) error {
	if len(path) == 0 || f.Conversation().Leaf() == path[len(path)-1].ID {
		return nil
	}
	return f.SetLeaf(path[len(path)-1].ID)
}

// describe gives the file the name and the system text that were set while it was being made.
func describe(f *history.File, now history.Header) error {
	var err error
	if h := f.Conversation().Header; h.System != now.System {
		h.System = now.System
		err = f.SetHeader(h)
	}
	if f.Conversation().Header.Name != now.Name {
		err = errors.Join(err, f.SetName(now.Name))
	}
	return err
}

// complete appends the messages of path that the file has not, or not in full. k.mu is held.
func (k *keeper) complete(path []history.Message) error {
	c := k.file.Conversation()
	var err error
	for _, msg := range path {
		there, ok := c.Message(msg.ID)
		if ok && there.Content == msg.Content && there.Finish == msg.Finish && there.Partial == msg.Partial {
			continue
		}
		_, appendErr := k.file.Append(msg)
		err = errors.Join(err, appendErr)
	}
	return err
}

// discard closes the file, because it is going to be deleted. What was noted is made: the file may be brought back.
func (k *keeper) discard() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed || k.file == nil {
		k.closed = true
		return nil
	}
	_ = k.catchUp() // what the disk refuses, Close says
	err := k.file.Close()
	k.closed = err == nil
	return err
}
