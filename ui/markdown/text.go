package markdown

import (
	"html"
	"strings"

	"charm.land/glamour/v2/ansi"
	"github.com/yuin/goldmark/ast"
	extast "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"

	"peregrine/ui/escape"
)

// typesetter turns running text into styled lines: goldmark parses, Glamour styles, lipgloss wraps.
type typesetter struct {
	parse   parser.Parser
	style   Style
	glamour *ansi.ANSIRenderer // knows how each kind of running text is styled
	ctx     ansi.RenderContext // of text outside of any block
	render  renderer.Renderer  // of whole blocks, with glamour
}

func newTypesetter(style Style) *typesetter {
	t := &typesetter{parse: newParser(), style: style}
	t.reset()
	return t
}

// reset makes a new Glamour renderer: one that failed half-way keeps its stack.
func (t *typesetter) reset() {
	options := ansi.Options{PreserveNewLines: true, Styles: t.style.glamour()}
	t.glamour, t.ctx = ansi.NewRenderer(options), ansi.NewRenderContext(options)
	t.render = renderer.NewRenderer(renderer.WithNodeRenderers(util.Prioritized(t.glamour, 1000)))
}

// source is the text of a document, to which literal pieces may be added for nodes to refer to.
type source struct{ text []byte }

// add appends a literal piece and returns where it lies.
func (s *source) add(piece string) text.Segment {
	start := len(s.text)
	s.text = append(s.text, piece...)
	return text.NewSegment(start, len(s.text))
}

// lines renders what n holds (a paragraph, a cell, a heading) and wraps it to width cells. The children of n are moved.
func (t *typesetter) lines(n ast.Node, src *source, width int) []string {
	s := t.inline(n, src)
	if s == "" {
		return nil
	}
	return t.style.wrap(s, width)
}

// inline renders what n holds without wrapping: lines are those that the text itself has.
func (t *typesetter) inline(n ast.Node, src *source) string {
	if n.FirstChild() == nil {
		return ""
	}
	var block ast.Node = ast.NewTextBlock()
	write := t.text
	if h, ok := n.(*ast.Heading); ok {
		block, write = ast.NewHeading(h.Level), t.heading
	}
	for c := n.FirstChild(); c != nil; c = n.FirstChild() {
		block.AppendChild(block, c)
	}
	literally(block, src)
	var b strings.Builder
	if err := write(&b, block, src); err != nil {
		t.reset()
		return ""
	}
	return plainLinks(strings.Trim(b.String(), "\n"))
}

// heading writes a heading as Glamour does.
func (t *typesetter) heading(b *strings.Builder, block ast.Node, src *source) error {
	doc := ast.NewDocument()
	doc.AppendChild(doc, block)
	return t.render.Render(b, src.text, doc)
}

// text writes running text. Glamour styles it piece by piece; as a paragraph of a document it would pass five writers more, one
// byte after the other, for margins that it has not.
func (t *typesetter) text(b *strings.Builder, block ast.Node, src *source) error {
	for c := block.FirstChild(); c != nil; c = c.NextSibling() {
		e := t.glamour.NewElement(c, src.text)
		b.WriteString(e.Entering)
		if e.Renderer != nil {
			if err := e.Renderer.Render(b, t.ctx); err != nil {
				return err
			}
		}
		b.WriteString(e.Exiting)
	}
	if strings.TrimSpace(b.String()) == "" {
		b.Reset() // nothing to be seen
	}
	return nil
}

