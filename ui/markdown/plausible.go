package markdown

import "strings"

// Bounds on a piece that is parsed. Beyond them no writer means Markdown, and parsers take a time that grows with the square of
// the text: a model that repeats one character, or a file made for it, must not stop the screen. Such a piece is shown as it is.
const (
	mostBytes    = 48 << 10 // a paragraph of 8,000 tokens has 32 KiB
	mostBrackets = 2000
	mostAccents  = 8000 // asterisks, underscores, tildes
	mostNested   = 64   // quotes and list items that begin on one line
)

// plausible reports whether a piece is within the bounds.
func plausible(piece string) bool {
	if len(piece) > mostBytes || strings.Count(piece, "[") > mostBrackets ||
		strings.Count(piece, "*")+strings.Count(piece, "_")+strings.Count(piece, "~") > mostAccents {
		return false
	}
	for line := range strings.Lines(piece) {
		if nested(line) > mostNested {
			return false
		}
	}
	return true
}

// nested returns how many characters that may begin a quote or a list item stand at the start of a line.
func nested(line string) int {
	n := 0
	for _, c := range []byte(line) {
		switch c {
		case ' ', '\t', '\n', '\r':
		case '>', '-', '+', '*':
			n++
		default:
			return n
		}
	}
	if !strings.ContainsAny(line, ">+") {
		return 0 // a rule
	}
	return n
}
