package ui

import (
	"fmt"
	"strings"

	"peregrine/model/generate"
	"peregrine/ui/cells"
	"peregrine/ui/escape"
)

// meters are the numbers of the status line.
type meters struct {
	used, limit int     // tokens of the context
	rate        float64 // tokens per second
}

// segment is a part of the status line, in forms from the longest to the shortest; the last may be "".
type segment struct {
	forms  []string
	colour string
	bold   bool
}

// statusLine fits the segments into the width: steps names, in order, the segments that give way by one form.
func statusLine(left, right, steps []*segment, width int, c cells.Method) string {
	const gap = 2
	for _, s := range steps {
		if joined(left, c)+joined(right, c)+gap <= width {
			break
		}
		if len(s.forms) > 1 {
			s.forms = s.forms[1:]
		}
	}
	room := width - joined(right, c)
	if joined(right, c) > 0 {
		room -= gap
	}
	l := c.Truncate(render(left), max(room, 0), "…")
	r := render(right)
	line := l + strings.Repeat(" ", max(width-c.StringWidth(l)-c.StringWidth(r), 0)) + r
	return c.Truncate(line, width, "…")
}

const separator = " · "

// joined returns the width of segments side by side.
func joined(segments []*segment, c cells.Method) int {
	total := 0
	for _, s := range segments {
		if s.forms[0] == "" {
			continue
		}
		if total > 0 {
			total += len(separator) - 1 // the dot is two bytes long
		}
		total += c.StringWidth(s.forms[0])
	}
	return total
}

// render writes segments side by side.
func render(segments []*segment) string {
	var parts []string
	for _, s := range segments {
		switch {
		case s.forms[0] == "":
		case s.bold:
			parts = append(parts, strong(s.colour, s.forms[0]))
		default:
			parts = append(parts, paint(s.colour, s.forms[0]))
		}
	}
	return strings.Join(parts, separator)
}

// status returns the status line: who answers and how on the left, what it is set to and what it costs on the right.
func (m *Model) status(width int) string {
	c, info := m.theme.colours, m.info
	seg := func(colour string, forms ...string) *segment { return &segment{forms: forms, colour: colour} }
	name := escape.Line(info.Model)
	if name == "" {
		name = "no model"
	}
	model := &segment{forms: []string{name, m.theme.cells.Truncate(name, 14, "…")}, bold: true}
	load, why, template := seg(c.warn, ""), seg(c.muted, ""), seg(c.muted, "")
	switch {
	case info.Err != nil:
		load = seg(c.bad, "not loaded", "failed")
	case !info.Ready:
		load = seg(c.warn, fmt.Sprintf("loading %.0f %%", 100*info.Progress), fmt.Sprintf("%.0f %%", 100*info.Progress))
	}
	quant := seg(c.muted, escape.Line(info.Quantization), "")
	whole := escape.Line(info.Backend)
	short, _, _ := strings.Cut(whole, " (")
	backend := seg(c.muted, whole, short, "")
	if w := escape.Line(info.BackendWhy); w != "" {
		why = seg(c.muted, w, m.theme.cells.Truncate(w, 32, "…"), m.theme.cells.Truncate(w, 20, "…"), "")
	}
	if t := m.templateName(); t != "" {
		template = seg(c.muted, "template "+t, "")
	}
	marks := m.marks()
	s := m.sampling.now
	temperature := seg(c.accent, "temp "+number(s.Temperature), "T "+number(s.Temperature), "")
	if s.Temperature == 0 {
		temperature = seg(c.accent, "greedy", "T 0", "")
	}
	k := fmt.Sprint(s.TopK)
	if s.TopK == 0 {
		k = "all"
	}
	topK := seg(c.accent, "top-k "+k, "k "+k, "")
	rate := seg(c.muted, "")
	if m.meters.rate > 0 {
		rate = seg(c.muted, rateText(m.meters.rate), fmt.Sprintf("%.0f/s", m.meters.rate), "")
	}
	context := m.contextSegment()
	left := []*segment{model, load, quant, backend, why, template}
	right := append(marks, temperature, topK, rate, context)
	steps := []*segment{
		why, template, why, why, backend, rate, quant, backend, temperature, topK, rate, context, model, load, context, topK, temperature,
	}
	return statusLine(left, right, steps, width, m.theme.cells)
}

// templateName returns the template when it is worth a word: when it is not the model's own.
func (m *Model) templateName() string {
	t := m.chat.template
	if t == "" {
		t = m.info.Template
	}
	if t == "model" {
		return ""
	}
	if i := strings.LastIndexByte(t, '/'); i >= 0 {
		t = t[i+1:]
	}
	return escape.Line(t)
}

// contextSegment returns how full the context is.
func (m *Model) contextSegment() *segment {
	limit := m.meters.limit
	if limit == 0 {
		limit = m.info.Context
	}
	if limit == 0 {
		return &segment{forms: []string{""}}
	}
	colour := m.theme.colours.muted
	switch {
	case m.meters.used*10 >= limit*9:
		colour = m.theme.colours.bad
	case m.meters.used*4 >= limit*3:
		colour = m.theme.colours.warn
	}
	text := short(m.meters.used) + "/" + short(limit)
	return &segment{forms: []string{text, fmt.Sprintf("%d%%", 100*m.meters.used/limit), ""}, colour: colour}
}

// short writes a number of tokens in few characters.
func short(n int) string {
	switch {
	case n < 1000:
		return fmt.Sprint(n)
	case n < 10_000:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", float64(n)/1000), ".0") + "k"
	}
	return fmt.Sprintf("%dk", (n+500)/1000)
}

// marks returns what is unusual about the conversation.
func (m *Model) marks() []*segment {
	var marks []*segment
	c := m.theme.colours
	switch {
	case m.chat.readOnly != "":
		marks = append(marks, &segment{forms: []string{"read-only"}, colour: c.warn})
	case m.chat.unsaved(), m.opt.Store == nil && m.chat.file == nil && len(m.chat.path) > 0:
		marks = append(marks, &segment{forms: []string{"not saved"}, colour: c.bad})
	}
	if m.size.tight() && m.transcript.more(&m.theme) {
		marks = append(marks, &segment{forms: []string{"↓"}, colour: c.accent})
	}
	return marks
}

// progress returns how far the model is loaded or the prompt read, in percent, and whether either is going on.
func (m *Model) progress() (int, bool) {
	switch {
	case m.info.Err != nil:
		return 0, false
	case !m.info.Ready:
		return int(100 * m.info.Progress), true
	case m.turn != nil && m.turn.phase == generate.Prefill && m.turn.toRead > 0:
		return 100 * m.turn.read / m.turn.toRead, true
	}
	return 0, false
}
