package ui

import (
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"
	"github.com/sahilm/fuzzy"

	"peregrine/history"
	"peregrine/ui/escape"
	"peregrine/ui/library"
)

// modelPicker is the list of models that can be opened: filter by typing, or type a path, or a repository's name to download. The
// last two stand behind those that fit.
type modelPicker struct {
	filter   field
	entries  []library.Entry
	known    int // of entries, how many were described, from the front
	read     bool
	err      error
	shown    []int     // places in entries that fit the filter
	selected int       // in shown, or behind it: what was typed
	asked    string    // the name last typed that may be a repository's or a path's; the disk was asked which
	answer   answerMsg // what the disk said
	enter    bool      // what was typed is chosen, once the answer is there
	failure  string    // why the last download failed, until the next key
}

// answerMsg says whether a name leads to something on the disk.
type answerMsg struct {
	name   string
	onDisk bool
}

func (p *modelPicker) typed() string { return strings.TrimSpace(p.filter.value()) }

// pullable reports whether what was typed is a repository's name, and no model's that is here under it.
func (p *modelPicker) pullable(m *Model) bool { return m.pullable(p.typed(), p.entries) }

// offer returns the name of what can be downloaded; "" if what was typed is none, and until the disk has said that it is no path.
func (p *modelPicker) offer(m *Model) string {
	if p.pullable(m) && p.answer == (answerMsg{p.typed(), false}) {
		return p.typed()
	}
	return ""
}

// path returns what was typed if it could be a repository's name too and leads to something on the disk.
func (p *modelPicker) path(m *Model) string {
	if p.pullable(m) && p.answer == (answerMsg{p.typed(), true}) {
		return p.typed()
	}
	return ""
}

// awaits reports whether the disk has not yet said what was typed.
func (p *modelPicker) awaits(m *Model) bool { return p.pullable(m) && p.answer.name != p.typed() }

// catchUp asks the disk about what was typed.
func (p *modelPicker) catchUp(m *Model) tea.Cmd {
	name := p.typed()
	if !p.awaits(m) || p.asked == name {
		return nil
	}
	p.asked = name
	return func() tea.Msg { return answerMsg{name, library.OnDisk(expandHome(name))} }
}

func (msg answerMsg) handle(m *Model) tea.Cmd {
	p, ok := m.overlay.(*modelPicker)
	if !ok || msg.name != p.asked {
		return nil
	}
	p.answer = msg
	if p.enter && !p.awaits(m) {
		p.enter = false
		return p.choose(m)
	}
	return nil
}

// lines returns how many lines the list has.
func (p *modelPicker) lines(m *Model) int {
	if p.offer(m) != "" || p.path(m) != "" {
		return len(p.shown) + 1
	}
	return len(p.shown)
}

// watches reports whether the line of a download is selected, so that its end is what the user waits for.
func (p *modelPicker) watches(m *Model, d *download) bool {
	return p.selected == len(p.shown) && p.offer(m) == d.name
}

// listed shows what there is, the open model selected, or what the user has selected since.
func (p *modelPicker) listed(msg modelsMsg) {
	selected := func(e library.Entry) bool { return e.Open }
	if p.read && p.selected < len(p.shown) {
		path := p.entries[p.shown[p.selected]].Path
		selected = func(e library.Entry) bool { return e.Path == path }
	}
	p.entries, p.err, p.read, p.known = msg.list, msg.err, true, 0
	p.find()
	p.selected = max(slices.IndexFunc(p.shown, func(i int) bool { return selected(p.entries[i]) }), 0)
}

// describe asks about the next entry of which nothing is known yet.
func (p *modelPicker) describe(m *Model) tea.Cmd {
	lib, ok := m.opt.Generator.(library.Library)
	if !ok || p.known >= len(p.entries) {
		return nil
	}
	e := p.entries[p.known]
	p.known++
	return func() tea.Msg { return describedMsg{lib.Describe(e)} }
}

// described shows what an entry is.
func (p *modelPicker) described(e library.Entry) {
	if i := slices.IndexFunc(p.entries, func(o library.Entry) bool { return o.Path == e.Path }); i >= 0 {
		p.entries[i] = e
	}
}

