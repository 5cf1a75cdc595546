package ui

import (
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"peregrine/ui/cells"
)

// promptWidth is the width of the sign before the draft.
const promptWidth = 2

// composer is where one types: the draft, and how it is shown.
type composer struct {
	*editor
	inputs
	palette palette
	kept    []*editor // drafts that were cleared, the last at the end
	given   *editor   // the one that the last key has cleared; nil: none
	sending []unit    // a message that is not saved yet
	known   []*paste  // large pastes since the last message
	theme   *theme
	hint    string // what the empty field says
	width   int
	most    int // rows that it may have
	top     int // the first row in sight
	wish    int // the column that going up and down keeps; -1: the cursor's
	layout  []row
	drawn   []string // as it was drawn last; nil when it has changed
}

func newComposer(t *theme) composer {
	return composer{editor: newEditor(), theme: t, wish: -1, most: 1}
}

// changed forgets how the draft was shown.
func (c *composer) changed() { c.layout, c.drawn = nil, nil }

// setSize makes the composer width cells wide and at most rows high.
func (c *composer) setSize(width, rows int) {
	if width == c.width && rows == c.most {
		return
	}
	c.width, c.most = width, max(rows, 1)
	c.changed()
}

// setHint says what the empty field shows, where there is room.
func (c *composer) setHint(hint string) {
	if c.hint != hint {
		c.hint = hint
		c.changed()
	}
}

// measure returns the cells of a row of text, the one for the cursor behind it left out, and how they are counted.
func (c *composer) measure() (int, cells.Method) { return max(c.width-promptWidth-1, 1), c.theme.cells }

// press does what an editing key is for, and returns the large pastes that it has erased.
func (c *composer) press(key tea.KeyPressMsg) (tea.Cmd, []*paste) {
	defer c.changed()
	name, before := key.Keystroke(), c.pastes()
	wish := c.wish
	c.wish = -1
	switch name {
	case "up", "ctrl+p", "shift+up":
		c.climb(-1, wish, strings.HasPrefix(name, "shift"))
	case "down", "ctrl+n", "shift+down":
		c.climb(1, wish, strings.HasPrefix(name, "shift"))
	case "ctrl+shift+c":
		if lo, hi := c.selection(); lo < hi {
			return copying("the selection", textOf(c.text[lo:hi])), nil
		}
	default:
		if !c.editor.press(name) && key.Text != "" {
			c.write(units(key.Text, false)...)
		}
	}
	return nil, slices.DeleteFunc(before, func(p *paste) bool { return slices.Contains(c.pastes(), p) })
}

// climb moves the cursor by rows, at the column where the first of such moves began.
func (c *composer) climb(rows, wish int, selects bool) {
	width, method := c.measure()
	if wish < 0 {
		all := c.rowsOf()
		r := all[c.rowOf(all)]
		wish = c.columnOf(r, c.editor.cursor, width, method)
	}
	c.wish, c.typing = wish, false
	move := func(e *editor) { e.vertical(rows, wish, width, method) }
	if selects {
		move = selecting(move)
	}
	move(c.editor)
}

// paste inserts pasted text. It is never sent by itself, whatever newlines it has.
func (c *composer) paste(text string) {
	defer c.changed()
	text = pasted(text)
	if !large(text) {
		c.write(units(text, true)...)
		return
	}
	c.write(c.fold(text))
}

// fold returns the mark of a large paste, the same for the same text.
func (c *composer) fold(text string) unit {
	at := slices.IndexFunc(c.known, func(p *paste) bool { return p.text == text })
	if at < 0 {
		at = len(c.known)
		c.known = append(c.known, newPaste(text, at+1))
	}
	return unit{text: text, paste: c.known[at], pasted: true}
}

// newline starts a new line at the cursor.
func (c *composer) newline() {
	c.write(unit{text: "\n"})
	c.changed()
}

// empty reports whether there is nothing to lose.
func (c *composer) empty() bool { return len(c.text) == 0 }

// set replaces what stands in the field, without a way back.
func (c *composer) set(draft string) {
	c.editor = newEditor()
	c.write(units(draft, false)...)
	c.done = nil
	c.changed()
}

