package ui

import (
	"strings"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"peregrine/ui/cells"
	"peregrine/ui/escape"
)

// field is one line of text that is being edited. It moves and deletes by whole characters as people see them, so that the
// cursor is right for wide characters and emoji.
type field struct {
	before, after string // the text on either side of the cursor
}

func (f *field) value() string { return f.before + f.after }

func (f *field) set(s string) { f.before, f.after = s, "" }

// insert puts text at the cursor, as one line.
func (f *field) insert(s string) {
	f.before += strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' }), " ")
}

// press handles an editing key and reports whether it was one.
func (f *field) press(key tea.KeyPressMsg) bool {
	switch key.Keystroke() {
	case "left", "ctrl+b":
		n := lastCluster(f.before)
		f.before, f.after = f.before[:n], f.before[n:]+f.after
	case "right", "ctrl+f":
		n := firstCluster(f.after)
		f.before, f.after = f.before+f.after[:n], f.after[n:]
	case "home", "ctrl+a":
		f.before, f.after = "", f.value()
	case "end", "ctrl+e":
		f.before, f.after = f.value(), ""
	case "backspace", "ctrl+h":
		f.before = f.before[:lastCluster(f.before)]
	case "delete", "ctrl+d":
		f.after = f.after[firstCluster(f.after):]
	case "ctrl+u":
		f.before = ""
	case "ctrl+k":
		f.after = ""
	case "ctrl+w", "alt+backspace":
		trimmed := strings.TrimRight(f.before, " ")
		f.before = trimmed[:strings.LastIndexByte(trimmed, ' ')+1]
	default:
		if key.Text == "" {
			return false
		}
		f.insert(key.Text)
	}
	return true
}

// view returns what fits into width cells, and the column of the cursor.
func (f *field) view(width int, c cells.Method) (string, int) {
	before, after := escape.Line(f.before), escape.Line(f.after)
	for c.StringWidth(before) >= width && before != "" {
		before = before[firstCluster(before):]
	}
	column := c.StringWidth(before)
	return before + c.Truncate(after, max(width-column, 0), ""), column
}

// firstCluster returns the size of the first character.
func firstCluster(s string) int {
	if s == "" {
		return 0
	}
	c, _ := ansi.FirstGraphemeCluster(s, ansi.GraphemeWidth)
	return len(c)
}

// lastCluster returns where the last character starts.
func lastCluster(s string) int {
	at := 0
	for i := 0; i < len(s); {
		at = i
		i += firstCluster(s[i:])
	}
	return at
}
