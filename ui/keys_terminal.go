package ui

import tea "charm.land/bubbletea/v2"

const (
	actCopy    action = "copy"
	actMouse   action = "mouse"
	actSuspend action = "suspend"
)

// terminalKeys are those about the terminal: its clipboard, its mouse, and the shell behind it.
func terminalKeys() []binding {
	return []binding{
		{inChat, actCopy, []string{"alt+y"}, "copy the reply, as Markdown", func(m *Model, _ tea.KeyPressMsg) tea.Cmd { return m.copyCommand("") }},
		{inChat, actMouse, []string{"alt+m"}, "leave the mouse to the terminal, to select text; again takes it back", func(m *Model, _ tea.KeyPressMsg) tea.Cmd { return m.mouseCommand("") }},
		{inChat, actSuspend, []string{"ctrl+z"}, "back to the shell; fg returns", func(m *Model, _ tea.KeyPressMsg) tea.Cmd { return m.suspend() }},
	}
}
