package ui

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"peregrine/model/generate"
	"peregrine/ui/cells"
	"peregrine/ui/escape"
)

// meters are the numbers of the status line.
type meters struct {
	used, limit int           // tokens of the context
	rate        float64       // tokens per second
	first       time.Duration // from asking to the first token of the newest reply; 0: not known
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
	model, load, quant, backend, why, template := m.whoAnswers()
	temperature, topK, others := m.valueSegments()
	rate, context := m.rateSegment(), m.contextSegment()
	left := []*segment{model, load, quant, backend, why, template}
	pull := m.downloadSegment()
	right := slices.Concat(m.marks(), []*segment{pull, temperature, topK, others, rate, context})
	steps := []*segment{
		why, template, why, why, pull, rate, pull, backend, context, load, rate, quant, backend, others, temperature, topK, rate, context,
		model, load, others, context, others, topK, temperature, context,
	}
	return statusLine(left, right, steps, width, m.theme.cells)
}

// whoAnswers returns the left half of the status line.
func (m *Model) whoAnswers() (model, load, quant, backend, why, template *segment) {
	c, info := m.theme.colours, m.info
	seg := func(colour string, forms ...string) *segment { return &segment{forms: forms, colour: colour} }
	name := escape.Line(info.Model)
	if name == "" {
		name = "no model"
	}
	model = &segment{forms: []string{name, m.theme.cells.Truncate(name, 14, "…")}, bold: true}
	load, why, template = seg(c.warn, ""), seg(c.muted, ""), seg(c.muted, "")
	switch {
	case info.Err != nil:
		load = seg(c.bad, "not loaded", "failed")
	case !info.Ready:
		percent := fmt.Sprintf("%.0f %%", 100*info.Progress)
		load = seg(c.warn, "loading "+bar(info.Progress, 8)+" "+percent, "loading "+percent, percent)
	}
	quant = seg(c.muted, escape.Line(info.Quantization), "")
	whole := escape.Line(info.Backend)
	short, _, _ := strings.Cut(whole, " (")
	backend = seg(c.muted, whole, short, "")
	if w := escape.Line(info.BackendWhy); w != "" {
		why = seg(c.muted, w, m.theme.cells.Truncate(w, 32, "…"), m.theme.cells.Truncate(w, 20, "…"), "")
	}
	if t := m.templateName(); t != "" {
		template = seg(c.muted, "template "+t, "")
	}
	return model, load, quant, backend, why, template
}

// valueSegments returns the sampling values: temperature and top-k always, of the others those that are in force.
func (m *Model) valueSegments() (temperature, topK, others *segment) {
	accent, s := m.theme.colours.accent, m.sampling.now
	temperature = &segment{forms: []string{"temp " + number(s.Temperature), "T " + number(s.Temperature), ""}, colour: accent}
	if s.Temperature == 0 {
		temperature.forms[0] = "greedy"
	}
	k := fmt.Sprint(s.TopK)
	if s.TopK == 0 {
		k = "all"
	}
	topK = &segment{forms: []string{"top-k " + k, "k " + k, ""}, colour: accent}
	var long, brief []string
	add := func(name, letter, value string) {
		long, brief = append(long, strings.TrimSpace(name+" "+value)), append(brief, strings.TrimSpace(letter+" "+value))
	}
	if s.TopP > 0 && s.TopP < 1 {
		add("top-p", "p", number(s.TopP))
	}
	if s.MinP > 0 {
		add("min-p", "min", number(s.MinP))
	}
	if s.TypicalP > 0 && s.TypicalP < 1 {
		add("typical-p", "typ", number(s.TypicalP))
	}
	if s.RepetitionPenalty > 0 && s.RepetitionPenalty != 1 {
		add("penalty", "rep", number(s.RepetitionPenalty))
	}
	if s.Seed != nil {
		add("seed", "seed", fmt.Sprint(*s.Seed))
	}
	if name := escape.Line(m.sampling.preset); name != "" {
		add(name, name, "")
	}
	others = &segment{forms: []string{""}, colour: accent}
	if len(long) > 0 {
		others.forms = []string{strings.Join(long, separator), strings.Join(brief, separator), fmt.Sprintf("+%d", len(long)), ""}
	}
	return temperature, topK, others
}

// rateSegment returns how fast the model is: the time to the first token and the tokens a second since.
func (m *Model) rateSegment() *segment {
	rate := &segment{forms: []string{""}, colour: m.theme.colours.muted}
	first := ""
	if m.meters.first > 0 {
		first = "first " + seconds(m.meters.first)
	}
	switch {
	case m.meters.rate > 0:
		text := rateText(m.meters.rate)
		rate.forms = []string{text, fmt.Sprintf("%.0f/s", m.meters.rate), ""}
		if first != "" {
			rate.forms = append([]string{first + separator + text}, rate.forms...)
		}
	case first != "":
		rate.forms = []string{first, ""}
	}
	return rate
}

// seconds writes a time that people wait.
func seconds(d time.Duration) string {
	if d < 10*time.Second {
		return fmt.Sprintf("%.2f s", d.Seconds())
	}
	return fmt.Sprintf("%.0f s", d.Seconds())
}

// bar draws how much of a whole something is, from 0 to 1, in so many cells. Only nothing is empty and only all is full.
func bar(part float64, cells int) string {
	full := int(math.Round(part * float64(cells)))
	switch {
	case part >= 1:
		full = cells
	case part > 0:
		full = min(max(full, 1), cells-1)
	default: // NaN, too
		full = 0
	}
	return strings.Repeat("█", full) + strings.Repeat("░", cells-full)
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
	text, part := short(m.meters.used)+"/"+short(limit), float64(m.meters.used)/float64(limit)
	return &segment{forms: []string{
		bar(part, 8) + " " + text, bar(part, 5) + " " + text, text, fmt.Sprintf("%d%%", 100*m.meters.used/limit), "",
	}, colour: colour}
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

// progress returns how far the model is loaded, the prompt read or a model brought, in percent, and whether any is going on.
func (m *Model) progress() (int, bool) {
	switch {
	case m.info.Err != nil:
		return 0, false
	case !m.info.Ready:
		return int(100 * m.info.Progress), true
	case m.turn != nil && m.turn.phase == generate.Prefill && m.turn.toRead > 0:
		return 100 * m.turn.read / m.turn.toRead, true
	case m.others.download != nil:
		return int(100 * m.others.download.now.Part), true
	}
	return 0, false
}
