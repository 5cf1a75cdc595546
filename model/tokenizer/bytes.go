package tokenizer

import (
	"fmt"
	"slices"
	"strings"
)

// In a byte-level vocabulary each byte is one printable character: the visible ones of Latin-1 stand for themselves, the
// other 68 are U+0100, U+0101, … in increasing order, so that a space is Ġ (U+0120) and a newline Ċ (U+010A).
// Source: openai/gpt-2 src/encoder.py, bytes_to_unicode.
const maxSymbol = 0x143

// symbolOf maps a byte to its character, byteOf a character to its byte (-1: none); symbols holds every character as a string.
var symbolOf, byteOf, symbols = makeSymbols()

func makeSymbols() (of [256]rune, back [maxSymbol + 1]int16, all [256]string) {
	for r := range back {
		back[r] = -1
	}
	next := rune(0x100)
	for b := range 256 {
		r := rune(b)
		if visible := b >= '!' && b <= '~' || b >= 0xA1 && b <= 0xAC || b >= 0xAE; !visible {
			r = next
			next++
		}
		of[b], back[r], all[b] = r, int16(b), string(r)
	}
	return of, back, all
}

// appendBytes appends the bytes that a token of byte symbols stands for. ok is false, and nothing is appended, if it holds
// anything else.
func appendBytes(dst []byte, token string) (_ []byte, ok bool) {
	start := len(dst)
	for _, r := range token {
		if r > maxSymbol || byteOf[r] < 0 {
			return dst[:start], false
		}
		dst = append(dst, byte(byteOf[r]))
	}
	return dst, true
}

// table maps ids to bytes.
type table struct {
	data    []byte           // of all ids, one behind the other
	ends    []uint32         // by id, where its bytes end in data
	literal bits             // ids whose text is the bytes themselves, not byte symbols, nor with ▁ for a space
	special bits             // control tokens
	named   map[int32]string // ids whose text does not follow from their bytes: those without any, tokens of bytes
	pieces  *pieces          // nil: byte symbols
}

// bits is a set of ids.
type bits []uint64

func (b bits) has(id int32) bool { return b[id>>6]>>(id&63)&1 != 0 }
func (b bits) add(id int32)      { b[id>>6] |= 1 << (id & 63) }

// holds says whether all of part is in b, which is as long.
func (b bits) holds(part bits) bool {
	for i, word := range part {
		if word&^b[i] != 0 {
			return false
		}
	}
	return true
}

// newTable builds the table for a checked spec.
func newTable(s *spec) (*table, error) {
	size := len(s.tokens)
	added := make(map[int32]string, len(s.added))
	for _, a := range s.added {
		size = max(size, int(a.id)+1)
		added[a.id] = a.content
	}
	named := make(map[int32]string, len(s.mute))
	for _, id := range s.mute {
		named[id] = strings.Clone(s.tokens[id])
	}
	words := (size + 63) / 64
	t := &table{ends: make([]uint32, size), literal: make(bits, words), special: make(bits, words), named: named, pieces: s.pieces}
	for _, a := range s.added {
		if a.special {
			t.special.add(a.id)
		}
	}
	total := 0
	for _, token := range s.tokens {
		total += len(token)
	}
	t.data = make([]byte, 0, total)
	for i := range size {
		id := int32(i)
		content, isAdded := added[id]
		if _, silent := named[id]; !isAdded && !silent && i < len(s.tokens) {
			content = s.tokens[i]
		}
		t.add(id, content, isAdded)
		if uint64(len(t.data)) > 1<<32-1 {
			return nil, fmt.Errorf("token %d: the vocabulary holds more than 4 GiB of text", id)
		}
		t.ends[i] = uint32(len(t.data))
	}
	t.data = slices.Clip(t.data)
	return t, nil
}

// add appends the bytes of the next id. An added token is never byte symbols.
func (t *table) add(id int32, text string, added bool) {
	switch {
	case text == "":
		return
	case t.pieces != nil:
		t.addPiece(id, text)
		return
	case !added:
		var ok bool
		if t.data, ok = appendBytes(t.data, text); ok {
			return
		}
	}
	t.data = append(t.data, text...)
	t.literal.add(id)
}

// addPiece appends the bytes of a SentencePiece token.
func (t *table) addPiece(id int32, text string) {
	spaces, blanks := strings.IndexByte(text, ' ') >= 0, strings.Contains(text, blank)
	if b, ok := byteToken(text); ok && t.pieces.fallback {
		t.data = append(t.data, b)
		t.named[id] = strings.Clone(text)
		return
	}
	switch {
	case spaces && blanks:
		t.named[id] = strings.Clone(text)
	case spaces:
		t.literal.add(id)
	}
	t.data = append(t.data, strings.ReplaceAll(text, blank, " ")...)
}

// bytes returns what id stands for, nothing for an unknown id.
func (t *table) bytes(id int32) []byte {
	if id < 0 || int(id) >= len(t.ends) {
		return nil
	}
	start := uint32(0)
	if id > 0 {
		start = t.ends[id-1]
	}
	return t.data[start:t.ends[id]:t.ends[id]]
}

// withoutBlanks returns the bytes of a SentencePiece token without those that its ▁ stand for.
func (t *table) withoutBlanks(id int32) []byte {
	name, _ := t.token(id)
	if !strings.Contains(name, blank) {
		return t.bytes(id)
	}
	return []byte(strings.ReplaceAll(name, blank, ""))
}

// token returns the text of id in the vocabulary.
func (t *table) token(id int32) (string, bool) {
	if name, ok := t.named[id]; ok {
		return name, true
	}
	b := t.bytes(id)
	switch {
	case len(b) == 0:
		return "", false
	case t.literal.has(id):
		return string(b), true
	case t.pieces != nil:
		return strings.ReplaceAll(string(b), " ", blank), true
	}
	return symbolText(b), true
}

// symbolText writes bytes as byte symbols.
func symbolText(b []byte) string {
	var out strings.Builder
	for _, c := range b {
		out.WriteRune(symbolOf[c])
	}
	return out.String()
}

// find returns the id of a token's text by looking at all of them.
func (t *table) find(text string) (int32, bool) {
	for id, name := range t.named {
		if name == text {
			return id, true
		}
	}
	symbolic, ok := appendBytes(nil, text)
	if t.pieces != nil {
		symbolic, ok = []byte(strings.ReplaceAll(text, blank, " ")), strings.IndexByte(text, ' ') < 0
	}
	for i := range t.ends {
		id := int32(i)
		b := t.bytes(id)
		if len(b) == 0 {
			continue
		}
		if t.literal.has(id) && string(b) == text || ok && !t.literal.has(id) && string(b) == string(symbolic) {
			if _, other := t.named[id]; !other {
				return id, true
			}
		}
	}
	return 0, false
}

func (t *table) isSpecial(id int32) bool {
	return id >= 0 && int(id) < len(t.ends) && t.special.has(id)
}
