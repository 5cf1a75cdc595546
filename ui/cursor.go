package ui

import tea "charm.land/bubbletea/v2"

// ownShape is none of Bubble Tea's shapes: it comes out as the terminal's own. A block, which would be its default, is not put
// back at the end where the user has a bar.
const ownShape tea.CursorShape = -1

// newCursor returns a cursor that looks as in the rest of the terminal.
func newCursor(x, y int) *tea.Cursor {
	return &tea.Cursor{Position: tea.Position{X: x, Y: y}, Shape: ownShape}
}
