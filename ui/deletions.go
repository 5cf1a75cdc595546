package ui

import (
	"slices"

	tea "charm.land/bubbletea/v2"

	"peregrine/history"
)

// deletions are the conversations that were deleted since the program started, the last one at the end. Each can be brought back
// until it ends; afterwards the file is still in the store's trash.
type deletions struct {
	list  []deletion
	count int // those that came back included
}

type deletion struct {
	entry  history.Entry
	undo   func() error
	number int // from 1 up
}

// of returns what brings a conversation back, nil when it was not deleted.
func (d *deletions) of(path string) func() error {
	for _, gone := range d.list {
		if gone.entry.Path == path {
			return gone.undo
		}
	}
	return nil
}

// entries returns what a list shows of them.
func (d *deletions) entries() []history.Entry {
	entries := make([]history.Entry, len(d.list))
	for i, gone := range d.list {
		entries[i] = gone.entry
	}
	return entries
}

// forget takes a conversation off the list: it is back.
func (d *deletions) forget(path string) {
	d.list = slices.DeleteFunc(d.list, func(gone deletion) bool { return gone.entry.Path == path })
}

// add notes a conversation that was deleted.
func (d *deletions) add(entry history.Entry, undo func() error) {
	d.count++
	d.list = append(d.list, deletion{entry, undo, d.count})
}

// undo brings back what was deleted last: a branch of the conversation, or another conversation.
func (m *Model) undo() tea.Cmd {
	list, branch := m.chat.gone.list, m.chat.pruned
	if branch.undo != nil && (len(list) == 0 || list[len(list)-1].number <= branch.after) {
		return m.unprune()
	}
	return m.undelete()
}

// undelete brings back the conversation that was deleted last.
func (m *Model) undelete() tea.Cmd {
	n := len(m.chat.gone.list)
	if n == 0 {
		m.tell(levelInfo, "nothing to take back")
		return nil
	}
	last := m.chat.gone.list[n-1]
	return func() tea.Msg { return restoredMsg{last.entry.Path, last.undo()} }
}

// handle notes that a conversation is gone, and how it comes back.
func (msg deletedMsg) handle(m *Model) tea.Cmd {
	if msg.err != nil {
		m.fail(msg.err)
		return nil
	}
	m.chat.gone.add(msg.entry, msg.undo)
	if _, ok := m.overlay.(*picker); ok {
		m.tell(levelInfo, "deleted; the same key takes it back")
		return nil
	}
	m.tell(levelInfo, "deleted; /undo brings it back")
	return nil
}

// handle notes that a deleted conversation is there again.
func (msg restoredMsg) handle(m *Model) tea.Cmd {
	if msg.err != nil {
		m.fail(msg.err)
		return nil
	}
	m.chat.gone.forget(msg.path)
	m.tell(levelInfo, "it is back")
	if _, ok := m.overlay.(*picker); ok {
		return m.list()
	}
	return m.openFile(msg.path)
}
