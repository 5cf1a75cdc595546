package ui

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"peregrine/model/generate"
	"peregrine/ui/cells"
	"peregrine/ui/escape"
)

// passage is the reply's text with one token highlighted, as lines.
type passage struct {
	at, width int
	label     string // of a token that has no text
	lines     []string
	line      int // where the token is
}

func (x *inspector) view(m *Model, width, height int) ([]string, *tea.Cursor) {
	t := &m.theme
	pad := margin(width)
	room := max(width-2*len(pad), 1)
	spread := height >= 20 // room for empty lines between the parts
	lines := []string{x.title(m, room)}
	over := 3 // title, head of the table, keys
	if spread {
		lines = append(lines, "")
		over += 3
	}
	text := max(height-over-shownChoices-1, min(3, height-over-3), 0)
	lines = append(lines, x.text(m, room, text)...)
	if spread {
		lines = append(lines, "")
	}
	table := max(height-over-text, 0)
	if height > 3 {
		lines = append(lines, x.table(m, room, table)...)
	}
	for len(lines) < height-1 {
		lines = append(lines, "")
	}
	k := m.keys.label
	hints := [][2]string{
		{k(actTokenBack) + k(actTokenOn), "token"},
		{k(actChoose), "goes on"},
		{k(actUp) + k(actDown), "candidate"},
		{k(actClose), "back"},
	}
	lines = append(lines, t.muted(hintLine(hints, room, t.cells)))
	for i, l := range lines {
		if l != "" {
			lines[i] = pad + l
		}
	}
	return lines, nil
}

// title says where one is, and with which values the reply was sampled where there is room.
func (x *inspector) title(m *Model, width int) string {
	t := &m.theme
	title := "Why this word"
	place := ""
	if x.ids != nil {
		place = fmt.Sprintf("token %s of %s", thousands(x.inquiry.At+1), thousands(len(x.ids)))
	}
	values := separator + strings.Join(samplingText(x.inquiry.Request.Sampling), separator)
	if t.cells.StringWidth(title+values+place)+2 > width {
		values = ""
	}
	gap := max(width-t.cells.StringWidth(title+values+place), 1)
	return strong(t.colours.accent, title) + t.muted(values+strings.Repeat(" ", gap)+place)
}

// text returns so many lines of the reply, those around the token.
func (x *inspector) text(m *Model, width, rows int) []string {
	if rows <= 0 {
		return nil
	}
	label := x.label()
	if d := &x.drawn; d.lines == nil || d.at != x.inquiry.At || d.width != width || d.label != label {
		x.drawn = x.lay(width, label, m.theme.cells)
	}
	all := x.drawn.lines
	first := max(min(x.drawn.line-rows/2, len(all)-rows), 0)
	lines := append([]string{}, all[first:min(first+rows, len(all))]...)
	for len(lines) < rows {
		lines = append(lines, "")
	}
	return lines
}

// label returns what stands for a token that has no text of its own, "" where it has or is a part of a character.
func (x *inspector) label() string {
	at := x.inquiry.At
	if at >= len(x.pieces) || x.pieces[at] != "" {
		return ""
	}
	for _, c := range x.known[at] {
		if c.ID == x.ids[at] && !strings.ContainsRune(c.Text, '\uFFFD') {
			return c.Text
		}
	}
	return ""
}

// lay lays the reply out with the token highlighted. A token that is a part of a character highlights all of it.
func (x *inspector) lay(width int, label string, c cells.Method) passage {
	at := x.inquiry.At
	before, token, after := x.reply.Content, "", ""
	if at < len(x.pieces) {
		whole := at
		for label == "" && whole < len(x.pieces)-1 && x.pieces[whole] == "" {
			whole++
		}
		before, token, after = strings.Join(x.pieces[:at], ""), x.pieces[whole], strings.Join(x.pieces[whole+1:], "")
		if label != "" {
			token = label
		}
	}
	shown := readable(before) + lit(token) + readable(after)
	d := passage{at: at, width: width, label: label, lines: strings.Split(c.Wrap(shown, width), "\n")}
	open := false
	for i, l := range d.lines {
		start, end := strings.Contains(l, litOn), strings.Contains(l, litOff)
		if start {
			d.line = i
		}
		if open && !start {
			d.lines[i] = litOn + l
		}
		if open = (open || start) && !end; open {
			d.lines[i] += litOff
		}
	}
	return d
}

// The sequences around the highlighted token.
var (
	litOn  = ansi.Style{}.Reverse(true).String()
	litOff = ansi.ResetStyle
)

