package ui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"github.com/sahilm/fuzzy"

	"peregrine/history"
	"peregrine/ui/escape"
)

// picker is the list of conversations: filter by typing, open, rename, delete and take that back.
type picker struct {
	filter   field
	entries  []history.Entry
	listing  *history.Listing // that is being read, or was read last
	news     []history.Entry  // what it had so far
	read     bool             // a whole listing
	err      error
	shown    []int // places in entries that fit the filter
	selected int   // 0: the line that starts a new one
	undo     map[string]func() error
	renaming *field // the new name of the selected one
}

// showPicker opens the list and reads what there is.
func (m *Model) showPicker() tea.Cmd {
	if m.opt.Store == nil {
		m.tell(levelWarn, "conversations are not kept in this run")
		return nil
	}
	m.overlay = &picker{undo: map[string]func() error{}}
	return m.list()
}

// handle shows what was read, if the list is still open, and goes on: the parts grow, since each is shown.
func (msg listedMsg) handle(m *Model) tea.Cmd {
	p, ok := m.overlay.(*picker)
	if !ok || !p.listed(msg) {
		return nil
	}
	n := 4 * len(msg.entries)
	return func() tea.Msg { return part(msg.listing, n) }
}

// listed shows what was read, and returns whether there is more. While the first list is read, its parts are shown; a later one
// takes the place of the first when all of it is there. What is deleted stays in the list while it is open, so that it can be
// taken back.
func (p *picker) listed(msg listedMsg) (more bool) {
	p.err = msg.err
	if msg.err != nil {
		p.read = true
		return false
	}
	if msg.listing != p.listing {
		p.listing, p.news = msg.listing, nil
	}
	p.news = append(p.news, msg.entries...)
	more = len(p.news) < p.listing.Len()
	if p.read && more {
		return true
	}
	first := len(p.entries) == 0
	chosen, moved := p.current()
	moved = moved && p.selected > 1
	gone := slices.DeleteFunc(p.entries, func(e history.Entry) bool { return p.undo[e.Path] == nil })
	p.entries = append(slices.Clone(p.news), gone...)
	slices.SortStableFunc(p.entries, func(a, b history.Entry) int { return b.Modified.Compare(a.Modified) })
	p.read = p.read || !more
	p.find()
	if first && p.selected == 0 && len(p.shown) > 0 {
		p.selected = 1
	}
	if at := slices.IndexFunc(p.shown, func(i int) bool { return p.entries[i].Path == chosen.Path }); moved && at >= 0 {
		p.selected = at + 1
	}
	return more
}

// find applies the filter.
func (p *picker) find() {
	p.shown = p.shown[:0]
	pattern := strings.TrimSpace(p.filter.value())
	if pattern == "" {
		for i := range p.entries {
			p.shown = append(p.shown, i)
		}
	} else {
		titles := make([]string, len(p.entries))
		for i, e := range p.entries {
			titles[i] = e.Title + " " + e.Preview
		}
		for _, found := range fuzzy.Find(pattern, titles) {
			p.shown = append(p.shown, found.Index)
		}
	}
	p.selected = min(p.selected, len(p.shown))
	if pattern != "" && len(p.shown) > 0 {
		p.selected = 1
	}
}

// current returns the conversation that is selected.
func (p *picker) current() (history.Entry, bool) {
	if p.selected < 1 || p.selected > len(p.shown) {
		return history.Entry{}, false
	}
	return p.entries[p.shown[p.selected-1]], true
}

