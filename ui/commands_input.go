package ui

import tea "charm.land/bubbletea/v2"

// inputCommands are those about what was typed before, and about typing elsewhere.
func inputCommands() []command {
	return []command{
		{"recall", "[TEXT]", "search what was typed before", actRecall, (*Model).recallCommand, nil},
		{"editor", "", "write the draft in $VISUAL or $EDITOR", actEditor, func(m *Model, _ string) tea.Cmd { return m.editElsewhere() }, nil},
	}
}

func (m *Model) recallCommand(argument string) tea.Cmd {
	cmd := m.showRecall()
	if m.overlay != nil {
		m.overlay.paste(argument)
	}
	return cmd
}
