package ui

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"peregrine/history"
)

// takeBack ends a turn whose message the model cannot hold: the message goes back into the composer, before what has been
// typed since, and the branch is as it was.
func (m *Model) takeBack(t *turn) tea.Cmd {
	m.transcript.remove(t.item)
	n := len(m.chat.path) - 1
	refused := m.chat.path[n].ID
	m.transcript.removeMessage(refused)
	m.chat.path = m.chat.path[:n:n]
	m.putBefore(t.draft)
	m.transcript.add(newNotice(levelBad, tooLong(m.meters, m.chat.system != "")))
	m.transcript.toEnd()
	m.meters.used = 0
	if t.oldPath != nil {
		m.show(t.oldPath)
		m.chat.revising = revision{id: t.revised}
	}
	return tea.Batch(m.unsend(refused, textOf(t.draft.text)), m.measure())
}

// unsentMsg says whether a message that was taken back has left the file.
type unsentMsg struct {
	keep *keeper
	err  error
}

// unsend takes a message out of the file once its text is on disk as a draft, or a part of one. Without that it stays there as a
// branch that nobody is on, so that a crash loses nothing.
func (m *Model) unsend(id, text string) tea.Cmd {
	if m.chat.readOnly != "" {
		return nil
	}
	tip := ""
	if last, ok := m.chat.last(); ok {
		tip = last.ID
	}
	m.chat.busy = true
	keep, place := m.chat.keep, m.chat.draft.place
	drafted := place != nil && strings.Contains(textOf(m.unsent().text), text)
	m.noteDraft() // before the change is: another command may make that at once
	run := keep.note(func(f *history.File) error {
		if err := f.SetLeaf(tip); err != nil || !drafted || place.Flush() != nil {
			return err
		}
		if _, there := f.Conversation().Message(id); !there { // the disk refused it
			return nil
		}
		_, err := f.DeleteBranch(id)
		return err
	})
	return func() tea.Msg { return unsentMsg{keep, run()} }
}

// handle lets the next message be sent.
func (msg unsentMsg) handle(m *Model) tea.Cmd {
	if msg.keep != m.chat.keep {
		return nil
	}
	m.chat.busy = false
	m.markVersions()
	return savedMsg{keep: msg.keep, err: msg.err}.handle(m)
}

// tooLong says that a message does not fit, and what to do about it. m.used is what a prompt of it alone would be.
func tooLong(m meters, system bool) string {
	text := "this message is longer than the model can read"
	if m.limit > 0 && m.used >= m.limit {
		text = fmt.Sprintf("%s: %s tokens or more, and it reads %s, its answer included", text, thousands(m.used), thousands(m.limit))
	}
	text += ". It is in the field again: shorten it"
	if percent := 100 * m.limit / max(m.used, 1); percent > 0 && percent < 100 {
		text += fmt.Sprintf(" to at most %d %% of it", percent)
	}
	if system {
		text += ", or the system text (/system),"
	}
	return text + " and send it again, or start with a larger --context"
}
