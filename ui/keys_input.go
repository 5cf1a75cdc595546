package ui

import tea "charm.land/bubbletea/v2"

const (
	actRecall action = "input_search"
	actEditor action = "editor"
)

// inputKeys are those about what was typed before, and about typing elsewhere.
func inputKeys() []binding {
	return []binding{
		{inChat, actRecall, []string{"ctrl+r"}, "search what was typed before; up in the first line walks there", func(m *Model, _ tea.KeyPressMsg) tea.Cmd { return m.showRecall() }},
		{inChat, actEditor, []string{"ctrl+x"}, "write the draft in $VISUAL or $EDITOR", func(m *Model, _ tea.KeyPressMsg) tea.Cmd { return m.editElsewhere() }},
	}
}
