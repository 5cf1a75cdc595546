package markdown

import (
	"slices"
	"strings"

	"github.com/charmbracelet/x/ansi"
	"github.com/yuin/goldmark/ast"
	extast "github.com/yuin/goldmark/extension/ast"
)

// table renders a whole table.
func (p *painter) table(t *extast.Table, src *source, width int) []string {
	g := newGrid(t.Alignments, p.style, width)
	for row := t.FirstChild(); row != nil; row = row.NextSibling() {
		g.add(p.cells(row, src))
	}
	return g.lines()
}

// cells renders the cells of a row, each to one line.
func (p *painter) cells(row ast.Node, src *source) []string {
	var cells []string
	for c := row.FirstChild(); c != nil; c = c.NextSibling() {
		cells = append(cells, strings.ReplaceAll(p.inline(c, src), "\n", " "))
	}
	return cells
}

// grid lays a table out while rows are added. A column is as wide as its widest cell, if all fit; the widest ones give way
// otherwise. Rows are laid out again only when a width changes.
type grid struct {
	style   Style
	width   int
	align   []extast.Alignment
	rows    [][]string // the first is the head
	natural []int      // the widest cell of each column

	columns []int    // the widths that done was laid out with
	done    []string // the lines of the rows so far
	laid    int      // how many rows done holds
}

func newGrid(align []extast.Alignment, style Style, width int) *grid {
	return &grid{style: style, width: max(width, 1), align: align, natural: make([]int, len(align))}
}

// add appends a row.
func (g *grid) add(cells []string) {
	row := make([]string, len(g.align))
	copy(row, cells)
	for i, c := range row {
		g.natural[i] = max(g.natural[i], g.style.Cells.StringWidth(c))
	}
	g.rows = append(g.rows, row)
}

// with returns the lines of the table with one more row, which is not kept.
func (g *grid) with(cells []string) []string {
	g.lines()
	more := *g
	more.natural = slices.Clone(g.natural)
	more.rows = slices.Clip(g.rows)
	more.done = slices.Clip(g.done)
	more.add(cells)
	return more.lines()
}

const (
	gridGap   = 3 // " │ "
	gridLeast = 4 // a column narrower than this cannot be read
)

// lines returns the table as lines of at most the width.
func (g *grid) lines() []string {
	if len(g.align)*(gridLeast+gridGap)-gridGap > g.width {
		return g.records()
	}
	columns := g.fit()
	if !slices.Equal(columns, g.columns) {
		g.columns, g.done, g.laid = columns, nil, 0
	}
	for ; g.laid < len(g.rows); g.laid++ {
		g.done = g.row(g.done, g.rows[g.laid], g.laid == 0)
	}
	return g.done
}

// fit returns the widths of the columns.
func (g *grid) fit() []int {
	columns := slices.Clone(g.natural)
	total := max(len(columns)-1, 0) * gridGap
	for i, w := range columns {
		columns[i] = max(w, 1)
		total += columns[i]
	}
	for total > g.width {
		// The widest columns shrink to the next widest one, or as far as is needed.
		widest, next, n := slices.Max(columns), gridLeast, 0
		for _, w := range columns {
			if w == widest {
				n++
			} else {
				next = max(next, w)
			}
		}
		cut := min(widest-next, max((total-g.width)/n, 1))
		for i := range columns {
			if columns[i] == widest && total > g.width {
				columns[i] -= cut
				total -= cut
			}
		}
	}
	return columns
}

// row appends the lines of one row to dst, and the rule below the head.
func (g *grid) row(dst []string, cells []string, head bool) []string {
	wrapped := make([][]string, len(cells))
	height := 1
	for i, c := range cells {
		wrapped[i] = []string{c}
		if g.style.Cells.StringWidth(c) > g.columns[i] {
			wrapped[i] = g.style.wrap(c, g.columns[i])
		}
		height = max(height, len(wrapped[i]))
	}
	bar := paint(g.style.Muted, " │ ")
	for y := range height {
		var b strings.Builder
		for i := range cells {
			if i > 0 {
				b.WriteString(bar)
			}
			text := ""
			if y < len(wrapped[i]) {
				text = wrapped[i][y]
			}
			left, right := g.padding(i, g.style.Cells.StringWidth(text))
			if head && text != "" {
				text = bold(text)
			}
			b.WriteString(strings.Repeat(" ", left))
			b.WriteString(text)
			if i < len(cells)-1 {
				b.WriteString(strings.Repeat(" ", right))
			}
		}
		dst = append(dst, b.String())
	}
	if !head {
		return dst
	}
	rule := make([]string, len(g.columns))
	for i, w := range g.columns {
		rule[i] = strings.Repeat("─", w)
	}
	return append(dst, paint(g.style.Muted, strings.Join(rule, "─┼─")))
}

// padding returns the spaces before and after a cell's text.
func (g *grid) padding(column, width int) (left, right int) {
	room := max(g.columns[column]-width, 0)
	switch g.align[column] {
	case extast.AlignRight:
		return room, 0
	case extast.AlignCenter:
		return room / 2, room - room/2
	}
	return 0, room
}

// records shows each row as lines of "head: cell", where the columns do not fit side by side.
func (g *grid) records() []string {
	var lines []string
	for i, row := range g.rows {
		if i == 0 && len(g.rows) > 1 {
			continue
		}
		for j, c := range row {
			text := c
			if i > 0 && g.rows[0][j] != "" {
				text = bold(g.rows[0][j]+":") + " " + c
			}
			lines = append(lines, g.style.wrap(text, g.width)...)
		}
		if i < len(g.rows)-1 {
			lines = append(lines, paint(g.style.Muted, strings.Repeat("─", min(g.width, 8))))
		}
	}
	return lines
}

// bold makes styled text bold throughout.
func bold(s string) string {
	return "\x1b[1m" + strings.ReplaceAll(s, ansi.ResetStyle, ansi.ResetStyle+"\x1b[1m") + ansi.ResetStyle
}
