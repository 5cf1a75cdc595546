package ui

import (
	"strings"

	"github.com/charmbracelet/x/ansi"

	"peregrine/ui/cells"
	"peregrine/ui/escape"
)

// row is a line of the field: the units from one to another.
type row struct{ from, to int }

// tabStops are so many cells apart.
const tabStops = 4

// shown returns what stands for a unit that starts in a column of a line of width cells, and its cells.
func (u unit) shown(column, width int, m cells.Method) (string, int) {
	switch {
	case u.paste != nil:
		mark := m.Truncate(u.paste.mark(), width, "…")
		return mark, m.StringWidth(mark)
	case u.text == "\n":
		return "", 0
	case u.text == "\t":
		n := min(tabStops-column%tabStops, max(width-column, 0))
		return strings.Repeat(" ", n), n
	case len(u.text) == 1 && u.text[0] >= ' ' && u.text[0] < 0x7f:
		return u.text, 1
	}
	s := escape.Visible(u.text)
	return s, m.StringWidth(s)
}

// rows breaks the text into lines of at most width cells: behind spaces, which hang over the edge, and in words that are wider
// than a line. There is at least one.
func (e *editor) rows(width int, m cells.Method) []row {
	var rows []row
	start, word := 0, 0 // of the row, of the word that is being read
	column, wordColumn := 0, 0
	for i, u := range e.text {
		if u.text == "\n" && u.paste == nil {
			rows = append(rows, row{start, i})
			start, word, column, wordColumn = i+1, i+1, 0, 0
			continue
		}
		_, w := u.shown(column, width, m)
		if u.isSpace() {
			column += w
			word, wordColumn = i+1, column
			continue
		}
		if column+w > width && i > start {
			if word > start {
				rows = append(rows, row{start, word})
				column -= wordColumn
				start = word
			} else {
				rows = append(rows, row{start, i})
				column, start = 0, i
			}
			word, wordColumn = start, 0
			if column+w > width && i > start { // the word is as wide as a line
				rows = append(rows, row{start, i})
				start, word, column = i, i, 0
			}
		}
		column += w
	}
	return append(rows, row{start, len(e.text)})
}

// rowOf returns the row that the cursor is in.
func (e *editor) rowOf(rows []row) int {
	for i := len(rows) - 1; i > 0; i-- {
		if e.cursor >= rows[i].from {
			return i
		}
	}
	return 0
}

// columnOf returns the cells between the start of a row and a unit of it.
func (e *editor) columnOf(r row, at, width int, m cells.Method) int {
	column := 0
	for _, u := range e.text[r.from:at] {
		_, w := u.shown(column, width, m)
		column += w
	}
	return column
}

// vertical moves the cursor by n rows, to the unit nearest to a column, and reports whether there is such a row.
func (e *editor) vertical(n, column, width int, m cells.Method) bool {
	rows := e.rows(width, m)
	to := e.rowOf(rows) + n
	if to < 0 || to >= len(rows) {
		return false
	}
	r := rows[to]
	end := r.to
	if to+1 < len(rows) && rows[to+1].from == r.to && end > r.from {
		end-- // what follows is the next row's start
	}
	at, x := r.from, 0
	for at < end && x < column {
		_, w := e.text[at].shown(x, width, m)
		if x+w > column {
			break
		}
		x += w
		at++
	}
	e.moveTo(at)
	return true
}

// line returns a row as it is shown, in room cells, with what is selected reversed. width is that of rows.
func (e *editor) line(r row, width, room int, m cells.Method) string {
	lo, hi := e.selection()
	var b strings.Builder
	column := 0
	for i := r.from; i < r.to; i++ {
		s, w := e.text[i].shown(column, width, m)
		if column+w > room {
			break
		}
		if i >= lo && i < hi {
			s = ansi.Style{}.Reverse(true).Styled(s)
		}
		b.WriteString(s)
		column += w
	}
	b.WriteString(strings.Repeat(" ", room-column))
	return b.String()
}
