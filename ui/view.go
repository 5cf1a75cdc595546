package ui

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"peregrine/ui/cells"
	"peregrine/ui/escape"
)

// layout gives every part its size: status line, composer, rule and palette first, the transcript has the rest.
func (m *Model) layout() {
	w, h := m.size.width, m.size.height
	if w <= 0 || h <= 0 {
		return
	}
	m.composer.setSize(w, max(h/3, 1))
	m.transcript.setSize(w, h-m.below()-m.popup(), &m.theme)
	m.hint()
}

// below returns how many lines stand below the transcript and the palette.
func (m *Model) below() int {
	n := m.composer.rows()
	if p, ok := m.overlay.(inline); ok {
		n = p.rows(m)
	}
	if m.size.height > 1 {
		n++ // the status line
	}
	if !m.size.tight() {
		n++ // the rule
	}
	return min(n, m.size.height)
}

// popup returns how many lines the palette has, or the panel in its place.
func (m *Model) popup() int {
	wanted := min(len(m.composer.palette.items), paletteRows)
	if p, ok := m.overlay.(*panel); ok {
		wanted = p.lines()
	} else if !m.composer.palette.open || m.overlay != nil {
		return 0
	}
	room := m.size.height - m.below()
	if room > 4 {
		room -= 2 // some of the conversation stays in sight
	}
	return max(min(room, wanted), 0)
}

// View draws the screen. It changes nothing but what it remembers of lines that it has laid out.
func (m *Model) View() tea.View {
	v := tea.View{AltScreen: true}
	if m.opt.Mouse != "off" {
		v.MouseMode = tea.MouseModeCellMotion
	}
	v.WindowTitle = m.windowTitle()
	if percent, ok := m.progress(); ok {
		v.ProgressBar = tea.NewProgressBar(tea.ProgressBarDefault, percent)
	}
	w, h := m.size.width, m.size.height
	if w <= 0 || h <= 0 {
		return v
	}
	lines, cursor := m.screen(w, h)
	if len(lines) > h {
		lines = lines[len(lines)-h:]
	}
	if cursor != nil {
		cursor.X, cursor.Y = min(cursor.X, w-1), min(cursor.Y, h-1)
		v.Cursor = cursor
	}
	v.SetContent(strings.Join(lines, "\n"))
	return v
}

// room returns how many lines there are for what covers all but the status line.
func (m *Model) room() int {
	if m.size.height > 1 {
		return m.size.height - 1
	}
	return m.size.height
}

// screen returns the lines of the screen and where the cursor is.
func (m *Model) screen(w, h int) ([]string, *tea.Cursor) {
	var lines []string
	p, asking := m.overlay.(inline)
	values, inlaid := m.overlay.(*panel)
	if m.covers() {
		room := m.room()
		lines, cursor := m.overlay.view(m, w, room)
		lines = m.theme.cells.Clip(lines[:min(len(lines), room)], w)
		for len(lines) < room {
			lines = append(lines, "")
		}
		if h > 1 {
			lines = append(lines, m.lastLine(w))
		}
		return lines, cursor
	}
	if len(m.transcript.items) == 0 {
		lines = m.welcome(w, m.transcript.height)
	} else {
		lines = m.transcript.view(&m.theme)
	}
	var inlay *tea.Cursor
	if inlaid {
		rows, c := values.view(m, w, m.popup())
		if inlay = c; c != nil {
			c.Y += len(lines)
		}
		lines = append(lines, m.theme.cells.Clip(rows[:min(len(rows), m.popup())], w)...)
	} else {
		lines = append(lines, m.theme.cells.Clip(m.composer.palette.lines(&m.theme, w, m.popup()), w)...)
	}
	if !m.size.tight() {
		lines = append(lines, m.theme.cells.Clip([]string{m.rule(w)}, w)...)
	}
	at := len(lines)
	var cursor *tea.Cursor
	if asking {
		asked, c := p.view(m, w, p.rows(m))
		lines, cursor = append(lines, m.theme.cells.Clip(asked, w)...), c
	} else {
		lines, cursor = append(lines, m.theme.cells.Clip(m.composer.view(), w)...), m.composer.cursor()
	}
	if cursor != nil {
		cursor.Y += at
	}
	if inlaid {
		cursor = inlay
	}
	if h > 1 {
		lines = append(lines, m.lastLine(w))
	}
	return lines, cursor
}

// lastLine is the status line. Where nothing else has room for it, a notice takes its place.
func (m *Model) lastLine(w int) string {
	covered := m.size.tight() || m.covers()
	if covered && m.echo.notice.text != "" {
		return m.theme.say(m.echo.notice.level, m.theme.cells.Truncate(m.echo.notice.text, w, "…"))
	}
	return m.status(w)
}

// covers reports whether what stands in front of the chat leaves nothing of it in sight.
func (m *Model) covers() bool {
	switch m.overlay.(type) {
	case nil, inline, *panel:
		return false
	}
	return true
}

