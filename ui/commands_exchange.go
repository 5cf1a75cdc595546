package ui

import (
	"context"
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"peregrine/history"
	"peregrine/ui/escape"
)

// Exchanger reads and writes conversations in the formats of other programs. Package cli fulfils it. Its methods may take long
// and are called off the screen's goroutine; their errors name the file.
type Exchanger interface {
	// Formats lists what Export writes.
	Formats() []string
	// Import saves the conversations of a file among the others. With an error it tells what was saved before it.
	Import(ctx context.Context, path string) (Imported, error)
	// Export writes the current branch or all of them to a file, never over one that is there. Format "" is what the file's
	// name is usual for.
	Export(c *history.Conversation, path, format string, all bool) (Exported, error)
}

// Imported says what became of the conversations of a file. Notes are sentences about what could not be kept.
type Imported struct {
	Saved, Known int // conversations; known are those that were there already
	Format       string
	Notes        []string
}

// Exported says how a file was written. Notes are sentences about what the format has no place for.
type Exported struct {
	Format string
	Notes  []string
}

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

// mostNotes bounds what is shown of what could not be kept.
const mostNotes = 5

// handle says what became of it. What could not be kept stays in the transcript, for it does not fit on a line.
func (msg exchangedMsg) handle(m *Model) tea.Cmd {
	if msg.said != "" {
		m.tell(levelInfo, msg.said)
	}
	for i, note := range msg.notes {
		if i == mostNotes {
			note = fmt.Sprintf("and %d more of the kind", len(msg.notes)-mostNotes)
		}
		m.transcript.add(newNotice(levelWarn, note))
		if i == mostNotes {
			break
		}
	}
	if msg.err != nil {
		m.transcript.add(newNotice(levelBad, msg.err.Error()))
		m.tell(levelBad, reason(msg.err))
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
		msg := exchangedMsg{notes: done.Notes, err: err}
		if done.Format != "" {
			msg.said = fmt.Sprintf("%s (%s): %s saved", path, done.Format, plural(done.Saved, "conversation"))
			if done.Known > 0 {
				msg.said += fmt.Sprintf(", %d there already", done.Known)
			}
		}
		return msg
	}
}

func (m *Model) exportCommand(argument string) tea.Cmd {
	x := m.opt.Exchange
	if x == nil {
		m.tell(levelWarn, "nothing can be exported in this run")
		return nil
	}
	path, format, all := splitExport(argument, x.Formats())
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

// splitExport cuts a format, and whether all branches are meant, off the end of what may be a path with spaces.
func splitExport(argument string, formats []string) (path, format string, all bool) {
	path = strings.TrimSpace(argument)
	for branches := false; ; {
		at := strings.LastIndexByte(path, ' ')
		word := path[at+1:]
		switch {
		case at < 0:
			return path, format, all
		case !branches && (word == "all" || word == "branch"):
			branches, all = true, word == "all"
		case format == "" && slices.Contains(formats, word):
			format = word
		default:
			return path, format, all
		}
		path = strings.TrimRight(path[:at], " ")
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
