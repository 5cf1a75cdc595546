package ui

import (
	"strings"

	"github.com/charmbracelet/x/ansi"

	"peregrine/history/words"
)

// finding is what is searched for in the transcript, and where it is in the lines as they are laid out.
type finding struct {
	what  string
	items map[*item]laidOut
	item  *item // that has the current hit; nil: none
	hit   int   // which of its hits
}

// laidOut are the hits in the lines of an item. They hold as long as it is not laid out anew.
type laidOut struct {
	first *string // the first line
	hits  []hit
}

// hit is one place, in pieces where it goes over the end of a line.
type hit []piece

// piece is a part of a line, in cells.
type piece struct{ line, from, to int }

// newFinding returns a search for a text, whatever its case, accents and line breaks.
func newFinding(what string) *finding {
	return &finding{what: strings.Join(strings.Fields(what), " "), items: map[*item]laidOut{}}
}

// in returns the hits in an item.
func (f *finding) in(it *item, width int, t *theme) []hit {
	lines := it.lines(width, t)
	if known, ok := f.items[it]; ok && known.first == &lines[0] {
		return known.hits
	}
	hits := f.hits(it, lines, width, t)
	f.items[it] = laidOut{&lines[0], hits}
	return hits
}

// hits searches the lines of an item: its text, without the bar before it and what is said below it.
func (f *finding) hits(it *item, lines []string, width int, t *theme) []hit {
	lines = lines[:len(lines)-it.below]
	edge := ansi.Strip(it.edge(width, t))
	var text strings.Builder
	starts := make([]int, len(lines)) // of each line in text, and before it in cells
	skipped := make([]int, len(lines))
	for i, l := range lines {
		plain := ansi.Strip(l)
		said := strings.TrimLeft(strings.TrimPrefix(plain, edge), " ")
		skipped[i] = t.cells.StringWidth(plain[:len(plain)-len(said)])
		if text.Len() > 0 {
			text.WriteByte(' ')
		}
		starts[i] = text.Len()
		text.WriteString(strings.TrimRight(said, " "))
	}
	all := text.String()
	var hits []hit
	line := 0
	for _, s := range words.Find(all, f.what) {
		for line+1 < len(starts) && starts[line+1] <= s.Start {
			line++
		}
		var h hit
		for i := line; i < len(starts) && starts[i] < s.End; i++ {
			end := len(all)
			if i+1 < len(starts) {
				end = max(starts[i+1]-1, starts[i])
			}
			from, to := max(s.Start, starts[i]), min(s.End, end)
			if from < to {
				left := skipped[i] + t.cells.StringWidth(all[starts[i]:from])
				h = append(h, piece{i, left, left + t.cells.StringWidth(all[from:to])})
			}
		}
		if len(h) > 0 {
			hits = append(hits, h)
		}
	}
	return hits
}

// marked returns the lines of an item with what was found in them marked, the current hit above all.
func (tr *transcript) marked(it *item, t *theme) []string {
	lines := it.lines(tr.width, t)
	if tr.find == nil {
		return lines
	}
	hits := tr.find.in(it, tr.width, t)
	if len(hits) == 0 {
		return lines
	}
	lines = append([]string(nil), lines...)
	for i, h := range hits {
		style := t.hit
		if it == tr.find.item && i == tr.find.hit {
			style = func(s string) string { return ansi.Style{}.Reverse(true).Styled(s) }
		}
		for _, p := range h {
			l := lines[p.line] // not Cut: that of package ansi cuts the wrong end off when it adds up code points
			lines[p.line] = t.cells.Truncate(l, p.from, "") + style(ansi.Strip(t.cells.TruncateLeft(t.cells.Truncate(l, p.to, ""), p.from, ""))) +
				t.cells.TruncateLeft(l, p.to, "")
		}
	}
	return lines
}

// reach brings a line in sight, with some of what is above it, unless it is in sight.
func (tr *transcript) reach(p place, t *theme) {
	now := tr.top
	if end := tr.bottom(t); tr.follow || end.before(now) {
		now = end
	}
	if !p.before(now) {
		row := p.line - now.line
		for i := now.item; i < p.item && row < tr.height; i++ {
			row += tr.count(i, t)
		}
		if row < tr.height {
			tr.follow, tr.anchor, tr.top = false, anchor{}, now // what streams must not push it away
			return
		}
	}
	tr.follow, tr.anchor, tr.top = false, anchor{}, p
	tr.scroll(-tr.height/3, t)
}
