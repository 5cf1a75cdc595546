package ui

import (
	"fmt"
	"strconv"
	"strings"

	tea "charm.land/bubbletea/v2"
)

// samplingCommands are those about the values with which tokens are chosen, and how many.
func samplingCommands() []command {
	table := []command{
		{"sampling", "", "all sampling values", actSampling, func(m *Model, _ string) tea.Cmd { m.showSampling(); return nil }, nil},
		{"reset", "[VALUE]", "reset a sampling value, or all", actResetAll, (*Model).resetCommand, parameterNames},
		{"max-tokens", "[N]", "limit of a reply in tokens; 0: none", actNone, (*Model).limitCommand, nil},
	}
	for _, p := range parameters() {
		argument, zero := "[VALUE]", "0"
		if p.name == "seed" {
			argument, zero = "[N]", seedOff
		}
		table = append(table, command{
			p.name, argument, "set the " + p.label + "; " + zero + ": " + p.off, p.action("set"),
			func(m *Model, argument string) tea.Cmd { return m.parameterCommand(p, argument) },
			func(*Model) []string { return []string{"up", "down", "reset"} },
		})
	}
	return table
}

func parameterNames(*Model) []string {
	var names []string
	for _, p := range parameters() {
		names = append(names, p.name)
	}
	return names
}

func (m *Model) resetCommand(argument string) tea.Cmd {
	if argument == "" {
		return m.resetAllKey(tea.KeyPressMsg{})
	}
	for _, p := range parameters() {
		if p.name == argument {
			return m.sampled(m.sampling.reset(p))
		}
	}
	m.tell(levelWarn, fmt.Sprintf("reset: there is no value %q; there are %s", argument, strings.Join(parameterNames(m), ", ")))
	return nil
}

func (m *Model) limitCommand(argument string) tea.Cmd {
	if argument != "" {
		n, err := strconv.Atoi(argument)
		if err != nil || n < 0 {
			m.tell(levelWarn, fmt.Sprintf("max-tokens: %q is no number from 0 up", argument))
			return nil
		}
		m.chat.limit = n
	}
	switch n := m.chat.limit; {
	case n > 0:
		m.tell(levelInfo, "replies end after "+plural(n, "token")+"; /continue goes on")
	case m.info.MaxTokens > 0:
		m.tell(levelInfo, "replies end after the model's own limit of "+plural(m.info.MaxTokens, "token"))
	default:
		m.tell(levelInfo, "replies have no limit but the context")
	}
	return nil
}

func (m *Model) parameterCommand(p parameter, argument string) tea.Cmd {
	switch argument {
	case "":
		m.tell(levelInfo, p.say(&m.sampling.now))
		return nil
	case "up", "down":
		return m.sampled(m.sampling.nudge(p, argument == "up"))
	case "reset":
		return m.sampled(m.sampling.reset(p))
	}
	said, err := m.sampling.change(p, argument)
	if err != nil {
		m.tell(levelWarn, err.Error())
		return nil
	}
	return m.sampled(said)
}
