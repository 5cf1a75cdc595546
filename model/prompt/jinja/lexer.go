package jinja

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/nikolalohinski/gonja/v2/tokens"
)

// maxSource is the longest template in bytes; the longest published chat templates have about 40 KB.
const maxSource = 128 << 10

// maxNesting bounds brackets inside of a tag and statements inside of statements, so that no recursive pass over a template
// can exhaust the stack.
const maxNesting = 100

// lexer cuts a template into gonja's tokens. Whitespace control is done here, exactly as Jinja2 3.1 does it with
// trim_blocks and lstrip_blocks on and keep_trailing_newline off (jinja2/lexer.py, Lexer.tokeniter): data tokens hold
// what is to be written, and the parser behind finds nothing left to trim.
type lexer struct {
	src       string
	pos       int
	line      int  // of pos, 1-based
	lineStart bool // the last thing consumed ended with a newline, or nothing was consumed yet
	out       []*tokens.Token
}

// lex returns the tokens of a template, an EOF token last, with conditional expressions and the operands of "in" already
// put into the form that the parser understands.
func lex(source string) ([]*tokens.Token, error) {
	if len(source) > maxSource {
		return nil, &Error{Message: fmt.Sprintf("template has %d bytes; the limit is %d", len(source), maxSource)}
	}
	source = strings.ReplaceAll(source, "\r\n", "\n")
	source = strings.ReplaceAll(source, "\r", "\n")
	l := &lexer{src: strings.TrimSuffix(source, "\n"), line: 1, lineStart: true}
	for l.pos < len(l.src) {
		if err := l.root(); err != nil {
			return nil, err
		}
	}
	l.emit(tokens.EOF, "")
	return l.out, nil
}

func (l *lexer) errorf(format string, a ...any) error {
	return &Error{Line: l.line, Message: fmt.Sprintf(format, a...)}
}

func (l *lexer) emit(t tokens.Type, val string) {
	l.out = append(l.out, &tokens.Token{Type: t, Val: val, Pos: l.pos, Line: l.line})
}

// advance consumes n bytes.
func (l *lexer) advance(n int) {
	if n == 0 {
		return
	}
	s := l.src[l.pos : l.pos+n]
	l.line += strings.Count(s, "\n")
	l.lineStart = s[n-1] == '\n'
	l.pos += n
}

// skipSpace consumes whitespace.
func (l *lexer) skipSpace() {
	rest := l.src[l.pos:]
	l.advance(len(rest) - len(strings.TrimLeftFunc(rest, isSpace)))
}

// root consumes data up to the next tag, and the tag.
func (l *lexer) root() error {
	rest := l.src[l.pos:]
	at := 0
	for {
		i := strings.IndexByte(rest[at:], '{')
		if i < 0 || at+i+1 >= len(rest) {
			at = len(rest)
			break
		}
		at += i
		if c := rest[at+1]; c == '{' || c == '%' || c == '#' {
			break
		}
		at++
	}
	if at == len(rest) {
		l.emit(tokens.Data, rest)
		l.advance(len(rest))
		return nil
	}
	l.data(rest[:at], rest[at+1], signAt(rest, at+2))
	open, n := rest[at+1], 2
	if signAt(rest, at+2) != 0 {
		n = 3
	}
	l.advance(n)
	switch open {
	case '#':
		return l.comment()
	case '%':
		if done, err := l.raw(); done || err != nil {
			return err
		}
		return l.tag(tokens.BlockBegin, tokens.BlockEnd, "%}")
	default:
		return l.tag(tokens.VariableBegin, tokens.VariableEnd, "}}")
	}
}

// signAt returns '-' or '+' if that is the byte at i, else 0.
func signAt(s string, i int) byte {
	if i < len(s) && (s[i] == '-' || s[i] == '+') {
		return s[i]
	}
	return 0
}

// data emits the text in front of a tag: without its trailing whitespace if the tag begins with a minus; without the blanks
// between the line's start and the tag if the tag is a statement or a comment (lstrip_blocks).
func (l *lexer) data(text string, open, sign byte) {
	out := text
	switch {
	case sign == '-':
		out = strings.TrimRightFunc(text, isSpace)
	case sign != '+' && open != '{':
		lineAt := strings.LastIndexByte(text, '\n') + 1
		if (lineAt > 0 || l.lineStart) && strings.TrimLeftFunc(text[lineAt:], isSpace) == "" {
			out = text[:lineAt]
		}
	}
	if out != "" {
		l.emit(tokens.Data, out)
	}
	l.advance(len(text))
}

// comment consumes a comment up to its end.
func (l *lexer) comment() error {
	end := strings.Index(l.src[l.pos:], "#}")
	if end < 0 {
		return l.errorf("missing end of comment tag")
	}
	sign := byte(0)
	if end > 0 {
		sign = signAt(l.src, l.pos+end-1)
	}
	l.advance(end + 2)
	l.afterTag(sign, true)
	return nil
}

// afterTag applies whitespace control behind a tag's end: all whitespace for a minus, one newline if trim.
func (l *lexer) afterTag(sign byte, trim bool) {
	switch {
	case sign == '-':
		l.skipSpace()
	case sign != '+' && trim && strings.HasPrefix(l.src[l.pos:], "\n"):
		l.advance(1)
	}
}

