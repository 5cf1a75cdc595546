package ui

import (
	"fmt"
	"strconv"

	tea "charm.land/bubbletea/v2"
)

// samplingCommands are those about the values with which tokens are chosen, and how many.
func samplingCommands() []command {
	table := []command{{"max-tokens", "[N]", "limit of a reply in tokens; 0: none", actNone, (*Model).limitCommand, nil}}
	keys := map[string]action{"temp": actTemperature, "top-k": actTopK}
	for _, p := range parameters() {
		table = append(table, command{
			p.name, "[VALUE]", "set the " + p.label + "; 0: " + p.off, keys[p.name],
			func(m *Model, argument string) tea.Cmd { return m.parameterCommand(p, argument) }, nil,
		})
	}
	return append(table, command{"seed", "[N|off]", "repeat the same random choices", actNone, (*Model).seedCommand, nil})
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
	if argument == "" {
		m.tell(levelInfo, p.say(p.get(&m.sampling.now)))
		return nil
	}
	said, err := m.sampling.change(p, argument)
	if err != nil {
		m.tell(levelWarn, err.Error())
		return nil
	}
	m.tune()
	m.tell(levelInfo, said)
	return nil
}

func (m *Model) seedCommand(argument string) tea.Cmd {
	switch argument {
	case "":
	case "off":
		m.sampling.now.Seed = nil
	default:
		seed, err := strconv.ParseUint(argument, 10, 64)
		if err != nil {
			m.tell(levelWarn, fmt.Sprintf("seed: %q is no number from 0 up", argument))
			return nil
		}
		m.sampling.now.Seed = &seed
	}
	if seed := m.sampling.now.Seed; seed != nil {
		m.tell(levelInfo, fmt.Sprintf("seed %d: the same messages and values give the same reply", *seed))
	} else {
		m.tell(levelInfo, "a new seed for each reply")
	}
	return nil
}