// find applies the filter.
func (p *modelPicker) find() {
	p.shown = p.shown[:0]
	pattern := p.typed()
	if pattern == "" {
		for i := range p.entries {
			p.shown = append(p.shown, i)
		}
	} else {
		names := make([]string, len(p.entries))
		for i, e := range p.entries {
			names[i] = e.Name
		}
		for _, found := range fuzzy.Find(pattern, names) {
			p.shown = append(p.shown, found.Index)
		}
	}
	p.selected = max(min(p.selected, len(p.shown)-1), 0)
	if pattern != "" {
		p.selected = 0
	}
}

func (p *modelPicker) press(m *Model, key tea.KeyPressMsg) tea.Cmd {
	p.failure, p.enter = "", false
	a := m.keys.find(key, inList, inChat)
	if a == actClose && m.stopDownload() {
		return nil
	}
	switch a {
	case actUp, actDown, actPageUp, actPageDown:
		p.selected = moved(p.selected, max(p.lines(m), 1), a)
	case actComplete:
		m.showModel()
	case actClose, actModel:
		m.overlay = nil
	case actChoose, actSend:
		return p.choose(m)
	case actNone:
		if p.filter.press(key) {
			p.find()
		}
		return p.catchUp(m)
	}
	return nil
}

// choose loads what is selected, or what was typed when it is a path.
func (p *modelPicker) choose(m *Model) tea.Cmd {
	switch typed := p.typed(); {
	case p.selected < len(p.shown):
		e := p.entries[p.shown[p.selected]]
		switch {
		case e.Problem != "":
			m.tell(levelWarn, e.Problem)
			return nil
		case e.Open && m.info.Ready:
			m.overlay = nil
			m.tell(levelInfo, escape.Line(e.Name)+" is open already")
			return nil
		}
		m.overlay = nil
		return m.useModel(e.Path)
	case p.awaits(m):
		p.enter = true
		return p.catchUp(m)
	case p.offer(m) != "":
		return m.pull(typed)
	case history.IsPath(typed):
		m.overlay = nil
		return m.useModel(expandHome(typed))
	}
	return nil
}

func (p *modelPicker) wheel(m *Model, lines int) {
	p.selected = min(max(p.selected+lines, 0), max(p.lines(m)-1, 0))
}

func (p *modelPicker) paste(text string) {
	p.failure, p.enter = "", false
	p.filter.insert(text)
	p.find()
}

func (p *modelPicker) view(m *Model, width, height int) ([]string, *tea.Cursor) {
	t := &m.theme
	pad := margin(width)
	room := max(width-2*len(pad), 1)
	lines, cursor := filterHead(t, width, height, "Models", &p.filter, p.hint(m))
	foot := p.foot(m, room, height)
	list := max(height-len(lines)-len(foot), 1)
	all := p.lines(m)
	first := min(max(p.selected-list/2, 0), max(all-list, 0))
	for i := first; i < all && i < first+list; i++ {
		row := ""
		if i < len(p.shown) {
			row = p.row(t, i, room)
		} else {
			row = p.typedRow(m, room)
		}
		lines = append(lines, pad+row)
	}
	for len(lines) < height-len(foot) {
		lines = append(lines, "")
	}
	for _, l := range foot {
		lines = append(lines, pad+l)
	}
	return lines, cursor
}

// row returns line i of the list.
func (p *modelPicker) row(t *theme, i, width int) string {
	e := p.entries[p.shown[i]]
	mark := "  "
	if i == p.selected {
		mark = t.accent("❯ ")
	}
	right, warns := escape.Line(e.Size), e.Problem != ""
	switch {
	case warns && e.Size == "":
		right = "cannot be opened"
	case warns:
		right += "  does not fit"
	case e.Fit != "":
		right += "  fits"
	}
	if e.Open {
		right = "open  " + right
	}
	if warns {
		return mark + p.sides(t, e.Name, right, t.colours.warn, i == p.selected, width-2)
	}
	return mark + p.sides(t, e.Name, right, t.colours.muted, i == p.selected, width-2)
}

