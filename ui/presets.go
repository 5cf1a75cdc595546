package ui

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"peregrine/history"
	"peregrine/model/generate"
	"peregrine/ui/escape"
)

// Preset is a named set of choices. What is nil it leaves as it is.
type Preset struct {
	Name              string
	Temperature       *float64
	TopK              *int
	TopP              *float64
	MinP              *float64
	TypicalP          *float64
	RepetitionPenalty *float64
	Seed              *uint64
	System            *string // the system text; "": none
	Template          *string // the chat template; "": the model's own
}

// Presets keeps the user's presets. Its methods may wait for the disk.
type Presets interface {
	// List returns all that can be read, and an error that names those that cannot.
	List() ([]Preset, error)
	// Save keeps a preset under its name. It refuses names that it cannot keep, and says what became of one that was there.
	Save(p Preset) (said string, err error)
}

// builtIn are the presets that are always there. One of the user's with the same name stands in for it.
func builtIn() []Preset {
	preset := func(name string, s generate.Sampling) Preset {
		return Preset{
			Name: name, Temperature: &s.Temperature, TopK: &s.TopK, TopP: &s.TopP, MinP: &s.MinP, TypicalP: &s.TypicalP,
			RepetitionPenalty: &s.RepetitionPenalty,
		}
	}
	return []Preset{
		preset("precise", generate.Sampling{Temperature: 0.2, TopK: 20, TopP: 0.9}),
		preset("balanced", generate.Sampling{Temperature: 0.7, TopK: 50, TopP: 0.95}),
		preset("creative", generate.Sampling{Temperature: 1.1, MinP: 0.05, RepetitionPenalty: 1.05}),
	}
}

// apply lays the preset's values over s and returns the names of those that it has.
func (p Preset) apply(s *generate.Sampling) []string {
	var has []string
	set := func(name string, there bool, put func()) {
		if there {
			put()
			has = append(has, name)
		}
	}
	set("temp", p.Temperature != nil, func() { s.Temperature = *p.Temperature })
	set("top-k", p.TopK != nil, func() { s.TopK = *p.TopK })
	set("top-p", p.TopP != nil, func() { s.TopP = *p.TopP })
	set("min-p", p.MinP != nil, func() { s.MinP = *p.MinP })
	set("typical-p", p.TypicalP != nil, func() { s.TypicalP = *p.TypicalP })
	set("repeat-penalty", p.RepetitionPenalty != nil, func() { s.RepetitionPenalty = *p.RepetitionPenalty })
	set("seed", p.Seed != nil, func() { s.Seed = p.Seed })
	return has
}

// Validate says which value is out of its range.
func (p Preset) Validate() error {
	var s generate.Sampling
	p.apply(&s)
	if err := s.Validate(); err != nil {
		return fmt.Errorf("preset %s: %w", p.Name, err)
	}
	return nil
}

// describe writes what the preset sets.
func (p Preset) describe() string {
	var s generate.Sampling
	var parts []string
	for _, name := range p.apply(&s) {
		one := parameterOf(name)
		parts = append(parts, strings.Replace(one.name, "repeat-", "", 1)+" "+one.text(&s))
	}
	if p.Template != nil {
		name := *p.Template
		if name == "" {
			name = "of the model"
		}
		parts = append(parts, "template "+name)
	}
	if p.System != nil {
		text := "no system text"
		if *p.System != "" {
			text = "system: " + *p.System
		}
		parts = append(parts, text)
	}
	return escape.Line(strings.Join(parts, separator))
}

// presetsMsg holds the user's presets as they were read. use is the one to put in force then, "" for none; show lists them.
type presetsMsg struct {
	own  []Preset
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
	all := slices.DeleteFunc(builtIn(), func(b Preset) bool {
		return slices.ContainsFunc(msg.own, func(p Preset) bool { return p.Name == b.Name })
	})
	m.presets = append(all, msg.own...)
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
		i := slices.IndexFunc(m.presets, func(p Preset) bool { return p.Name == msg.use })
		if i >= 0 {
			return m.usePreset(m.presets[i])
		}
		if msg.err == nil {
			m.tell(levelWarn, fmt.Sprintf("there is no preset %q; there are %s", msg.use, strings.Join(presetNames(m), ", ")))
		}
	}
	return nil
}

// usePreset puts a preset in force, from the next token on.
func (m *Model) usePreset(p Preset) tea.Cmd {
	if err := p.Validate(); err != nil {
		m.tell(levelWarn, err.Error())
		return nil
	}
	for _, name := range p.apply(&m.sampling.now) {
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
	m.tell(levelInfo, "preset "+p.Name+": "+p.describe())
	return tea.Batch(cmds...)
}

// savePreset keeps what is in force now under a name.
func (m *Model) savePreset(name string) tea.Cmd {
	store := m.opt.Presets
	if store == nil {
		m.tell(levelWarn, "presets are not kept in this run")
		return nil
	}
	name = history.CleanName(name)
	s, system, template := m.sampling.now, m.chat.system, m.chat.template
	p := Preset{
		Name: name, Temperature: &s.Temperature, TopK: &s.TopK, TopP: &s.TopP, MinP: &s.MinP, TypicalP: &s.TypicalP,
		RepetitionPenalty: &s.RepetitionPenalty, Seed: s.Seed, System: &system, Template: &template,
	}
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

func presetNames(m *Model) []string {
	names := make([]string, len(m.presets))
	for i, p := range m.presets {
		names[i] = p.Name
	}
	return names
}

// presetValues are what /preset takes.
func presetValues(m *Model) []string { return append(presetNames(m), "save") }

// presetLines shows every preset with every value.
func (m *Model) presetLines(width int) []string {
	now := strings.Join(samplingText(m.sampling.now), separator)
	if m.sampling.preset != "" {
		now = m.sampling.preset + ": " + now
	}
	rows := [][2]string{{"in force", escape.Line(now)}}
	for _, p := range m.presets {
		rows = append(rows, [2]string{escape.Line(p.Name), p.describe()})
	}
	lines := columns(rows, width, m.theme.cells, m.theme.accent)
	return append(lines, "", m.theme.muted("/preset NAME uses one, /preset save NAME keeps what is in force."))
}
