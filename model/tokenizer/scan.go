package tokenizer

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxNesting bounds how deep a tokenizer.json may nest; real ones stay below 8.
const maxNesting = 64

// scanner reads JSON without building a tree: a tokenizer.json is mostly two lists of ten thousands of short strings, which
// stay substrings of the text. Objects and arrays are walked with a callback that must consume each value. It accepts
// strict JSON only, and every error names the byte where it stopped.
type scanner struct {
	text  string
	pos   int
	depth int
}

func (s *scanner) failf(format string, args ...any) error {
	return fmt.Errorf("byte %d: "+format, append([]any{s.pos}, args...)...)
}

// next skips white space and returns the byte at the position, 0 at the end.
func (s *scanner) next() byte {
	for s.pos < len(s.text) {
		switch c := s.text[s.pos]; c {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return c
		}
	}
	return 0
}

// unexpected reports what stands at the position where want should be.
func (s *scanner) unexpected(want string) error {
	if s.pos >= len(s.text) {
		return s.failf("unexpected end of the text, want %s", want)
	}
	end := min(s.pos+12, len(s.text))
	return s.failf("found %q, want %s", s.text[s.pos:end], want)
}

func (s *scanner) expect(c byte) error {
	if s.next() != c || s.pos >= len(s.text) {
		return s.unexpected(strconv.QuoteRune(rune(c)))
	}
	s.pos++
	return nil
}

// object calls each for every member; each must consume the value.
func (s *scanner) object(each func(key string) error) error {
	return s.list('{', '}', "an object", func(int) error {
		key, err := s.str()
		if err != nil {
			return err
		}
		if err := s.expect(':'); err != nil {
			return err
		}
		return each(key)
	})
}

// array calls each for every element; each must consume it.
func (s *scanner) array(each func(i int) error) error {
	return s.list('[', ']', "an array", each)
}

func (s *scanner) list(open, end byte, want string, each func(i int) error) error {
	if s.next() != open || s.pos >= len(s.text) {
		return s.unexpected(want)
	}
	if s.depth++; s.depth > maxNesting {
		return s.failf("nested deeper than %d", maxNesting)
	}
	s.pos++
	for i := 0; ; i++ {
		c := s.next()
		if c == end {
			break
		}
		if i > 0 {
			if err := s.expect(','); err != nil {
				return err
			}
			if s.next() == end {
				return s.unexpected("a value after the comma")
			}
		}
		if err := each(i); err != nil {
			return err
		}
	}
	s.pos++
	s.depth--
	return nil
}

// str reads a string. Without escapes it is a substring of the text.
func (s *scanner) str() (string, error) {
	if s.next() != '"' {
		return "", s.unexpected("a string")
	}
	rest := s.text[s.pos+1:]
	for i := 0; i < len(rest); i++ {
		switch c := rest[i]; {
		case c == '"':
			s.pos += i + 2
			return rest[:i], nil
		case c == '\\':
			return s.escaped(i)
		case c < ' ':
			s.pos += i + 1
			return "", s.failf("control character %q inside a string", c)
		}
	}
	s.pos = len(s.text)
	return "", s.unexpected("the end of a string")
}

// escaped reads a string whose first escape stands plain bytes after the opening quote.
func (s *scanner) escaped(plain int) (string, error) {
	var out strings.Builder
	s.pos++
	out.WriteString(s.text[s.pos : s.pos+plain])
	s.pos += plain
	for s.pos < len(s.text) {
		c := s.text[s.pos]
		switch {
		case c == '"':
			s.pos++
			return out.String(), nil
		case c < ' ':
			return "", s.failf("control character %q inside a string", c)
		case c == '\\':
			r, err := s.escape()
			if err != nil {
				return "", err
			}
			out.WriteRune(r)
		default:
			out.WriteByte(c)
			s.pos++
		}
	}
	return "", s.unexpected("the end of a string")
}

// simpleEscapes maps the letter behind a backslash to its character.
var simpleEscapes = [256]byte{
	'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t',
}

