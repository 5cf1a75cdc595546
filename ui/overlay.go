package ui

import (
	"strings"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"peregrine/ui/cells"
	"peregrine/ui/escape"
	"peregrine/ui/library"
)

// overlay is what stands in front of the chat and has the keys.
type overlay interface {
	press(m *Model, key tea.KeyPressMsg) tea.Cmd
	wheel(m *Model, lines int)
	paste(text string)
	// view returns height lines and where the cursor is, if there is one.
	view(m *Model, width, height int) ([]string, *tea.Cursor)
}

// inline is an overlay in the place of the composer: the conversation stays in sight above it.
type inline interface {
	overlay
	rows(m *Model) int
}

// pager shows text to read.
type pager struct {
	title  string
	text   func(m *Model, width int) []string
	offset int // the line at the top, were the screen not longer than what follows it
}

// extent returns how many lines are in sight, and of how many.
func (p *pager) extent(m *Model) (rows, total int) {
	return pagerRows(m.room()), len(p.text(m, pagerWidth(m.size.width)))
}

// pagerRows returns how many lines of text stand in height lines; where these are few, there is no title.
func pagerRows(height int) int {
	if height < 5 {
		return max(height, 1)
	}
	return height - 2
}

func pagerWidth(width int) int { return max(width-2*len(indent), 1) }

func (p *pager) press(m *Model, key tea.KeyPressMsg) tea.Cmd {
	rows, total := p.extent(m)
	switch a := m.keys.find(key, inList, inChat); {
	case a == actUp:
		p.wheel(m, -1)
	case a == actDown:
		p.wheel(m, 1)
	case a == actPageUp:
		p.wheel(m, -rows+1)
	case a == actPageDown:
		p.wheel(m, rows-1)
	case a == actTop, key.Keystroke() == homeKey:
		p.offset = 0
	case a == actBottom, key.Keystroke() == endKey:
		p.wheel(m, total)
	default:
		m.overlay = nil // any other key goes back
	}
	return nil
}

func (p *pager) wheel(m *Model, lines int) {
	rows, total := p.extent(m)
	last := max(total-rows, 0)
	p.offset = min(max(min(p.offset, last)+lines, 0), last)
}

func (p *pager) paste(string) {}

func (p *pager) view(m *Model, width, height int) ([]string, *tea.Cursor) {
	text, rows := p.text(m, pagerWidth(width)), pagerRows(height)
	top := min(p.offset, max(len(text)-rows, 0))
	end := min(top+rows, len(text))
	title := margin(width) + strong(m.theme.colours.accent, p.title)
	back := "any key goes back"
	if end < len(text) {
		back = "↓ more · " + back
	}
	if room := width - m.theme.cells.StringWidth(title) - m.theme.cells.StringWidth(back) - len(indent); room > 1 {
		title += strings.Repeat(" ", room) + m.theme.muted(back)
	}
	lines := []string{title, ""}
	if height < 5 {
		lines = nil
	}
	for _, l := range text[top:end] {
		lines = append(lines, margin(width)+l)
	}
	return lines, nil
}

// columns writes rows of two columns, the second wrapped below itself. Where the screen is narrow the second goes on a line
// of its own.
func columns(rows [][2]string, width int, c cells.Method, left func(string) string) []string {
	column := 0
	for _, r := range rows {
		column = max(column, c.StringWidth(r[0]))
	}
	var lines []string
	if column > width/2 {
		for _, r := range rows {
			lines = append(lines, left(c.Truncate(r[0], width, "…")))
			for _, l := range strings.Split(c.Wrap(r[1], max(width-2, 1)), "\n") {
				lines = append(lines, "  "+l)
			}
		}
		return lines
	}
	for _, r := range rows {
		for i, l := range strings.Split(c.Wrap(r[1], max(width-column-2, 1)), "\n") {
			head := strings.Repeat(" ", column)
			if i == 0 {
				head = left(r[0]) + strings.Repeat(" ", column-c.StringWidth(r[0]))
			}
			lines = append(lines, head+"  "+l)
		}
	}
	return lines
}

// showHelp shows the key table and the command table.
func (m *Model) showHelp() {
	m.overlay = &pager{title: "Keys and commands", text: (*Model).helpLines}
}

func (m *Model) helpLines(width int) []string {
	t := &m.theme
	var lines []string
	titles := []string{
		"In the chat", "In a list", "In the list of conversations", "On a chosen message", "Why this word", "Among the sampling values",
	}
	for s, title := range titles {
		var rows [][2]string
		for _, b := range m.keys.bindings {
			if b.scope != scope(s) {
				continue
			}
			if labels := m.keys.labels(b.action); len(labels) > 0 {
				rows = append(rows, [2]string{strings.Join(labels, ", "), b.help})
			}
		}
		lines = append(lines, strong("", title))
		lines = append(lines, columns(rows, width, m.theme.cells, t.accent)...)
		lines = append(lines, "")
	}
	lines = append(lines, m.keylessLines(width)...)
	lines = append(lines, strong("", "Commands"))
	var rows [][2]string
	for _, c := range commandTable() {
		rows = append(rows, [2]string{strings.TrimRight("/"+c.name+" "+c.argument, " "), c.help})
	}
	lines = append(lines, columns(rows, width, m.theme.cells, t.accent)...)
	return append(lines, "", t.muted("A message that starts with // is sent with one slash."),
		t.muted("Keys are bound in config.toml: [keys], then for instance temperature_up = [\"f6\"]"))
}

