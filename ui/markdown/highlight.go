package markdown

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// class is what a piece of code is, as far as colours tell.
type class uint8

const (
	classPlain class = iota
	classKeyword
	classString
	classComment
	classNumber
	classFunction
	classType
	classInserted
	classDeleted
)

// span is a piece of a line.
type span struct {
	text  string
	class class
}

// lexer colours code line by line. It carries over what stays open at the end of a line (a comment, a string), so that a
// line is never looked at twice, and a block that grows costs what it grows by. A copy of it is a checkpoint.
type lexer struct {
	lang  *language // nil: everything is plain
	until string    // what ends the comment or string that is open
	kind  class     // what is open
	raw   bool      // a backslash in it is nothing special
}

func newLexer(name string) lexer { return lexer{lang: languageOf(name)} }

// line takes the next line apart.
func (x *lexer) line(s string) []span {
	if x.lang == nil {
		return []span{{s, classPlain}}
	}
	if x.lang.diff {
		return []span{{s, diffClass(s)}}
	}
	var out spans
	for i := 0; i < len(s); {
		if x.until != "" {
			n, closed := x.close(s[i:])
			out.add(s[i:i+n], x.kind)
			if closed {
				x.until = ""
			}
			i += n
			continue
		}
		n, k := x.token(s, i)
		out.add(s[i:i+n], k)
		i += n
	}
	return out
}

// spans joins neighbours of one class.
type spans []span

func (o *spans) add(text string, k class) {
	if n := len(*o); n > 0 && (*o)[n-1].class == k {
		(*o)[n-1].text += text
		return
	}
	*o = append(*o, span{text, k})
}

// close returns how much of s belongs to what is open, and whether it ends there.
func (x *lexer) close(s string) (int, bool) {
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && !x.raw {
			i++
			continue
		}
		if strings.HasPrefix(s[i:], x.until) {
			return i + len(x.until), true
		}
	}
	return len(s), false
}

// token returns the length and the class of what starts at s[i]. A comment or string may stay open.
func (x *lexer) token(s string, i int) (int, class) {
	rest := s[i:]
	for _, c := range x.lang.lineComments {
		if strings.HasPrefix(rest, c) && (c != "#" || i == 0 || s[i-1] == ' ') {
			return len(rest), classComment
		}
	}
	for _, d := range x.lang.delimiters {
		if !strings.HasPrefix(rest, d.open) {
			continue
		}
		x.until, x.kind, x.raw = d.close, d.class, d.raw
		if _, closed := x.close(rest[len(d.open):]); !closed && !d.multi {
			x.until = "" // an apostrophe, or a string that is still being written
			return len(d.open), classPlain
		}
		return len(d.open), d.class
	}
	r, size := utf8.DecodeRuneInString(rest)
	switch {
	case r >= '0' && r <= '9':
		return word(rest, true), classNumber
	case r == '_' || unicode.IsLetter(r):
		n := word(rest, false)
		return n, x.name(s, i, n)
	}
	return size, classPlain
}

// name says what an identifier is.
func (x *lexer) name(s string, i, n int) class {
	name := s[i : i+n]
	if x.lang.foldCase {
		name = strings.ToLower(name)
	}
	switch {
	case x.lang.keywords[name]:
		return classKeyword
	case x.lang.types[name]:
		return classType
	}
	after := strings.TrimLeft(s[i+n:], " ")
	switch {
	case x.lang.tags && i > 0 && (s[i-1] == '<' || strings.HasSuffix(s[:i], "</")):
		return classKeyword
	case x.lang.keys && strings.HasPrefix(after, x.lang.keySign):
		return classFunction
	case strings.HasPrefix(s[i+n:], "("):
		return classFunction
	}
	return classPlain
}

// word returns the length of the identifier or number at the start of s.
func word(s string, number bool) int {
	for i, r := range s {
		if r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) || number && r == '.' {
			continue
		}
		return i
	}
	return len(s)
}

func diffClass(s string) class {
	switch {
	case strings.HasPrefix(s, "@@"):
		return classType
	case strings.HasPrefix(s, "+"):
		return classInserted
	case strings.HasPrefix(s, "-"):
		return classDeleted
	}
	return classPlain
}
