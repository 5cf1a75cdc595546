// Package markdown turns Markdown that is still being written into styled lines for a terminal.
//
// The one idea: a document falls into pieces that nothing later can change (see scanner), and each piece is rendered once,
// when it is finished. Only the open piece at the end is rendered again as text arrives. Because a piece is rendered the same
// way whether it came at once or in single characters, and the pieces are joined the way a whole document is laid out, the
// lines at the end are those of a single rendering.
//
// Two kinds of pieces grow long while they are open and have a way of their own: code blocks, of which each line is coloured
// once (codeBlock), and tables, of which each row is laid out once while the columns keep their widths (grid). The items of a
// list are pieces too. Anything else that gets long is rendered anew only now and then (see Doc.render).
//
// goldmark parses; Glamour styles running text, headings and cells; the layout of blocks is this package's. Nothing but
// text, colours, attributes and hyperlinks comes out: control characters become symbols on the way in. It knows nothing of
// the screen but how the terminal measures text, see package cells.
package markdown

import (
	"strings"
	"unicode/utf8"

	"peregrine/ui/escape"
)

// Doc is a document that text is added to. It is not safe for concurrent use.
type Doc struct {
	painter painter
	carry   string // the start of a character, or a carriage return, at the end of what was written
	src     strings.Builder
	at      int // where the line that is being written starts
	scan    scanner
	pieces  []piece // finished ones
	open    piece   // the last one
	refs    references
	lines   []string // of the finished pieces, then of the open one
	done    int      // how many lines the finished pieces have
	blocks  int      // how many code blocks they have
	stale   bool     // the open piece has changed since it was rendered
	closed  bool     // Finish was called

	grids map[int]*grid // of the tables, by the byte at which their pieces start
	known map[int]*grid // those of the same text at another width: their cells are rendered already
}

// piece is a part of the document that is rendered by itself.
type piece struct {
	start, end int  // bytes of the document
	blank      bool // a blank line stands before it
	joined     bool // it goes on with the list of the piece before it
	list       listEnd
	lines      []string
	first      int // the place of its first line in the document's
	blocks     int // code blocks before it

	fence *fence // it is a code block
	code  *codeBlock
	table *liveTable // it is a table
	long  snapshot   // an earlier rendering, for open pieces that got long
}

// New returns an empty document that is rendered width cells wide.
func New(width int, style Style) *Doc {
	d := &Doc{}
	d.painter = painter{typesetter: newTypesetter(style), width: max(width, 1)}
	return d
}

// Render renders a whole text at once.
func Render(text string, width int, style Style) []string {
	d := New(width, style)
	d.Write(text)
	d.Finish()
	return d.Lines()
}

// Write adds text. It may be cut anywhere.
func (d *Doc) Write(text string) {
	if text == "" {
		return
	}
	if d.closed {
		d.reopen()
	}
	d.take(text)
}

// Finish says that the text has ended. Lines then returns what a single rendering of the text would. Another Write goes on
// with the document.
func (d *Doc) Finish() {
	if d.closed {
		return
	}
	d.closed = true
	if d.carry != "" {
		d.src.WriteString(escape.Visible(d.carry))
		d.carry = ""
		d.advance()
	}
	if d.at < d.src.Len() {
		d.line(d.at, d.src.Len(), d.src.Len())
		d.at = d.src.Len()
	}
	d.finish(d.src.Len())
}

// Text returns the text so far, made harmless.
func (d *Doc) Text() string { return d.src.String() }

// Lines returns the rendered lines, each styled by itself and at most the width wide. The slice is valid until the next call
// of a method; callers must not change it.
func (d *Doc) Lines() []string {
	if d.stale {
		d.render()
	}
	return d.lines
}

// SetWidth renders everything for another width.
func (d *Doc) SetWidth(width int) {
	if width = max(width, 1); width != d.painter.width {
		d.painter.width = width
		d.again(d.grids)
	}
}

// SetStyle renders everything in other colours.
func (d *Doc) SetStyle(style Style) {
	d.painter = painter{typesetter: newTypesetter(style), width: d.painter.width}
	d.again(nil)
}

// Position says where a line is, in terms that a change of width does not touch.
type Position struct {
	Piece int  // which part of the document
	Chars int  // how many characters, white space left out, stand before the line in that part
	Gap   bool // it is the empty line before that part
}

