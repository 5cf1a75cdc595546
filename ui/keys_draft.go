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
	actUndo      action = "undo"
	actRedo      action = "redo"
	actQuit      action = "quit"
)

// draftKeys are those about the draft and the reply to it.
func draftKeys() []binding {
	return []binding{
		{inChat, actSend, []string{"enter"}, "send the message", func(m *Model, _ tea.KeyPressMsg) tea.Cmd { return m.send() }},
		{inChat, actNewline, []string{"shift+enter", "ctrl+j", "alt+enter"}, "start a new line", (*Model).newlineKey},
		{inChat, actStop, []string{"esc"}, "stop the reply; its text stays", (*Model).stopKey},
		{inChat, actInterrupt, []string{"ctrl+c"}, "clear the draft (up brings it back), else stop the reply; twice quits", (*Model).interruptKey},
		{inChat, actUndo, []string{"ctrl+/", "ctrl+_"}, "take back the last change of the draft", (*Model).undoKey},
		{inChat, actRedo, []string{"ctrl+y"}, "make that change once more", (*Model).redoKey},
		{inChat, actQuit, []string{"ctrl+d"}, "quit, when the draft is empty", (*Model).quitKey},
	}
}

func (m *Model) newlineKey(tea.KeyPressMsg) tea.Cmd {
	m.composer.newline()
	m.refresh()
	return nil
}

func (m *Model) stopKey(tea.KeyPressMsg) tea.Cmd {
	switch {
	case m.stop():
	case m.leaveRevision(): // the line above the draft says so
		m.tell(levelInfo, "not edited")
	default:
		m.stopDownload()
	}
	return nil
}

func (m *Model) undoKey(tea.KeyPressMsg) tea.Cmd {
	if !m.composer.undoEdit() {
		m.tell(levelInfo, "nothing of the draft to take back")
	}
	m.refresh()
	return nil
}

func (m *Model) redoKey(tea.KeyPressMsg) tea.Cmd {
	if !m.composer.redoEdit() {
		m.tell(levelInfo, "nothing was taken back")
	}
	m.refresh()
	return nil
}

// sayErased says which large pastes have just been erased with a key, and what brings them back.
func (m *Model) sayErased(gone []*paste) {
	if len(gone) == 0 {
		return
	}
	what := gone[0].name
	if len(gone) > 1 {
		what = plural(len(gone), "paste")
	}
	text := what + " erased; pasting it again brings it back"
	if key := m.keys.label(actUndo); key != "" {
		text = what + " erased; " + key + " brings it back"
	}
	m.tell(levelInfo, text)
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
	armed := m.echo.armed
	m.echo.armed = true
	switch {
	case m.composer.walk != nil:
		m.walkBack()
	case m.leaveRevision():
		m.tell(levelInfo, "not edited")
	case !m.composer.empty():
		given := m.composer.keep()
		m.closePalette() // what it had put aside is no part of the command that is given up
		if m.composer.empty() {
			m.composer.given = given // until another key: to quit with this one loses no draft
			m.tell(levelInfo, "up brings the draft back")
		}
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
	quoted := m.composer.quoted()
	if name, argument, ok := slash(m.composer.draft()); ok && !quoted {
		if !known(name) {
			m.composer.keep() // it may be a message that begins with a slash
		}
		m.closePalette()
		return m.obey(name, argument)
	}
	text := m.composer.message()
	if strings.TrimSpace(text) == "" || !m.ready() {
		return nil
	}
	if strings.HasPrefix(text, "//") && !quoted {
		text = text[1:]
	}
	if m.chat.revising.id != "" {
		return m.sayRevised(text)
	}
	return m.say(text, m.composer.sent())
}
