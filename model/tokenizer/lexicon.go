package tokenizer

import (
	"bytes"
	"strconv"
	"unicode/utf8"
)

// merge is a pair by ids: the tokens left and right become whole.
type merge struct{ left, right, whole int32 }

// reach is what plain text can become, as checked.
type reach struct {
	tokens []bool  // by id
	merges []merge // by rank
	unk    int32   // stands for an unknown symbol; -1: none
}

// lexicon is what the library is built from: all of it, or the excerpt that one text can reach. It holds ids, not texts, which
// are the table's.
type lexicon struct {
	table     *table
	head      []byte // the tokenizer.json up to the vocabulary
	reachable bits
	merges    []merge
	unk       int32
	joinable  bool // merges can be written as "left right"
	excerpts  bool
	known     [256]bool // bytes that have a token of their own
	// symbolic holds the bytes of tokens that the table does not know as byte symbols, although they can be read so: plain text
	// can become them.
	symbolic map[int32][]byte
}

func newLexicon(s *spec, r *reach, t *table) *lexicon {
	l := &lexicon{
		table: t, head: s.appendHead(nil), reachable: make(bits, (len(r.tokens)+63)/64), merges: r.merges, unk: r.unk,
		joinable: s.mergesJoinable(), excerpts: s.excerpts(), symbolic: map[int32][]byte{},
	}
	for i, yes := range r.tokens {
		id := int32(i)
		if !yes || s.tokens[i] == "" {
			continue
		}
		l.reachable.add(id)
		if b := t.bytes(id); len(b) == 1 && !t.literal.has(id) {
			l.known[b[0]] = true
		}
		if _, named := t.named[id]; l.excerpts && (named || t.literal.has(id)) {
			l.symbolic[id], _ = appendBytes(nil, s.tokens[i])
		}
	}
	return l
}

// excerpts says whether the tokens that a text becomes spell parts of that text, byte by byte. Normalizing, and a space put in
// front, make others of it; so do the pieces of SentencePiece.
func (s *spec) excerpts() bool {
	for _, one := range s.stages {
		if one.prefix {
			return false
		}
	}
	return s.pieces == nil && len(s.normalizers) == 0
}

// covers says whether an excerpt is enough for text: not if a byte of it has no token, for the library drops such a byte, or puts
// another token in its place, and then merges what stood on both sides of it.
func (l *lexicon) covers(text string) bool {
	if !l.excerpts {
		return false
	}
	for i := range len(text) {
		if !l.known[text[i]] {
			return false
		}
	}
	return utf8.ValidString(text)
}

// excerpt returns the tokens that plain text within a text that covers takes can become, by any order of merges: those that stand
// in it. All single bytes are among them.
func (l *lexicon) excerpt(text string) bits {
	all := []byte(text)
	pairs := make(bits, 1<<16/64) // of neighbouring bytes; most tokens hold one that does not occur
	for i := 1; i < len(all); i++ {
		pairs.add(int32(all[i-1])<<8 | int32(all[i]))
	}
	keep := make(bits, len(l.reachable))
	for i := range l.table.ends {
		id := int32(i)
		if l.has(id) && (id == l.unk || occurs(l.bytes(id), all, pairs)) {
			keep.add(id)
		}
	}
	return keep
}

// occurs says whether token is one byte or stands in text. A token without bytes is not spelled in byte symbols, so that no text
// becomes it.
func occurs(token, text []byte, pairs bits) bool {
	for i := 1; i < len(token); i++ {
		if !pairs.has(int32(token[i-1])<<8 | int32(token[i])) {
			return false
		}
	}
	return len(token) == 1 || len(token) > 1 && bytes.Contains(text, token)
}

func (l *lexicon) has(id int32) bool { return int(id>>6) < len(l.reachable) && l.reachable.has(id) }

// bytes returns what id spells when it is read as byte symbols.
func (l *lexicon) bytes(id int32) []byte {
	if b, ok := l.symbolic[id]; ok {
		return b
	}
	return l.table.bytes(id)
}

// appendJSON writes the tokenizer.json that the library reads, with the tokens in keep and the merges that lead to them.
func (l *lexicon) appendJSON(dst []byte, keep bits) []byte {
	dst = append(dst, l.head...)
	n := 0
	for i := range l.table.ends {
		id := int32(i)
		if !l.has(id) || !keep.has(id) {
			continue
		}
		dst = separate(dst, n)
		n++
		dst = append(dst, '"')
		dst = l.appendText(dst, id)
		dst = append(dst, '"', ':')
		dst = strconv.AppendInt(dst, int64(id), 10)
	}
	dst = append(dst, `},"merges":[`...)
	n = 0
	for _, m := range l.merges {
		if !keep.has(m.whole) || !keep.has(m.left) || !keep.has(m.right) {
			continue
		}
		dst = separate(dst, n)
		n++
		if l.joinable {
			dst = append(dst, '"')
			dst = l.appendText(dst, m.left)
			dst = append(dst, ' ')
			dst = l.appendText(dst, m.right)
			dst = append(dst, '"')
			continue
		}
		dst = append(dst, '[', '"')
		dst = l.appendText(dst, m.left)
		dst = append(dst, '"', ',', '"')
		dst = l.appendText(dst, m.right)
		dst = append(dst, '"', ']')
	}
	return append(dst, `]}}`...)
}

// appendText writes a token's text as it stands between the quotes of a JSON string.
func (l *lexicon) appendText(dst []byte, id int32) []byte {
	if _, named := l.table.named[id]; !named && l.table.pieces == nil && !l.table.literal.has(id) {
		for _, c := range l.table.bytes(id) {
			if c == '"' || c == '\\' {
				dst = append(dst, '\\')
			}
			dst = append(dst, symbols[c]...)
		}
		return dst
	}
	text, _ := l.table.token(id)
	start := len(dst)
	dst = appendJSONString(dst, text)
	return append(dst[:start], dst[start+1:len(dst)-1]...)
}

// size estimates the bytes that appendJSON writes for the whole vocabulary, so that it need not grow its buffer: the texts, a
// quarter of whose bytes take two, and for each token quotes, colon, comma and id.
func (l *lexicon) size() int {
	n := len(l.head) + len(l.table.data)*5/4 + len(l.table.ends)*12
	for _, m := range l.merges {
		n += len(l.table.bytes(m.whole))*5/4 + 4
	}
	return n
}
