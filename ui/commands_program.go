package ui

import (
	tea "charm.land/bubbletea/v2"

	"peregrine/ui/escape"
)

// programCommands are those about the program: its model, its looks, its end.
func programCommands() []command {
	return []command{
		{"model", "[NAME|PATH]", "open another model; OWNER/NAME comes from the hub", actModel, (*Model).modelCommand, modelNames},
		{"about", "", "about the model", actNone, func(m *Model, _ string) tea.Cmd { m.showModel(); return nil }, nil},
		{"backend", "[NAME]", "load the model on another backend, or show it", actNone, (*Model).backendCommand, backends},
		{
			"theme", "auto|light|dark", "change the colours", actNone, (*Model).themeCommand,
			func(*Model) []string { return []string{"auto", "light", "dark"} },
		},
		{"help", "", "keys and commands", actHelp, func(m *Model, _ string) tea.Cmd { m.showHelp(); return nil }, nil},
		{"quit", "", "leave; everything is saved", actQuit, func(m *Model, _ string) tea.Cmd { return m.leaveProgram() }, nil},
	}
}

func (m *Model) themeCommand(argument string) tea.Cmd {
	switch argument {
	case "light", "dark":
		m.theme.choice = argument
		m.setTheme(argument == "light")
	case "auto":
		m.theme.choice = argument
		return tea.RequestBackgroundColor
	default:
		m.tell(levelWarn, "theme: "+escape.Line(argument)+"? There are auto, light and dark")
	}
	return nil
}
