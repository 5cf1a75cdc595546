package ui

import (
	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
)

// Update routes a message to what it is for.
func (m *Model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	cmd := m.route(msg)
	m.layout()
	return m, cmd
}

// route handles a message.
func (m *Model) route(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.size = size{msg.Width, msg.Height}
	case tea.KeyPressMsg:
		return m.press(msg)
	case tea.PasteMsg:
		m.paste(msg.Content)
	case tea.MouseWheelMsg:
		m.wheel(msg)
	case tea.BackgroundColorMsg:
		if m.theme.choice == "auto" && m.theme.light == msg.IsDark() {
			m.setTheme(!msg.IsDark())
		}
	case tea.ColorProfileMsg:
		m.setProfile(msg.Profile)
	case tea.KeyboardEnhancementsMsg:
		m.keys.distinct = msg.SupportsKeyDisambiguation()
	case tokensMsg:
		return m.tokens(msg)
	case infoMsg:
		return m.informed(msg.info)
	case userSavedMsg:
		return m.userSaved(msg)
	case plannedMsg:
		return m.planned(msg)
	case startedMsg:
		return m.started(msg)
	case measuredMsg:
		m.measured(msg)
	case savedMsg:
		return m.saved(msg)
	case retryMsg:
		return m.retry(msg)
	case openedMsg:
		return m.opened(msg)
	default:
		return m.routeRest(msg)
	}
	return nil
}

// routeRest handles the rarer messages.
func (m *Model) routeRest(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case listedMsg:
		if p, ok := m.overlay.(*picker); ok {
			p.listed(msg)
		}
	case deletedMsg:
		return m.deleted(msg)
	case restoredMsg:
		return m.restored(msg)
	case renamedMsg:
		return m.renamed(msg)
	case switchedMsg:
		return m.switched(msg)
	case noticeMsg:
		m.tell(msg.level, msg.text)
	case tea.KeyReleaseMsg, tea.MouseMsg, tea.FocusMsg, tea.BlurMsg, tea.EnvMsg, nil:
	default:
		return m.composer.update(msg)
	}
	return nil
}

// press finds out what a key means here.
func (m *Model) press(key tea.KeyPressMsg) tea.Cmd {
	armed := m.armed
	m.notice, m.armed = notice{}, false
	if m.overlay != nil {
		return m.overlay.press(m, key)
	}
	if m.palette.open {
		if cmd, ok := m.pressPalette(key); ok {
			return cmd
		}
	}
	a := m.keys.find(key, inChat)
	if a == actNone {
		return m.edit(key)
	}
	m.armed = armed && a == actInterrupt // the second of two in a row
	return m.keys.run(a, m, key)
}

// edit passes a key to the composer, or scrolls with home and end when there is nothing to edit.
func (m *Model) edit(key tea.KeyPressMsg) tea.Cmd {
	if m.composer.empty() {
		switch key.Keystroke() {
		case homeKey:
			m.transcript.toTop(&m.theme)
			return nil
		case endKey:
			m.transcript.toEnd()
			return nil
		}
	}
	if key.Keystroke() == "ctrl+v" {
		return readClipboard
	}
	cmd := m.composer.press(key)
	m.refresh()
	return cmd
}

// paste puts pasted text where text goes.
func (m *Model) paste(text string) {
	m.notice, m.armed = notice{}, false
	if m.overlay != nil {
		m.overlay.paste(text)
		return
	}
	m.composer.paste(text)
	m.refresh()
}

// wheelLines is how far one turn of the wheel scrolls.
const wheelLines = 3

func (m *Model) wheel(msg tea.MouseWheelMsg) {
	lines := 0
	switch msg.Button {
	case tea.MouseWheelUp:
		lines = -wheelLines
	case tea.MouseWheelDown:
		lines = wheelLines
	}
	if m.overlay != nil {
		m.overlay.wheel(m, lines)
		return
	}
	m.transcript.scroll(lines, &m.theme)
}

// setProfile notes whether the screen has colours.
func (m *Model) setProfile(p colorprofile.Profile) {
	plain := p <= colorprofile.ASCII
	if plain != m.theme.plain {
		m.theme.plain = plain
		m.transcript.restyle()
	}
}

// measured shows how full the context is.
func (m *Model) measured(msg measuredMsg) {
	switch {
	case msg.err != nil:
		m.tell(levelBad, msg.err.Error())
	case m.turn == nil:
		m.meters.used, m.meters.limit = msg.plan.Tokens, msg.plan.Limit
	}
}