// escape reads one escape sequence, surrogate pairs included.
func (s *scanner) escape() (rune, error) {
	if s.pos+1 >= len(s.text) {
		s.pos = len(s.text)
		return 0, s.unexpected("an escape")
	}
	c := s.text[s.pos+1]
	if c != 'u' {
		if simpleEscapes[c] == 0 {
			return 0, s.failf("unknown escape \\%c", c)
		}
		s.pos += 2
		return rune(simpleEscapes[c]), nil
	}
	r, err := s.hex4()
	if err != nil || !utf16.IsSurrogate(r) {
		return r, err
	}
	if strings.HasPrefix(s.text[s.pos:], `\u`) {
		low, err := s.hex4()
		if err != nil {
			return 0, err
		}
		if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
			return pair, nil
		}
	}
	return 0, s.failf("half a surrogate pair, \\u%04x", r)
}

// hex4 reads \uXXXX.
func (s *scanner) hex4() (rune, error) {
	if s.pos+6 > len(s.text) {
		s.pos = len(s.text)
		return 0, s.unexpected("four hexadecimal digits")
	}
	var r rune
	for _, c := range []byte(s.text[s.pos+2 : s.pos+6]) {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, s.failf("bad escape %q", s.text[s.pos:s.pos+6])
		}
		r = r<<4 | rune(c)
	}
	s.pos += 6
	return r, nil
}

// number returns the text of a JSON number.
func (s *scanner) number() (string, error) {
	s.next()
	start := s.pos
	for s.pos < len(s.text) {
		c := s.text[s.pos]
		if (c < '0' || c > '9') && c != '-' && c != '+' && c != '.' && c != 'e' && c != 'E' {
			break
		}
		s.pos++
	}
	text := s.text[start:s.pos]
	if _, err := strconv.ParseFloat(text, 64); err != nil || text[0] == '+' || text[0] == '.' {
		s.pos = start
		return "", s.unexpected("a number")
	}
	return text, nil
}

// integer reads a whole number of at most 18 digits.
func (s *scanner) integer() (int64, error) {
	s.next()
	start := s.pos
	var n int64
	for s.pos < len(s.text) && s.pos-start <= 18 {
		c := s.text[s.pos]
		if c < '0' || c > '9' {
			break
		}
		n = n*10 + int64(c-'0')
		s.pos++
	}
	switch {
	case s.pos == start, s.pos-start > 18:
	case s.pos < len(s.text) && (s.text[s.pos] == '.' || s.text[s.pos]|0x20 == 'e'):
	default:
		return n, nil
	}
	s.pos = start
	return 0, s.unexpected("a whole number from 0 on")
}

// word consumes the literal w if it stands here.
func (s *scanner) word(w string) bool {
	s.next()
	if !strings.HasPrefix(s.text[s.pos:], w) {
		return false
	}
	s.pos += len(w)
	return true
}

func (s *scanner) boolean() (bool, error) {
	if s.word("true") {
		return true, nil
	}
	if s.word("false") {
		return false, nil
	}
	return false, s.unexpected("true or false")
}

// optionalString reads a string or null; null is "".
func (s *scanner) optionalString() (string, error) {
	if s.word("null") {
		return "", nil
	}
	return s.str()
}

// skip reads one value of any kind and drops it.
func (s *scanner) skip() error {
	switch c := s.next(); {
	case c == '{':
		return s.object(func(string) error { return s.skip() })
	case c == '[':
		return s.array(func(int) error { return s.skip() })
	case c == '"':
		_, err := s.str()
		return err
	case s.word("null"):
		return nil
	case c == 't' || c == 'f':
		_, err := s.boolean()
		return err
	default:
		_, err := s.number()
		return err
	}
}

// end reports text behind the value.
func (s *scanner) end() error {
	s.next()
	if s.pos < len(s.text) {
		return s.unexpected("the end of the text")
	}
	return nil
}

// appendJSONString appends text as a JSON string. text must be valid UTF-8.
func appendJSONString(dst []byte, text string) []byte {
	dst = append(dst, '"')
	plain := 0
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, text[plain:i]...)
		plain = i + 1
		if c < ' ' {
			const hex = "0123456789abcdef"
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		} else {
			dst = append(dst, '\\', c)
		}
	}
	dst = append(dst, text[plain:]...)
	return append(dst, '"')
}
