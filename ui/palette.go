package ui

import (
	"slices"
	"strings"

	"github.com/sahilm/fuzzy"

	"peregrine/ui/escape"

	tea "charm.land/bubbletea/v2"
)

// suggestion is one line of the palette.
type suggestion struct {
	draft   string // what the draft becomes
	title   string
	help    string
	key     string
	command command
	value   bool // it completes an argument
	file    bool // … which is a path
}

// palette suggests what a draft that starts with a slash may become.
type palette struct {
	open      bool
	items     []suggestion
	selected  int     // -1: none, for files
	stash     *editor // the draft that was there before, put back afterwards; nil: none
	dismissed bool    // closed by the user until the draft is no command any more
	folder    *folder // what was read last for a command that takes a file; nil: nothing
	reading   *folder // what is being read; nil: nothing
	tab       bool    // what is being read is to be completed then
}

// refresh finds the suggestions for the draft.
func (m *Model) refresh() {
	p := &m.composer.palette
	draft := m.composer.draft()
	if p.stash != nil && !strings.HasPrefix(draft, "/") { // no command any more: what was put aside comes back
		typed := m.composer.take().text
		m.composer.put(p.stash)
		m.composer.write(typed...)
		draft, p.stash = m.composer.draft(), nil
	}
	if !strings.HasPrefix(draft, "/") || strings.HasPrefix(draft, "//") || strings.Contains(draft, "\n") {
		p.open, p.dismissed, p.items = false, false, nil
		p.folder, p.reading, p.tab = nil, nil, false // the next time it may have changed
		return
	}
	if p.dismissed {
		return
	}
	before := ""
	if p.selected >= 0 && p.selected < len(p.items) {
		before = p.items[p.selected].draft
	}
	p.items = m.suggest(draft)
	p.open = len(p.items) > 0
	p.selected = slices.IndexFunc(p.items, func(s suggestion) bool { return s.draft == before })
	if p.files() {
		return
	}
	p.selected = max(p.selected, 0)
	if draft != "/" && !strings.HasSuffix(draft, " ") {
		p.selected = 0 // the best match, not the one that was chosen among others
	}
}

// files reports whether files are suggested.
func (p *palette) files() bool { return len(p.items) > 0 && p.items[0].file }

// suggest returns what fits a draft, the best first.
func (m *Model) suggest(draft string) []suggestion {
	name, argument, found := strings.Cut(draft[1:], " ")
	if !found {
		return m.suggestCommands(name)
	}
	if c, dir, prefix, ok := fileTyped(draft); ok {
		return m.suggestFiles(c, dir, prefix)
	}
	for _, c := range commandTable() {
		if c.name == strings.ToLower(name) && c.values != nil {
			return suggestValues(c, c.values(m), strings.TrimSpace(argument))
		}
	}
	return nil
}

func (m *Model) suggestCommands(name string) []suggestion {
	table := allCommands()
	names, helps := make([]string, len(table)), make([]string, len(table))
	for i, c := range table {
		names[i], helps[i] = c.name, c.help
	}
	name = strings.ToLower(name)
	fit := match(name, names)
	for i, help := range helps { // what one looks for may be called otherwise here
		if said := len(name) >= leastWord && strings.Contains(help, name); said && !slices.Contains(fit, i) {
			fit = append(fit, i)
		}
	}
	var out []suggestion
	for _, i := range fit {
		c := table[i]
		s := suggestion{draft: "/" + c.name, title: "/" + c.name, help: c.help, command: c}
		if c.argument != "" {
			s.title += " " + c.argument
		}
		if c.action != actNone {
			s.key = m.keys.route(c.action)
		}
		out = append(out, s)
	}
	return out
}

func suggestValues(c command, values []string, typed string) []suggestion {
	if slices.Contains(values, typed) {
		return nil
	}
	var out []suggestion
	for _, i := range match(typed, values) {
		out = append(out, suggestion{draft: "/" + c.name + " " + values[i], title: escape.Line(values[i]), command: c, value: true})
	}
	return out
}