// take empties the field and returns what stood there, with its cursor and its way back.
func (c *composer) take() *editor {
	e := c.editor
	c.put(nil)
	return e
}

// put shows a draft that was taken; nil: none.
func (c *composer) put(e *editor) {
	if e == nil {
		e = newEditor()
	}
	c.editor, c.top, c.wish = e, 0, -1
	c.changed()
}

// putBefore shows a draft that was taken, with what stands in the field on a line behind it.
func (c *composer) putBefore(e *editor) {
	since := c.take()
	if c.put(e); len(since.text) > 0 {
		c.toEnd()
		c.write(append([]unit{{text: "\n"}}, since.text...)...)
		c.changed()
	}
}

// maxKept is how many cleared drafts can be had again.
const maxKept = 100

// keep clears the field and returns what stood there; recall brings it back.
func (c *composer) keep() *editor {
	e := c.take()
	c.typed(e.text)
	c.kept = append(c.kept, e)
	c.kept = c.kept[max(len(c.kept)-maxKept, 0):]
	return e
}

// recall brings back the draft that was cleared last, and reports whether there is one.
func (c *composer) recall() bool {
	n := len(c.kept)
	if n == 0 {
		return false
	}
	c.put(c.kept[n-1])
	c.kept = c.kept[:n-1]
	return true
}

// undoEdit takes the last change of the draft back. That of an empty draft without any is that it was cleared.
func (c *composer) undoEdit() bool {
	defer c.changed()
	return c.undo() || c.empty() && c.recall()
}

// redoEdit makes a change once more that was taken back.
func (c *composer) redoEdit() bool {
	defer c.changed()
	return c.redo()
}

// sent notes that the draft has become a message: pastes are counted anew. A draft that waited behind it comes back.
func (c *composer) sent() *editor {
	c.known = nil
	e := c.take()
	c.typed(e.text)
	c.sending = e.text
	if w := c.walk; w != nil {
		c.walk = nil
		c.put(w.draft)
	}
	return e
}

// rowsOf returns the rows of the draft.
func (c *composer) rowsOf() []row {
	if c.layout == nil {
		width, method := c.measure()
		c.layout = c.editor.rows(width, method)
	}
	return c.layout
}

// rows returns how high the composer is now.
func (c *composer) rows() int { return min(len(c.rowsOf()), c.most) }

// view returns the lines of the composer. It is done when something has changed.
func (c *composer) view() []string {
	if c.drawn == nil {
		c.drawn = c.draw()
	}
	return slices.Clone(c.drawn)
}

func (c *composer) draw() []string {
	sign := strong(c.theme.colours.user, "❯ ")
	room := max(c.width-promptWidth, 1)
	width, method := c.measure()
	if c.empty() {
		hint := c.hint
		if method.StringWidth(hint) >= room {
			hint = ""
		}
		return []string{sign + c.theme.muted(hint) + strings.Repeat(" ", room-method.StringWidth(hint))}
	}
	all := c.rowsOf()
	c.scroll(all)
	var lines []string
	for i, r := range all[c.top : c.top+c.rows()] {
		if i+c.top > 0 {
			sign = "  "
		}
		lines = append(lines, sign+c.line(r, width, room, method))
	}
	return lines
}

// scroll brings the cursor's row in sight.
func (c *composer) scroll(all []row) {
	at := c.rowOf(all)
	c.top = min(max(c.top, at-c.rows()+1), at, len(all)-c.rows())
}

// cursor returns where the terminal's cursor is, relative to the composer.
func (c *composer) cursor() *tea.Cursor {
	all := c.rowsOf()
	c.scroll(all)
	width, method := c.measure()
	at := c.rowOf(all)
	column := c.columnOf(all[at], c.editor.cursor, width, method)
	cursor := newCursor(promptWidth+min(column, width), at-c.top)
	cursor.Blink = true
	return cursor
}

// plural writes a number with a noun.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return thousands(n) + " " + noun + "s"
}

// thousands writes a number with separators.
func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
