package ui

import (
	"strings"
)

// userLines shows what the user said as it was typed.
func (it *item) userLines(text, width int, t *theme) []string {
	bar := it.edge(width, t)
	content := spaced(strings.TrimRight(it.message.Content, "\n"))
	lines := strings.Split(t.cells.Wrap(content, text), "\n")
	for i, l := range lines {
		lines[i] = bar + l
	}
	about := func(s string) {
		lines = append(lines, bar+t.muted(t.cells.Truncate(s, text, "…")))
		it.below++
	}
	if it.version != "" {
		about("version " + it.version)
	}
	if it.mark != "" {
		about(it.mark)
	}
	return lines
}