// leastWord is how much of a word is looked for in the help: less is everywhere.
const leastWord = 4

// match returns the places of the names that fit, those that start with the pattern first, then by likeness.
func match(pattern string, names []string) []int {
	var out []int
	for i, n := range names {
		if strings.HasPrefix(n, pattern) {
			out = append(out, i)
		}
	}
	if pattern == "" {
		return out
	}
	slices.SortStableFunc(out, func(a, b int) int { return len(names[a]) - len(names[b]) })
	for _, found := range fuzzy.Find(pattern, names) {
		if !slices.Contains(out, found.Index) {
			out = append(out, found.Index)
		}
	}
	return out
}

// pressPalette handles a key while suggestions are shown, and reports whether it was one of theirs.
func (m *Model) pressPalette(key tea.KeyPressMsg) (tea.Cmd, bool) {
	p := &m.composer.palette
	if p.files() {
		return m.pressFiles(key)
	}
	switch m.keys.find(key, inList) {
	case actUp:
		p.selected = (p.selected + len(p.items) - 1) % len(p.items)
	case actDown:
		p.selected = (p.selected + 1) % len(p.items)
	case actComplete:
		m.complete(p.items[p.selected])
	case actClose:
		m.closePalette()
	case actChoose:
		return m.choose(p.items[p.selected]), true
	default:
		return nil, false
	}
	return nil, true
}

// complete writes a suggestion into the draft.
func (m *Model) complete(s suggestion) {
	draft := s.draft
	if s.command.argument != "" && !s.value {
		draft += " "
	}
	m.composer.set(draft)
	m.refresh()
}

// choose does what a suggestion says, or asks for its argument.
func (m *Model) choose(s suggestion) tea.Cmd {
	name, argument, _ := slash(s.draft)
	if s.command.needed() && !s.value {
		m.complete(s)
		return nil
	}
	m.closePalette()
	return m.obey(name, argument)
}

// openPalette shows all commands. A draft is put aside.
func (m *Model) openPalette() {
	if m.composer.palette.open {
		m.closePalette()
		return
	}
	m.composer.palette.stash = nil
	if !m.composer.empty() {
		m.composer.palette.stash = m.composer.take()
	}
	m.composer.palette.dismissed = false
	m.composer.set("/")
	m.refresh()
}

// closePalette puts the draft back.
func (m *Model) closePalette() {
	m.composer.put(m.composer.palette.stash)
	m.composer.palette = palette{}
}

// paletteRows is the most suggestions that are shown at once.
const paletteRows = 8

// lines returns the palette, at most height lines.
func (p *palette) lines(t *theme, width, height int) []string {
	height = min(height, paletteRows, len(p.items))
	if !p.open || height <= 0 {
		return nil
	}
	first := min(max(p.selected-height/2, 0), len(p.items)-height)
	column := 0
	for _, s := range p.items {
		column = max(column, t.cells.StringWidth(s.title))
	}
	column = min(column, max(width/2, 12))
	lines := make([]string, 0, height)
	for i := first; i < first+height; i++ {
		s := p.items[i]
		title := t.cells.Truncate(s.title, column, "…")
		pad := strings.Repeat(" ", column-t.cells.StringWidth(title))
		room := width - column - 4 // for the help, beside the mark and a gap
		if s.key != "" && room > 2*t.cells.StringWidth(s.key) {
			room -= t.cells.StringWidth(s.key) + 2
		}
		said := t.cells.Truncate(s.help, max(room, 0), "…")
		mark, name, help := "  ", title, t.muted(said)
		if i == p.selected {
			mark, name = t.accent("❯ "), strong(t.colours.accent, title)
			help = said
		}
		line := mark + name + pad + "  " + help
		if s.key != "" {
			room := width - t.cells.StringWidth(line) - t.cells.StringWidth(s.key) - 1
			if room >= 2 {
				line += strings.Repeat(" ", room) + t.muted(s.key)
			}
		}
		lines = append(lines, t.cells.Truncate(line, width, "…"))
	}
	return lines
}
