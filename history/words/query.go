package words

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxTerms is the most words of a query that count.
const MaxTerms = 8

// Quality says how well a word fits a term of a query.
type Quality uint8

// From the worst to the best.
const (
	None   Quality = iota
	Typo           // but for one wrong, missing, additional or swapped letter
	Inside         // the term stands within the word
	Prefix         // the word begins with the term
	Whole          // the word is the term
)

// A term shorter than this many characters must stand at the start of a word, or be in it without a mistake: otherwise it
// would fit nearly everything.
const (
	insideFrom = 2
	typoFrom   = 4
)

// Query is what somebody searches for: folded words, each of which must be somewhere in a conversation.
type Query []string

// Parse returns the words of a text, each once. Words beyond MaxTerms do not count.
func Parse(text string) Query {
	var q Query
	folded := Fold(text)
	Each(folded, func(start, end int) bool {
		if t := folded[start:end]; !slices.Contains(q, t) {
			q = append(q, t)
		}
		return len(q) < MaxTerms
	})
	return q
}

// Fit says how well a folded word fits a term.
func Fit(term, word string) Quality {
	switch at := strings.Index(word, term); {
	case at == 0 && len(word) == len(term):
		return Whole
	case at == 0:
		return Prefix
	case at > 0 && utf8.RuneCountInString(term) >= insideFrom:
		return Inside
	case at < 0 && Near(term, word):
		return Typo
	}
	return None
}

// Near reports whether a word begins with a term but for one mistake: a letter that is another, that is missing, that is too
// much, or that changed places with the next. The first letter must be right, and a term must have four. Another digit is no
// mistake but another number.
func Near(term, word string) bool {
	i := 0
	for i < len(term) && i < len(word) && term[i] == word[i] {
		i++
	}
	if i == 0 || i == len(term) || utf8.RuneCountInString(term) < typoFrom || strings.ContainsAny(term, "0123456789") {
		return false
	}
	for i < len(word) && i > 0 && (!utf8.RuneStart(term[i]) || !utf8.RuneStart(word[i])) {
		i-- // back to where both have a whole character
	}
	if i == 0 {
		return false
	}
	t, w := term[i:], word[i:]
	_, nt := utf8.DecodeRuneInString(t)
	_, nw := utf8.DecodeRuneInString(w)
	if strings.HasPrefix(w, t[nt:]) || strings.HasPrefix(w[nw:], t[nt:]) || strings.HasPrefix(w[nw:], t) {
		return true
	}
	_, after := utf8.DecodeRuneInString(t[nt:])
	swapped := t[nt:nt+after] + t[:nt]
	return after > 0 && strings.HasPrefix(w, swapped) && strings.HasPrefix(w[len(swapped):], t[nt+after:])
}

// Span is a part of a text, in bytes.
type Span struct{ Start, End int }

// Spans returns what of a text fits any word of the query, in order and without overlaps. Where a word fits in part that part is
// meant, where it has a mistake all of it.
func (q Query) Spans(text string) []Span {
	if len(q) == 0 {
		return nil
	}
	var spans []Span
	Each(text, func(start, end int) bool {
		if s, ok := q.span(text[start:end]); ok {
			spans = merge(spans, Span{start + s.Start, start + s.End})
		}
		return true
	})
	return spans
}

// span returns the part of one word that fits best.
func (q Query) span(word string) (Span, bool) {
	folded := Fold(word)
	best, term := None, ""
	for _, t := range q {
		if f := Fit(t, folded); f > best {
			best, term = f, t
		}
	}
	whole := Span{0, len(word)}
	if best != Inside && best != Prefix || utf8.RuneCountInString(folded) != utf8.RuneCountInString(word) {
		return whole, best != None
	}
	// Folding kept every character, so that characters can be counted.
	skip := utf8.RuneCountInString(folded[:strings.Index(folded, term)])
	s := Span{runes(word, skip), 0}
	s.End = s.Start + runes(word[s.Start:], utf8.RuneCountInString(term))
	return s, true
}

// runes returns how many bytes the first n characters of s have.
func runes(s string, n int) int {
	for i := range s {
		if n == 0 {
			return i
		}
		n--
	}
	return len(s)
}

// merge adds a span that does not start before the last one.
func merge(spans []Span, s Span) []Span {
	if n := len(spans); n > 0 && s.Start <= spans[n-1].End {
		spans[n-1].End = max(spans[n-1].End, s.End)
		return spans
	}
	return append(spans, s)
}

// Find returns where a text holds another, whatever the case and the accents, from left to right and without overlaps.
func Find(text, what string) []Span {
	folded := Fold(what)
	if folded == "" {
		return nil
	}
	in, at := foldedAt(text)
	var spans []Span
	for from := 0; ; {
		i := strings.Index(in[from:], folded)
		if i < 0 {
			return spans
		}
		start, end := from+i, from+i+len(folded)
		spans = append(spans, Span{at(start, false), at(end, true)})
		from = end
	}
}

// foldedAt folds a text and returns what finds the place in it that an offset in the folded one came from; where that is within
// a character, the one before or behind it. Characters are folded one by one, with the marks that follow them.
func foldedAt(text string) (folded string, at func(offset int, behind bool) int) {
	if isASCII(text) {
		return strings.ToLower(text), func(offset int, _ bool) int { return offset }
	}
	var b strings.Builder
	var from, to []int // offsets of characters in text, and in the folded one
	start := 0
	take := func(end int) {
		from, to = append(from, start), append(to, b.Len())
		b.WriteString(Fold(text[start:end]))
		start = end
	}
	for i, r := range text {
		if i > start && !unicode.IsMark(r) {
			take(i)
		}
	}
	take(len(text))
	from, to = append(from, len(text)), append(to, b.Len())
	return b.String(), func(offset int, behind bool) int {
		n, exact := slices.BinarySearch(to, offset)
		if !exact && !behind {
			n--
		}
		return from[n]
	}
}
