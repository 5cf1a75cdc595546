package ui

import (
	"context"
	"fmt"
	"slices"

	tea "charm.land/bubbletea/v2"

	"peregrine/history"
	"peregrine/ui/escape"
	"peregrine/ui/trade"
)

// exchangeCommands are those about the files of other programs.
func exchangeCommands() []command {
	return []command{
		{"import", "FILE", "save the conversations of another program's file among yours", actNone, (*Model).importCommand, nil},
		{"export", "FILE [FORMAT] [all]", "write this conversation for another program, one branch or all", actNone, (*Model).exportCommand, nil},
	}
}

// exchangedMsg is the end of an import or an export.
type exchangedMsg struct {
	said  string // what worked, "" when nothing did
	notes []string
	err   error
}

// handle says what became of it. What could not be kept stays in the transcript, for it does not fit on a line.
func (msg exchangedMsg) handle(m *Model) tea.Cmd {
	if msg.said != "" {
		m.tell(levelInfo, msg.said)
	}
	for _, note := range trade.Few(msg.notes) {
		m.transcript.add(newNotice(levelWarn, note))
	}
	if msg.err != nil {
		m.fail(msg.err)
	}
	return nil
}

func (m *Model) importCommand(argument string) tea.Cmd {
	x := m.opt.Exchange
	if x == nil {
		m.tell(levelWarn, "nothing can be imported in this run")
		return nil
	}
	path := expandHome(argument)
	m.tell(levelInfo, "importing "+path+" …")
	return func() tea.Msg {
		done, err := x.Import(context.Background(), path)
		return exchangedMsg{said: done.Said(path), notes: done.Notes, err: err}
	}
}

func (m *Model) exportCommand(argument string) tea.Cmd {
	x := m.opt.Exchange
	if x == nil {
		m.tell(levelWarn, "nothing can be exported in this run")
		return nil
	}
	path, format, all := trade.SplitExport(argument, x.Formats())
	path = expandHome(path)
	c, err := m.whole()
	if err != nil {
		m.tell(levelWarn, err.Error())
		return nil
	}
	return func() tea.Msg {
		done, err := x.Export(c, path, format, all)
		if err != nil {
			return exchangedMsg{err: err}
		}
		return exchangedMsg{said: fmt.Sprintf("written to %s (%s)", escape.Line(path), done.Format), notes: done.Notes}
	}
}

// whole returns the conversation, with all its branches if it has a file.
func (m *Model) whole() (*history.Conversation, error) {
	if len(m.chat.path) == 0 {
		return nil, fmt.Errorf("nothing to export yet: say something first")
	}
	if m.chat.file != nil {
		return m.chat.file.Conversation(), nil
	}
	return history.New(m.header(), slices.Clone(m.chat.path), m.chat.path[len(m.chat.path)-1].ID)
}
