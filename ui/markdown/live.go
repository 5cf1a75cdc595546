package markdown

import (
	"strings"

	extast "github.com/yuin/goldmark/extension/ast"
)

// liveTable is an open piece that is one table.
type liveTable struct {
	head string // the lines of the head and of the rule below it
	grid *grid
	rows [][]string // the cells that were rendered for another width; the head is the first
	ok   bool       // every line so far was a row
	over bool       // a blank line has ended it
}

// startTable returns the table that the open piece is, if its second line, which ends at end, makes it one.
func (d *Doc) startTable(end int) *liveTable {
	head := d.src.String()[d.open.start:end]
	if !strings.HasSuffix(head, "\n") {
		head += "\n"
	}
	if strings.Count(head, "\n") != 2 || !strings.Contains(head, "-") {
		return nil
	}
	t, src := d.tableOf(head)
	if t == nil || t.FirstChild() != t.LastChild() {
		return nil
	}
	live := &liveTable{head: head, grid: newGrid(t.Alignments, d.painter.style, d.painter.width), ok: true}
	live.grid.add(d.painter.cells(t.FirstChild(), src))
	if known := d.known[d.open.start]; known != nil {
		live.rows = known.rows
	}
	if d.grids == nil {
		d.grids = map[int]*grid{}
	}
	d.grids[d.open.start] = live.grid
	return live
}

// tableOf parses text that should be one table.
func (d *Doc) tableOf(text string) (*extast.Table, *source) {
	doc, src := d.painter.parsed(text, d.refs.context())
	if doc.FirstChild() != doc.LastChild() { // ChildCount is wrong after a paragraph became a table
		return nil, nil
	}
	t, _ := doc.FirstChild().(*extast.Table)
	return t, src
}

// cells returns the cells of a line as a row of the table, or nil when it is none.
func (t *liveTable) cells(d *Doc, line string) []string {
	table, src := d.tableOf(t.head + line + "\n")
	if table == nil || table.FirstChild().NextSibling() != table.LastChild() || table.FirstChild() == table.LastChild() {
		return nil
	}
	return d.painter.cells(table.LastChild(), src)
}

// add takes the next line of the piece.
func (t *liveTable) add(d *Doc, line string) {
	if strings.TrimSpace(line) == "" {
		t.over = true
		return
	}
	if t.ok = t.ok && !t.over; !t.ok {
		return
	}
	if n := len(t.grid.rows); n < len(t.rows) {
		t.grid.add(t.rows[n])
		return
	}
	cells := t.cells(d, line)
	if t.ok = cells != nil; t.ok {
		t.grid.add(cells)
	}
}

// lines returns the table with the row that is being written, or false when that line is no row.
func (t *liveTable) lines(d *Doc, part string) ([]string, bool) {
	if strings.TrimSpace(part) == "" {
		return t.grid.lines(), true
	}
	if t.over {
		return nil, false
	}
	cells := t.cells(d, part)
	if cells == nil {
		return nil, false
	}
	return t.grid.with(cells), true
}
