package markdown

import (
	"strings"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/text"

	"peregrine/ui/escape"
)

// Code returns the source of the code block with a number, counted from 1 as on the screen, and how many there are. It is
// false when there is no such one. The newline at the end is left out: a line that is pasted into a shell must not run
// unasked. Control characters are symbols, as everywhere here.
func Code(markdown string, number int) (code string, count int, ok bool) {
	defer func() {
		if recover() != nil { // what a model writes must never end the program
			code, count, ok = "", 0, false
		}
	}()
	src := []byte(escape.Visible(strings.ReplaceAll(markdown, "\r\n", "\n")))
	doc := newParser().Parse(text.NewReader(src))
	_ = ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if k := n.Kind(); !entering || k != ast.KindCodeBlock && k != ast.KindFencedCodeBlock {
			return ast.WalkContinue, nil
		}
		block := segments(n.Lines(), &source{text: src})
		if strings.TrimSpace(block) == "" {
			return ast.WalkContinue, nil // not on the screen, so it has no number
		}
		if count++; count == number {
			code, ok = strings.TrimSuffix(block, "\n"), true
		}
		return ast.WalkContinue, nil
	})
	return code, count, ok
}