// rule is the line above the composer: notices on the left, where one is on the right.
func (m *Model) rule(w int) string {
	t := &m.theme
	left, right := "", ""
	switch {
	case m.echo.notice.text != "":
		left = t.say(m.echo.notice.level, " "+m.echo.notice.text+" ")
	case m.turn == nil && m.chat.revising.id != "":
		left = t.accent(" editing: " + m.keys.label(actSend) + " sends another version" + separator + m.keys.label(actStop) + " leaves it ")
	case m.turn != nil && !m.turn.stopped && m.keys.label(actStop) != "":
		left = t.muted(" " + m.keys.label(actStop) + " stops ")
	case m.turn == nil && m.others.download != nil && m.keys.label(actStop) != "":
		left = t.muted(" " + m.keys.label(actStop) + " stops the download ")
	}
	if m.transcript.more(t) {
		right = t.accent(" ↓ more below · End ")
		if !m.composer.empty() {
			right = t.accent(" ↓ more below · " + m.keys.label(actBottom) + " ")
		}
	}
	room := w - t.cells.StringWidth(right) - 3
	left = t.cells.Truncate(left, max(room, 0), "…")
	fill := max(w-2-t.cells.StringWidth(left)-t.cells.StringWidth(right)-1, 0)
	if right == "" {
		return t.muted("──") + left + t.muted(strings.Repeat("─", fill+1))
	}
	return t.muted("──") + left + t.muted(strings.Repeat("─", fill)) + right + t.muted("─")
}

// windowTitle names the conversation in the terminal's title.
func (m *Model) windowTitle() string {
	if title := m.chat.title(); title != "" {
		return ansi.Truncate(title, 60, "…") + " · peregrine"
	}
	return "peregrine"
}

// welcome is what an empty conversation shows: who answers and what keys there are.
func (m *Model) welcome(w, h int) []string {
	t := &m.theme
	name := escape.Line(m.info.Model)
	if name == "" {
		name = "no model yet"
	}
	title := "peregrine"
	if m.opt.Version != "" {
		title += " " + escape.Line(m.opt.Version)
	}
	var facts []string
	for _, f := range []string{m.info.Quantization, m.info.Backend, m.info.BackendWhy} {
		if f = escape.Line(f); f != "" {
			facts = append(facts, f)
		}
	}
	if m.info.Context > 0 {
		facts = append(facts, short(m.info.Context)+" context")
	}
	state := strings.Join(facts, separator)
	switch {
	case m.info.Err != nil:
		state = "not loaded: " + escape.Line(m.info.Err.Error())
	case !m.info.Ready:
		state = fmt.Sprintf("loading, %.0f %% %s", 100*m.info.Progress, bar(m.info.Progress, waitingBar))
	}
	block := []string{t.muted(title), "", strong(t.colours.accent, name)}
	for _, l := range strings.Split(t.cells.Wrap(state, max(w-4, 1)), "\n") {
		block = append(block, t.muted(l))
	}
	block = append(block, "")
	block = append(block, m.hints(w-4)...)
	if len(block) > h {
		block = block[2:]
	}
	return centred(block[:min(len(block), h)], w, h, t.cells)
}

// hints are the keys worth knowing at first.
func (m *Model) hints(w int) []string {
	k := m.keys.label
	pairs := [][2]string{
		{k(actSend), "send"},
		{k(actNewline), "new line"},
		{"/ " + k(actPalette), "commands"},
		{k(actPicker), "conversations"},
		{k(actColder) + " " + k(actWarmer), "temperature"},
		{k(actFewer) + " " + k(actMore), "top-k"},
		{k(actHelp), "help"},
		{k(actQuit), "quit"},
	}
	const keyWidth, nameWidth = 13, 16
	cell := func(p [2]string) string {
		key := m.theme.cells.Truncate(p[0], keyWidth-1, "…")
		return m.theme.accent(key) + strings.Repeat(" ", keyWidth-m.theme.cells.StringWidth(key)) +
			m.theme.muted(p[1]) + strings.Repeat(" ", nameWidth-len(p[1]))
	}
	var lines []string
	if w >= 2*(keyWidth+nameWidth) {
		for i := 0; i < len(pairs); i += 2 {
			lines = append(lines, cell(pairs[i])+cell(pairs[i+1]))
		}
		return lines
	}
	if w < keyWidth+nameWidth {
		return nil
	}
	for _, p := range pairs {
		lines = append(lines, cell(p))
	}
	return lines
}

// centred puts a block into the middle of w×h cells. Its lines keep their common left edge when they are a table.
func centred(block []string, w, h int, c cells.Method) []string {
	lines := make([]string, 0, h)
	for range max((h-len(block))/2, 0) {
		lines = append(lines, "")
	}
	for _, l := range block {
		l = c.Truncate(l, w, "…")
		if l == "" {
			lines = append(lines, l)
			continue
		}
		lines = append(lines, strings.Repeat(" ", max((w-c.StringWidth(l))/2, 0))+l)
	}
	for len(lines) < h {
		lines = append(lines, "")
	}
	return lines[:max(h, 0)]
}