func (p *picker) press(m *Model, key tea.KeyPressMsg) tea.Cmd {
	if p.renaming != nil {
		return p.pressName(m, key)
	}
	rows := len(p.shown) + 1
	switch m.keys.find(key, inPicker, inList, inChat) {
	case actUp:
		p.selected = (p.selected + rows - 1) % rows
	case actDown:
		p.selected = (p.selected + 1) % rows
	case actPageUp:
		p.selected = max(p.selected-10, 0)
	case actPageDown:
		p.selected = min(p.selected+10, rows-1)
	case actClose, actPicker:
		m.overlay = nil
	case actChoose, actSend:
		return p.choose(m)
	case actRename:
		if e, ok := p.current(); ok && p.undo[e.Path] == nil {
			p.renaming = &field{}
			p.renaming.set(e.Name)
		}
	case actDelete:
		return p.delete(m)
	case actNone:
		if p.filter.press(key) {
			p.find()
		}
	}
	return nil
}

// pressName edits the new name.
func (p *picker) pressName(m *Model, key tea.KeyPressMsg) tea.Cmd {
	switch m.keys.find(key, inList) {
	case actClose:
		p.renaming = nil
	case actChoose:
		name := p.renaming.value()
		p.renaming = nil
		if e, ok := p.current(); ok {
			return m.rename(e.Path, name)
		}
	default:
		p.renaming.press(key)
	}
	return nil
}

// choose opens what is selected.
func (p *picker) choose(m *Model) tea.Cmd {
	e, ok := p.current()
	if !ok {
		m.overlay = nil
		return m.fresh()
	}
	if p.undo[e.Path] != nil {
		return p.delete(m) // takes it back
	}
	m.overlay = nil
	return m.openFile(e.Path)
}

// delete deletes what is selected, or takes that back.
func (p *picker) delete(m *Model) tea.Cmd {
	e, ok := p.current()
	if !ok {
		return nil
	}
	if undo := p.undo[e.Path]; undo != nil {
		return func() tea.Msg { return restoredMsg{e.Path, undo()} }
	}
	return m.remove(e.Path)
}

func (p *picker) wheel(_ *Model, lines int) {
	p.selected = min(max(p.selected+lines, 0), len(p.shown))
}

func (p *picker) paste(text string) {
	if p.renaming != nil {
		p.renaming.insert(text)
		return
	}
	p.filter.insert(text)
	p.find()
}

// handle notes that a conversation is gone, and how it comes back.
func (msg deletedMsg) handle(m *Model) tea.Cmd {
	if msg.err != nil {
		m.tell(levelBad, msg.err.Error())
		return nil
	}
	if p, ok := m.overlay.(*picker); ok {
		p.undo[msg.path] = msg.undo
		m.tell(levelInfo, "deleted; the same key takes it back")
		return nil
	}
	m.chat.undo = func() tea.Msg { return restoredMsg{msg.path, msg.undo()} }
	m.tell(levelInfo, "deleted; /undo brings it back")
	return nil
}

// handle notes that a deleted conversation is there again.
func (msg restoredMsg) handle(m *Model) tea.Cmd {
	if msg.err != nil {
		m.tell(levelBad, msg.err.Error())
		return nil
	}
	m.tell(levelInfo, "it is back")
	if p, ok := m.overlay.(*picker); ok {
		delete(p.undo, msg.path)
		return nil
	}
	return m.openFile(msg.path)
}

// handle notes a new name.
func (msg renamedMsg) handle(m *Model) tea.Cmd {
	if msg.err != nil {
		m.tell(levelBad, msg.err.Error())
		return nil
	}
	m.tell(levelInfo, "named "+msg.name)
	if _, ok := m.overlay.(*picker); ok {
		return m.list()
	}
	return nil
}

