package ui

import (
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"
)

const actFind action = "find"

// findKeys are those that search in the conversation.
func findKeys() []binding {
	return []binding{
		{inChat, actFind, []string{"alt+/"}, "find in the conversation", func(m *Model, _ tea.KeyPressMsg) tea.Cmd { return m.showFinder("") }},
	}
}

// findCommands are those that search in the conversation.
func findCommands() []command {
	return []command{
		{"search", "[TEXT]", "find in the conversation", actFind, (*Model).showFinder, nil},
	}
}

// finder searches in the transcript, in the place of the composer: while one types the first hit behind the reading position
// shows; after enter n and N go on from it.
type finder struct {
	field   field
	typing  bool
	scanned int        // items that were looked through, from the start
	width   int        // at which
	steps   int        // to be gone once all are
	was     transcript // where one was; its items are not looked at
}

// scanMsg goes on looking through the transcript.
type scanMsg struct{ find *finding }

// showFinder opens the search.
func (m *Model) showFinder(what string) tea.Cmd {
	tr := &m.transcript
	tr.hold(&m.theme)
	f := &finder{typing: what == "", was: *tr}
	f.field.set(what)
	m.overlay = f
	return f.restart(m)
}

// restart looks for what was typed, from where one was.
func (f *finder) restart(m *Model) tea.Cmd {
	m.transcript.find = newFinding(f.field.value())
	f.steps = 0
	return f.scan(m)
}

// scan looks through the transcript from its start. Items are laid out for it, so that it goes in parts.
func (f *finder) scan(m *Model) tea.Cmd {
	f.scanned, f.width = 0, m.size.width
	return f.resume(m)
}

// resume looks through what was not looked through yet.
func (f *finder) resume(m *Model) tea.Cmd {
	find := m.transcript.find
	return func() tea.Msg { return scanMsg{find} }
}

// catchUp looks for what was pasted, and anew on a screen of another width.
func (f *finder) catchUp(m *Model) tea.Cmd {
	switch {
	case newFinding(f.field.value()).what != m.transcript.find.what:
		return f.restart(m)
	case f.width != m.size.width:
		return f.scan(m)
	}
	return nil
}

// scanBytes is how much text is laid out before keys are looked at again: some milliseconds' worth.
const scanBytes = 16 << 10

func (msg scanMsg) handle(m *Model) tea.Cmd {
	f, ok := m.overlay.(*finder)
	tr := &m.transcript
	if !ok || tr.find != msg.find {
		return nil
	}
	for spent := 0; f.scanned < len(tr.items) && spent < scanBytes; f.scanned++ {
		it := tr.items[f.scanned]
		spent += len(it.message.Content) + 256
		tr.find.in(it, tr.width, &m.theme)
	}
	if f.scanned < len(tr.items) {
		return func() tea.Msg { return msg }
	}
	f.begin(m)
	f.step(m, f.steps)
	f.steps = 0
	return nil
}

// begin goes to the first hit at or behind where one was, else to the last before it, unless there is a current one already.
func (f *finder) begin(m *Model) {
	tr, t := &m.transcript, &m.theme
	if tr.find.item != nil {
		return
	}
	from := f.was.top
	if f.was.follow {
		from = tr.bottom(t)
	}
	for i, it := range tr.items[:f.scanned] {
		for n, h := range tr.find.in(it, tr.width, t) {
			tr.find.item, tr.find.hit = it, n
			if !(place{i, h[0].line}).before(from) {
				f.show(m)
				return
			}
		}
	}
	if tr.find.item != nil {
		f.show(m)
		return
	}
	f.back(m) // what was typed before may have led away
}

// back shows what one read before.
func (f *finder) back(m *Model) {
	tr := &m.transcript
	tr.follow, tr.top, tr.anchor = f.was.follow, f.was.top, f.was.anchor
	tr.release(&m.theme)
}

