package ui

import (
	"strings"

	tea "charm.land/bubbletea/v2"

	"peregrine/ui/escape"
)

// panel shows all sampling values above the composer and changes them, while the reply goes on in sight.
type panel struct {
	selected int
	typing   *field // the new value of the selected one
}

// showSampling opens the panel, or closes it.
func (m *Model) showSampling() {
	if _, open := m.overlay.(*panel); open {
		m.overlay = nil
		return
	}
	m.overlay = &panel{}
}

// lines returns how many lines the panel wants.
func (p *panel) lines() int { return len(parameters()) + 1 }

func (p *panel) press(m *Model, key tea.KeyPressMsg) tea.Cmd {
	if p.typing != nil {
		return p.pressValue(m, key)
	}
	all := parameters()
	a := m.keys.find(key, inPanel, inList, inChat)
	switch a {
	case actUp:
		p.selected = (p.selected + len(all) - 1) % len(all)
	case actDown:
		p.selected = (p.selected + 1) % len(all)
	case actLess, actGreater:
		return m.sampled(m.sampling.nudge(all[p.selected], a == actGreater))
	case actReset:
		return m.sampled(m.sampling.reset(all[p.selected]))
	case actChoose:
		p.edit(m)
	case actClose, actSampling:
		m.overlay = nil
	case actResetAll:
		return m.keys.run(a, m, key)
	case actNone:
		if key.Text != "" { // a value is typed at once
			p.typing = &field{}
			p.typing.press(key)
		}
	default:
		return p.elsewhere(m, a, key)
	}
	return nil
}

// elsewhere does what the chat's own keys do with a value; that value is selected then.
func (p *panel) elsewhere(m *Model, a action, key tea.KeyPressMsg) tea.Cmd {
	for i, one := range parameters() {
		switch a {
		case one.action("set"):
			p.selected = i
			p.edit(m)
			return nil
		case one.action("up"), one.action("down"), one.action("reset"):
			p.selected = i
			return m.keys.run(a, m, key)
		}
	}
	return nil
}

// edit begins to type the selected value.
func (p *panel) edit(m *Model) {
	p.typing = &field{}
	p.typing.set(parameters()[p.selected].text(&m.sampling.now))
}

// pressValue edits the value.
func (p *panel) pressValue(m *Model, key tea.KeyPressMsg) tea.Cmd {
	switch m.keys.find(key, inList) {
	case actClose:
		p.typing = nil
	case actChoose:
		typed := strings.TrimSpace(p.typing.value())
		p.typing = nil
		if typed != "" {
			return m.parameterCommand(parameters()[p.selected], typed)
		}
	default:
		p.typing.press(key)
	}
	return nil
}

func (p *panel) wheel(m *Model, lines int) { m.transcript.scroll(lines, &m.theme) }

func (p *panel) paste(text string) {
	if p.typing != nil {
		p.typing.insert(text)
	}
}

func (p *panel) view(m *Model, width, height int) ([]string, *tea.Cursor) {
	t, all := &m.theme, parameters()
	list := len(all)
	if height <= list {
		list = max(height-1, 1)
	}
	first := min(max(p.selected-list/2, 0), len(all)-list)
	var lines []string
	var cursor *tea.Cursor
	for i := first; i < first+list; i++ {
		line, at := p.row(m, i, width)
		if at >= 0 {
			cursor = newCursor(min(at, max(width-1, 0)), len(lines))
		}
		lines = append(lines, line)
	}
	if height > len(lines) {
		lines = append(lines, t.muted(t.cells.Truncate("  "+p.foot(m), width, "…")))
	}
	return lines, cursor
}

// row returns the line of one value, and the column of the cursor while it is typed.
func (p *panel) row(m *Model, i, width int) (string, int) {
	const labelWidth, valueWidth = 20, 9
	t, one := &m.theme, parameters()[i]
	mark, label := "  ", one.label+strings.Repeat(" ", max(labelWidth-len(one.label), 1))
	if i == p.selected {
		mark, label = t.accent("❯ "), strong(t.colours.accent, label)
	}
	at := labelWidth + 2
	if p.typing != nil && i == p.selected {
		text, column := p.typing.view(max(width-at, 1), t.cells)
		return mark + label + text, at + column
	}
	value := one.text(&m.sampling.now)
	said := ""
	if v := one.say(&m.sampling.now); strings.Contains(v, ": ") {
		_, said, _ = strings.Cut(v, ": ")
	}
	if m.sampling.chosen[one.name] {
		if was := one.text(&m.sampling.standard); was != value {
			said = strings.TrimPrefix(said+", reset: "+was, ", ")
		}
	}
	line := mark + label + t.accent(value) + strings.Repeat(" ", max(valueWidth-t.cells.StringWidth(value), 1)) + t.muted(said)
	keys := strings.TrimSpace(m.keys.label(one.action("down")) + " " + m.keys.label(one.action("up")))
	if room := width - t.cells.StringWidth(line) - t.cells.StringWidth(keys); room >= 2 {
		line += strings.Repeat(" ", room) + t.muted(keys)
	}
	return t.cells.Truncate(line, width, "…"), -1
}

// foot says what the keys do here.
func (p *panel) foot(m *Model) string {
	k := m.keys.label
	if p.typing != nil {
		return k(actChoose) + " takes the value" + separator + k(actClose) + " leaves it"
	}
	parts := []string{
		k(actLess) + " " + k(actGreater) + " change", k(actChoose) + " types", k(actReset) + " resets",
		k(actResetAll) + " all", k(actClose) + " goes back",
	}
	if m.sampling.preset != "" {
		parts = append([]string{"preset " + escape.Line(m.sampling.preset)}, parts...)
	}
	return strings.Join(parts, separator)
}
