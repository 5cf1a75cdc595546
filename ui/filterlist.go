package ui

import tea "charm.land/bubbletea/v2"

// moved returns which of so many lines of a list is selected after an action.
func moved(selected, lines int, a action) int {
	switch a {
	case actUp:
		return (selected + lines - 1) % lines
	case actDown:
		return (selected + 1) % lines
	case actPageUp:
		return max(selected-10, 0)
	case actPageDown:
		return min(selected+10, lines-1)
	}
	return selected
}

// filterHead returns the lines above a list that is filtered by typing, and the cursor in them; hint stands there until something
// is typed. Where there is little height the title and the gaps are left out.
func filterHead(t *theme, width, height int, title string, filter *field, hint string) ([]string, *tea.Cursor) {
	pad := margin(width)
	room := max(width-2*len(pad)-2, 1)
	text, column := filter.view(room, t.cells)
	if filter.value() == "" {
		text = t.muted(t.cells.Truncate(hint, room, ""))
	}
	typed := pad + strong(t.colours.user, "❯ ") + text
	column += t.cells.StringWidth(pad) + 2
	if height < 6 {
		return []string{typed}, newCursor(column, 0)
	}
	return []string{pad + strong(t.colours.accent, title), "", typed, ""}, newCursor(column, 2)
}
