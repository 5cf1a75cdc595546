package ui

import (
	tea "charm.land/bubbletea/v2"

	"peregrine/model/generate"
)

// replyCommands are those that ask for a reply or end one.
func replyCommands() []command {
	return []command{
		{"regenerate", "[N]", "answer again, as another version: the last message, or the N-th reply from the end", actAgain, (*Model).regenerate, nil},
		{"continue", "", "go on with a reply that was cut or stopped", actNone, (*Model).goOn, nil},
		{"details", "", "how the last reply was made: values, seed, times", actNone, func(m *Model, _ string) tea.Cmd { m.showDetails(); return nil }, nil},
		{"stop", "", "stop the reply", actStop, (*Model).stopCommand, nil},
	}
}

// ready reports whether a reply can be asked for, and says why not.
func (m *Model) ready() bool {
	switch {
	case m.turn != nil:
		m.tell(levelWarn, "still answering; "+m.keys.label(actStop)+" stops it")
	case m.chat.busy:
		m.tell(levelWarn, "the disk is at work; try again")
	case m.protected():
	case m.info.Err != nil:
		m.tell(levelBad, "there is no model: "+m.info.Err.Error())
	default:
		return true
	}
	return false
}

func (m *Model) regenerate(argument string) tea.Cmd {
	if argument != "" {
		if i, ok := m.nth(argument, "replies", isReply); ok {
			return m.again(i)
		}
		return nil
	}
	if len(m.chat.path) == 0 {
		m.tell(levelWarn, "nothing to answer yet")
		return nil
	}
	return m.again(len(m.chat.path) - 1)
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