// show brings the current hit in sight.
func (f *finder) show(m *Model) {
	tr, t := &m.transcript, &m.theme
	i := slices.Index(tr.items, tr.find.item)
	hits := tr.find.in(tr.find.item, tr.width, t)
	if i < 0 || tr.find.hit >= len(hits) {
		return
	}
	tr.reach(place{i, hits[tr.find.hit][0].line}, t)
}

// step goes to another hit, n further, around the ends.
func (f *finder) step(m *Model, n int) {
	current, all := f.count(m)
	if n == 0 || all == 0 {
		return
	}
	tr := &m.transcript
	to := ((current-1+n)%all + all) % all
	for _, it := range tr.items[:f.scanned] {
		hits := len(tr.find.in(it, tr.width, &m.theme))
		if to < hits {
			tr.find.item, tr.find.hit = it, to
			f.show(m)
			return
		}
		to -= hits
	}
}

// count returns which hit is the current one, from 1, 0: none, and how many there are in what was looked through.
func (f *finder) count(m *Model) (current, all int) {
	tr := &m.transcript
	for _, it := range tr.items[:min(f.scanned, len(tr.items))] {
		if it == tr.find.item {
			current = all + tr.find.hit + 1
		}
		all += len(tr.find.in(it, tr.width, &m.theme))
	}
	return min(current, all), all
}

// whole reports whether all was looked through.
func (f *finder) whole(m *Model) bool { return f.scanned >= len(m.transcript.items) }

func (f *finder) press(m *Model, key tea.KeyPressMsg) tea.Cmd {
	switch a := m.keys.find(key, inList, inChat); {
	case a == actClose:
		m.transcript.find, m.overlay = nil, nil
		if f.typing {
			f.back(m)
		} else {
			m.transcript.scroll(0, &m.theme) // at the end it follows again
		}
	case a == actFind, !f.typing && key.Text == "/":
		f.typing = true
	case a == actChoose && f.typing:
		f.typing = false
	case a == actDown, a == actChoose, !f.typing && key.Text == "n":
		return f.walk(m, 1)
	case a == actUp, !f.typing && key.Text == "N":
		return f.walk(m, -1)
	case a == actPageUp, a == actPageDown, a == actTop, a == actBottom:
		return m.keys.run(a, m, key)
	case f.typing && f.field.press(key):
		return f.restart(m)
	}
	return nil
}

// walk goes one hit on or back, once it is known which there are.
func (f *finder) walk(m *Model, n int) tea.Cmd {
	if f.steps += n; !f.whole(m) {
		return f.resume(m)
	}
	f.step(m, f.steps)
	f.steps = 0
	return nil
}

func (f *finder) wheel(m *Model, lines int) { m.transcript.scroll(lines, &m.theme) }

func (f *finder) paste(text string) {
	if f.typing {
		f.field.insert(text)
	}
}

func (f *finder) rows(*Model) int { return 1 }

func (f *finder) view(m *Model, width, _ int) ([]string, *tea.Cursor) {
	t := &m.theme
	const label = "find ❯ "
	state := f.state(m)
	used := t.cells.StringWidth(label)
	room := max(width-used-t.cells.StringWidth(state)-2, 1)
	text, column := f.field.view(room, t.cells)
	gap := strings.Repeat(" ", max(width-used-t.cells.StringWidth(text)-t.cells.StringWidth(state), 1))
	line := strong(t.colours.user, label) + text + gap + t.muted(state)
	if !f.typing {
		return []string{line}, nil
	}
	return []string{line}, newCursor(used+column, 0)
}

// state says how many hits there are, and the keys.
func (f *finder) state(m *Model) string {
	if m.transcript.find.what == "" {
		return ""
	}
	current, all := f.count(m)
	more := ""
	if !f.whole(m) {
		more = "+"
	}
	state := "nothing found"
	if all > 0 || more != "" {
		state = fmt.Sprintf("%d/%d%s", current, all, more)
	}
	if m.size.width < 60 {
		return state
	}
	if f.typing {
		return state + separator + m.keys.label(actChoose) + " walks through them"
	}
	return state + separator + "n next" + separator + "N previous" + separator + m.keys.label(actClose) + " reads on here"
}
