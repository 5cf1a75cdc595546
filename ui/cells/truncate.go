package cells

import (
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// Truncate cuts s, styled or not, to at most width cells, tail included, which stands where something was cut off. Styling
// stays, that behind the cut too, since it ends what began before it. (Truncate of package ansi may return more cells than
// asked for.)
func (m Method) Truncate(s string, width int, tail string) string {
	if m.StringWidth(s) <= width {
		return s
	}
	room := width - m.StringWidth(tail)
	if room < 0 {
		room, tail = max(width, 0), ""
	}
	var out strings.Builder
	var state byte
	used, cut := 0, false
	for s != "" {
		seq, cells, n, next := m.decode(s, state)
		s, state = s[n:], next
		switch {
		case seq != "" && seq[0] == ansi.ESC:
			out.WriteString(seq)
		case cut:
		case used+cells > room:
			cut = true
			out.WriteString(tail)
		default:
			out.WriteString(seq)
			used += cells
		}
	}
	return out.String()
}
