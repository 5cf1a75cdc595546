package markdown

import (
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// newParser returns what all of this package parses with: CommonMark with GitHub's extensions.
func newParser() parser.Parser {
	const before = 899 // goldmark's own parser of HTML blocks has priority 900
	return goldmark.New(
		goldmark.WithExtensions(extension.GFM),
		goldmark.WithParserOptions(parser.WithBlockParsers(util.Prioritized(htmlParser{parser.NewHTMLBlockParser()}, before))),
	).Parser()
}

// htmlParser is goldmark's parser of HTML blocks, but for one thing: where a comment in a list item or a quote ends on another line
// than it began, goldmark (1.7.8) takes the newline along, and the container then loses the line after it, were it the next item.
type htmlParser struct{ parser.BlockParser }

// Continue leaves the newline of the last line, as goldmark itself does for all other HTML.
func (p htmlParser) Continue(node ast.Node, reader text.Reader, pc parser.Context) parser.State {
	line, segment := reader.PeekLine()
	number, position := reader.Position()
	state := p.BlockParser.Continue(node, reader, pc)
	if block, ok := node.(*ast.HTMLBlock); ok && state&parser.Continue == 0 && block.HasClosure() {
		reader.SetPosition(number, position)
		reader.Advance(segment.Len() - util.TrimRightSpaceLength(line))
	}
	return state
}
