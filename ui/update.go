package ui

import (
	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
	"github.com/charmbracelet/x/ansi"

	"peregrine/ui/cells"
)

// Update routes a message to what it is for.
func (m *Model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	cmd := m.route(msg)
	cmd = tea.Batch(cmd, m.afterUpdate(), m.readFolder())
	m.layout()
	return m, cmd
}

// event is a message from a command of this package. It knows what it is about, so that a new one is no new case here.
type event interface {
	// handle changes the chat and returns what is to be done next, nil for nothing. As all of Update it waits for nothing.
	handle(m *Model) tea.Cmd
}

// route handles a message: one of our own, or what Bubble Tea says of the terminal.
func (m *Model) route(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case event:
		return msg.handle(m)
	case tea.WindowSizeMsg:
		m.size = size{msg.Width, msg.Height}
		return m.catchUp()
	case tea.KeyPressMsg:
		return m.press(msg)
	case tea.PasteMsg:
		m.paste(unveil(msg.Content))
		return m.catchUp()
	case tea.MouseWheelMsg:
		m.wheel(msg)
		return m.catchUp()
	case tea.BackgroundColorMsg:
		if m.theme.choice == "auto" && m.theme.light == msg.IsDark() {
			m.setTheme(!msg.IsDark())
		}
	case tea.ColorProfileMsg:
		m.setProfile(msg.Profile)
	case tea.ModeReportMsg:
		if method, ok := cells.Of(msg.Value); ok && msg.Mode == ansi.ModeUnicodeCore {
			m.setCells(method)
		}
	case tea.KeyboardEnhancementsMsg:
		m.keys.distinct = msg.SupportsKeyDisambiguation()
	}
	return nil
}

// press finds out what a key means here.
func (m *Model) press(key tea.KeyPressMsg) tea.Cmd {
	armed := m.echo.armed
	m.echo = echo{}
	if m.keys.find(key, inChat) != actInterrupt {
		m.composer.given = nil
	}
	if m.overlay != nil {
		return m.overlay.press(m, key)
	}
	if m.composer.palette.open {
		if cmd, ok := m.pressPalette(key); ok {
			return cmd
		}
	}
	if m.keys.find(key, inList) == actComplete && m.awaitsFiles() {
		return nil
	}
	a := m.keys.find(key, inChat)
	if a == actNone {
		return m.edit(key)
	}
	m.echo.armed = armed && a == actInterrupt // the second of two in a row
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
	if m.walks(key.Keystroke()) {
		return nil
	}
	cmd, gone := m.composer.press(key)
	m.sayErased(gone)
	m.refresh()
	return cmd
}

// paste puts pasted text where text goes.
func (m *Model) paste(text string) {
	m.echo, m.composer.given = echo{}, nil
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
