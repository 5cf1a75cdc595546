package ui

import (
	"strings"
	"time"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"

	"peregrine/history"
	"peregrine/history/words"
	"peregrine/model/generate"
	"peregrine/ui/escape"
)

// preview shows some of the conversation that is selected in a list: what was searched for, or else its end.
type preview struct {
	of      glance // what is shown
	quotes  []quote
	err     error
	reading bool
}

// glance says what is looked at.
type glance struct {
	path     string
	modified time.Time
	query    string
}

// quote is a part of a message. It is data: it is made harmless when it is shown.
type quote struct {
	role generate.Role
	text string
}

// Limits of what is read for a preview.
const (
	previewBytes  = 8 << 20 // of a file; of a larger one the list's own excerpt is shown
	previewQuotes = 12
	previewRunes  = 600 // of a quote
	leadRunes     = 80  // before what was searched for
)

// previewMsg is what was read.
type previewMsg struct {
	of     glance
	quotes []quote
	err    error
}

// look reads what is selected, one conversation at a time: who goes down a long list does not wait for those passed.
func (p *picker) look(m *Model) tea.Cmd {
	v := &p.preview
	e, ok := p.current()
	s := glance{e.Path, e.Modified, p.sought}
	if !ok || v.reading || s == v.of || m.overlay != p {
		return nil
	}
	if e.Err != nil || e.Size() > previewBytes || p.gone.of(e.Path) != nil {
		*v = preview{of: s}
		return nil
	}
	v.reading = true
	return func() tea.Msg {
		c, err := history.Read(s.path)
		if err != nil {
			return previewMsg{of: s, err: err}
		}
		return previewMsg{of: s, quotes: quotes(c, words.Parse(s.query))}
	}
}

// handle shows what was read, and reads what is selected by now.
func (msg previewMsg) handle(m *Model) tea.Cmd {
	p, ok := m.overlay.(*picker)
	if !ok {
		return nil
	}
	p.preview = preview{of: msg.of, quotes: msg.quotes, err: msg.err}
	return p.look(m)
}

// quotes returns parts of the messages that have what was searched for; where there is none, or only in the name, the last
// messages.
func quotes(c *history.Conversation, query words.Query) []quote {
	var list []quote
	for _, m := range c.Messages {
		if len(list) == previewQuotes {
			return list
		}
		if spans := query.Spans(m.Content); len(spans) > 0 {
			list = append(list, quote{m.Role, excerpt(m.Content, spans[0].Start)})
		}
	}
	if len(list) > 0 {
		return list
	}
	path := c.Path(c.Leaf())
	if len(path) == 0 {
		path = c.Path(c.Tip(""))
	}
	for _, m := range path[max(len(path)-previewQuotes, 0):] {
		list = append(list, quote{m.Role, excerpt(m.Content, 0)})
	}
	return list
}

// excerpt returns the part of a text about a place in it, as one line.
func excerpt(text string, at int) string {
	start, end := at, at
	for n := 0; n < leadRunes && start > 0; n++ {
		_, size := utf8.DecodeLastRuneInString(text[:start])
		start -= size
	}
	for n := 0; n < previewRunes && end < len(text); n++ {
		_, size := utf8.DecodeRuneInString(text[end:])
		end += size
	}
	before, after := "", ""
	if start > 0 {
		before = "… "
		if space := strings.IndexByte(text[start:at], ' '); space >= 0 {
			start += space
		}
	}
	if end < len(text) {
		after = "…"
	}
	return before + strings.Join(strings.Fields(text[start:end]), " ") + after
}

// lines returns the preview, at most height lines: from its start where something was searched for, else its end.
func (v *preview) lines(m *Model, e history.Entry, width, height int) []string {
	t := &m.theme
	query := words.Parse(v.of.query)
	var lines []string
	switch {
	case e.Err != nil:
		lines = strings.Split(t.cells.Wrap(escape.Line(e.Err.Error()), width), "\n")
	case v.err != nil && v.of.path == e.Path:
		lines = strings.Split(t.cells.Wrap(escape.Line(v.err.Error()), width), "\n")
	case v.of.path != e.Path || len(v.quotes) == 0:
		lines = strings.Split(t.cells.Wrap(escape.Line(e.Preview), width), "\n")
	}
	if lines != nil {
		for i := range lines {
			lines[i] = t.muted(lines[i])
		}
		return lines[:min(len(lines), height)]
	}
	for i, q := range v.quotes {
		if i > 0 {
			lines = append(lines, "")
		}
		lines = append(lines, q.lines(t, query, width)...)
	}
	if over := len(lines) - height; over > 0 && len(query) == 0 {
		lines = lines[over:]
	}
	return lines[:min(len(lines), height)]
}

// brief returns the preview where there is room for few lines: what was searched for, or the start of the last message.
func (v *preview) brief(m *Model, e history.Entry, width, height int) []string {
	t := &m.theme
	query := words.Parse(v.of.query)
	text := e.Preview
	switch {
	case e.Err != nil:
		text = e.Err.Error()
	case v.of.path == e.Path && v.err != nil:
		text = v.err.Error()
	case v.of.path == e.Path && len(v.quotes) > 0 && len(query) > 0:
		text = v.quotes[0].text
	}
	lines := strings.Split(t.cells.Wrap(escape.Line(text), width), "\n")
	lines = lines[:min(len(lines), height)]
	for i, l := range lines {
		lines[i] = t.marked(l, query.Spans(l), t.muted)
	}
	return lines
}

// lines returns a quote below the name of who said it.
func (q quote) lines(t *theme, query words.Query, width int) []string {
	who := "you"
	colour := t.colours.user
	if q.role != generate.User {
		who, colour = escape.Line(string(q.role)), t.colours.accent
	}
	lines := []string{strong(colour, t.cells.Truncate(who, width, "…"))}
	for _, l := range strings.Split(t.cells.Wrap(escape.Line(q.text), width), "\n") {
		lines = append(lines, t.marked(l, query.Spans(l), nil))
	}
	return lines
}

// marked returns a text with parts of it marked as found. plain, if not nil, paints the others.
func (t *theme) marked(text string, spans []words.Span, plain func(string) string) string {
	if plain == nil {
		plain = func(s string) string { return s }
	}
	var b strings.Builder
	from := 0
	for _, s := range spans {
		if s.Start > from {
			b.WriteString(plain(text[from:s.Start]))
		}
		b.WriteString(t.hit(text[s.Start:s.End]))
		from = s.End
	}
	if from < len(text) {
		b.WriteString(plain(text[from:]))
	}
	return b.String()
}
