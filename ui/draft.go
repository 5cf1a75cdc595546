package ui

import (
	"slices"

	tea "charm.land/bubbletea/v2"

	"peregrine/history"
)

// draft is what the disk knows of the text that is being typed in a conversation.
type draft struct {
	place  *history.Draft // nil until it is found, and without a store
	noted  unsent         // as it was noted last
	warned bool           // the user knows that the disk refuses it
}

// unsent is what has been typed and is in no file of a conversation.
type unsent struct {
	sending []unit // a message that is not saved yet
	text    []unit
	cursor  int
}

// same reports whether two texts are one. An editor makes a new slice at every change.
func same(a, b []unit) bool { return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0]) }

func (u unsent) empty() bool { return len(u.sending) == 0 && len(u.text) == 0 }

// kept returns the text as it lies on disk.
func (u unsent) kept() history.Text {
	if len(u.sending) == 0 {
		return keptText(u.text, u.cursor)
	}
	all := append([]unit{}, u.sending...)
	if len(u.text) > 0 {
		all = append(append(all, unit{text: "\n"}), u.text...)
	}
	return keptText(all, len(all))
}

// keptText returns units as they lie on disk, with the cursor before one of them.
func keptText(text []unit, cursor int) history.Text {
	var t history.Text
	for from := 0; from < len(text); {
		u, to := text[from], from+1
		for u.paste == nil && to < len(text) && text[to].paste == nil && text[to].pasted == u.pasted {
			to++
		}
		t.Pieces = append(t.Pieces, history.Piece{Text: textOf(text[from:to]), Pasted: u.pasted, Folded: u.paste != nil})
		from = to
	}
	t.Cursor = len(textOf(text[:min(cursor, len(text))]))
	return t
}

// editing returns an editor with a text that was kept.
func (c *composer) editing(t history.Text) *editor {
	e := newEditor()
	for _, p := range t.Pieces {
		if p.Folded {
			e.text = append(e.text, c.fold(p.Text))
			continue
		}
		e.text = append(e.text, units(p.Text, p.Pasted)...)
	}
	for at := 0; e.cursor < len(e.text) && at < t.Cursor; e.cursor++ {
		at += len(e.text[e.cursor].text)
	}
	return e
}

// draftEditor returns the draft: the text in the field, or what stands behind what is shown there.
func (m *Model) draftEditor() *editor {
	switch c := &m.composer; {
	case m.composer.palette.stash != nil:
		return m.composer.palette.stash
	case c.given != nil:
		return c.given
	case c.walk != nil:
		return c.walk.draft
	case m.chat.revising.untouched(c.text):
		return m.chat.revising.before()
	default:
		return c.editor
	}
}

// unsent returns what must not be lost.
func (m *Model) unsent() unsent {
	e := m.draftEditor()
	return unsent{m.composer.sending, e.text, e.cursor}
}

// noteDraft notes what has been typed, for the disk. It waits for nothing; see history's Set.
func (m *Model) noteDraft() {
	d := &m.chat.draft
	now := m.unsent()
	if d.place == nil || same(now.sending, d.noted.sending) && same(now.text, d.noted.text) {
		return
	}
	d.noted = now
	err := d.place.Set(now.kept)
	if err != nil && !d.warned && m.chat.lost == nil {
		d.warned = true
		m.opt.Log.Error("draft", "error", err)
		m.tell(levelBad, "the draft is not on disk: "+reason(err))
	}
}

// draftMsg brings the place of a conversation's draft, and what was left there.
type draftMsg struct {
	keep  *keeper
	place *history.Draft
	text  history.Text
	err   error
}

// findDraft looks for what was left of a conversation that has no file yet. When something is typed already, that is another
// draft, and what was left waits for the next one.
func (m *Model) findDraft() tea.Cmd {
	store, keep := m.opt.Store, m.chat.keep
	if store == nil {
		return nil
	}
	if !m.composer.empty() {
		m.chat.draft.place = store.NewDraft("")
		return nil
	}
	return func() tea.Msg {
		place, text, err := store.Draft("")
		return draftMsg{keep, place, text, err}
	}
}

// handle shows what was left.
func (msg draftMsg) handle(m *Model) tea.Cmd {
	if msg.keep != m.chat.keep || m.chat.draft.place != nil {
		return closeDraft(msg.place)
	}
	m.restoreDraft(msg.place, msg.text, msg.err)
	if m.chat.file != nil {
		msg.place.Belong(m.chat.file.Path())
	}
	return nil
}

// restoreDraft puts what was left of a draft before what is in the field.
func (m *Model) restoreDraft(place *history.Draft, text history.Text, err error) {
	if err != nil {
		m.transcript.add(newNotice(levelWarn, err.Error()))
	}
	if m.chat.draft.place = place; !text.Empty() {
		m.putBefore(m.composer.editing(text))
	}
}

// putBefore puts a draft before what is in the field, or behind the palette before the draft that was put aside for it.
func (m *Model) putBefore(e *editor) {
	p := &m.composer.palette
	switch {
	case !p.open:
		m.composer.putBefore(e)
	case p.stash == nil:
		p.stash = e
	default:
		e.text = slices.Concat(e.text, []unit{{text: "\n"}}, p.stash.text)
		e.cursor = len(e.text)
		p.stash = e
	}
}

// closeDraft leaves a place that is not needed.
func closeDraft(place *history.Draft) tea.Cmd {
	if place == nil {
		return nil
	}
	return func() tea.Msg {
		if err := place.Close(); err != nil {
			return failedMsg{err}
		}
		return nil
	}
}

// sentIsSafe forgets the draft of a message that is saved now.
func (m *Model) sentIsSafe() tea.Cmd {
	place := m.chat.draft.place
	if m.composer.sending == nil || place == nil {
		m.composer.sending = nil
		return nil
	}
	m.composer.sending = nil
	return func() tea.Msg {
		_ = place.Flush() // the next note says that it failed
		return nil
	}
}

// partDraft returns what leaves a text on disk as the draft of the conversation that is left. It waits for the disk. saved says
// whether all messages are in the conversation's file.
func (m *Model) partDraft(now unsent) func(saved bool) error {
	if m.chat.draft.place == nil && m.opt.Store != nil && !now.empty() {
		m.chat.draft.place = m.opt.Store.NewDraft("")
	}
	keep, place := m.chat.keep, m.chat.draft.place
	return func(saved bool) error {
		if place == nil {
			return nil
		}
		if saved {
			now.sending = nil
		}
		if file := keep.current(); file != nil {
			place.Belong(file.Path())
		}
		_ = place.Set(now.kept) // Close says what is wrong now
		return place.Close()
	}
}

// draftMoves reports whether the draft goes along to another conversation, of which text was left. That of a conversation stays
// with it. Where nothing was said yet there is none to stay with, unless it would be mixed with another draft.
func (m *Model) draftMoves(text history.Text) bool {
	return m.opt.Store == nil || len(m.chat.path) == 0 && (text.Empty() || m.chat.draft.place == nil)
}

// leaveComposer puts the draft of another conversation into the field; nil: none. That of this one must have been taken care
// of.
func (m *Model) leaveComposer(other *editor) {
	c := &m.composer
	c.leave()
	c.sending, c.given = nil, nil
	c.put(other)
	m.composer.palette = palette{}
	m.refresh()
}
