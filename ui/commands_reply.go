package ui

import (
	tea "charm.land/bubbletea/v2"

	"peregrine/history"
	"peregrine/model/generate"
)

// replyCommands are those that ask for a reply or end one.
func replyCommands() []command {
	return []command{
		{"regenerate", "", "answer the last message again, as another version", actNone, (*Model).regenerate, nil},
		{"continue", "", "go on with a reply that was cut or stopped", actNone, (*Model).goOn, nil},
		{"stop", "", "stop the reply", actStop, (*Model).stopCommand, nil},
	}
}

// ready reports whether a reply can be asked for, and says why not.
func (m *Model) ready() bool {
	switch {
	case m.turn != nil:
		m.tell(levelWarn, "still answering; "+m.keys.label(actStop)+" stops it")
	case m.chat.readOnly != "":
		m.tell(levelWarn, "read-only: "+m.chat.readOnly+"; /save FILE.jsonl goes on in a copy")
	case m.info.Err != nil:
		m.tell(levelBad, "there is no model: "+m.info.Err.Error())
	default:
		return true
	}
	return false
}

func (m *Model) regenerate(string) tea.Cmd {
	last, ok := m.chat.last()
	if !ok || !m.ready() {
		if !ok {
			m.tell(levelWarn, "nothing to answer yet")
		}
		return nil
	}
	path := m.chat.path
	var old *item
	if last.Role == generate.Assistant {
		if len(path) < 2 {
			m.tell(levelWarn, "there is no message to answer")
			return nil
		}
		old = m.transcript.lastReply()
		m.transcript.remove(old)
		m.chat.path = path[: len(path)-1 : len(path)-1]
	}
	m.prepare(m.request(len(m.chat.path)), history.Message{})
	m.turn.old, m.turn.oldPath = old, path
	m.transcript.toEnd()
	return m.begin()
}

// goOn continues a reply as the same message: its text and its tokens grow.
func (m *Model) goOn(string) tea.Cmd {
	last, ok := m.chat.last()
	switch {
	case !ok || last.Role != generate.Assistant:
		m.tell(levelWarn, "there is no reply to continue; /regenerate asks for one")
	case last.Finish == generate.FinishStop && !last.Partial:
		m.tell(levelWarn, "the reply is complete; /regenerate asks for another")
	case len(last.TokenIDs) == 0:
		m.tell(levelWarn, "the reply's tokens are not known, so it cannot be continued; /regenerate asks for another")
	case m.ready():
		m.prepare(m.request(len(m.chat.path)-1), last)
		m.transcript.toEnd()
		return m.begin()
	}
	return nil
}

func (m *Model) stopCommand(string) tea.Cmd {
	if !m.stop() {
		m.tell(levelInfo, "nothing to stop")
	}
	return nil
}
