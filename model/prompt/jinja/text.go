package jinja

import (
	"slices"
	"sort"
	"strings"
	"unicode/utf8"
)

// Span is a range of bytes, [Start, End).
type Span struct{ Start, End int }

// Text is a string that knows which of its bytes a user wrote. All operations of a template keep that knowledge: what is cut
// out of, inserted into or made from user text stays user text.
type Text struct {
	String string
	User   []Span // ascending, not empty, not touching one another
}

// Plain returns text of the template's or the program's own.
func Plain(s string) Text { return Text{String: s} }

// User returns text that a user wrote.
func User(s string) Text {
	if s == "" {
		return Text{}
	}
	return Text{String: s, User: []Span{{0, len(s)}}}
}

// slice returns the bytes [i, j).
func (t Text) slice(i, j int) Text {
	out := Text{String: t.String[i:j]}
	first := sort.Search(len(t.User), func(k int) bool { return t.User[k].End > i })
	for _, s := range t.User[first:] {
		if s.Start >= j {
			break
		}
		if start, end := max(s.Start, i), min(s.End, j); start < end {
			out.User = append(out.User, Span{start - i, end - i})
		}
	}
	return out
}

// builder puts a Text together from pieces.
type builder struct {
	buf  strings.Builder
	user []Span
}

func (b *builder) plain(s string) { b.buf.WriteString(s) }

func (b *builder) text(t Text) {
	base := b.buf.Len()
	b.buf.WriteString(t.String)
	for _, s := range t.User {
		b.mark(base+s.Start, base+s.End)
	}
}

// mark says that the bytes [i, j), already written and behind all earlier marks, are user text.
func (b *builder) mark(i, j int) {
	if n := len(b.user); n > 0 && b.user[n-1].End >= i {
		b.user[n-1].End = max(b.user[n-1].End, j)
		return
	}
	b.user = append(b.user, Span{i, j})
}

// from writes s, which was made from a piece of a text: as user text if any of that piece was.
func (b *builder) from(s string, user bool) {
	i := b.buf.Len()
	b.buf.WriteString(s)
	if user && s != "" {
		b.mark(i, i+len(s))
	}
}

func (b *builder) done() Text { return Text{String: b.buf.String(), User: b.user} }

// cursor tells, for ascending positions, whether a byte is user text.
type cursor struct{ left []Span }

func (c *cursor) user(i int) bool {
	for len(c.left) > 0 && c.left[0].End <= i {
		c.left = c.left[1:]
	}
	return len(c.left) > 0 && c.left[0].Start <= i
}

// mapRunes returns the text with each character replaced by what f makes of it; i is its byte position.
func (t Text) mapRunes(f func(i int, r rune) string) Text {
	var b builder
	c := cursor{t.User}
	for i, r := range t.String {
		if r == utf8.RuneError {
			_, n := utf8.DecodeRuneInString(t.String[i:])
			if n == 1 { // a byte that is no UTF-8 stays as it is
				b.from(t.String[i:i+1], c.user(i))
				continue
			}
		}
		b.from(f(i, r), c.user(i))
	}
	return b.done()
}

// runes returns the byte position of each character, and the length at the end.
func (t Text) runes() []int {
	at := make([]int, 0, len(t.String)+1)
	for i := range t.String {
		at = append(at, i)
	}
	return append(at, len(t.String))
}

// strip removes characters for which f holds from the left and the right end.
func (t Text) strip(f func(rune) bool, left, right bool) Text {
	i, j := 0, len(t.String)
	if left {
		i = len(t.String) - len(strings.TrimLeftFunc(t.String, f))
	}
	if right {
		j = max(i, len(strings.TrimRightFunc(t.String, f)))
	}
	return t.slice(i, j)
}

// replace puts with in place of old, count times from the left; all if count is negative.
func (t Text) replace(old string, with Text, count int) Text {
	if count == 0 || !strings.Contains(t.String, old) {
		return t
	}
	var b builder
	at := 0
	for n := 0; n != count; n++ {
		i := strings.Index(t.String[at:], old)
		if old == "" && n > 0 {
			_, i = utf8.DecodeRuneInString(t.String[at:])
			if i == 0 {
				break
			}
		}
		if i < 0 {
			break
		}
		b.text(t.slice(at, at+i))
		b.text(with)
		at += i + len(old)
	}
	b.text(t.slice(at, len(t.String)))
	return b.done()
}

// split cuts at sep, at most limit times if limit is not negative.
func (t Text) split(sep string, limit int) []Text {
	var out []Text
	at := 0
	for limit < 0 || len(out) < limit {
		i := strings.Index(t.String[at:], sep)
		if i < 0 {
			break
		}
		out = append(out, t.slice(at, at+i))
		at += i + len(sep)
	}
	return append(out, t.slice(at, len(t.String)))
}

// rsplit cuts at sep from the right, at most limit times if limit is not negative.
func (t Text) rsplit(sep string, limit int) []Text {
	var back []Text
	end := len(t.String)
	for limit < 0 || len(back) < limit {
		i := strings.LastIndex(t.String[:end], sep)
		if i < 0 {
			break
		}
		back = append(back, t.slice(i+len(sep), end))
		end = i
	}
	back = append(back, t.slice(0, end))
	slices.Reverse(back)
	return back
}

// fields cuts at runs of whitespace, at most limit times if limit is not negative.
func (t Text) fields(limit int) []Text {
	var out []Text
	at := 0
	for {
		rest := strings.TrimLeftFunc(t.String[at:], isSpace)
		at = len(t.String) - len(rest)
		if rest == "" {
			return out
		}
		n := strings.IndexFunc(rest, isSpace)
		if limit >= 0 && len(out) == limit || n < 0 {
			return append(out, t.slice(at, len(t.String)).strip(isSpace, false, limit < 0))
		}
		out = append(out, t.slice(at, at+n))
		at += n
	}
}

// rfields is fields from the right.
func (t Text) rfields(limit int) []Text {
	if limit < 0 {
		return t.fields(limit)
	}
	var back []Text
	end := len(t.String)
	for {
		rest := strings.TrimRightFunc(t.String[:end], isSpace)
		end = len(rest)
		if rest == "" {
			break
		}
		i := strings.LastIndexFunc(rest, isSpace)
		if len(back) == limit || i < 0 {
			back = append(back, t.slice(0, end))
			break
		}
		_, n := utf8.DecodeRuneInString(rest[i:])
		back = append(back, t.slice(i+n, end))
		end = i
	}
	slices.Reverse(back)
	return back
}

// lines is Python's str.splitlines.
func (t Text) lines(keepEnds bool) []Text {
	var out []Text
	for at, s := 0, t.String; at < len(s); {
		n := strings.IndexFunc(s[at:], func(c rune) bool {
			return strings.ContainsRune("\n\r\v\f\x1c\x1d\x1e\u0085\u2028\u2029", c)
		})
		if n < 0 {
			return append(out, t.slice(at, len(s)))
		}
		_, width := utf8.DecodeRuneInString(s[at+n:])
		if strings.HasPrefix(s[at+n:], "\r\n") {
			width = 2
		}
		end := at + n + width
		if keepEnds {
			out = append(out, t.slice(at, end))
		} else {
			out = append(out, t.slice(at, at+n))
		}
		at = end
	}
	return out
}
