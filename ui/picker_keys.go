package ui

import tea "charm.land/bubbletea/v2"

func (p *picker) press(m *Model, key tea.KeyPressMsg) tea.Cmd {
	if p.renaming != nil {
		return p.pressName(m, key)
	}
	a := m.keys.find(key, inPicker, inList, inChat)
	switch {
	case a == actClose, a == actPicker:
		m.overlay = nil
		return nil
	case a == actNone && p.filter.press(key):
		if p.waiting() {
			return p.search(m)
		}
		return nil
	case p.waiting(): // it is for what will have been found, not for what is there yet
		p.ahead = append(p.ahead, key)
		return nil
	}
	if cmd, ok := p.act(m, a); ok {
		return cmd
	}
	p.selected = moved(p.selected, len(p.shown)+1, a)
	return p.look(m)
}

// act does something with what is selected, and reports whether that was asked for.
func (p *picker) act(m *Model, a action) (tea.Cmd, bool) {
	switch a {
	case actChoose, actSend:
		return p.choose(m), true
	case actRename:
		if e, ok := p.current(); ok && p.gone.of(e.Path) == nil {
			p.renaming = &field{}
			p.renaming.set(e.Name)
		}
	case actDelete:
		return p.delete(m), true
	case actUndelete:
		return m.undelete(), true
	default:
		return nil, false
	}
	return nil, true
}

// pressName edits the new name.
func (p *picker) pressName(m *Model, key tea.KeyPressMsg) tea.Cmd {
	switch m.keys.find(key, inList) {
	case actClose:
		p.renaming = nil
	case actChoose:
		name := p.renaming.value()
		p.renaming = nil
		if e, ok := p.current(); ok {
			return m.rename(e.Path, name)
		}
	default:
		p.renaming.press(key)
	}
	return nil
}

// choose opens what is selected.
func (p *picker) choose(m *Model) tea.Cmd {
	e, ok := p.current()
	if !ok {
		m.overlay = nil
		return m.fresh()
	}
	if p.gone.of(e.Path) != nil {
		return p.delete(m) // takes it back
	}
	m.overlay = nil
	return m.openFile(e.Path)
}

// delete deletes what is selected, or takes that back.
func (p *picker) delete(m *Model) tea.Cmd {
	e, ok := p.current()
	if !ok {
		return nil
	}
	if undo := p.gone.of(e.Path); undo != nil {
		return func() tea.Msg { return restoredMsg{e.Path, undo()} }
	}
	return m.remove(e)
}

func (p *picker) wheel(_ *Model, lines int) {
	p.selected = min(max(p.selected+lines, 0), len(p.shown))
}

func (p *picker) paste(text string) {
	if p.renaming != nil {
		p.renaming.insert(text)
		return
	}
	p.filter.insert(text)
}

// handle notes a new name.
func (msg renamedMsg) handle(m *Model) tea.Cmd {
	if msg.err != nil {
		m.fail(msg.err)
		return nil
	}
	m.tell(levelInfo, "named "+msg.name)
	if _, ok := m.overlay.(*picker); ok {
		return m.list()
	}
	return nil
}
