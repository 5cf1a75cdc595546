package history

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"peregrine/model/generate"
)

// noted is what the lines made so far say of one partial reply.
type noted struct {
	id      string
	started bool // a line with the id exists
	text    string
	tokens  []int32
	values  *generate.Sampling
}

// partialEvery bounds how long a partial reply stays in memory alone.
const partialEvery = 500 * time.Millisecond

// Partial notes the reply so far. m.ID must be set (NewID) and stay the same until Append finishes the reply. It does no
// I/O: what is new is on disk half a second later. What comes after the reply's Append and adds nothing to it is ignored, so
// a late call does no harm. The error is that of the last writing.
func (f *File) Partial(m Message) error {
	m.Partial, m.Finish, m.Timings = true, "", nil
	if m.ID == "" {
		return fmt.Errorf("history: %s: a partial reply without an id", f.disk.at())
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.accepts(m); err != nil {
		return err
	}
	old, known := f.tree.get(m.ID)
	m.Content = validAfter(old.Content, m.Content)
	if known && !old.Partial && strings.HasPrefix(old.Content, m.Content) {
		return f.failed
	}
	if m.CreatedAt.IsZero() {
		m.CreatedAt = old.CreatedAt
	}
	if m.CreatedAt.IsZero() {
		m.CreatedAt = time.Now().UTC()
	}
	if f.noted.id != m.ID {
		f.queuePartial()
		f.noted = noted{id: m.ID, started: known, text: old.Content, tokens: old.TokenIDs}
	}
	f.tree.put(m)
	f.pending = &m
	if f.timer == nil {
		f.timer = time.AfterFunc(partialEvery, f.tick)
	}
	return f.failed
}

// validAfter returns text as valid UTF-8. What stands there since the last call need not be looked at again.
func validAfter(old, text string) string {
	n := 0
	if strings.HasPrefix(text, old) {
		n = len(old)
	}
	if utf8.ValidString(text[n:]) {
		return text
	}
	return text[:n] + strings.ToValidUTF8(text[n:], "\ufffd")
}

// tick writes what Partial noted. It runs on the timer's goroutine; Close waits for it.
func (f *File) tick() {
	f.mu.Lock()
	f.timer = nil
	f.queuePartial()
	f.mu.Unlock()
	_ = f.flush() // kept in f.failed, which the next Partial returns
}

// queuePartial makes a line of what is new in the pending reply. f.mu is held.
func (f *File) queuePartial() {
	m := f.pending
	if m == nil {
		return
	}
	f.pending = nil
	f.start()
	said := &f.noted
	line := partialLine{Type: typePartial, ID: m.ID}
	if !said.started {
		line.partialStart = &partialStart{
			ParentID: parent(m.ParentID), CreatedAt: formatTime(m.CreatedAt), Role: m.Role,
			Model: m.Model, Raw: m.Raw,
		}
	}
	if m.Sampling != nil && (said.values == nil || *said.values != *m.Sampling) {
		line.Sampling, line.Earlier = storable(m.Sampling), storableAll(m.Earlier)
	}
	line.At, line.TokensAt = commonText(said.text, m.Content), commonTokens(said.tokens, m.TokenIDs)
	line.Text, line.TokenIDs = m.Content[line.At:], m.TokenIDs[line.TokensAt:]
	if said.started && len(m.Content) == len(said.text) && line.Text == "" &&
		len(m.TokenIDs) == len(said.tokens) && len(line.TokenIDs) == 0 && line.Sampling == nil {
		return
	}
	b, err := encode(line)
	if err != nil {
		f.failed = err
		return
	}
	f.queue = append(f.queue, b...)
	said.started, said.text, said.tokens, said.values = true, m.Content, m.TokenIDs, m.Sampling
}

// commonText returns the length of the longest common start of a and b that ends between two characters.
func commonText(a, b string) int {
	if strings.HasPrefix(b, a) {
		return len(a)
	}
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	for n > 0 && n < len(b) && b[n]&0xc0 == 0x80 {
		n--
	}
	return n
}

func commonTokens(a, b []int32) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}
