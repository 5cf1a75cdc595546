package ui

import (
	"errors"
	"os"

	tea "charm.land/bubbletea/v2"

	"peregrine/history"
)

// conversationCommands are those about which conversation is open, and its file.
func conversationCommands() []command {
	return []command{
		{"new", "", "start a new conversation", actNone, func(m *Model, _ string) tea.Cmd { return m.fresh() }, nil},
		{"open", "PATH|NAME", "open a conversation", actNone, (*Model).openCommand, nil},
		{"conversations", "", "choose a conversation", actPicker, func(m *Model, _ string) tea.Cmd { return m.showPicker() }, nil},
		{"save", "NAME|PATH", "name the conversation, or write a copy to a file", actNone, (*Model).saveCommand, nil},
		{"rename", "NAME", "name the conversation", actNone, (*Model).renameCommand, nil},
		{"delete", "", "delete this conversation", actNone, (*Model).deleteCommand, nil},
		{"undo", "", "bring back what was deleted last", actUndelete, func(m *Model, _ string) tea.Cmd { return m.undo() }, nil},
	}
}

func (m *Model) openCommand(argument string) tea.Cmd {
	if history.IsPath(argument) {
		return m.openFile(expandHome(argument))
	}
	store := m.opt.Store
	if store == nil {
		m.tell(levelWarn, "conversations are not kept in this run")
		return nil
	}
	return m.open(func() (*history.File, error) {
		f, err := store.OpenID(argument)
		if errors.Is(err, history.ErrNotFound) {
			if _, missing := os.Stat(argument); missing == nil {
				return store.Open(argument)
			}
		}
		return f, err
	})
}

func (m *Model) saveCommand(argument string) tea.Cmd {
	if history.IsPath(argument) {
		return m.copyTo(argument)
	}
	return m.renameCommand(argument)
}

func (m *Model) renameCommand(argument string) tea.Cmd {
	if m.chat.readOnly != "" {
		m.tell(levelWarn, "read-only: "+m.chat.readOnly+"; /save FILE.jsonl goes on in a copy")
		return nil
	}
	name := history.CleanName(argument)
	m.chat.name = name
	if m.chat.file == nil {
		m.tell(levelInfo, "named "+name+"; it is saved with the first message")
		return nil
	}
	return m.onFile("saved as "+name, func(f *history.File) error { return f.SetName(name) })
}

func (m *Model) deleteCommand(string) tea.Cmd {
	if m.chat.file == nil {
		return m.fresh()
	}
	return m.remove(history.Entry{
		Path: m.chat.file.Path(), Name: m.chat.name, Title: m.chat.title(), Modified: m.opt.Now(), Messages: len(m.chat.path),
	})
}