// Locate returns the position of a line.
func (d *Doc) Locate(line int) Position {
	lines := d.Lines()
	line = min(max(line, 0), len(lines))
	for i := len(d.pieces); i >= 0; i-- {
		p := d.piece(i)
		switch {
		case len(p.lines) == 0 || p.first > line+1 || p.first == line+1 && p.joined && !p.blank:
			continue // the part before it ends with that line
		case p.first == line+1:
			return Position{Piece: i, Gap: true}
		}
		pos := Position{Piece: i}
		for _, l := range lines[p.first:line] {
			pos.Chars += visibleChars(l)
		}
		return pos
	}
	return Position{}
}

// Find returns the line that holds a position now.
func (d *Doc) Find(pos Position) int {
	lines := d.Lines()
	p := d.piece(min(pos.Piece, len(d.pieces)))
	if pos.Gap {
		return max(p.first-1, 0)
	}
	end := min(p.first+len(p.lines), len(lines))
	chars := 0
	for i := p.first; i < end; i++ {
		chars += visibleChars(lines[i])
		if chars > pos.Chars {
			return i
		}
	}
	return max(end-1, 0)
}

// piece returns a part of the document; the open one comes last.
func (d *Doc) piece(i int) *piece {
	if i < len(d.pieces) {
		return &d.pieces[i]
	}
	return &d.open
}

// visibleChars counts the characters of a line that depend on the text alone: no spaces, no lines of a table.
func visibleChars(line string) int {
	n := 0
	for _, r := range stripped(line) {
		if r != ' ' && r != '│' && r != '─' && r != '┼' {
			n++
		}
	}
	return n
}

// take makes text harmless and reads its lines.
func (d *Doc) take(text string) {
	text = d.carry + text
	d.carry = ""
	if n := incomplete(text); n > 0 {
		d.carry, text = text[len(text)-n:], text[:len(text)-n]
	}
	text = strings.ReplaceAll(text, "\r\n", "\n")
	d.src.WriteString(escape.Visible(text))
	d.advance()
	d.stale = true
}

// incomplete returns how many bytes at the end of s must wait: the start of a character, or a carriage return whose newline
// may follow.
func incomplete(s string) int {
	if strings.HasSuffix(s, "\r") {
		return 1
	}
	for n := 1; n < utf8.UTFMax && n <= len(s); n++ {
		tail := s[len(s)-n:]
		if utf8.RuneStart(tail[0]) {
			if !utf8.FullRuneInString(tail) {
				return n
			}
			return 0
		}
	}
	return 0
}

// reopen goes on with a document that had ended: its last line may have been half a line.
func (d *Doc) reopen() {
	text := d.src.String()
	*d = Doc{painter: d.painter}
	d.take(text)
}

// again renders all of the document. Of what does not depend on the width only the cells of tables are worth keeping: parsing them
// line by line is what a large table costs.
func (d *Doc) again(known map[int]*grid) {
	text, closed, carry := d.src.String(), d.closed, d.carry
	*d = Doc{painter: d.painter, known: known}
	d.take(text)
	d.carry = carry
	if closed {
		d.Finish()
	}
	d.known = nil
}

// advance reads the lines that are complete, and looks at the one that is not.
func (d *Doc) advance() {
	text := d.src.String()
	for {
		n := strings.IndexByte(text[d.at:], '\n')
		if n < 0 {
			break
		}
		d.line(d.at, d.at+n, d.at+n+1)
		d.at += n + 1
	}
	if d.at < len(text) && d.at > d.open.start && d.scan.early(text[d.at:]) {
		d.cut(d.at, d.scan.blank)
	}
}

// line takes the line of text[start:end]; next is where the one after it starts.
func (d *Doc) line(start, end, next int) {
	line := d.src.String()[start:end]
	blank, fenced := d.scan.blank, d.scan.mode == scanFence
	if d.scan.line(line) {
		d.cut(start, blank)
	}
	switch p := &d.open; {
	case fenced && d.scan.mode != scanFence:
		d.finish(next)
	case fenced && p.code != nil:
		p.code.add(unindent(line, p.fence.indent))
	case !fenced && d.scan.mode == scanFence && p.start == start:
		f := d.scan.fence
		p.fence, p.code = &f, newCodeBlock(d.painter.style, firstWord(f.info), d.painter.width, d.blocks+1)
	case p.table != nil:
		p.table.add(d, line)
	default:
		p.table = d.startTable(next)
	}
}

// unindent takes away at most n spaces.
func unindent(line string, n int) string {
	for i := 0; i < n && strings.HasPrefix(line, " "); i++ {
		line = line[1:]
	}
	return line
}

func firstWord(s string) string {
	if i := strings.IndexByte(s, ' '); i >= 0 {
		return s[:i]
	}
	return s
}