// lit highlights a token. Line ends and spaces that would not be seen are shown.
func lit(token string) string {
	if token == "" {
		return ""
	}
	if strings.TrimSpace(token) == "" {
		token = strings.ReplaceAll(token, " ", "␣")
	}
	return litOn + strings.ReplaceAll(readable(token), "\n", "↵\n") + litOff
}

// readable makes text harmless, with tabs as spaces.
func readable(s string) string { return strings.ReplaceAll(escape.Visible(s), "\t", "    ") }

// The widths of the table's columns.
const (
	markWidth    = 3
	percentWidth = 8
	leastToken   = 10
	mostToken    = 24
)

// table returns the candidates in so many lines and one for the head.
func (x *inspector) table(m *Model, width, rows int) []string {
	t := &m.theme
	choices, known := x.known[x.inquiry.At]
	switch {
	case x.err != nil:
		return strings.Split(t.say(levelBad, t.cells.Wrap(escape.Visible(x.err.Error()), width)), "\n")
	case !known && !m.info.Ready:
		return []string{t.muted("waiting for the model")}
	case !known:
		return []string{t.muted("computing …")}
	}
	token := min(max(width/3, leastToken), mostToken)
	head := filled("", markWidth, t.cells) + filled("token", token, t.cells) + fmt.Sprintf("%*s%*s", percentWidth, "model", percentWidth+1, "drawn")
	lines := []string{t.muted(t.cells.Truncate(head, width, ""))}
	first := max(min(x.row-rows/2, len(choices)-rows), 0)
	for i := first; i < min(first+rows, len(choices)); i++ {
		lines = append(lines, t.cells.Truncate(x.choiceLine(t, choices[i], i == x.row, token, width), width, "…"))
	}
	return lines
}

// choiceLine shows one candidate: whether it stands there, its probability, the chance that it had, or what cut it off, and a
// bar.
func (x *inspector) choiceLine(t *theme, c generate.Choice, selected bool, token, width int) string {
	mark, stands := " ", " "
	if selected {
		mark = t.accent("❯")
	}
	if c.ID == x.ids[x.inquiry.At] {
		stands = t.accent("●")
	}
	name := filled(t.cells.Truncate(choiceName(c), token-1, "…"), token, t.cells)
	drawn := probability(c.Chance)
	if !c.Kept {
		drawn = "cut"
		if c.Cut != generate.FilterNone {
			drawn = string(c.Cut)
		}
		if c.Cut == generate.FilterGreedy {
			drawn = "greedy"
		}
	}
	numbers := fmt.Sprintf("%*s%*s ", percentWidth, probability(c.Prob), percentWidth+1, t.cells.Truncate(drawn, percentWidth, "…"))
	room := width - markWidth - token - 2*percentWidth - 2
	switch {
	case selected:
		name = strong(t.colours.accent, name)
	case !c.Kept:
		name, numbers = t.muted(name), t.muted(numbers)
	}
	rank := ""
	if c.Rank > shownChoices {
		rank = "rank " + thousands(c.Rank)
	}
	if rank != "" && room >= t.cells.StringWidth(rank) {
		return mark + stands + " " + name + numbers + t.muted(rank)
	}
	return mark + stands + " " + name + numbers + probBar(t, c, room)
}

// choiceName writes a token so that its spaces and line ends are seen.
func choiceName(c generate.Choice) string {
	text := c.Text
	if c.Piece != "" {
		text = c.Piece // with this token a character is whole
	}
	if c.Piece == "" && text == "\uFFFD" {
		return fmt.Sprintf("(part, id %d)", c.ID) // of a character: it has no name but its number
	}
	return escape.Line(strings.NewReplacer(" ", "␣", "\n", "↵", "\t", "⇥").Replace(text))
}

// probBar draws a probability as a bar: full blocks for what was kept, shaded ones for what was cut off.
func probBar(t *theme, c generate.Choice, width int) string {
	if width <= 0 {
		return ""
	}
	if !c.Kept {
		return t.muted(strings.Repeat("░", int(c.Prob*float64(width)+0.5)))
	}
	eighths := int(c.Prob*float64(8*width) + 0.5)
	bar := strings.Repeat("█", eighths/8)
	if rest := eighths % 8; rest > 0 {
		bar += string(rune('█' + 8 - rest))
	}
	return t.accent(bar)
}

// probability writes a probability in at most percentWidth cells.
func probability(p float64) string {
	switch {
	case p >= 0.01 || p == 0:
		return fmt.Sprintf("%.1f %%", 100*p)
	case p >= 0.00005:
		return fmt.Sprintf("%.2f %%", 100*p)
	}
	return "<0.01 %"
}

// filled fills a text up to so many cells.
func filled(s string, width int, c cells.Method) string {
	return s + strings.Repeat(" ", max(width-c.StringWidth(s), 0))
}
