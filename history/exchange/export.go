package exchange

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"peregrine/history"
	"peregrine/model/generate"
)

// Export writes a conversation in a format: its current branch, or all of them. Formats that are lists of conversations hold
// each branch in full; textgen holds other versions of the turns on the current branch; ollama holds one branch, so that
// asking for all is an error. Notes say what was left out. The format is one of Formats.
func Export(w io.Writer, c *history.Conversation, name Format, all bool) (said []string, err error) {
	f, err := formatOf(name)
	if err != nil {
		return nil, err
	}
	if all && f.branches == oneBranch {
		return nil, fmt.Errorf("exchange: format %s holds one branch alone; leave --all-branches out, or choose %s or %s", name, STS, ChatGPT)
	}
	s, err := newScript(c, all, f.branches)
	if err != nil {
		return nil, fmt.Errorf("exchange: write %s: %w", name, err)
	}
	if what := lost(partsOf(c.Header, s.messages), f.holds); what != "" {
		s.notes.add("format %s has no place for: %s", name, what)
	}
	if err := f.write(w, s); err != nil {
		return nil, fmt.Errorf("exchange: write %s: %w", name, err)
	}
	if n := len(c.Messages) - len(s.messages); n > 0 {
		s.notes.add("messages of other branches: left out, since one branch was asked for (%d of %d)", n, len(c.Messages))
	}
	if n := len(s.branches); n > 1 && f.branches == listed {
		s.notes.add("branches: %d, each written in full, since format %s cannot say what they share", n, name)
	}
	return s.notes.list(), nil
}

// maxWritten bounds the messages of all branches together where each is written in full: a tree of n messages may have n²/4.
const maxWritten = 1 << 18

// script is what is written of a conversation.
type script struct {
	c        *history.Conversation
	header   history.Header
	all      bool
	messages []history.Message // of all branches that are written, parents first
	// branches go from the first message to the last, the current one first; the others only for formats that list them
	branches [][]history.Message
	leaf     string // the tip of the current branch, "": before the first message
	notes    notes
}

func newScript(c *history.Conversation, all bool, how branching) (*script, error) {
	s := &script{c: c, header: c.Header, all: all, leaf: c.Leaf()}
	if !all {
		if s.leaf == "" { // before the first message there is nothing to write
			s.leaf = c.Tip("")
		}
		s.messages = c.Path(s.leaf)
		s.branches = [][]history.Message{s.messages}
		return s, nil
	}
	s.messages = c.Messages
	tip := c.Tip(s.leaf) // a reader may stand inside a branch
	s.branches = [][]history.Message{c.Path(tip)}
	if how != listed {
		return s, nil
	}
	tips, written := []string{}, 0
	depth := make(map[string]int, len(c.Messages))
	for _, m := range c.Messages {
		depth[m.ID] = depth[m.ParentID] + 1
		if len(c.Children(m.ID)) == 0 {
			tips = append(tips, m.ID)
			written += depth[m.ID]
		}
	}
	if written > maxWritten {
		return nil, fmt.Errorf("%d branches, each in full, would be %d messages and %d are the most; write one branch, or choose %s or %s", len(tips), written, maxWritten, STS, ChatGPT)
	}
	for _, id := range tips {
		if id != tip {
			s.branches = append(s.branches, c.Path(id))
		}
	}
	return s, nil
}

// system returns the system prompt as a message.
func (s *script) system() (m history.Message, ok bool) {
	return history.Message{Role: generate.System, Content: s.header.System}, s.header.System != ""
}

// withSystem returns a branch with the system prompt before it.
func (s *script) withSystem(branch []history.Message) []history.Message {
	m, ok := s.system()
	if !ok {
		return branch
	}
	return append([]history.Message{m}, branch...)
}

// updated returns the latest time of a message, the zero time when none is known.
func (s *script) updated() time.Time {
	var last time.Time
	for _, m := range s.messages {
		if m.CreatedAt.After(last) {
			last = m.CreatedAt
		}
	}
	return last
}

// writeJSON writes v and a newline; indent "" puts it on one line.
func writeJSON(w io.Writer, v any, indent string) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", indent)
	return e.Encode(v)
}
