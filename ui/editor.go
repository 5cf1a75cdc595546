package ui

import (
	"slices"
	"strings"

	"peregrine/ui/cells"
)

// editor is a text of several lines that is being edited. It consists of characters as people see them, and moves, selects
// and erases by them.
type editor struct {
	text   []unit
	cursor int // it stands before this unit
	from   int // where the selection starts or ends, the cursor being its other end; -1: nothing is selected
	done   []edit
	undone []edit
	typing bool // the last edit may take the next character in
}

// unit is one character of the text: a cluster of code points, a line end, or the mark of a paste.
type unit struct {
	text   string // of the message; that of the paste for a mark
	paste  *paste
	pasted bool // it came from the clipboard, small as it was
}

// edit is a change that can be taken back.
type edit struct {
	at             int
	removed, added []unit
	cursor         int // where it was before
}

// maxEdits is how many changes can be taken back.
const maxEdits = 1000

func newEditor() *editor { return &editor{from: -1} }

// units cuts text into characters.
func units(text string, pasted bool) []unit {
	out := make([]unit, 0, len(text))
	for text != "" {
		n, _ := cells.Method{}.First(text)
		if text[0] == '\n' {
			n = 1
		}
		out = append(out, unit{text: text[:n], pasted: pasted})
		text = text[n:]
	}
	return out
}

// textOf returns what units say in a message.
func textOf(text []unit) string {
	var b strings.Builder
	for _, u := range text {
		b.WriteString(u.text)
	}
	return b.String()
}

// message returns the text with pastes in place of their marks. Spaces and line ends at its end that were not in a large paste
// are left out.
func (e *editor) message() string {
	end := len(e.text)
	for end > 0 && e.text[end-1].paste == nil && (e.text[end-1].text == " " || e.text[end-1].text == "\n") {
		end--
	}
	return textOf(e.text[:end])
}

// draft returns what stands in the field.
func (e *editor) draft() string {
	var b strings.Builder
	for _, u := range e.text {
		if u.paste != nil {
			b.WriteString(u.paste.mark())
			continue
		}
		b.WriteString(u.text)
	}
	return b.String()
}

// quoted reports whether the text begins with pasted text that only looks like a command: a large one, one of several lines,
// or one with two slashes. It is sent as it is.
func (e *editor) quoted() bool {
	if len(e.text) == 0 || !e.text[0].pasted {
		return false
	}
	return e.text[0].paste != nil || strings.HasPrefix(e.draft(), "//") ||
		slices.ContainsFunc(e.text, func(u unit) bool { return u.text == "\n" && u.pasted })
}

// write puts units in the place of what is selected, or at the cursor.
func (e *editor) write(added ...unit) {
	lo, hi := e.selection()
	e.replace(lo, hi, added)
}

// replace puts units in the place of text[lo:hi] and the cursor behind them. What was there can be brought back.
func (e *editor) replace(lo, hi int, added []unit) {
	if lo == hi && len(added) == 0 {
		return
	}
	was, cursor := e.cursor, lo+len(added)
	if e.joins(lo, hi, added) {
		lo, hi, added, cursor = e.rejoin(lo, hi, added)
	}
	e.remember(edit{at: lo, removed: slices.Clone(e.text[lo:hi]), added: added, cursor: was})
	e.text = slices.Concat(e.text[:lo], added, e.text[hi:])
	e.cursor, e.from = cursor, -1
}

// extends reports whether a unit may be one character with the one before it, as an accent is. What begins with ASCII never is.
func (u unit) extends() bool { return u.paste == nil && u.text[0] >= 0x80 }

// joins reports whether a change may make one character of what comes to stand side by side.
func (e *editor) joins(lo, hi int, added []unit) bool {
	after := hi < len(e.text) && e.text[hi].extends()
	if len(added) == 0 {
		return after && lo > 0
	}
	return after || lo > 0 && added[0].extends()
}

// rejoin extends a change to all of the line around it, cut into characters anew: flags, for one, join by twos from the first
// of a row of them. It returns the change and where the cursor comes to stand.
func (e *editor) rejoin(lo, hi int, added []unit) (from, to int, news []unit, cursor int) {
	if slices.ContainsFunc(added, func(u unit) bool { return u.paste != nil }) {
		return lo, hi, added, lo + len(added)
	}
	ends := func(u unit) bool { return u.paste != nil || u.text == "\n" }
	from, to = lo, hi
	for from > 0 && !ends(e.text[from-1]) {
		from--
	}
	for to < len(e.text) && !ends(e.text[to]) {
		to++
	}
	before := slices.Concat(e.text[from:lo], added)
	all := slices.Concat(before, e.text[hi:to])
	behind := len(textOf(before))
	news = units(textOf(all), false)
	cursor = from
	for i, at, old, next := 0, 0, 0, len(all[0].text); i < len(news); i++ {
		for at >= next {
			old++
			next += len(all[old].text)
		}
		news[i].pasted = all[old].pasted
		at += len(news[i].text)
		if at <= behind || cursor == from+i && at-len(news[i].text) < behind {
			cursor = from + i + 1
		}
	}
	return from, to, news, cursor
}

// remember notes a change. Letters that are typed one after the other are one change, up to the next space.
func (e *editor) remember(change edit) {
	e.undone = nil
	typed := len(change.removed) == 0 && len(change.added) == 1 && change.added[0].paste == nil
	if n := len(e.done); e.typing && typed && n > 0 && change.added[0].text != " " && change.added[0].text != "\n" {
		if last := &e.done[n-1]; last.at+len(last.added) == change.at {
			last.added = append(last.added, change.added...)
			return
		}
	}
	e.typing = typed
	e.done = append(e.done, change)
	if len(e.done) > maxEdits {
		e.done = slices.Delete(e.done, 0, 1)
	}
}

// undo takes the last change back, and reports whether there was one.
func (e *editor) undo() bool {
	n := len(e.done)
	if n == 0 {
		return false
	}
	c := e.done[n-1]
	e.done = e.done[:n-1]
	e.undone = append(e.undone, c)
	e.text = slices.Concat(e.text[:c.at], c.removed, e.text[c.at+len(c.added):])
	e.cursor, e.from, e.typing = c.cursor, -1, false
	return true
}

// redo makes the change once more that was taken back last, and reports whether there was one.
func (e *editor) redo() bool {
	n := len(e.undone)
	if n == 0 {
		return false
	}
	c := e.undone[n-1]
	e.undone = e.undone[:n-1]
	e.done = append(e.done, c)
	e.text = slices.Concat(e.text[:c.at], c.added, e.text[c.at+len(c.removed):])
	e.cursor, e.from, e.typing = c.at+len(c.added), -1, false
	return true
}

// pastes returns the pastes of the text, in their order.
func (e *editor) pastes() []*paste {
	var all []*paste
	for _, u := range e.text {
		if u.paste != nil {
			all = append(all, u.paste)
		}
	}
	return all
}

// selection returns the units that are selected; both ends are the cursor when there are none.
func (e *editor) selection() (lo, hi int) {
	if e.from < 0 {
		return e.cursor, e.cursor
	}
	return min(e.from, e.cursor), max(e.from, e.cursor)
}
