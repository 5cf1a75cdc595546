package history

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"peregrine/model/generate"
)

// New makes a conversation of messages that come from elsewhere than a file of ours. Parents stand before their children; ids
// are neither empty nor used twice; leaf is one of them, or "". Zero times mean unknown.
func New(h Header, messages []Message, leaf string) (*Conversation, error) {
	if len(messages) > maxMessages {
		return nil, fmt.Errorf("history: a conversation of %d messages: %d is the most; cut it into several", len(messages), maxMessages)
	}
	seen := make(map[string]bool, len(messages))
	clean := make([]Message, len(messages))
	for i, m := range messages {
		switch {
		case m.ID == "" || seen[m.ID]:
			return nil, fmt.Errorf("history: message %d of %d: its id %q is empty or another message's", i+1, len(messages), m.ID)
		case m.ParentID != "" && !seen[m.ParentID]:
			return nil, fmt.Errorf("history: message %q: its parent %q does not stand before it", m.ID, m.ParentID)
		}
		seen[m.ID] = true
		m.Content = strings.ToValidUTF8(m.Content, "\ufffd")
		clean[i] = m
	}
	if leaf != "" && !seen[leaf] {
		return nil, fmt.Errorf("history: the tip %q is no message of the conversation", leaf)
	}
	return newConversation(h.filled(), clean, leaf, nil), nil
}

// Decode reads a conversation as Read does, from anywhere.
func Decode(r io.Reader) (*Conversation, error) {
	l, err := load(r)
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	return l.tree.snapshot(), nil
}

// Encode writes the conversation in the format of our files: what Decode and Read read.
func (c *Conversation) Encode(to io.Writer) error {
	w := bufio.NewWriter(to)
	put := func(line []byte, err error) error {
		if err == nil {
			_, err = w.Write(line)
		}
		return err
	}
	h := c.Header
	h.Schema = Schema
	if err := put(encodeSession(h)); err != nil {
		return err
	}
	for _, m := range c.Messages {
		var err error
		if m.Partial {
			err = put(encodeUnfinished(m))
		} else {
			err = put(encodeMessage(m))
		}
		if err != nil {
			return err
		}
	}
	if n := len(c.Messages); n > 0 && c.leaf != c.Messages[n-1].ID {
		if err := put(encode(idLine{Type: typeLeaf, ID: c.leaf})); err != nil {
			return err
		}
	}
	return w.Flush()
}

// encodeUnfinished returns a reply whose end is missing as one line.
func encodeUnfinished(m Message) ([]byte, error) {
	role := m.Role
	if role == "" {
		role = generate.Assistant
	}
	return encode(partialLine{
		Type: typePartial, ID: m.ID, Text: m.Content, TokenIDs: m.TokenIDs,
		partialStart: &partialStart{
			ParentID: parent(m.ParentID), CreatedAt: formatTime(m.CreatedAt), Role: role, Model: m.Model, Raw: m.Raw,
		},
		Sampling: storable(m.Sampling), Earlier: storableAll(m.Earlier),
	})
}

// Add saves a whole conversation as a new file of the store, atomically, and returns its path. In a list it stands by the
// time of its last message, where that is known. It wraps os.ErrExist when the store has a conversation of this id and time.
func (s *Store) Add(c *Conversation) (path string, err error) {
	f, err := s.Create(c.Header)
	if err != nil {
		return "", err
	}
	path = f.Path()
	temp, err := os.CreateTemp(s.dir, ".add-*"+extension) // 0600
	if err != nil {
		return "", fmt.Errorf("history: %w", err)
	}
	err = errors.Join(c.Encode(temp), temp.Sync(), temp.Close())
	if _, there := os.Lstat(path); err == nil && there == nil {
		err = os.ErrExist
	}
	if err == nil {
		_ = os.Chtimes(temp.Name(), time.Time{}, c.last()) // only the order of the list depends on it
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		return "", errors.Join(fmt.Errorf("history: save %s: %w", path, err), os.Remove(temp.Name()))
	}
	syncDir(s.dir)
	return path, nil
}

// last returns the latest time of a message, the zero time when none is known.
func (c *Conversation) last() time.Time {
	var last time.Time
	for _, m := range c.Messages {
		if m.CreatedAt.After(last) {
			last = m.CreatedAt
		}
	}
	return last
}