// raw consumes {% raw %}…{% endraw %} if that is what begins here.
func (l *lexer) raw() (bool, error) {
	before := *l
	l.skipSpace()
	sign, ok := l.keywordTag("raw")
	if !ok {
		*l = before
		return false, nil
	}
	if sign == '-' {
		l.skipSpace()
	}
	rest := l.src[l.pos:]
	for at := 0; ; at += 2 {
		i := strings.Index(rest[at:], "{%")
		if i < 0 {
			return true, l.errorf("missing end of raw tag")
		}
		at += i
		probe := &lexer{src: rest, pos: at + 2}
		open := signAt(rest, probe.pos)
		if open != 0 {
			probe.pos++
		}
		probe.skipSpace()
		end, ok := probe.keywordTag("endraw")
		if !ok {
			continue
		}
		l.data(rest[:at], '%', open)
		l.advance(probe.pos - at)
		l.afterTag(end, true)
		return true, nil
	}
}

// keywordTag consumes a statement that consists of one word, and returns the sign at its end.
func (l *lexer) keywordTag(word string) (sign byte, ok bool) {
	rest, found := strings.CutPrefix(l.src[l.pos:], word)
	if !found {
		return 0, false
	}
	trimmed := strings.TrimLeftFunc(rest, isSpace)
	n := len(word) + len(rest) - len(trimmed)
	if sign = signAt(trimmed, 0); sign != 0 {
		trimmed, n = trimmed[1:], n+1
	}
	if !strings.HasPrefix(trimmed, "%}") || sign == '+' && word == "raw" {
		return 0, false
	}
	l.advance(n + 2)
	return sign, true
}

// tag consumes the inside of a statement or an output, up to its end.
func (l *lexer) tag(begin, end tokens.Type, closing string) error {
	line := l.line
	l.emit(begin, "")
	first := len(l.out)
	var open []byte
	for {
		l.skipSpace()
		rest := l.src[l.pos:]
		if rest == "" {
			l.line = line
			return l.errorf("missing %q", closing)
		}
		if len(open) == 0 {
			sign := signAt(rest, 0)
			if sign == '+' && closing == "}}" {
				sign = 0
			}
			n := 0
			if sign != 0 {
				n = 1
			}
			if strings.HasPrefix(rest[n:], closing) {
				inside, err := rewrite(l.out[first:], begin == tokens.BlockBegin)
				if err != nil {
					return err
				}
				l.out = append(l.out[:first], inside...)
				l.emit(end, closing)
				l.advance(n + len(closing))
				l.afterTag(sign, begin == tokens.BlockBegin)
				return nil
			}
		}
		var err error
		if open, err = l.expression(rest, open); err != nil {
			return err
		}
	}
}

// expression consumes one token of an expression; open are the brackets to be closed, innermost last.
func (l *lexer) expression(rest string, open []byte) ([]byte, error) {
	c := rest[0]
	switch {
	case c == '"' || c == '\'':
		return open, l.str(c)
	case c >= '0' && c <= '9':
		return open, l.number(rest)
	}
	if r, _ := utf8.DecodeRuneInString(rest); r == '_' || unicode.IsLetter(r) {
		l.name(rest)
		return open, nil
	}
	for _, op := range operators {
		if !strings.HasPrefix(rest, op.text) {
			continue
		}
		switch op.text {
		case "(", "[", "{":
			open = append(open, map[byte]byte{'(': ')', '[': ']', '{': '}'}[c])
			if len(open) > maxNesting {
				return nil, l.errorf("brackets are nested more than %d deep", maxNesting)
			}
		case ")", "]", "}":
			if len(open) == 0 || open[len(open)-1] != c {
				return nil, l.errorf("unexpected %q", op.text)
			}
			open = open[:len(open)-1]
		}
		l.emit(op.kind, op.text)
		l.advance(len(op.text))
		return open, nil
	}
	r, _ := utf8.DecodeRuneInString(rest)
	return nil, l.errorf("unexpected character %q", r)
}

// operators, longer ones before their prefixes.
var operators = []struct {
	text string
	kind tokens.Type
}{
	{"//", tokens.FloorDivision},
	{"**", tokens.Power},
	{"==", tokens.Equals},
	{"!=", tokens.Ne},
	{">=", tokens.GreaterThanOrEqual},
	{"<=", tokens.LowerThanOrEqual},
	{"+", tokens.Addition},
	{"-", tokens.Subtraction},
	{"/", tokens.Division},
	{"*", tokens.Multiply},
	{"%", tokens.Modulo},
	{"~", tokens.Tilde},
	{"[", tokens.LeftBracket},
	{"]", tokens.RightBracket},
	{"(", tokens.LeftParenthesis},
	{")", tokens.RightParenthesis},
	{"{", tokens.LeftBrace},
	{"}", tokens.RightBrace},
	{">", tokens.GreaterThan},
	{"<", tokens.LowerThan},
	{"=", tokens.Assign},
	{".", tokens.Dot},
	{":", tokens.Colon},
	{"|", tokens.Pipe},
	{",", tokens.Comma},
}
