package ui

import (
	"context"
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"peregrine/history"
	"peregrine/model/generate"
	"peregrine/ui/escape"
)

// What stands at a turn of the user that the context does not hold.
const (
	markUnsent  = "no longer sent: the context is full"
	markLeaving = "the next message pushes this turn out of the context"
)

// leftOut says which messages do not fit any more: the n oldest of the conversation.
func (m *Model) leftOut(n, limit int) string {
	which := ""
	if turns := m.nameOldest(n, 40); turns != "" {
		which = " (" + turns + ")"
	}
	return fmt.Sprintf("the context of %s tokens is full: the oldest %s%s will be left out of this turn. What is left out stays in the file; "+
		"/new starts afresh", thousands(limit), plural(n, "message"), which)
}

// nameOldest names the n oldest messages by the first words, so many cells, of the user's first and last turn among them; ""
// when there is none.
func (m *Model) nameOldest(n, cells int) string {
	var turns []string
	for _, msg := range m.oldest(n) {
		if msg.Role == generate.User {
			words := strings.Join(strings.Fields(msg.Content), " ")
			turns = append(turns, "“"+m.theme.cells.Truncate(escape.Line(words), cells, "…")+"”")
		}
	}
	switch len(turns) {
	case 0:
		return ""
	case 1:
		return turns[0]
	}
	return turns[0] + " to " + turns[len(turns)-1]
}

// oldest returns the n oldest messages of the branch, system texts at its start left out, as the generator counts them.
func (m *Model) oldest(n int) []history.Message {
	path := m.chat.path
	for len(path) > 0 && path[0].Role == generate.System {
		path = path[1:]
	}
	return path[:min(max(n, 0), len(path))]
}

// markOldest notes at the user's turns which of them the context does not hold: the first unsent messages now, and up to
// leaving of them with the next turn. Other marks go.
func (m *Model) markOldest(unsent, leaving int) {
	marks := map[string]string{}
	for i, msg := range m.oldest(max(unsent, leaving)) {
		marks[msg.ID] = markLeaving
		if i < unsent {
			marks[msg.ID] = markUnsent
		}
	}
	for _, it := range m.transcript.items {
		mark := marks[it.message.ID]
		if it.message.Role != generate.User || it.message.ID == "" {
			continue
		}
		if it.mark != mark {
			it.mark = mark
			it.changed()
		}
	}
	m.chat.unsent = unsent
}

// foreseenMsg says what the next turn would leave out. after is the message that it would follow.
type foreseenMsg struct {
	after string
	plan  generate.Plan
	err   error
}

// foresee asks the generator, whose rule it is, what a short next message would push out of the context. While half of it is
// free the answer is known.
func (m *Model) foresee() tea.Cmd {
	last, ok := m.chat.last()
	limit := m.meters.limit
	if !ok || limit == 0 || 2*m.meters.used < limit || !m.info.Ready || last.Role != generate.Assistant {
		return nil
	}
	gen, r := m.opt.Generator, m.request(len(m.chat.path))
	r.Messages = append(r.Messages, generate.Message{Role: generate.User, Content: "…"})
	return func() tea.Msg {
		plan, err := gen.Plan(context.Background(), r)
		return foreseenMsg{last.ID, plan, err}
	}
}

// handle warns of what the next turn leaves out, unless another has begun.
func (msg foreseenMsg) handle(m *Model) tea.Cmd {
	last, ok := m.chat.last()
	if msg.err != nil || m.turn != nil || !ok || last.ID != msg.after || msg.plan.Dropped <= m.chat.unsent {
		return nil
	}
	m.markOldest(m.chat.unsent, msg.plan.Dropped)
	which := m.nameOldest(msg.plan.Dropped, 16) // the line has room for two
	if which == "" {
		which = "the oldest " + plural(msg.plan.Dropped, "message")
	}
	m.tell(levelWarn, "the next message leaves out "+which+": the context is full")
	return nil
}
