package ui

import tea "charm.land/bubbletea/v2"

const (
	actPageUp   action = "page_up"
	actPageDown action = "page_down"
	actTop      action = "top"
	actBottom   action = "bottom"
)

// Keys that scroll when there is nothing to edit.
const (
	homeKey = "home"
	endKey  = "end"
)

// scrollKeys are those about the place in the transcript.
func scrollKeys() []binding {
	return []binding{
		{inChat, actPageUp, []string{"pgup"}, "scroll up; so does the wheel", turnPage(-1)},
		{inChat, actPageDown, []string{"pgdown"}, "scroll down", turnPage(1)},
		{inChat, actTop, []string{"ctrl+home"}, "to the start; home with an empty draft", (*Model).topKey},
		{inChat, actBottom, []string{"ctrl+end"}, "to the end, and follow; end with an empty draft", (*Model).bottomKey},
	}
}

// turnPage returns what scrolls by so many pages.
func turnPage(pages int) func(*Model, tea.KeyPressMsg) tea.Cmd {
	return func(m *Model, _ tea.KeyPressMsg) tea.Cmd {
		m.transcript.scroll(pages*max(m.transcript.height-2, 1), &m.theme)
		return nil
	}
}

func (m *Model) topKey(tea.KeyPressMsg) tea.Cmd {
	m.transcript.toTop(&m.theme)
	return nil
}

func (m *Model) bottomKey(tea.KeyPressMsg) tea.Cmd {
	m.transcript.toEnd()
	return nil
}
