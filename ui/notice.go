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
	m.echo.notice = notice{l, escape.Line(text)}
}

// fail shows an error. It names files, so it stands in the transcript in full, once when it comes again and again; the line
// has what the system said, which a long path would push out of sight.
func (m *Model) fail(err error) {
	items := m.transcript.items
	if n := len(items); n == 0 || items[n-1].level != levelBad || items[n-1].notice != err.Error() {
		m.transcript.add(newNotice(levelBad, err.Error()))
	}
	m.tell(levelBad, reason(err))
}

// failedMsg is an error from a command.
type failedMsg struct{ err error }

func (msg failedMsg) handle(m *Model) tea.Cmd {
	m.fail(msg.err)
	return nil
}
