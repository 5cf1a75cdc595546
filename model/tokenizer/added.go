package tokenizer

import (
	"slices"
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"
)

// matcher finds added tokens in text, leftmost first and the longest of those that begin at one place.
type matcher struct {
	tokens []addedToken // sorted by content
	starts [256]bool    // bytes that a token begins with
}

func newMatcher(tokens []addedToken) *matcher {
	m := &matcher{tokens: tokens}
	slices.SortFunc(m.tokens, func(a, b addedToken) int { return strings.Compare(a.content, b.content) })
	for _, a := range m.tokens {
		m.starts[a.content[0]] = true
	}
	return m
}

// find returns the first match in text[from:]: its place and its token. ok says whether a token may begin at a place and have
// a certain length; nil allows all.
func (m *matcher) find(text string, from int, ok func(start, end int) bool) (start int, token *addedToken) {
	if len(m.tokens) == 0 {
		return len(text), nil
	}
	for start = from; start < len(text); start++ {
		if !m.starts[text[start]] {
			continue
		}
		if token := m.longest(text, start, ok); token != nil {
			return start, token
		}
	}
	return len(text), nil
}

// longest returns the longest token that text[start:] begins with. It narrows the sorted tokens byte by byte.
func (m *matcher) longest(text string, start int, ok func(start, end int) bool) (best *addedToken) {
	low, high := 0, len(m.tokens)
	for n := 0; low < high; n++ {
		if len(m.tokens[low].content) == n {
			if ok == nil || ok(start, start+n) {
				best = &m.tokens[low]
			}
			low++
		}
		if start+n >= len(text) {
			break
		}
		c := text[start+n]
		at := func(i int) byte { return m.tokens[i].content[n] }
		low += sort.Search(high-low, func(i int) bool { return at(low+i) >= c })
		high = low + sort.Search(high-low, func(i int) bool { return at(low+i) > c })
	}
	return best
}

// segment is a part of a text: an added token, or plain text where token is nil.
type segment struct {
	start, end int
	token      *addedToken
}

// split cuts text[from:to] at the tokens of m. Without special, control tokens are matched but stay plain text, as in the
// library; guards forbid a match that reaches over one of them.
func (m *matcher) split(out []segment, text string, from, to int, special bool, guards []int) []segment {
	part := text[:to]
	var allowed func(start, end int) bool
	if len(guards) > 0 {
		allowed = func(start, end int) bool {
			i, _ := slices.BinarySearch(guards, start+1)
			return i == len(guards) || guards[i] >= end
		}
	}
	plain := from
	for pos := from; pos < to; {
		start, token := m.find(part, pos, allowed)
		if token == nil {
			break
		}
		end := start + len(token.content)
		pos = end
		if token.special && !special || token.singleWord && touchesWord(part[from:start], part[end:]) {
			continue
		}
		if token.lstrip {
			start = max(plain, from+len(strings.TrimRightFunc(part[from:start], unicode.IsSpace)))
		}
		if token.rstrip {
			end = to - len(strings.TrimLeftFunc(part[end:], unicode.IsSpace))
		}
		if plain < start {
			out = append(out, segment{start: plain, end: start})
		}
		out = append(out, segment{start: start, end: end, token: token})
		plain = end
	}
	if plain < to {
		out = append(out, segment{start: plain, end: to})
	}
	return out
}

// touchesWord says whether the text before ends or the text after begins with a word character.
func touchesWord(before, after string) bool {
	last, _ := utf8.DecodeLastRuneInString(before)
	first, _ := utf8.DecodeRuneInString(after)
	return before != "" && isWord(last) || after != "" && isWord(first)
}

// isWord is \w of Unicode's regular expressions.
func isWord(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsMark(r) || unicode.Is(unicode.Nd, r) || unicode.Is(unicode.Nl, r) ||
		unicode.Is(unicode.Pc, r) || unicode.Is(unicode.Other_Alphabetic, r) || unicode.Is(unicode.Join_Control, r)
}
