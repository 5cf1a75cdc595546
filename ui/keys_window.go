package ui

import tea "charm.land/bubbletea/v2"

const (
	actHelp    action = "help"
	actPalette action = "palette"
	actPicker  action = "conversations"
	actModel   action = "model"
)

// windowKeys are those that open something in front of the chat.
func windowKeys() []binding {
	return []binding{
		{inChat, actHelp, []string{"f1"}, "this help", func(m *Model, _ tea.KeyPressMsg) tea.Cmd { m.showHelp(); return nil }},
		{inChat, actPalette, []string{"f2"}, "commands; / does it too", func(m *Model, _ tea.KeyPressMsg) tea.Cmd { m.openPalette(); return nil }},
		{inChat, actPicker, []string{"f3"}, "conversations", func(m *Model, _ tea.KeyPressMsg) tea.Cmd { return m.showPicker() }},
		{inChat, actModel, []string{"f4"}, "models", (*Model).modelKey},
	}
}
