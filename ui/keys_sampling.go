package ui

import tea "charm.land/bubbletea/v2"

const (
	actColder      action = "temperature_down"
	actWarmer      action = "temperature_up"
	actTemperature action = "temperature_set"
	actFewer       action = "top_k_down"
	actMore        action = "top_k_up"
	actTopK        action = "top_k_set"
)

// samplingKeys are those about the values with which the next token is chosen.
func samplingKeys() []binding {
	return []binding{
		{inChat, actColder, []string{"f5"}, "temperature down", nudge(func(s *sampling) string { return s.warm(-1) })},
		{inChat, actWarmer, []string{"f6"}, "temperature up", nudge(func(s *sampling) string { return s.warm(1) })},
		{inChat, actTemperature, []string{"shift+f5", "f17"}, "type a temperature", askFor("temp")},
		{inChat, actFewer, []string{"f7"}, "top-k down", nudge(func(s *sampling) string { return s.widen(false) })},
		{inChat, actMore, []string{"f8"}, "top-k up", nudge(func(s *sampling) string { return s.widen(true) })},
		{inChat, actTopK, []string{"shift+f7", "f19"}, "type a top-k", askFor("top-k")},
	}
}

// nudge returns what changes a value by one step, for the next token already. change says the result.
func nudge(change func(*sampling) string) func(*Model, tea.KeyPressMsg) tea.Cmd {
	return func(m *Model, _ tea.KeyPressMsg) tea.Cmd {
		m.tell(levelInfo, change(&m.sampling))
		m.tune()
		return nil
	}
}

// askFor returns what lets the user type the value of a name.
func askFor(name string) func(*Model, tea.KeyPressMsg) tea.Cmd {
	return func(m *Model, _ tea.KeyPressMsg) tea.Cmd {
		p := parameterOf(name)
		m.ask(p.label, number(p.get(&m.sampling.now)), func(m *Model, v string) tea.Cmd { return m.parameterCommand(p, v) })
		return nil
	}
}