// typedRow returns the line of what was typed: what can be downloaded, or a path.
func (p *modelPicker) typedRow(m *Model, width int) string {
	t, name, right := &m.theme, "download "+p.offer(m), "from the hub"
	if path := p.path(m); path != "" {
		name, right = "open "+path, "from the disk"
	}
	mark := "  "
	if p.selected == len(p.shown) {
		mark = t.accent("❯ ")
	}
	if d := m.others.download; d != nil && d.name == p.offer(m) {
		right = bar(d.now.Part, 8) + fmt.Sprintf(" %.0f %%", 100*d.now.Part)
	}
	return mark + p.sides(t, name, right, t.colours.muted, p.selected == len(p.shown), width-2)
}

// sides writes a name on the left and what is said of it on the right, where there is room for that.
func (p *modelPicker) sides(t *theme, name, right, colour string, selected bool, width int) string {
	if width < 38 {
		right = ""
	}
	left := max(width-t.cells.StringWidth(right)-2, 1)
	name = t.cells.Truncate(escape.Line(name), left, "…")
	gap := strings.Repeat(" ", max(width-t.cells.StringWidth(name)-t.cells.StringWidth(right), 0))
	if selected {
		name = strong(t.colours.accent, name)
	}
	return name + gap + paint(colour, right)
}

// hint says what may be typed.
func (p *modelPicker) hint(m *Model) string {
	if _, ok := m.opt.Generator.(library.Puller); ok {
		return "type to filter, a path, or OWNER/NAME to download"
	}
	return "type to filter, or a path"
}

// foot returns what stands below the list: what the selected model is, and the keys.
func (p *modelPicker) foot(m *Model, width, height int) []string {
	t := &m.theme
	var lines []string
	if height >= 12 {
		about, rows := p.about(m), 3
		wrapped := strings.Split(t.cells.Wrap(escape.Line(about), width), "\n")
		if p.failure != "" {
			rows = min(max(len(wrapped), rows), height-8)
		}
		lines = append(lines, p.downloading(m, width))
		for i := range rows {
			l := ""
			if i < len(wrapped) {
				l = wrapped[i]
			}
			lines = append(lines, t.muted(l))
		}
		lines = append(lines, "")
	}
	if height >= 5 {
		k := m.keys.label
		keys := k(actChoose) + " opens" + separator + k(actComplete) + " about the open model" + separator + k(actClose) + " goes back"
		if m.others.download != nil {
			keys = k(actClose) + " stops the download" + separator + k(actModel) + " goes back to the chat, and the download goes on"
		}
		lines = append(lines, t.muted(t.cells.Truncate(keys, width, "…")))
	}
	return lines
}

// downloading says how far a download is.
func (p *modelPicker) downloading(m *Model, width int) string {
	if m.others.download == nil {
		return ""
	}
	text := escape.Line(m.others.download.name) + "  " + escape.Line(m.others.download.now.Text)
	return m.theme.accent(m.theme.cells.Truncate(text, width, "…"))
}

// about describes the selected model.
func (p *modelPicker) about(m *Model) string {
	switch {
	case p.failure != "":
		return p.failure
	case !p.read:
		return "looking …"
	case p.selected < len(p.shown):
		e := p.entries[p.shown[p.selected]]
		if e.Problem != "" {
			return e.Problem
		}
		parts := slices.DeleteFunc([]string{e.About, e.Fit, e.Path}, func(s string) bool { return s == "" })
		return strings.Join(parts, separator)
	case p.awaits(m):
		return "looking whether there is such a path …"
	case p.path(m) != "":
		return m.keys.label(actChoose) + " opens this path"
	case p.err != nil:
		return p.err.Error()
	case p.offer(m) != "":
		return m.keys.label(actChoose) + " downloads it into the hub's cache, goes on from what an earlier download left, and opens it"
	case history.IsPath(p.typed()):
		return "opens this path"
	}
	return "no model of that name is here; type a path"
}
