package ui

import (
	"fmt"

	tea "charm.land/bubbletea/v2"
)

// takeBack ends a turn whose message the model cannot hold: the message goes back into the composer, before what has been
// typed since, and the branch is as it was. In the file the message stays as a branch that nobody is on, so that a crash
// loses nothing.
func (m *Model) takeBack(t *turn) tea.Cmd {
	m.transcript.remove(t.item)
	n := len(m.chat.path) - 1
	m.transcript.removeMessage(m.chat.path[n].ID)
	m.chat.path = m.chat.path[:n:n]
	m.composer.putBefore(t.draft)
	m.transcript.add(newNotice(levelBad, tooLong(m.meters, m.chat.system != "")))
	m.transcript.toEnd()
	m.meters.used = 0
	if t.oldPath != nil {
		m.show(t.oldPath)
		m.chat.revising = revision{id: t.revised}
	}
	tip := ""
	if last, ok := m.chat.last(); ok {
		tip = last.ID
	}
	return tea.Batch(m.setLeaf(tip), m.measure())
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
