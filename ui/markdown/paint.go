package markdown

import (
	"strconv"
	"strings"

	"github.com/yuin/goldmark/ast"
	extast "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
)

// painter lays blocks out: it knows where lines go, the typesetter what is in them.
type painter struct {
	*typesetter
	width    int
	numbered int // code blocks that have a number already
}

// listEnd describes the list with which a piece of a document ends, so that the next piece can go on with it.
type listEnd struct {
	marker byte // 0: it ends with something else
	next   int  // the number of the next item
}

// document renders a piece of Markdown that is one in itself. before says with which list the piece before it ended. joined
// reports that the first block goes on with that list. ctx holds the link definitions known so far and takes new ones.
func (p *painter) document(markdown string, before listEnd, ctx parser.Context) (lines []string, end listEnd, joined bool) {
	if !plausible(markdown) {
		return p.style.literal(markdown, p.width), listEnd{}, false
	}
	numbered := p.numbered
	defer func() {
		// What a model writes must never end the program, whatever a parser makes of it: it is shown as it is then.
		if recover() != nil {
			p.reset()
			p.numbered = numbered
			lines, end, joined = p.style.literal(markdown, p.width), listEnd{}, false
		}
	}()
	doc, src := p.parsed(markdown, ctx)
	for n := doc.FirstChild(); n != nil; {
		next := n.NextSibling()
		list, isList := n.(*ast.List)
		var block []string
		first := len(lines) == 0 && n == doc.FirstChild()
		if isList {
			start := list.Start
			if first && list.Marker == before.marker {
				start, joined = before.next, true
			}
			end = listEnd{list.Marker, start + list.ChildCount()}
			block = p.list(list, src, p.width, start)
		} else {
			end = listEnd{}
			block = p.block(n, src, p.width)
		}
		if len(lines) > 0 && len(block) > 0 {
			lines = append(lines, "")
		}
		lines = append(lines, block...)
		n = next
	}
	return lines, end, joined
}

// parsed parses Markdown.
func (p *painter) parsed(markdown string, ctx parser.Context) (ast.Node, *source) {
	src := &source{text: []byte(markdown)}
	return p.parse.Parse(text.NewReader(src.text), parser.WithContext(ctx)), src
}

// block renders one block to lines of at most width cells.
func (p *painter) block(n ast.Node, src *source, width int) []string {
	switch n := n.(type) {
	case *ast.List:
		return p.list(n, src, width, n.Start)
	case *ast.Blockquote:
		return prefixed(p.sequence(n, src, inner(width, 2)), width, paint(p.style.Quote, "│ "), paint(p.style.Quote, "│ "))
	case *ast.FencedCodeBlock:
		return p.code(rawLines(n.Lines(), src), string(n.Language(src.text)), width)
	case *ast.CodeBlock:
		return p.code(rawLines(n.Lines(), src), "", width)
	case *ast.HTMLBlock:
		return p.html(n, src, width)
	case *ast.ThematicBreak:
		return []string{paint(p.style.Muted, strings.Repeat("─", max(width, 1)))}
	case *extast.Table:
		return p.table(n, src, width)
	}
	if n.FirstChild() != nil && n.FirstChild().Type() == ast.TypeBlock {
		return p.sequence(n, src, width)
	}
	return p.lines(n, src, width)
}

// sequence renders the blocks inside a container. Blank lines are where the text has them.
func (p *painter) sequence(parent ast.Node, src *source, width int) []string {
	var lines []string
	for n := parent.FirstChild(); n != nil; {
		next := n.NextSibling()
		block := p.block(n, src, width)
		if len(lines) > 0 && len(block) > 0 && isLoose(n) {
			lines = append(lines, "")
		}
		lines = append(lines, block...)
		n = next
	}
	return lines
}

// list renders a list whose first item has the number start.
func (p *painter) list(list *ast.List, src *source, width, start int) []string {
	var lines []string
	for item := list.FirstChild(); item != nil; item = item.NextSibling() {
		mark := "• "
		if list.IsOrdered() {
			mark = strconv.Itoa(start) + string(list.Marker) + " "
			start++
		}
		if box, ok := checkbox(item); ok {
			mark = box
		}
		if len(lines) > 0 && isLoose(item) {
			lines = append(lines, "")
		}
		columns := len([]rune(mark))
		block := p.sequence(item, src, inner(width, columns))
		if len(block) == 0 {
			block = []string{""}
		}
		lines = append(lines, prefixed(block, width, paint(p.style.Muted, mark), strings.Repeat(" ", columns))...)
	}
	return lines
}

// html shows HTML as it is written.
func (p *painter) html(n *ast.HTMLBlock, src *source, width int) []string {
	raw := segments(n.Lines(), src)
	if n.HasClosure() {
		closing := n.ClosureLine
		raw += string(closing.Value(src.text))
	}
	lines := p.style.literal(strings.Trim(raw, "\n"), width)
	for i, line := range lines {
		lines[i] = paint(p.style.Muted, line)
	}
	return lines
}

// minColumn is the width below which containers indent no more.
const minColumn = 6

// inner returns the width inside a container whose prefix takes columns cells.
func inner(width, columns int) int {
	if width-columns < minColumn {
		return width
	}
	return width - columns
}

// prefixed puts a prefix before each line, unless there was no room for one.
func prefixed(lines []string, width int, first, rest string) []string {
	if width-len([]rune(stripped(rest))) < minColumn {
		return lines
	}
	for i, line := range lines {
		prefix := rest
		if i == 0 {
			prefix = first
		}
		if line == "" {
			prefix = strings.TrimRight(prefix, " ")
		}
		lines[i] = prefix + line
	}
	return lines
}

// rawLines returns the lines of a code block without their newlines.
func rawLines(s *text.Segments, src *source) []string {
	lines := make([]string, 0, s.Len())
	for i := range s.Len() {
		at := s.At(i)
		lines = append(lines, strings.TrimSuffix(string(at.Value(src.text)), "\n"))
	}
	return lines
}

// literal wraps text as it is written, blank lines and indentation kept.
func (s Style) literal(text string, width int) []string {
	return s.wrap(strings.ReplaceAll(text, "\t", "    "), width)
}
