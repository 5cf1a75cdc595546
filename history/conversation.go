package history

import (
	"slices"
	"strings"
	"time"

	"peregrine/model/generate"
)

// Schema is the version of the file format that this package writes. Files of a newer one are read, not written.
const Schema = 1

// Header describes a conversation as a whole.
type Header struct {
	Schema       int
	ID           string // never changes; NewID's form
	Name         string // given by the user; "" until then
	Created      time.Time
	Model        string
	Quantization string
	Template     string
	System       string // the system message, not a message of the tree
	Context      int    // limit in tokens
}

// Message is one turn of the tree. The fields after CreatedAt belong to replies.
type Message struct {
	ID       string
	ParentID string // "" is the root: the message starts a conversation
	Role     generate.Role
	Content  string
	// CreatedAt is UTC; the zero time means now on Append, and unknown in a file.
	CreatedAt time.Time
	Model     string
	Sampling  *generate.Sampling // in force at the reply's end
	Earlier   []generate.Stretch // of the reply under other values, the first ones first
	// TokenIDs are opaque numbers here. With the messages before it they let a decoder compute a reply's candidates again.
	TokenIDs []int32
	Timings  *generate.Timings
	Finish   generate.FinishReason
	// Partial says that this is the reply so far: it is being written, or its writer died.
	Partial bool
	// Raw says that the message is, or completes, a text without a template.
	Raw bool
}

// Conversation is a snapshot: it never changes, so it may be read from any goroutine while the file goes on. Callers must
// not change what it holds.
type Conversation struct {
	Header Header
	// Messages are all messages of all branches, deleted ones left out, in the order of the file. A parent stands before its
	// children.
	Messages []Message
	// Warnings say what of the file could not be used, one sentence each.
	Warnings []string

	index    map[string]int // id → place in Messages
	children map[string][]string
	leaf     string
}

// newConversation indexes messages whose parents stand before them.
func newConversation(h Header, messages []Message, leaf string, warnings []string) *Conversation {
	c := &Conversation{
		Header: h, Messages: messages, Warnings: warnings, leaf: leaf,
		index:    make(map[string]int, len(messages)),
		children: make(map[string][]string, len(messages)),
	}
	for i, m := range messages {
		c.index[m.ID] = i
		c.children[m.ParentID] = append(c.children[m.ParentID], m.ID)
	}
	return c
}

// Message returns the message with this id.
func (c *Conversation) Message(id string) (Message, bool) {
	i, ok := c.index[id]
	if !ok {
		return Message{}, false
	}
	return c.Messages[i], true
}

// Leaf returns the id of the tip of the current branch, "" when that is before the first message.
func (c *Conversation) Leaf() string { return c.leaf }

// Path returns the messages from the root to leaf, leaf included; nil for "" and for an unknown id. Path(c.Leaf()) is what
// a reader sees.
func (c *Conversation) Path(leaf string) []Message {
	var path []Message
	for i, ok := c.index[leaf]; ok; i, ok = c.index[c.Messages[i].ParentID] {
		path = append(path, c.Messages[i])
	}
	slices.Reverse(path)
	return path
}

// Children returns the ids of the messages that answer id, oldest first; those of "" start a conversation.
func (c *Conversation) Children(id string) []string { return c.children[id] }

// Siblings returns the versions of a message, itself included, oldest first: the children of its parent. It returns nil for
// an unknown id.
func (c *Conversation) Siblings(id string) []string {
	i, ok := c.index[id]
	if !ok {
		return nil
	}
	return c.children[c.Messages[i].ParentID]
}

// Tip returns the newest message at or below id that nothing answers, following the newest child at each step: where a
// reader who chooses version id ends up. Tip of "" is the newest branch's.
func (c *Conversation) Tip(id string) string {
	for {
		next := c.children[id]
		if len(next) == 0 {
			return id
		}
		id = next[len(next)-1]
	}
}

// Title returns the name, or else the start of the first user message, shortened; "" for an empty conversation. It is
// data: make it harmless before it is displayed.
func (c *Conversation) Title() string {
	if c.Header.Name != "" {
		return c.Header.Name
	}
	for _, m := range c.Messages {
		if m.Role == generate.User {
			if t := titleOf(m.Content); t != "" {
				return t
			}
		}
	}
	return ""
}

// Lengths of what a list shows, in runes.
const (
	titleRunes   = 80
	previewRunes = 240
)

// titleOf returns what a conversation that begins with text is called: its start, shortened at the end of a word.
func titleOf(text string) string {
	title := excerpt(text, titleRunes)
	start, shortened := strings.CutSuffix(title, "…")
	if at := strings.LastIndexByte(start, ' '); shortened && at > len(start)/2 {
		return start[:at] + "…"
	}
	return title
}

// excerpt returns the start of text with runs of white space as one space, at most limit runes, an ellipsis included. It
// reads no more of a long text than it needs.
func excerpt(text string, limit int) string {
	var b strings.Builder
	n, space := 0, false
	for _, r := range text {
		if r == ' ' || r == '\n' || r == '\t' || r == '\r' {
			space = n > 0
			continue
		}
		if n+1 >= limit {
			b.WriteRune('…')
			break
		}
		if space {
			b.WriteByte(' ')
			n++
			space = false
		}
		b.WriteRune(r)
		n++
	}
	return b.String()
}
