package ui

import (
	"strings"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
)

// Update routes a message to what it is for.
func (m *Model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	cmd := m.route(msg)
	m.layout()
	return m, cmd
}

// route handles a message.
func (m *Model) route(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.size = size{msg.Width, msg.Height}
	case tea.KeyPressMsg:
		return m.press(msg)
	case tea.PasteMsg:
		m.paste(msg.Content)
	case tea.MouseWheelMsg:
		m.wheel(msg)
	case tea.BackgroundColorMsg:
		if m.theme.choice == "auto" && m.theme.light == msg.IsDark() {
			m.setTheme(!msg.IsDark())
		}
	case tea.ColorProfileMsg:
		m.setProfile(msg.Profile)
	case tea.KeyboardEnhancementsMsg:
		m.keys.distinct = msg.SupportsKeyDisambiguation()
	case tokensMsg:
		return m.tokens(msg)
	case infoMsg:
		return m.informed(msg.info)
	case userSavedMsg:
		return m.userSaved(msg)
	case plannedMsg:
		return m.planned(msg)
	case startedMsg:
		return m.started(msg)
	case measuredMsg:
		m.measured(msg)
	case savedMsg:
		return m.saved(msg)
	case retryMsg:
		return m.retry(msg)
	case openedMsg:
		return m.opened(msg)
	default:
		return m.routeRest(msg)
	}
	return nil
}

// routeRest handles the rarer messages.
func (m *Model) routeRest(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case listedMsg:
		if p, ok := m.overlay.(*picker); ok {
			p.listed(msg)
		}
	case deletedMsg:
		return m.deleted(msg)
	case restoredMsg:
		return m.restored(msg)
	case renamedMsg:
		return m.renamed(msg)
	case switchedMsg:
		return m.switched(msg)
	case noticeMsg:
		m.tell(msg.level, msg.text)
	case tea.KeyReleaseMsg, tea.MouseMsg, tea.FocusMsg, tea.BlurMsg, tea.EnvMsg, nil:
	default:
		return m.composer.update(msg)
	}
	return nil
}

// press finds out what a key means here.
func (m *Model) press(key tea.KeyPressMsg) tea.Cmd {
	armed := m.armed
	m.notice, m.armed = notice{}, false
	if m.overlay != nil {
		return m.overlay.press(m, key)
	}
	if m.palette.open {
		if cmd, ok := m.pressPalette(key); ok {
			return cmd
		}
	}
	switch a := m.keys.find(key, inChat); a {
	case actInterrupt:
		return m.interrupt(armed)
	case actNone:
		return m.edit(key)
	default:
		return m.act(a, key)
	}
}

// edit passes a key to the composer, or scrolls with home and end when there is nothing to edit.
func (m *Model) edit(key tea.KeyPressMsg) tea.Cmd {
	if m.composer.empty() {
		switch key.Keystroke() {
		case homeKey:
			m.transcript.toTop(&m.theme)
			return nil
		case endKey:
			m.transcript.toEnd()
			return nil
		}
	}
	if key.Keystroke() == "ctrl+v" {
		return readClipboard
	}
	cmd := m.composer.press(key)
	m.refresh()
	return cmd
}

// act does what a key asks for.
func (m *Model) act(a action, key tea.KeyPressMsg) tea.Cmd {
	page := max(m.transcript.height-2, 1)
	switch a {
	case actSend:
		return m.send()
	case actNewline:
		m.composer.newline()
		m.refresh()
	case actStop:
		m.stop()
	case actQuit:
		if !m.composer.empty() {
			return m.edit(key)
		}
		return m.leaveProgram()
	case actColder, actWarmer, actFewer, actMore:
		m.tell(levelInfo, m.nudge(a))
		m.tune()
	case actTemperature:
		m.askParameter("temp")
	case actTopK:
		m.askParameter("top-k")
	case actHelp:
		m.showHelp()
	case actPalette:
		m.openPalette()
	case actPicker:
		return m.showPicker()
	case actModel:
		m.showModel()
	case actPageUp:
		m.transcript.scroll(-page, &m.theme)
	case actPageDown:
		m.transcript.scroll(page, &m.theme)
	case actTop:
		m.transcript.toTop(&m.theme)
	case actBottom:
		m.transcript.toEnd()
	}
	return nil
}

// nudge changes a sampling value by one step and says the result.
func (m *Model) nudge(a action) string {
	switch a {
	case actColder:
		return m.sampling.warm(-1)
	case actWarmer:
		return m.sampling.warm(1)
	case actFewer:
		return m.sampling.widen(false)
	}
	return m.sampling.widen(true)
}

// askParameter lets the user type a sampling value.
func (m *Model) askParameter(name string) {
	p := parameterOf(name)
	m.ask(p.label, number(p.get(&m.sampling.now)), func(m *Model, v string) tea.Cmd { return m.parameterCommand(p, v) })
}

// interrupt clears the draft, else stops the reply, and quits when it is pressed once more.
func (m *Model) interrupt(armed bool) tea.Cmd {
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

// paste puts pasted text where text goes.
func (m *Model) paste(text string) {
	m.notice, m.armed = notice{}, false
	if m.overlay != nil {
		m.overlay.paste(text)
		return
	}
	m.composer.paste(text)
	m.refresh()
}

// wheelLines is how far one turn of the wheel scrolls.
const wheelLines = 3

func (m *Model) wheel(msg tea.MouseWheelMsg) {
	lines := 0
	switch msg.Button {
	case tea.MouseWheelUp:
		lines = -wheelLines
	case tea.MouseWheelDown:
		lines = wheelLines
	}
	if m.overlay != nil {
		m.overlay.wheel(m, lines)
		return
	}
	m.transcript.scroll(lines, &m.theme)
}

// setProfile notes whether the screen has colours.
func (m *Model) setProfile(p colorprofile.Profile) {
	plain := p <= colorprofile.ASCII
	if plain != m.theme.plain {
		m.theme.plain = plain
		m.transcript.restyle()
	}
}

// measured shows how full the context is.
func (m *Model) measured(msg measuredMsg) {
	switch {
	case msg.err != nil:
		m.tell(levelBad, msg.err.Error())
	case m.turn == nil:
		m.meters.used, m.meters.limit = msg.plan.Tokens, msg.plan.Limit
	}
}
