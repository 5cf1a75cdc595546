package tokenizer

import "strings"

// Stream turns ids into text one by one. What it has returned never changes: a character is held back until all its bytes
// have come, and bytes that can no longer become one are U+FFFD from then on. The pieces together are what Decode gives for
// all ids. One goroutine at a time.
type Stream struct {
	table *table
	skip  bool
	held  []byte // the beginning of a character, at most 3 bytes
}

// Stream returns a detokenizer that begins with nothing. With skipSpecial control tokens have no text. It works on after
// Close.
func (t *Tokenizer) Stream(skipSpecial bool) *Stream {
	return &Stream{table: t.table, skip: skipSpecial}
}

// Push takes the next id and returns the text that it completes, often none. Unknown ids have no text.
func (s *Stream) Push(id int32) string {
	if s.skip && s.table.isSpecial(id) {
		return ""
	}
	b := s.table.bytes(id)
	if len(b) == 0 {
		return ""
	}
	s.held = append(s.held, b...)
	var out strings.Builder
	used := appendText(&out, s.held)
	s.held = append(s.held[:0], s.held[used:]...)
	return out.String()
}

// Flush returns what is left at the end: U+FFFD if the last character is not complete. The stream can begin again.
func (s *Stream) Flush() string {
	if len(s.held) == 0 {
		return ""
	}
	s.held = s.held[:0]
	return replacement
}
