package ui

import (
	tea "charm.land/bubbletea/v2"

	"peregrine/ui/escape"
)

// notice is a short word about what has just happened. It stands between transcript and composer until the next key.
type notice struct {
	level level
	text  string
}

// noticeMsg is a notice from a command.
type noticeMsg notice

func (msg noticeMsg) handle(m *Model) tea.Cmd {
	m.tell(msg.level, msg.text)
	return nil
}

// tell shows a notice.
func (m *Model) tell(l level, text string) {
	m.notice = notice{l, escape.Line(text)}
}
