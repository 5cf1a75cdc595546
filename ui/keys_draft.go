package ui

import (
	"strings"

	tea "charm.land/bubbletea/v2"
)

const (
	actSend      action = "send"
	actNewline   action = "newline"
	actStop      action = "stop"
	actInterrupt action = "interrupt"
	actQuit      action = "quit"
)

// draftKeys are those about the draft and the reply to it.
func draftKeys() []binding {
	return []binding{
		{inChat, actSend, []string{"enter"}, "send the message", func(m *Model, _ tea.KeyPressMsg) tea.Cmd { return m.send() }},
		{inChat, actNewline, []string{"shift+enter", "ctrl+j", "alt+enter"}, "start a new line", (*Model).newlineKey},
		{inChat, actStop, []string{"esc"}, "stop the reply; its text stays", (*Model).stopKey},
		{inChat, actInterrupt, []string{"ctrl+c"}, "clear the draft, else stop the reply; twice quits", (*Model).interruptKey},
		{inChat, actQuit, []string{"ctrl+d"}, "quit, when the draft is empty", (*Model).quitKey},
	}
}

func (m *Model) newlineKey(tea.KeyPressMsg) tea.Cmd {
	m.composer.newline()
	m.refresh()
	return nil
}

func (m *Model) stopKey(tea.KeyPressMsg) tea.Cmd {
	m.stop()
	return nil
}

// quitKey quits when there is no draft; else the key edits it.
func (m *Model) quitKey(key tea.KeyPressMsg) tea.Cmd {
	if !m.composer.empty() {
		return m.edit(key)
	}
	return m.leaveProgram()
}

// interruptKey clears the draft, else stops the reply, and quits when it is pressed once more.
func (m *Model) interruptKey(tea.KeyPressMsg) tea.Cmd {
	armed := m.armed
	m.armed = true
	switch {
	case !m.composer.empty():
		m.closePalette() // what it had put aside is no part of the command that is given up
	case m.turn != nil && !m.turn.stopped:
		m.stop()
	case armed:
		return m.leaveProgram()
	default:
		m.tell(levelInfo, m.keys.label(actInterrupt)+" once more quits")
	}
	return nil
}

// leaveProgram quits. While the disk refuses what was said, the first attempt says so and stays.
func (m *Model) leaveProgram() tea.Cmd {
	if m.chat.unsaved() && !m.chat.warned {
		m.chat.warned = true
		m.transcript.add(newNotice(levelBad, "what was said last is not saved: "+m.chat.lost.Error()+
			". /save FILE.jsonl writes a copy elsewhere; to quit once more loses it"))
		m.transcript.toEnd()
		return nil
	}
	return tea.Quit
}

// send sends the draft, or obeys it.
func (m *Model) send() tea.Cmd {
	if name, argument, ok := slash(m.composer.draft()); ok {
		m.composer.clear()
		m.composer.set(m.palette.stash)
		m.palette = palette{}
		return m.obey(name, argument)
	}
	text := strings.TrimRight(m.composer.text(), " \n")
	if strings.TrimSpace(text) == "" || !m.ready() {
		return nil
	}
	if strings.HasPrefix(text, "//") {
		text = text[1:]
	}
	m.composer.clear()
	return m.say(text)
}
