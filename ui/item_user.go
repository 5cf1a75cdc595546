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
	if it.version != "" {
		lines = append(lines, bar+t.muted(t.cells.Truncate("version "+it.version, text, "…")))
	}
	if it.mark != "" {
		lines = append(lines, bar+t.muted(t.cells.Truncate(it.mark, text, "…")))
	}
	return lines
}
