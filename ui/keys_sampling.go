package ui

import (
	"slices"

	tea "charm.land/bubbletea/v2"
)

const (
	actColder      action = "temperature_down"
	actWarmer      action = "temperature_up"
	actTemperature action = "temperature_set"
	actFewer       action = "top_k_down"
	actMore        action = "top_k_up"
	actSampling    action = "sampling"
	actResetAll    action = "sampling_reset"
)

// samplingKeys are those about the values with which the next token is chosen.
func samplingKeys() []binding {
	table := []binding{
		{inChat, actSampling, []string{"alt+s"}, "all sampling values", (*Model).samplingKey},
		{inChat, actResetAll, []string{"alt+0"}, "reset all sampling values", (*Model).resetAllKey},
	}
	for _, p := range parameters() {
		table = append(table, p.bindings()...)
	}
	return table
}

// action returns the name of what is done with the parameter: down, up, set or reset.
func (p parameter) action(what string) action { return action(p.config + "_" + what) }

// bindings returns the key table of one parameter.
func (p parameter) bindings() []binding {
	return []binding{
		{inChat, p.action("down"), p.keys.down, p.label + " down", nudge(p, false)},
		{inChat, p.action("up"), p.keys.up, p.label + " up", nudge(p, true)},
		{inChat, p.action("set"), p.keys.set, "type a " + p.label, askFor(p)},
		{inChat, p.action("reset"), p.keys.reset, "reset the " + p.label, resetOne(p)},
	}
}

// nudge returns what changes a value by one step, for the next token already.
func nudge(p parameter, up bool) func(*Model, tea.KeyPressMsg) tea.Cmd {
	return func(m *Model, _ tea.KeyPressMsg) tea.Cmd { return m.sampled(m.sampling.nudge(p, up)) }
}

// resetOne returns what takes the user's choice of a value back.
func resetOne(p parameter) func(*Model, tea.KeyPressMsg) tea.Cmd {
	return func(m *Model, _ tea.KeyPressMsg) tea.Cmd { return m.sampled(m.sampling.reset(p)) }
}

func (m *Model) resetAllKey(tea.KeyPressMsg) tea.Cmd {
	m.sampling.resetAll()
	return m.sampled("all sampling values reset")
}

func (m *Model) samplingKey(tea.KeyPressMsg) tea.Cmd {
	m.showSampling()
	return nil
}

// sampled says what became of the values and lets them count from the next token on.
func (m *Model) sampled(said string) tea.Cmd {
	m.tell(levelInfo, said)
	m.tune()
	return nil
}

// askFor returns what lets the user type a value.
func askFor(p parameter) func(*Model, tea.KeyPressMsg) tea.Cmd {
	return func(m *Model, _ tea.KeyPressMsg) tea.Cmd {
		m.ask(p.label, p.text(&m.sampling.now), func(m *Model, v string) tea.Cmd { return m.parameterCommand(p, v) })
		return nil
	}
}

// shiftedNames are the names that some terminals give function keys with shift: no keyboard has them.
var shiftedNames = []string{"f17", "f18", "f19", "f20", "f21", "f22", "f23", "f24"}

// nameless reports whether a key has a name that its label on the keyboard does not say.
func nameless(key string) bool { return slices.Contains(shiftedNames, key) }
