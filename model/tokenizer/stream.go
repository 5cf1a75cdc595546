package tokenizer

import "strings"

// Stream turns ids into text one by one. What it has returned never changes: a character is held back until all its bytes
// have come, and bytes that can no longer become one are U+FFFD from then on. The pieces together are what Decode gives for
// all ids. One goroutine at a time.
type Stream struct {
	table *table
	skip  bool
	held  []byte // the beginning of a character, at most 3 bytes
	begun bool   // a token has come
	strip int    // spaces to take away, as long as nothing else has come
}

// Stream returns a detokenizer that begins with nothing. With skipSpecial control tokens have no text. It works on after
// Close.
func (t *Tokenizer) Stream(skipSpecial bool) *Stream {
	s := &Stream{table: t.table, skip: skipSpecial}
	s.begin()
	return s
}

// Continue returns a detokenizer for what follows a text: a SentencePiece vocabulary's first space stays.
func (t *Tokenizer) Continue(skipSpecial bool) *Stream {
	return &Stream{table: t.table, skip: skipSpecial, begun: true}
}

// begin makes what comes next the start of a text.
func (s *Stream) begin() {
	s.begun, s.strip = false, 0
	if p := s.table.pieces; p != nil {
		s.strip = p.strip
	}
}

// Push takes the next id and returns the text that it completes, often none. Unknown ids have no text.
func (s *Stream) Push(id int32) string {
	var out strings.Builder
	s.push(&out, id)
	return out.String()
}

func (s *Stream) push(out *strings.Builder, id int32) {
	if s.skip && s.table.isSpecial(id) {
		return
	}
	b := s.table.bytes(id)
	if len(b) == 0 {
		return
	}
	pieces := s.table.pieces
	if !s.begun && pieces != nil && pieces.first {
		b = s.table.withoutBlanks(id)
	}
	s.begun = true
	for s.strip > 0 && len(s.held) == 0 && len(b) > 0 {
		if b[0] != ' ' {
			s.strip = 0
			break
		}
		b = b[1:]
		s.strip--
	}
	s.held = append(s.held, b...)
	used := appendText(out, s.held, pieces != nil)
	s.held = append(s.held[:0], s.held[used:]...)
}

// Flush returns what is left at the end: U+FFFD if the last character is not complete. The stream can begin a new text.
func (s *Stream) Flush() string {
	var out strings.Builder
	s.flush(&out)
	s.begin()
	return out.String()
}

func (s *Stream) flush(out *strings.Builder) {
	n := min(len(s.held), 1)
	if s.table.pieces != nil {
		n = len(s.held) // each byte of a SentencePiece vocabulary is a token of its own
	}
	out.WriteString(strings.Repeat(replacement, n))
	s.held = s.held[:0]
}
