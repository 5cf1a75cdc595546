package markdown

import (
	"fmt"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"peregrine/ui/cells"
	"peregrine/ui/escape"
)

// codeIndent sets code apart from text, on screens that are wide enough.
const codeIndent = 2

// code renders a whole code block.
func (p *painter) code(lines []string, language string, width int) []string {
	c := newCodeBlock(p.style, language, width, p.numbered+1)
	for _, line := range lines {
		c.add(line)
	}
	p.numbered += c.count()
	return c.lines
}

// codeBlock is a code block to which lines are added: what a line looks like depends on the lines before it alone, so that
// each is rendered once.
type codeBlock struct {
	style  Style
	lex    lexer
	width  int
	indent string
	lines  []string
	blanks int // blank lines that wait for something to follow
	label  string
}

// newCodeBlock returns the code block with a number, which stands above it with the language: see Code.
func newCodeBlock(style Style, language string, width, number int) *codeBlock {
	c := &codeBlock{style: style, lex: newLexer(language), width: width, label: fmt.Sprintf("[%d]", number)}
	if inner(width, 2*codeIndent) < width {
		c.indent = strings.Repeat(" ", codeIndent)
		c.width -= codeIndent
	}
	c.width = max(c.width, 1)
	if language != "" {
		c.label += " " + escape.Line(language)
	}
	c.label = style.Cells.Truncate(c.label, c.width, "…")
	return c
}

// count returns how many code blocks it counts for: one without code is none.
func (c *codeBlock) count() int { return min(len(c.lines), 1) }

// add renders the next line. Blank lines at the start and at the end are left out.
func (c *codeBlock) add(line string) {
	if strings.TrimSpace(line) == "" {
		c.lex.line(line)
		if len(c.lines) > 0 {
			c.blanks++
		}
		return
	}
	if len(c.lines) == 0 {
		c.lines = c.head()
	}
	for ; c.blanks > 0; c.blanks-- {
		c.lines = append(c.lines, "")
	}
	c.lines = c.draw(c.lines, c.spans(&c.lex, line))
}

// preview returns what add would append for a line that is still being written.
func (c *codeBlock) preview(line string) []string {
	if strings.TrimSpace(line) == "" {
		return nil
	}
	lex := c.lex
	above := make([]string, c.blanks)
	if len(c.lines) == 0 {
		above = c.head()
	}
	return c.draw(above, c.spans(&lex, line))
}

// longLine is the number of bytes from which a line of code has no colours: nobody reads it, and while it is being written it
// would be looked at anew for every token.
const longLine = 2048

// spans colours the next line.
func (c *codeBlock) spans(lex *lexer, line string) []span {
	line = expandTabs(line, c.style.Cells)
	if len(line) > longLine {
		return []span{{text: line}}
	}
	return lex.line(line)
}

// head returns the line above the code.
func (c *codeBlock) head() []string { return []string{c.indent + paint(c.style.Muted, c.label)} }

// draw appends a line to dst, broken where it reaches the width.
func (c *codeBlock) draw(dst []string, spans []span) []string {
	var b strings.Builder
	b.WriteString(c.indent)
	column := 0
	for _, s := range spans {
		on := ""
		if color := c.color(s.class); color != "" {
			on = pen(color)
		}
		b.WriteString(on)
		for text := s.text; text != ""; {
			fit, cells := fitting(text, c.width-column, column == 0, c.style.Cells)
			b.WriteString(text[:fit])
			column += cells
			text = text[fit:]
			if text == "" {
				break
			}
			if on != "" {
				b.WriteString(ansi.ResetStyle)
			}
			dst = append(dst, b.String())
			b.Reset()
			b.WriteString(c.indent)
			b.WriteString(on)
			column = 0
		}
		if on != "" {
			b.WriteString(ansi.ResetStyle)
		}
	}
	return append(dst, b.String())
}

func (c *codeBlock) color(k class) string {
	switch k {
	case classKeyword:
		return c.style.Keyword
	case classString:
		return c.style.String
	case classComment:
		return c.style.Comment
	case classNumber:
		return c.style.Number
	case classFunction:
		return c.style.Function
	case classType:
		return c.style.Type
	case classInserted:
		return c.style.Inserted
	case classDeleted:
		return c.style.Deleted
	}
	return c.style.Code
}

// fitting returns how many bytes of s fit into room cells, and the cells that they take. With force at least one character
// fits.
func fitting(s string, room int, force bool, method cells.Method) (size, width int) {
	for size < len(s) {
		n, w := 1, 1
		if c := s[size]; c < 0x20 || c >= 0x7f || size+1 < len(s) && s[size+1] >= 0x80 {
			n, w = method.First(s[size:])
		}
		if width+w > room && (!force || size > 0) {
			return size, width
		}
		size, width = size+n, width+w
	}
	return size, width
}

// expandTabs replaces tabs by spaces up to the next multiple of four cells.
func expandTabs(s string, method cells.Method) string {
	if strings.IndexByte(s, '\t') < 0 {
		return s
	}
	var b strings.Builder
	column := 0
	for i, part := range strings.Split(s, "\t") {
		if i > 0 {
			n := 4 - column%4
			b.WriteString("    "[:n])
			column += n
		}
		b.WriteString(part)
		column += method.StringWidth(part)
	}
	return b.String()
}

// stripped returns s without styling.
func stripped(s string) string { return ansi.Strip(s) }
