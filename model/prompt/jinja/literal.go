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

const decimal = "0123456789"

// digitsEnd returns where the digits end that begin at i; single underscores between them count.
func digitsEnd(s string, i int, set string) int {
	for i < len(s) && (strings.IndexByte(set, s[i]) >= 0 ||
		s[i] == '_' && i+1 < len(s) && strings.IndexByte(set, s[i+1]) >= 0) {
		i++
	}
	return i
}

// number consumes an integer or a float as jinja2/lexer.py writes them. Behind a dot there are integers only.
func (l *lexer) number(rest string) error {
	if len(rest) > 2 && rest[0] == '0' {
		set := map[byte]string{'x': decimal + "abcdefABCDEF", 'o': "01234567", 'b': "01"}[rest[1]|0x20]
		if n := digitsEnd(rest, 2, set); n > 2 {
			l.emit(tokens.Integer, rest[:n])
			l.advance(n)
			return nil
		}
	}
	n := digitsEnd(rest, 0, decimal)
	if l.out[len(l.out)-1].Type != tokens.Dot {
		if end := fractionEnd(rest, n); end > n {
			l.emit(tokens.Float, rest[:end])
			l.advance(end)
			return nil
		}
	}
	text := rest[:n]
	if rest[0] == '0' {
		if strings.Trim(text, "0_") != "" {
			return l.errorf("unexpected number %q: an integer cannot begin with 0", text)
		}
		text = "0"
	}
	l.emit(tokens.Integer, text)
	l.advance(n)
	return nil
}

// fractionEnd returns where a fraction and an exponent end that follow the digits in front of n; n if there is neither.
func fractionEnd(s string, n int) int {
	if n+1 < len(s) && s[n] == '.' && strings.IndexByte(decimal, s[n+1]) >= 0 {
		n = digitsEnd(s, n+1, decimal)
	}
	if n < len(s) && s[n]|0x20 == 'e' {
		at := n + 1
		if signAt(s, at) != 0 {
			at++
		}
		if end := digitsEnd(s, at, decimal); end > at {
			n = end
		}
	}
	return n
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
