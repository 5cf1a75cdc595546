package ui

import (
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"
)

// command is one line of the table of slash commands, from which the palette and the help are printed.
type command struct {
	name     string
	argument string // as the help writes it; "" when it takes none; in brackets when it may be left out
	help     string
	action   action // the key that does the same
	run      func(m *Model, argument string) tea.Cmd
	values   func(m *Model) []string // what the argument may be
}

// commandTable joins the tables of the topics, in the order of the help.
func commandTable() []command {
	return slices.Concat(conversationCommands(), exchangeCommands(), findCommands(), replyCommands(), branchCommands(), inputCommands(),
		promptCommands(), samplingCommands(), presetCommands(), terminalCommands(), programCommands())
}

// Commands returns the names of all slash commands.
func Commands() []string {
	var names []string
	for _, c := range commandTable() {
		names = append(names, c.name)
	}
	return names
}

// needed reports whether a command does nothing without an argument.
func (c command) needed() bool { return c.argument != "" && c.argument[0] != '[' }

// slash splits a draft that is a command. "//" at the start is a message that begins with a slash.
func slash(draft string) (name, argument string, ok bool) {
	if !strings.HasPrefix(draft, "/") || strings.HasPrefix(draft, "//") {
		return "", "", false
	}
	name = draft[1:]
	if i := strings.IndexAny(name, " \n"); i >= 0 {
		name, argument = name[:i], strings.TrimSpace(name[i+1:])
	}
	return strings.ToLower(name), argument, true
}

// actionCommands makes a command of each action of the chat that has none in the table, named like the action: so everything
// can be found in the palette and typed. Left out is what makes no sense while a command is typed.
func actionCommands() []command {
	table := commandTable()
	var more []command
	for _, b := range keyTable() {
		done := slices.ContainsFunc(table, func(c command) bool { return c.action == b.action })
		if b.scope != inChat || done || slices.Contains(typingActions, b.action) {
			continue
		}
		more = append(more, command{
			name: string(b.action), help: b.help, action: b.action,
			run: func(m *Model, _ string) tea.Cmd { return b.run(m, tea.KeyPressMsg{}) },
		})
	}
	return more
}

// typingActions are about the text that is being typed, which is a command when a command is given.
var typingActions = []action{actSend, actNewline, actInterrupt, actUndo, actRedo, actPalette}

// allCommands returns everything that can be asked for by a name.
func allCommands() []command { return append(commandTable(), actionCommands()...) }

// known reports whether there is a command of that name.
func known(name string) bool {
	return slices.ContainsFunc(allCommands(), func(c command) bool { return c.name == name })
}

// obey runs a slash command. What is no command is never sent to the model.
func (m *Model) obey(name, argument string) tea.Cmd {
	for _, c := range allCommands() {
		if c.name != name {
			continue
		}
		if c.needed() && argument == "" {
			m.tell(levelWarn, fmt.Sprintf("/%s %s: %s", c.name, c.argument, c.help))
			return nil
		}
		return c.run(m, argument)
	}
	m.tell(levelWarn, fmt.Sprintf("there is no command /%s (up brings the text back); /help lists them, // sends a slash", name))
	return nil
}
