package ui

import (
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"peregrine/history/words"
	"peregrine/ui/escape"
)

// besideFrom is the width from which the preview stands beside the list.
const besideFrom = 96

func (p *picker) view(m *Model, width, height int) ([]string, *tea.Cursor) {
	t := &m.theme
	pad := margin(width)
	room := max(width-2*len(pad), 1)
	lines, cursor := filterHead(t, width, height, "Conversations", &p.filter, "type to search titles and texts")
	foot := p.foot(m, room, height)
	list := max(height-len(lines)-len(foot), 1)
	left, beside := room, []string(nil)
	if room >= besideFrom {
		left = room * 55 / 100
		beside = p.beside(m, room-left-3, list)
	}
	first := min(max(p.selected-list/2, 0), max(len(p.shown)+1-list, 0))
	for i := range list {
		line := ""
		if n := first + i; n <= len(p.shown) {
			var at int
			if line, at = p.row(m, n, left); at >= 0 {
				cursor = newCursor(t.cells.StringWidth(pad)+at, len(lines))
			}
		}
		if beside != nil {
			line += strings.Repeat(" ", max(left-t.cells.StringWidth(line), 0)) + t.muted(" │ ") + beside[i]
		}
		if line != "" {
			line = pad + line
		}
		lines = append(lines, line)
	}
	for _, l := range foot {
		lines = append(lines, pad+l)
	}
	return lines, cursor
}

// beside returns the preview as height lines.
func (p *picker) beside(m *Model, width, height int) []string {
	lines := make([]string, height)
	if e, ok := p.current(); ok {
		copy(lines, p.preview.lines(m, e, width, height))
	}
	return lines
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
	gone := p.gone.of(e.Path) != nil
	switch {
	case e.Err != nil:
		right = "cannot be read"
	case gone:
		right = "deleted"
	case m.chat.file != nil && m.chat.file.Path() == e.Path:
		right = "open  " + right
	}
	if width < 40 {
		right = ""
	}
	left := max(width-2-t.cells.StringWidth(right)-2, 1)
	title := t.shorten(escape.Line(e.Title), left)
	gap := strings.Repeat(" ", max(width-2-t.cells.StringWidth(title)-t.cells.StringWidth(right), 0))
	switch {
	case gone:
		title = ansi.Style{}.Strikethrough(true).Styled(title)
	case i == p.selected:
		title = t.marked(title, p.hits(title), func(s string) string { return strong(t.colours.accent, s) })
	default:
		title = t.marked(title, p.hits(title), nil)
	}
	return mark + title + gap + t.muted(right), -1
}

// hits returns what of a title was searched for.
func (p *picker) hits(title string) []words.Span {
	if p.sought == "" {
		return nil
	}
	if spans := words.Find(title, p.sought); len(spans) > 0 {
		return spans
	}
	return words.Parse(p.sought).Spans(title)
}

// shorten cuts a text that is wider than width, at the end of a word unless that would cost most of it.
func (t *theme) shorten(text string, width int) string {
	if t.cells.StringWidth(text) <= width {
		return text
	}
	cut := t.cells.Truncate(text, max(width-1, 0), "")
	if space := strings.LastIndexByte(cut, ' '); space > len(cut)/2 && !strings.HasPrefix(text[len(cut):], " ") {
		cut = cut[:space]
	}
	return strings.TrimRight(cut, " ") + "…"
}

// foot returns what stands below the list: the preview where it is not beside it, and the keys.
func (p *picker) foot(m *Model, width, height int) []string {
	t := &m.theme
	var lines []string
	if height >= 12 {
		said := make([]string, 2)
		state := p.state()
		if e, ok := p.current(); ok && width < besideFrom && state == "" {
			brief := p.preview.brief(m, e, width, len(said))
			copy(said, brief)
		} else {
			for i, l := range strings.Split(t.cells.Wrap(state, width), "\n") {
				if i < len(said) {
					said[i] = t.muted(l)
				}
			}
		}
		lines = append(append(append(lines, ""), said...), "")
	}
	if height >= 5 {
		keys := fmt.Sprintf("%s opens · %s renames · %s deletes, and undoes · %s goes back", m.keys.label(actChoose), m.keys.label(actRename),
			m.keys.label(actDelete), m.keys.label(actClose))
		lines = append(lines, t.muted(t.cells.Truncate(keys, width, "…")))
	}
	return lines
}

// state says what there is to know of the list itself, "" when that is nothing.
func (p *picker) state() string {
	switch {
	case p.err != nil:
		return escape.Line(p.err.Error())
	case !p.read && p.listing == nil:
		return "reading …"
	case !p.read:
		return fmt.Sprintf("reading, %s of %s …", thousands(len(p.news)), thousands(p.listing.Len()))
	case len(p.entries) == 0:
		return "nothing is saved yet"
	case p.sought != "" && len(p.shown) == 0:
		return "nothing fits"
	}
	return ""
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
