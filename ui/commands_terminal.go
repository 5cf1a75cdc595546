package ui

import (
	tea "charm.land/bubbletea/v2"

	"peregrine/ui/escape"
)

// terminalCommands are those about the terminal.
func terminalCommands() []command {
	return []command{
		{"copy", "[N|all]", "copy the reply as Markdown, code block N of it, or all that was said", actCopy, (*Model).copyCommand, blockNumbers},
		{
			"mouse", "[on|off]", "off leaves the mouse to the terminal, to select text", actMouse, (*Model).mouseCommand,
			func(*Model) []string { return []string{"on", "off"} },
		},
		{"suspend", "", "back to the shell; fg returns", actSuspend, func(m *Model, _ string) tea.Cmd { return m.suspend() }, nil},
	}
}

// mouseCommand gives the mouse to the terminal or takes it back, by turns when it is not said which.
func (m *Model) mouseCommand(argument string) tea.Cmd {
	if argument == "" {
		argument = "off"
		if m.opt.Mouse == "off" {
			argument = "on"
		}
	}
	switch argument {
	case "on":
		m.opt.Mouse = argument
		m.tell(levelInfo, "mouse on: the wheel scrolls the conversation")
	case "off":
		m.opt.Mouse = argument
		back := "/mouse on"
		if key := m.keys.label(actMouse); key != "" {
			back = key
		}
		m.tell(levelInfo, "mouse off: it selects text, as the terminal does; "+back+" takes it back")
	default:
		m.tell(levelWarn, "mouse: "+escape.Line(argument)+"? There are on and off")
	}
	return nil
}
