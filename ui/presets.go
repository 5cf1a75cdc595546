package ui

import (
	"errors"
	"strings"

	tea "charm.land/bubbletea/v2"

	"peregrine/history"
	"peregrine/ui/escape"
	"peregrine/ui/preset"
)

// describePreset writes what a preset sets.
func describePreset(p preset.Preset) string { return escape.Line(strings.Join(p.Parts(), separator)) }

// presetsMsg holds the user's presets as they were read. use is the one to put in force then, "" for none; show lists them.
type presetsMsg struct {
	own  []preset.Preset
	err  error
	use  string
	show bool
	said string
}

// readPresets reads the user's presets and goes on with what then says.
func (m *Model) readPresets(then presetsMsg) tea.Cmd {
	store := m.opt.Presets
	return func() tea.Msg {
		if store != nil {
			then.own, then.err = store.List()
		}
		return then
	}
}

// handle takes over the presets that were read.
func (msg presetsMsg) handle(m *Model) tea.Cmd {
	m.sampling.presets = preset.All(msg.own)
	if msg.said != "" {
		m.tell(levelInfo, msg.said)
	}
	if msg.err != nil {
		m.tell(levelWarn, msg.err.Error())
	}
	switch {
	case msg.show:
		m.overlay = &pager{title: "Presets", text: (*Model).presetLines}
	case msg.use != "":
		p, err := preset.Find(m.sampling.presets, msg.use)
		if err == nil {
			return m.usePreset(p)
		}
		if msg.err == nil {
			m.tell(levelWarn, err.Error())
		}
	}
	return nil
}

// usePreset puts a preset in force, from the next token on.
func (m *Model) usePreset(p preset.Preset) tea.Cmd {
	if err := p.Validate(); err != nil {
		m.tell(levelWarn, err.Error())
		return nil
	}
	for _, name := range p.Apply(&m.sampling.now) {
		m.sampling.chosen[name] = true
	}
	m.sampling.preset = p.Name
	m.tune()
	var cmds []tea.Cmd
	if p.Template != nil && *p.Template != m.chat.template {
		if *p.Template == "" {
			m.chat.template = ""
			cmds = append(cmds, m.measure())
		} else {
			cmds = append(cmds, m.templateCommand(*p.Template))
		}
	}
	if p.System != nil && *p.System != m.chat.system {
		text := *p.System
		if text == "" {
			text = "-"
		}
		cmds = append(cmds, m.systemCommand(text))
	}
	m.tell(levelInfo, "preset "+p.Name+": "+describePreset(p))
	return tea.Batch(cmds...)
}

// savePreset keeps what is in force now under a name.
func (m *Model) savePreset(name string) tea.Cmd {
	store := m.opt.Presets
	if store == nil {
		m.tell(levelWarn, "presets are not kept in this run")
		return nil
	}
	p := preset.Of(history.CleanName(name), m.sampling.now, m.chat.system, m.chat.template)
	return func() tea.Msg {
		said, err := store.Save(p)
		own, listErr := store.List()
		return presetsMsg{own: own, err: errors.Join(err, listErr), said: said}
	}
}

// presetCommand uses, saves or lists presets.
func (m *Model) presetCommand(argument string) tea.Cmd {
	if argument == "" {
		return m.readPresets(presetsMsg{show: true})
	}
	if rest, ok := strings.CutPrefix(argument, "save"); ok && (rest == "" || rest[0] == ' ') {
		if name := strings.TrimSpace(rest); name != "" {
			return m.savePreset(name)
		}
		m.ask("name of the preset", m.sampling.preset, (*Model).savePreset)
		return nil
	}
	return m.readPresets(presetsMsg{use: argument}) // the user may have edited it just now
}

// presetValues are what /preset takes.
func presetValues(m *Model) []string { return append(preset.Names(m.sampling.presets), "save") }

// presetLines shows every preset with every value.
func (m *Model) presetLines(width int) []string {
	now := strings.Join(samplingText(m.sampling.now), separator)
	if m.sampling.preset != "" {
		now = m.sampling.preset + ": " + now
	}
	rows := [][2]string{{"in force", escape.Line(now)}}
	for _, p := range m.sampling.presets {
		rows = append(rows, [2]string{escape.Line(p.Name), describePreset(p)})
	}
	lines := columns(rows, width, m.theme.cells, m.theme.accent)
	return append(lines, "", m.theme.muted("/preset NAME uses one, /preset save NAME keeps what is in force."))
}
