package ui

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"peregrine/history"
	"peregrine/model/generate"
)

// replyShapes are replies that stay in one kind of block.
var replyShapes = []struct {
	name string
	line func(i int) string
}{
	{"prose", func(i int) string {
		s := fmt.Sprintf("Sentence %d of a paragraph with *some* emphasis, `code` and a few more words. ", i)
		if i%6 == 5 {
			s += "\n\n"
		}
		return s
	}},
	{"code", func(i int) string {
		if i == 0 {
			return "```go\n"
		}
		return fmt.Sprintf("\tif value%d := compute(%d, \"text\"); value%d > 0 { // note\n", i, i, i)
	}},
	{"list", func(i int) string { return fmt.Sprintf("- item %d with **bold** text and `code` in it\n", i) }},
	{"table", func(i int) string {
		if i == 0 {
			return "| name | value | note |\n|---|--:|---|\n"
		}
		return fmt.Sprintf("| row %d | %d | some `code` and text |\n", i, i*17)
	}},
	{"mixed", func(i int) string {
		switch i % 12 {
		case 0:
			return fmt.Sprintf("\n## Part %d\n\n", i)
		case 4:
			return "\n\n```python\ndef f(x):\n"
		case 5, 6:
			return "    return [x for x in range(10)]  # comment\n"
		case 7:
			return "```\n\n"
		case 8, 9, 10, 11:
			return fmt.Sprintf("%d. item of a list with some words\n", i%12-7)
		}
		return "Some text with `code` and *emphasis*, long enough to wrap at the width of a screen. "
	}},
}

// BenchmarkToken measures Update and View of one token of four bytes, on a screen of 100×40.
func BenchmarkToken(b *testing.B) {
	for _, shape := range replyShapes {
		for _, n := range []int{2000, 8000} {
			b.Run(fmt.Sprintf("%s/%d", shape.name, n), func(b *testing.B) {
				var text strings.Builder
				for i := 0; text.Len() < 4*n; i++ {
					text.WriteString(shape.line(i))
				}
				var times []time.Duration
				for b.Loop() {
					times = append(times, streamReply(text.String(), n)...)
				}
				slices.Sort(times)
				at := func(p float64) float64 { return float64(times[int(p*float64(len(times)-1))].Microseconds()) }
				b.ReportMetric(at(0.5), "p50-µs")
				b.ReportMetric(at(0.95), "p95-µs")
				b.ReportMetric(at(1), "max-µs")
			})
		}
	}
}

// streamReply gives a chat n tokens of a reply and returns how long each took.
func streamReply(text string, n int) []time.Duration {
	m := New(Options{Generator: newScript("")})
	m.Update(tea.WindowSizeMsg{Width: 100, Height: 40})
	m.chat.set(history.Message{ID: "q", Role: generate.User, Content: "question"})
	m.prepare(m.request(1), history.Message{})
	m.turn.feed = &feed{}
	times := make([]time.Duration, 0, n)
	for i := range n {
		m.turn.feed.updates = []generate.Update{{
			Phase: generate.Decoding, Text: text[4*i : 4*i+4], Tokens: []generate.Token{{ID: int32(i)}}, TokensPerSecond: 50,
		}}
		start := time.Now()
		m.Update(tokensMsg{m.turn.id})
		m.View()
		times = append(times, time.Since(start))
	}
	return times
}

// BenchmarkFirstFrame measures from nothing to the first screen.
func BenchmarkFirstFrame(b *testing.B) {
	gen := newScript("")
	for b.Loop() {
		m := New(Options{Generator: gen})
		m.Init()
		m.Update(tea.WindowSizeMsg{Width: 120, Height: 40})
		if m.View().Content == "" {
			b.Fatal("no frame")
		}
	}
}

// BenchmarkOpen measures the first screen of a conversation of 1,000 messages.
func BenchmarkOpen(b *testing.B) {
	var items []*item
	for i := range 1000 {
		role := generate.User
		if i%2 == 1 {
			role = generate.Assistant
		}
		items = append(items, newMessage(history.Message{ID: fmt.Sprint(i), Role: role, Content: sample, Finish: generate.FinishStop}))
	}
	for b.Loop() {
		m := New(Options{Generator: newScript("")})
		m.Update(tea.WindowSizeMsg{Width: 120, Height: 40})
		for _, it := range items {
			it.restyle()
		}
		m.transcript.reset(items)
		m.View()
	}
}

// BenchmarkPaste measures 10,000 pasted lines.
func BenchmarkPaste(b *testing.B) {
	text := strings.Repeat("a line of some text that is pasted\n", 10_000)
	for b.Loop() {
		m := New(Options{Generator: newScript("")})
		m.Update(tea.WindowSizeMsg{Width: 120, Height: 40})
		m.Update(tea.PasteMsg{Content: text})
		m.View()
	}
}
