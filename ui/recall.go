package ui

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"peregrine/history"
	"peregrine/ui/cells"
	"peregrine/ui/escape"
)

// recall searches what was typed before, in the place of the composer. The draft stays behind it.
type recall struct {
	field field
	texts []history.Text // the oldest first
	shown []string       // as they stand in the field, pastes as marks
	lower []string       // the same in small letters
	at    int            // the one that is found; -1: none
}

// showRecall opens the search.
func (m *Model) showRecall() tea.Cmd {
	r := &recall{texts: m.inputs()}
	if len(r.texts) == 0 {
		m.tell(levelInfo, "nothing was typed before")
		return nil
	}
	for _, t := range r.texts {
		r.shown = append(r.shown, shownText(t))
		r.lower = append(r.lower, lowered(r.shown[len(r.shown)-1]))
	}
	r.at = len(r.texts) - 1
	m.overlay = r
	return nil
}

// shownText returns a text as the field shows it.
func shownText(t history.Text) string {
	var b strings.Builder
	for _, p := range t.Pieces {
		if p.Folded {
			b.WriteString("⟦paste: " + pasteSize(p.Text) + "⟧")
			continue
		}
		b.WriteString(p.Text)
	}
	return b.String()
}

// lowered returns text in small letters, every letter in its place: those whose small one has another length stay.
func lowered(s string) string {
	return strings.Map(func(r rune) rune {
		if l := unicode.ToLower(r); utf8.RuneLen(l) == utf8.RuneLen(r) {
			return l
		}
		return r
	}, s)
}

// find looks for the pattern from one of the texts on, to the older (-1) or the newer (1). Where there is none, what was found
// stays, if it still fits.
func (r *recall) find(from, step int) {
	pattern := lowered(r.field.value())
	for i := from; i >= 0 && i < len(r.lower); i += step {
		if strings.Contains(r.lower[i], pattern) {
			r.at = i
			return
		}
	}
	if r.at >= 0 && !strings.Contains(r.lower[r.at], pattern) {
		r.at = -1
	}
}

func (r *recall) press(m *Model, key tea.KeyPressMsg) tea.Cmd {
	switch a := m.keys.find(key, inList, inChat); a {
	case actClose:
		m.overlay = nil
	case actChoose:
		m.overlay = nil
		if r.at >= 0 {
			m.walkTo(r.texts, r.at)
		}
	case actRecall, actUp:
		r.step(m, -1)
	case actDown:
		r.step(m, 1)
	default:
		if r.field.press(key) {
			r.find(len(r.texts)-1, -1)
		}
	}
	return nil
}

// step goes on to the next that fits.
func (r *recall) step(m *Model, by int) {
	was := r.at
	if r.find(r.at+by, by); r.at == was && r.at >= 0 {
		m.tell(levelInfo, map[int]string{-1: "nothing older fits", 1: "nothing newer fits"}[by])
	}
}

func (r *recall) wheel(m *Model, lines int) { m.transcript.scroll(lines, &m.theme) }

func (r *recall) paste(text string) {
	r.field.insert(text)
	r.find(len(r.texts)-1, -1)
}

// recallRows is the most that the search takes of the screen.
const recallRows = 6

// rows returns how many lines the search has: the pattern's and some of the text that is found.
func (r *recall) rows(m *Model) int {
	n := 1
	if r.at >= 0 {
		n += strings.Count(r.shown[r.at], "\n") + 1
	}
	return max(min(n, recallRows, m.size.height/3), 1)
}

func (r *recall) view(m *Model, width, height int) ([]string, *tea.Cursor) {
	t := &m.theme
	label := t.cells.Truncate("search", max(width/2, 1), "…")
	used := t.cells.StringWidth(label) + 3
	text, column := r.field.view(max(width-used, 1), t.cells)
	line := strong(t.colours.user, label+" ❯ ") + text
	hint := r.hint(m)
	if room := width - used - t.cells.StringWidth(text) - t.cells.StringWidth(hint); room > 1 {
		line += strings.Repeat(" ", room) + t.muted(hint)
	}
	lines := []string{line}
	if r.at >= 0 {
		found := strings.Split(r.shown[r.at], "\n")
		first := 0
		if at := strings.Index(r.lower[r.at], lowered(r.field.value())); at > 0 {
			first = min(strings.Count(r.lower[r.at][:at], "\n"), max(len(found)-height+1, 0))
		}
		for _, l := range found[first:min(first+height-1, len(found))] {
			lines = append(lines, indent+r.marked(l, max(width-len(indent), 1), t.cells))
		}
	}
	return lines, newCursor(used+column, 0)
}

// hint says what is found and which keys there are.
func (r *recall) hint(m *Model) string {
	if r.at < 0 {
		return "not found"
	}
	hint := fmt.Sprintf("%d/%d", r.at+1, len(r.texts))
	if key := m.keys.label(actChoose); key != "" {
		hint += separator + key + " takes it"
	}
	if key := m.keys.label(actRecall); key != "" {
		hint += separator + key + " older"
	}
	return hint
}

// marked returns a line with the first place that fits reversed.
func (r *recall) marked(line string, width int, c cells.Method) string {
	line, pattern := escape.Line(line), escape.Line(r.field.value())
	if at := strings.Index(lowered(line), lowered(pattern)); at >= 0 && pattern != "" {
		end := at + len(pattern)
		line = line[:at] + ansi.Style{}.Reverse(true).Styled(line[at:end]) + line[end:]
	}
	return c.Truncate(line, width, "…")
}
