package ui

import (
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"peregrine/history"
	"peregrine/ui/cells"
)

// selector lets the user choose a message of the branch and do something with it.
type selector struct {
	id string // of the message
	at int    // its place in the branch
}

// selectMessage opens the selection at the last message.
func (m *Model) selectMessage() tea.Cmd {
	if len(m.chat.path) == 0 {
		m.tell(levelInfo, "nothing has been said yet")
		return nil
	}
	s := &selector{at: len(m.chat.path) - 1}
	m.overlay = s
	s.settle(m)
	return nil
}

// settle finds the chosen message in the branch, or else the one at its place, and brings it in sight. Where nothing is left to
// choose it closes.
func (s *selector) settle(m *Model) {
	path := m.chat.path
	if len(path) == 0 {
		s.close(m)
		return
	}
	if i := slices.IndexFunc(path, func(msg history.Message) bool { return msg.ID == s.id }); i >= 0 {
		s.at = i
	}
	s.at = min(s.at, len(path)-1)
	s.id = path[s.at].ID
	m.transcript.choose(s.id)
	m.transcript.reveal(s.id, &m.theme)
}

// move chooses another message.
func (s *selector) move(m *Model, by int) {
	s.at, s.id = min(max(s.at+by, 0), len(m.chat.path)-1), ""
	s.settle(m)
}

func (s *selector) close(m *Model) {
	m.overlay = nil
	m.transcript.choose("")
}

// message returns the chosen message.
func (s *selector) message(m *Model) history.Message { return m.chat.path[s.at] }

func (s *selector) press(m *Model, key tea.KeyPressMsg) tea.Cmd {
	s.settle(m) // a reply may have come or gone
	if m.overlay != overlay(s) {
		return nil
	}
	switch a := m.keys.find(key, inMessage, inList, inChat); a {
	case actUp:
		s.move(m, -1)
	case actDown:
		s.move(m, 1)
	case actOlder, actNewer:
		steps := 1
		if a == actOlder {
			steps = -1
		}
		cmd := m.version(s.at, steps)
		s.id = ""
		s.settle(m)
		return cmd
	case actChoose:
		if isUser(s.message(m)) {
			return s.revise(m)
		}
		return s.inspect(m)
	case actRevise:
		return s.revise(m)
	case actAgain:
		at := s.at
		s.close(m)
		return m.again(at)
	case actWhy, actInspect:
		return s.inspect(m)
	case actTake, actCopy:
		return m.copyCommand("")
	case actPrune:
		return m.prune(s.at)
	case actUnprune:
		return m.undo()
	case actPageUp, actPageDown:
		return m.keys.run(a, m, key)
	case actClose, actSelect:
		s.close(m)
	}
	return nil
}

// revise puts the chosen message into the field, if it is the user's.
func (s *selector) revise(m *Model) tea.Cmd {
	if !isUser(s.message(m)) {
		m.tell(levelInfo, "this is the model's; "+m.keys.label(actAgain)+" asks for another version, "+m.keys.label(actWhy)+" looks into it")
		return nil
	}
	at := s.at
	s.close(m)
	return m.revise(at)
}

// inspect looks into the chosen message, if it is a reply.
func (s *selector) inspect(m *Model) tea.Cmd {
	if !isReply(s.message(m)) {
		m.tell(levelInfo, "this is yours; only the model's words can be looked into")
		return nil
	}
	at := s.at
	s.close(m)
	return m.inspect(at)
}

func (s *selector) wheel(m *Model, lines int) { m.transcript.scroll(lines, &m.theme) }

func (s *selector) paste(string) {}

func (s *selector) rows(*Model) int { return 1 }

// view says which message is chosen and what can be done with it.
func (s *selector) view(m *Model, width, _ int) ([]string, *tea.Cursor) {
	if s.at >= len(m.chat.path) {
		return []string{""}, nil
	}
	t, k := &m.theme, m.keys.label
	who := "reply"
	hints := [][2]string{{k(actWhy), "why"}, {k(actAgain), "again"}}
	if isUser(s.message(m)) {
		who = "yours"
		hints = [][2]string{{k(actRevise), "edit"}, {k(actAgain), "answer again"}}
	}
	if v := m.transcript.versionOf(s.id); v != "" {
		who += " " + v
		hints = append([][2]string{{k(actOlder) + k(actNewer), "version"}}, hints...)
	}
	hints = append(hints, [2]string{k(actTake), "copy"}, [2]string{k(actPrune), "delete"}, [2]string{k(actClose), "back"})
	head := "▌ " + who + " "
	room := max(width-t.cells.StringWidth(head), 0)
	return []string{strong(t.colours.accent, head) + t.muted(hintLine(hints, room, t.cells))}, nil
}

// hintLine writes keys with what they do. Where there is no room for all, the words at the end go first.
func hintLine(hints [][2]string, width int, c cells.Method) string {
	for words := len(hints); ; words-- {
		parts := make([]string, len(hints))
		for i, h := range hints {
			parts[i] = arrows(h[0])
			if i < words {
				parts[i] += " " + h[1]
			}
		}
		line := strings.Join(parts, separator)
		if words == 0 || c.StringWidth(line) <= width {
			return c.Truncate(line, width, "…")
		}
	}
}

// arrows writes the names of arrow keys as arrows.
func arrows(label string) string {
	return strings.NewReplacer("left", "←", "right", "→", "up", "↑", "down", "↓").Replace(label)
}
