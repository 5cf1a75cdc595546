package ui

import (
	"fmt"
	"slices"
	"strconv"

	tea "charm.land/bubbletea/v2"

	"peregrine/history"
	"peregrine/model/generate"
)

// branchCommands are those about single messages and their versions. N counts from the end.
func branchCommands() []command {
	return []command{
		{"select", "", "choose a message: versions, edit, answer again, delete", actSelect, func(m *Model, _ string) tea.Cmd { return m.selectMessage() }, nil},
		{"revise", "[N]", "edit your last message, or the N-th from the end, as another version", actRevise, (*Model).reviseCommand, nil},
		{
			"version", "[left|right|N]", "read another version of the last message that has several", actNewer, (*Model).versionCommand,
			func(*Model) []string { return []string{"left", "right"} },
		},
		{"delete-branch", "[N]", "delete the last message, or the N-th from the end and all that follows", actPrune, (*Model).pruneCommand, nil},
		{"why", "[N]", "look into the last reply, or the N-th from the end, token by token", actInspect, (*Model).whyCommand, nil},
	}
}

// nth returns the place of the N-th message from the end that fits; "" means 1. It says why there is none, with what such
// messages are called.
func (m *Model) nth(argument, called string, fits func(history.Message) bool) (int, bool) {
	n := 1
	if argument != "" {
		var err error
		if n, err = strconv.Atoi(argument); err != nil || n < 1 {
			m.tell(levelWarn, fmt.Sprintf("%q is no number from 1 up: which of the %s, counted from the end?", argument, called))
			return 0, false
		}
	}
	found := 0
	for i, msg := range slices.Backward(m.chat.path) {
		if !fits(msg) {
			continue
		}
		if found++; found == n {
			return i, true
		}
	}
	m.tell(levelWarn, fmt.Sprintf("there are %s %s in this branch", thousands(found), called))
	return 0, false
}

func isUser(msg history.Message) bool  { return msg.Role == generate.User }
func isReply(msg history.Message) bool { return msg.Role == generate.Assistant }
func isAny(history.Message) bool       { return true }

func (m *Model) reviseCommand(argument string) tea.Cmd {
	if i, ok := m.nth(argument, "messages of yours", isUser); ok {
		return m.revise(i)
	}
	return nil
}

func (m *Model) pruneCommand(argument string) tea.Cmd {
	if i, ok := m.nth(argument, "messages", isAny); ok {
		return m.prune(i)
	}
	return nil
}

func (m *Model) whyCommand(argument string) tea.Cmd {
	if i, ok := m.nth(argument, "replies", isReply); ok {
		return m.inspect(i)
	}
	return nil
}

func (m *Model) versionCommand(argument string) tea.Cmd {
	c, ok := m.tree()
	if !ok {
		return nil
	}
	i := len(m.chat.path) - 1
	for i >= 0 && len(c.Siblings(m.chat.path[i].ID)) < 2 {
		i--
	}
	if i < 0 {
		m.tell(levelInfo, "there is one version of every message")
		return nil
	}
	at := slices.Index(c.Siblings(m.chat.path[i].ID), m.chat.path[i].ID)
	switch argument {
	case "", "right":
		return m.version(i, 1)
	case "left":
		return m.version(i, -1)
	}
	n, err := strconv.Atoi(argument)
	if err != nil {
		m.tell(levelWarn, fmt.Sprintf("version %q: want left, right or a number", argument))
		return nil
	}
	return m.version(i, n-1-at)
}
