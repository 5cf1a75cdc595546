package ui

import (
	"slices"
	"strings"
	"sync"

	tea "charm.land/bubbletea/v2"

	"peregrine/history"
	"peregrine/model/generate"
)

// inputs is what was typed before: sent, or cleared.
type inputs struct {
	earlier []history.Text // in other conversations and other runs, the oldest first
	here    []history.Text // in this conversation since it is open
	log     *inputLog
	walk    *walk // nil: the draft is shown
}

// walk is the way through what was typed. It is over as soon as what it shows is edited.
type walk struct {
	texts []history.Text // the oldest first
	at    int
	shown []unit
	draft *editor // stands behind the last of them
}

// typed adds a text to what was typed.
func (in *inputs) typed(text []unit) {
	if t := keptText(text, len(text)); strings.TrimSpace(t.String()) != "" {
		in.here = append(in.here, t)
		in.log.add(t)
	}
}

// leave says that another conversation is shown from now on.
func (in *inputs) leave() {
	in.earlier, in.here, in.walk = append(in.earlier, in.here...), nil, nil
}

// inputLog writes what was typed to the store. It is used by commands, and once more at the end of the program.
type inputLog struct {
	store Store // nil: it is kept nowhere

	disk  sync.Mutex // held while writing
	mu    sync.Mutex // guards queue; never held during I/O
	queue []history.Text
}

func (l *inputLog) add(t history.Text) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.store != nil {
		l.queue = append(l.queue, t)
	}
}

// waits reports whether something is to be written.
func (l *inputLog) waits() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.queue) > 0
}

// flush writes what waits. What the disk refuses is forgotten with the program.
func (l *inputLog) flush() error {
	l.disk.Lock()
	defer l.disk.Unlock()
	l.mu.Lock()
	texts := l.queue
	l.queue = nil
	l.mu.Unlock()
	if len(texts) == 0 {
		return nil
	}
	return l.store.AddInput(texts...)
}

// inputsMsg brings what was typed in earlier runs.
type inputsMsg struct {
	texts []history.Text
	err   error
}

func (msg inputsMsg) handle(m *Model) tea.Cmd {
	if msg.err != nil {
		m.opt.Log.Error("inputs", "error", msg.err)
	}
	m.composer.earlier = append(msg.texts, m.composer.earlier...)
	return nil
}

// readInputs reads what was typed in earlier runs.
func (m *Model) readInputs() tea.Cmd {
	store := m.opt.Store
	if store == nil {
		return nil
	}
	return func() tea.Msg {
		texts, err := store.Inputs()
		return inputsMsg{texts, err}
	}
}

// afterUpdate ends a walk that has become a draft, and returns what writes the rest of what was typed.
func (m *Model) afterUpdate() tea.Cmd {
	c := &m.composer
	if w := c.walk; w != nil && !same(w.shown, c.text) {
		c.walk = nil
		c.typed(w.draft.text)
	}
	m.noteDraft()
	log := c.log
	if !log.waits() {
		return nil
	}
	return func() tea.Msg {
		if err := log.flush(); err != nil {
			return inputsMsg{err: err}
		}
		return nil
	}
}

// inputs returns what was typed, the oldest first, each text once: that of this conversation stands behind all others.
func (m *Model) inputs() []history.Text {
	all := slices.Concat(m.composer.earlier, m.said(), m.composer.here)
	seen := map[string]bool{}
	var texts []history.Text
	for _, t := range slices.Backward(all) {
		if key := strings.TrimRight(t.String(), " \n"); !seen[key] {
			seen[key] = true
			texts = append(texts, t)
		}
	}
	slices.Reverse(texts)
	return texts
}

// said returns the user's messages in this conversation as they would be typed.
func (m *Model) said() []history.Text {
	var texts []history.Text
	for _, msg := range m.chat.path {
		if msg.Role != generate.User {
			continue
		}
		p := history.Piece{Text: msg.Content, Folded: large(msg.Content)}
		if !p.Folded && strings.HasPrefix(p.Text, "/") {
			p.Text = "/" + p.Text // it is no command
		}
		texts = append(texts, history.Text{Pieces: []history.Piece{p}, Cursor: len(p.Text)})
	}
	return texts
}

// walks reports whether a key leaves the draft for what was typed before, or goes on there, and does it.
func (m *Model) walks(key string) bool {
	rows := m.composer.rowsOf()
	switch at := m.composer.rowOf(rows); {
	case at == 0 && (key == "up" || key == "ctrl+p"):
		return m.walk(-1)
	case at == len(rows)-1 && (key == "down" || key == "ctrl+n"):
		return m.walk(1)
	}
	return false
}

// walk shows what was typed before (-1) or after (1) what is shown, and reports whether there is such a way.
func (m *Model) walk(step int) bool {
	w := m.composer.walk
	if w != nil {
		return m.walkTo(w.texts, w.at+step)
	}
	texts := m.inputs()
	return step < 0 && len(texts) > 0 && m.walkTo(texts, len(texts)-1)
}

// walkTo shows one of the texts, behind the last of them the draft.
func (m *Model) walkTo(texts []history.Text, at int) bool {
	c := &m.composer
	older := c.walk == nil || at < c.walk.at
	switch {
	case at < 0:
		return true // there is nothing older
	case at >= len(texts):
		m.walkBack()
		return true
	case c.walk == nil:
		c.walk = &walk{draft: c.take()}
	}
	e := c.editing(texts[at])
	c.put(e)
	if e.toEnd(); older && len(c.rowsOf()) > 1 {
		e.toStart() // so that the next step is one key away
	}
	c.changed()
	c.walk.texts, c.walk.at, c.walk.shown = texts, at, e.text
	m.composer.palette.dismissed = true
	m.refresh()
	return true
}

// walkBack shows the draft again.
func (m *Model) walkBack() {
	c := &m.composer
	if w := c.walk; w != nil {
		c.walk = nil
		c.put(w.draft)
		m.refresh()
	}
}