// keylessLines lists the actions that have no key, by the names that config.toml calls them; nothing when all have one.
func (m *Model) keylessLines(width int) []string {
	var rows [][2]string
	for _, b := range m.keys.bindings {
		if len(b.keys) == 0 {
			rows = append(rows, [2]string{string(b.action), b.help})
		}
	}
	if len(rows) == 0 {
		return nil
	}
	return append(append([]string{strong("", "Without a key")}, columns(rows, width, m.theme.cells, m.theme.muted)...), "")
}

// showModel shows what is known of the model.
func (m *Model) showModel() {
	m.overlay = &pager{title: "The model", text: (*Model).modelLines}
}

func (m *Model) modelLines(width int) []string {
	i := m.info
	rows := [][2]string{
		{"model", i.Model},
		{"path", i.Path},
		{"architecture", i.Architecture},
		{"weights", i.Quantization},
		{"backend", i.Backend},
		{"because", i.BackendWhy},
		{"template", strings.TrimSuffix(i.Template+"; there are "+strings.Join(i.Templates, ", "), "; there are ")},
		{"defaults", strings.Join(samplingText(i.Defaults), ", ")},
	}
	if i.Context > 0 {
		rows = append(rows, [2]string{"context", thousands(i.Context) + " tokens"})
	}
	if i.MaxTokens > 0 {
		rows = append(rows, [2]string{"reply limit", thousands(i.MaxTokens) + " tokens"})
	}
	if len(i.Cannot) > 0 {
		rows = append(rows, [2]string{"cannot", strings.Join(i.Cannot, ", ")})
	}
	switch {
	case i.Err != nil:
		rows = append(rows, [2]string{"error", i.Err.Error()})
	case !i.Ready:
		rows = append(rows, [2]string{"state", "loading"})
	}
	var shown [][2]string
	for _, r := range rows {
		if r[1] = escape.Line(r[1]); r[1] != "" {
			shown = append(shown, r)
		}
	}
	lines := columns(shown, width, m.theme.cells, m.theme.accent)
	lines = append(lines, "")
	note := "To chat with another model, quit and start: peregrine MODEL"
	if _, ok := m.opt.Generator.(library.Library); ok {
		note = "/model opens another model; the conversation stays."
	}
	for _, l := range strings.Split(m.theme.cells.Wrap(note, width), "\n") {
		lines = append(lines, m.theme.muted(l))
	}
	return lines
}

// prompt asks for one value in the place of the composer. The value that stands there at first is selected as a whole: what
// one types replaces it, and any other editing key keeps it.
type prompt struct {
	label    string
	field    field
	selected bool
	done     func(m *Model, value string) tea.Cmd
}

// ask opens a prompt.
func (m *Model) ask(label, value string, done func(*Model, string) tea.Cmd) {
	p := &prompt{label: escape.Line(label), done: done, selected: value != ""}
	p.field.set(value)
	m.overlay = p
}

func (p *prompt) press(m *Model, key tea.KeyPressMsg) tea.Cmd {
	switch m.keys.find(key, inList) {
	case actClose:
		m.overlay = nil
	case actChoose:
		m.overlay = nil
		if v := strings.TrimSpace(p.field.value()); v != "" {
			return p.done(m, v)
		}
	default:
		if erases := key.Keystroke() == "backspace" || key.Keystroke() == "delete"; key.Text != "" || erases {
			p.replace()
		}
		p.selected = false
		p.field.press(key)
	}
	return nil
}

// replace empties the field if its value is still selected.
func (p *prompt) replace() {
	if p.selected {
		p.selected = false
		p.field.set("")
	}
}

func (p *prompt) rows(*Model) int { return 1 }

func (p *prompt) wheel(m *Model, lines int) { m.transcript.scroll(lines, &m.theme) }

func (p *prompt) paste(text string) {
	p.replace()
	p.field.insert(text)
}

func (p *prompt) view(m *Model, width, _ int) ([]string, *tea.Cursor) {
	label := m.theme.cells.Truncate(p.label, max(width/2, 1), "…")
	head := strong(m.theme.colours.user, label+" ❯ ")
	used := m.theme.cells.StringWidth(label) + 3
	text, column := p.field.view(max(width-used, 1), m.theme.cells)
	if p.selected {
		text = ansi.Style{}.Reverse(true).Styled(text)
	}
	return []string{head + text}, newCursor(used+column, 0)
}
