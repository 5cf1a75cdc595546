package ui

import (
	"context"
	"strings"

	tea "charm.land/bubbletea/v2"

	"peregrine/history"
	"peregrine/model/generate"
)

// promptCommands are those about what the model reads besides the messages.
func promptCommands() []command {
	return []command{
		{"system", "[TEXT]", "set the system text, or show it; - removes it", actNone, (*Model).systemCommand, nil},
		{"template", "[NAME]", "set the chat template, or show it", actNone, (*Model).templateCommand, templateNames},
	}
}

func (m *Model) systemCommand(argument string) tea.Cmd {
	switch argument {
	case "":
		text := "no system text"
		if m.chat.system != "" {
			text = "system: " + m.chat.system
		}
		m.transcript.add(newNotice(levelInfo, text))
		m.transcript.toEnd()
		return nil
	case "-":
		argument = ""
	}
	if m.chat.readOnly != "" {
		m.tell(levelWarn, "read-only: "+m.chat.readOnly)
		return nil
	}
	m.chat.system = argument
	text := "system: " + argument
	if argument == "" {
		text = "no system text from here on"
	}
	m.transcript.add(newNotice(levelInfo, text))
	m.transcript.toEnd()
	h := m.header()
	return tea.Batch(m.onFile("", func(f *history.File) error { return f.SetHeader(h) }), m.measure())
}

func templateNames(m *Model) []string { return m.info.Templates }

func (m *Model) templateCommand(argument string) tea.Cmd {
	if argument == "" {
		name := m.chat.template
		if name == "" {
			name = m.info.Template
		}
		m.tell(levelInfo, "template "+name+"; there are "+strings.Join(m.info.Templates, ", ")+", or a Jinja file")
		return nil
	}
	m.chat.template = expandHome(argument)
	m.tell(levelInfo, "template "+argument)
	gen, r := m.opt.Generator, m.request(len(m.chat.path))
	if len(r.Messages) == 0 {
		r.Messages = []generate.Message{{Role: generate.User, Content: "x"}}
	}
	if !m.info.Ready {
		return nil
	}
	return func() tea.Msg { // a template that cannot be used is named at once, not at the next turn
		plan, err := gen.Plan(context.Background(), r)
		return measuredMsg{plan, err}
	}
}
