// Package cells measures and cuts text as it comes out on this terminal.
//
// The one idea: everything is laid out with the renderer's own measure. Terminals that confirm mode 2027 give a whole
// character (a family of emoji, a flag) its cells, all others add up its code points (wcwidth), and Bubble Tea's renderer
// does as the terminal has said. Measured in another way, the end of a line would fall off the screen's edge, and the cursor
// would stand where nobody looks for it.
package cells

import "github.com/charmbracelet/x/ansi"

// Method is how a terminal measures text. The zero value adds up code points.
type Method struct{ ansi.Method }

// Of returns the method that Bubble Tea's renderer uses once a terminal has said this of mode 2027; false when it says
// nothing that changes it.
func Of(s ansi.ModeSetting) (Method, bool) {
	known := s == ansi.ModeSet || s == ansi.ModeReset || s == ansi.ModePermanentlySet
	return Method{ansi.GraphemeWidth}, known
}

// First returns the bytes of the first character of s and its cells.
func (m Method) First(s string) (size, width int) {
	if s == "" {
		return 0, 0
	}
	c, width := ansi.FirstGraphemeCluster(s, m.Method)
	return len(c), width
}

// Clip cuts the lines that are too wide, in place, and returns them.
func (m Method) Clip(lines []string, width int) []string {
	for i, l := range lines {
		if m.StringWidth(l) > width {
			lines[i] = m.Truncate(l, width, "")
		}
	}
	return lines
}