// literally prepares a block for Glamour, which decodes character references when it writes: a reference to a control
// character would come out as that character, HTML and angle brackets would vanish.
func literally(block ast.Node, src *source) {
	var raw []ast.Node
	_ = ast.Walk(block, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Text:
			safeText(n, src)
		case *ast.CodeSpan, *ast.RawHTML:
			raw = append(raw, n)
			return ast.WalkSkipChildren, nil
		case *ast.Link:
			n.Destination = safeURL(n.Destination)
		case *ast.Image:
			n.Destination = safeURL(n.Destination)
		}
		return ast.WalkContinue, nil
	})
	for _, n := range raw {
		switch n := n.(type) {
		case *ast.CodeSpan:
			code := html.EscapeString(oneLine(spanText(n, src)))
			n.RemoveChildren(n)
			n.AppendChild(n, ast.NewTextSegment(src.add(code)))
		case *ast.RawHTML:
			n.Parent().ReplaceChild(n.Parent(), n, ast.NewTextSegment(src.add(shield(segments(n.Segments, src)))))
		}
	}
}

// safeText replaces the text of a node whose character references stand for something that a terminal would obey.
func safeText(n *ast.Text, src *source) {
	value := string(n.Segment.Value(src.text))
	if strings.IndexByte(value, '\t') >= 0 {
		value = strings.ReplaceAll(value, "\t", " ")
		n.Segment = src.add(value)
	}
	if strings.IndexByte(value, '&') < 0 {
		return
	}
	decoded := html.UnescapeString(value)
	if shown := escape.Line(decoded); shown != decoded {
		n.Segment = src.add(html.EscapeString(shown))
	}
}

// safeURL makes harmless what goes into a hyperlink's target.
func safeURL(url []byte) []byte {
	return []byte(escape.Line(string(url)))
}

// spanText returns the text of a code span as written.
func spanText(n ast.Node, src *source) string {
	var b strings.Builder
	for c := n.FirstChild(); c != nil; c = c.NextSibling() {
		switch c := c.(type) {
		case *ast.Text:
			b.Write(c.Segment.Value(src.text))
		case *ast.String:
			b.Write(c.Value)
		}
	}
	return b.String()
}

func oneLine(s string) string {
	return strings.NewReplacer("\n", " ", "\t", " ").Replace(s)
}

// segments joins pieces of the source.
func segments(s *text.Segments, src *source) string {
	var b strings.Builder
	for i := range s.Len() {
		at := s.At(i)
		b.Write(at.Value(src.text))
	}
	return b.String()
}

// shield encodes text such that Glamour writes it as it is: it decodes character references, then backslashes.
func shield(s string) string {
	return html.EscapeString(strings.ReplaceAll(oneLine(s), `\`, `\\`))
}

// plainLinks percent-encodes what is not ASCII in hyperlink targets, as terminals require: a byte 0x9C inside a character
// would end the sequence in some of them.
func plainLinks(s string) string {
	const open = "\x1b]8;"
	if !strings.Contains(s, open) {
		return s
	}
	var b strings.Builder
	for {
		i := strings.Index(s, open)
		if i < 0 {
			b.WriteString(s)
			return b.String()
		}
		end := strings.IndexByte(s[i:], '\a')
		if end < 0 {
			b.WriteString(s[:i])
			return b.String()
		}
		b.WriteString(s[:i])
		for _, c := range []byte(s[i : i+end]) {
			if c < 0x80 {
				b.WriteByte(c)
				continue
			}
			const hex = "0123456789ABCDEF"
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
		b.WriteByte('\a')
		s = s[i+end+1:]
	}
}

// isLoose reports whether a blank line belongs before n. Headings always have one: goldmark does not know it of those whose
// line below makes them one.
func isLoose(n ast.Node) bool {
	return n.Kind() == ast.KindHeading || n.HasBlankPreviousLines()
}

// checkbox returns the box at the start of a list item, if there is one.
func checkbox(item ast.Node) (box string, ok bool) {
	first := item.FirstChild()
	if first == nil || first.FirstChild() == nil {
		return "", false
	}
	c, ok := first.FirstChild().(*extast.TaskCheckBox)
	if !ok {
		return "", false
	}
	first.RemoveChild(first, c)
	if c.IsChecked {
		return "[✓] ", true
	}
	return "[ ] ", true
}