func (p *picker) view(m *Model, width, height int) ([]string, *tea.Cursor) {
	t := &m.theme
	pad := margin(width)
	room := max(width-2*len(pad), 1)
	text, column := p.filter.view(max(room-2, 1), t.cells)
	if p.filter.value() == "" {
		text = t.muted(t.cells.Truncate("type to filter", max(room-2, 1), ""))
	}
	var lines []string
	if height >= 6 {
		lines = append(lines, pad+strong(t.colours.accent, "Conversations"), "")
	}
	cursor := newCursor(t.cells.StringWidth(pad)+2+column, len(lines))
	lines = append(lines, pad+strong(t.colours.user, "❯ ")+text)
	if height >= 6 {
		lines = append(lines, "")
	}
	foot := p.foot(m, room, height)
	list := max(height-len(lines)-len(foot), 1)
	first := min(max(p.selected-list/2, 0), max(len(p.shown)+1-list, 0))
	for i := first; i <= len(p.shown) && i < first+list; i++ {
		line, at := p.row(m, i, room)
		if at >= 0 {
			cursor = newCursor(t.cells.StringWidth(pad)+at, len(lines))
		}
		lines = append(lines, pad+line)
	}
	for len(lines) < height-len(foot) {
		lines = append(lines, "")
	}
	for _, l := range foot {
		lines = append(lines, pad+l)
	}
	return lines, cursor
}

// row returns line i of the list, and the column of the cursor when its name is being edited.
func (p *picker) row(m *Model, i, width int) (string, int) {
	t := &m.theme
	mark := "  "
	if i == p.selected {
		mark = t.accent("❯ ")
	}
	if i == 0 {
		name := "new conversation"
		if i == p.selected {
			return mark + strong(t.colours.accent, name), -1
		}
		return mark + t.muted(name), -1
	}
	e := p.entries[p.shown[i-1]]
	if p.renaming != nil && i == p.selected {
		text, column := p.renaming.view(max(width-2, 1), t.cells)
		return mark + text, 2 + column
	}
	right := fmt.Sprintf("%s  %s", plural(e.Messages, "message"), age(m.opt.Now().Sub(e.Modified)))
	switch {
	case e.Err != nil:
		right = "cannot be read"
	case p.undo[e.Path] != nil:
		right = "deleted"
	case m.chat.file != nil && m.chat.file.Path() == e.Path:
		right = "open  " + right
	}
	if width < 40 {
		right = ""
	}
	left := max(width-2-t.cells.StringWidth(right)-2, 1)
	title := t.cells.Truncate(escape.Line(e.Title), left, "…")
	gap := strings.Repeat(" ", max(width-2-t.cells.StringWidth(title)-t.cells.StringWidth(right), 0))
	switch {
	case p.undo[e.Path] != nil:
		title = ansi.Style{}.Strikethrough(true).Styled(title)
	case i == p.selected:
		title = strong(t.colours.accent, title)
	}
	return mark + title + gap + t.muted(right), -1
}

// foot returns what stands below the list: the start of the selected conversation's last message, and the keys.
func (p *picker) foot(m *Model, width, height int) []string {
	t := &m.theme
	var lines []string
	if height >= 12 {
		preview := ""
		if e, ok := p.current(); ok {
			preview = escape.Line(e.Preview)
			if e.Err != nil {
				preview = escape.Line(e.Err.Error())
			}
		}
		switch {
		case p.err != nil:
			preview = escape.Line(p.err.Error())
		case !p.read:
			preview = "reading …"
		case len(p.entries) == 0:
			preview = "nothing is saved yet"
		}
		wrapped := strings.Split(t.cells.Wrap(preview, width), "\n")
		lines = append(lines, "")
		for i := range 2 {
			l := ""
			if i < len(wrapped) {
				l = wrapped[i]
			}
			lines = append(lines, t.muted(l))
		}
		lines = append(lines, "")
	}
	if height >= 5 {
		keys := fmt.Sprintf("%s opens · %s renames · %s deletes, and undoes · %s goes back", m.keys.label(actChoose), m.keys.label(actRename),
			m.keys.label(actDelete), m.keys.label(actClose))
		lines = append(lines, t.muted(t.cells.Truncate(keys, width, "…")))
	}
	return lines
}

// age writes how long ago something was.
func age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return "now"
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 24*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	case d < 60*24*time.Hour:
		return plural(int(d.Hours()/24), "day")
	}
	return plural(int(d.Hours()/24/30), "month")
}
