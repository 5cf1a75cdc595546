package jinja

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/nikolalohinski/gonja/v2/tokens"
)

// isSpace reports what Python's str.strip and the regular expression \s take for whitespace.
func isSpace(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f }

// name consumes a name or a keyword. Behind a dot every word is a name.
func (l *lexer) name(rest string) {
	n := len(rest)
	if i := strings.IndexFunc(rest, func(r rune) bool {
		return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r)
	}); i >= 0 {
		n = i
	}
	word, kind := rest[:n], tokens.Name
	if last := l.out[len(l.out)-1].Type; last != tokens.Dot {
		switch word {
		case "and":
			kind = tokens.And
		case "or":
			kind = tokens.Or
		case "not":
			kind = tokens.Not
		case "in":
			kind = tokens.In
		case "is":
			kind = tokens.Is
		case "none":
			// The parser knows the capital spelling only.
			word = "None"
		}
	}
	l.emit(kind, word)
	l.advance(n)
}

// number consumes an integer or a float as jinja2/lexer.py writes them.
func (l *lexer) number(rest string) error {
	digits := func(i int, set string) int {
		for i < len(rest) && (strings.IndexByte(set, rest[i]) >= 0 ||
			rest[i] == '_' && i+1 < len(rest) && strings.IndexByte(set, rest[i+1]) >= 0) {
			i++
		}
		return i
	}
	const dec = "0123456789"
	if len(rest) > 2 && rest[0] == '0' {
		set := map[byte]string{'x': dec + "abcdefABCDEF", 'o': "01234567", 'b': "01"}[rest[1]|0x20]
		if n := digits(2, set); set != "" && n > 2 {
			l.emit(tokens.Integer, rest[:n])
			l.advance(n)
			return nil
		}
	}
	n := digits(0, dec)
	kind := tokens.Integer
	afterDot := l.out[len(l.out)-1].Type == tokens.Dot
	if !afterDot {
		if n+1 < len(rest) && rest[n] == '.' && rest[n+1] >= '0' && rest[n+1] <= '9' {
			n, kind = digits(n+1, dec), tokens.Float
		}
		if n < len(rest) && rest[n]|0x20 == 'e' {
			at := n + 1
			if signAt(rest, at) != 0 {
				at++
			}
			if end := digits(at, dec); end > at {
				n, kind = end, tokens.Float
			}
		}
	}
	if kind == tokens.Integer && n > 1 && rest[0] == '0' && strings.Trim(rest[:n], "0_") != "" {
		return l.errorf("unexpected number %q: an integer cannot begin with 0", rest[:n])
	}
	if kind == tokens.Integer && rest[0] == '0' {
		l.emit(kind, "0")
	} else {
		l.emit(kind, rest[:n])
	}
	l.advance(n)
	return nil
}

// str consumes a string literal. The parser decodes the token once more, backslash escapes only, hence a backslash that is
// part of the value goes to it as \x5c.
func (l *lexer) str(quote byte) error {
	rest := l.src[l.pos:]
	end := 1
	for end < len(rest) && rest[end] != quote {
		if rest[end] == '\\' {
			end++
		}
		end++
	}
	if end >= len(rest) {
		return l.errorf("string is not closed")
	}
	l.emit(tokens.String, strings.ReplaceAll(unescape(rest[1:end]), `\`, `\x5c`))
	l.advance(end + 1)
	return nil
}

// unescape decodes Python's backslash escapes. What is no escape stays as it is.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for s != "" {
		i := strings.IndexByte(s, '\\')
		if i < 0 || i+1 >= len(s) {
			b.WriteString(s)
			break
		}
		b.WriteString(s[:i])
		s = s[i+1:]
		if simple := strings.IndexByte(`abfnrtv\'"`, s[0]); simple >= 0 {
			b.WriteByte("\a\b\f\n\r\t\v\\'\""[simple])
			s = s[1:]
			continue
		}
		if s[0] == '\n' {
			s = s[1:]
			continue
		}
		r, n := numericEscape(s)
		if n == 0 {
			b.WriteByte('\\')
			continue
		}
		b.WriteRune(r)
		s = s[n:]
	}
	return b.String()
}

// numericEscape decodes what follows a backslash: up to three octal digits, xHH, uHHHH or UHHHHHHHH. It returns the bytes
// used, 0 if there is no such escape.
func numericEscape(s string) (rune, int) {
	digits, base, skip := 0, 16, 1
	switch {
	case s[0] == 'x':
		digits = 2
	case s[0] == 'u':
		digits = 4
	case s[0] == 'U':
		digits = 8
	case s[0] >= '0' && s[0] <= '7':
		base, skip = 8, 0
		for digits < 3 && digits < len(s) && s[digits] >= '0' && s[digits] <= '7' {
			digits++
		}
	}
	if digits == 0 || len(s) < skip+digits {
		return 0, 0
	}
	v, err := strconv.ParseUint(s[skip:skip+digits], base, 32)
	if err != nil || v > unicode.MaxRune {
		return 0, 0
	}
	if r := rune(v); utf8.ValidRune(r) {
		return r, skip + digits
	}
	return utf8.RuneError, skip + digits
}
