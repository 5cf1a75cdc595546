package ui

import (
	"fmt"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"peregrine/history"
	"peregrine/model/generate"
	"peregrine/ui/measure"
)

// replyShapes are replies that stay in one kind of block. In the last three but one no part is finished before the end.
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
	{"paragraph", func(i int) string { return fmt.Sprintf("sentence %d of *one* paragraph with `code` in it, ", i) }},
	{"quote", func(i int) string { return fmt.Sprintf("> line %d of a *quotation* with `code` in it\n", i) }},
	{"nested", func(i int) string {
		if i == 0 {
			return "1. All below is one item\n"
		}
		depth := 1 + i%8
		return strings.Repeat("   ", depth) + fmt.Sprintf("- item %d with **bold** text\n", i)
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

// replyOf returns a reply of n tokens of four bytes.
func replyOf(line func(i int) string, n int) string {
	var text strings.Builder
	for i := 0; text.Len() < 4*n; i++ {
		text.WriteString(line(i))
	}
	return text.String()[:4*n]
}

// BenchmarkReply measures Update and View of each token of a reply of 8,000, on a screen of 100×40, and of its end, which
// renders all of it once more.
func BenchmarkReply(b *testing.B) {
	for _, shape := range replyShapes {
		b.Run(shape.name, func(b *testing.B) {
			text := replyOf(shape.line, 8000)
			measure.Medians(b, []measure.Quantity{
				{Name: "token/" + shape.name + "/p95", Unit: "ms", Goal: "<= 4"},
				{Name: "token/" + shape.name + "/max", Unit: "ms", Goal: "<= 16"},
				{Name: "token/" + shape.name + "/finish", Unit: "ms"},
			}, func() []float64 {
				times, finish := streamReply(b, text)
				return []float64{
					measure.Milliseconds(measure.Quantile(times, 0.95)), measure.Milliseconds(measure.Quantile(times, 1)),
					measure.Milliseconds(finish),
				}
			})
		})
	}
}

// streamReply gives a chat a reply in tokens of four bytes and returns how long each took, and how long the end.
func streamReply(b *testing.B, text string) (tokens []time.Duration, finish time.Duration) {
	b.Helper()
	m := New(Options{Generator: newScript("")})
	m.Update(tea.WindowSizeMsg{Width: 100, Height: 40})
	m.chat.set(history.Message{ID: "q", Role: generate.User, Content: "question"})
	m.prepare(m.request(1), history.Message{})
	turn := m.turn
	turn.feed = &feed{}
	show := func(u generate.Update) time.Duration {
		turn.feed.updates = []generate.Update{u}
		start := time.Now()
		m.Update(tokensMsg{turn.id})
		m.View()
		return time.Since(start)
	}
	var ids []int32
	for i := 0; i < len(text); i += 4 {
		id := int32(len(ids))
		ids = append(ids, id)
		tokens = append(tokens, show(generate.Update{
			Phase: generate.Decoding, Text: text[i : i+4], Tokens: []generate.Token{{ID: id}}, TokensPerSecond: 50,
		}))
	}
	finish = show(generate.Update{Result: result(generate.FinishStop, text, ids, generate.Sampling{})})
	if last, _ := m.chat.last(); m.turn != nil || last.Content != text {
		b.Fatal("the reply did not arrive")
	}
	return tokens, finish
}

// BenchmarkResize measures from a new width of the terminal to the screen with a table of 10,000 rows, while it is written and when
// it is complete.
func BenchmarkResize(b *testing.B) {
	var text strings.Builder
	text.WriteString("| name | value | note |\n|---|--:|---|\n")
	for i := range 10_000 {
		fmt.Fprintf(&text, "| row %d | %d | some `code` and text |\n", i, i*17)
	}
	for _, c := range []struct {
		name   string
		finish generate.FinishReason
	}{{"open", ""}, {"complete", generate.FinishStop}} {
		b.Run(c.name, func(b *testing.B) {
			m := New(Options{Generator: newScript("")})
			m.Update(tea.WindowSizeMsg{Width: 100, Height: 40})
			m.transcript.add(newMessage(history.Message{ID: "r", Role: generate.Assistant, Content: text.String(), Finish: c.finish}))
			m.View()
			width := 100
			measure.Medians(b, []measure.Quantity{{Name: "resize/10000-rows/" + c.name, Unit: "ms"}}, func() []float64 {
				width = 160 - width // 60 and 100
				start := time.Now()
				m.Update(tea.WindowSizeMsg{Width: width, Height: 40})
				m.View()
				return []float64{measure.Milliseconds(time.Since(start))}
			})
		})
	}
}

// BenchmarkFirstFrame measures from nothing to the first screen.
func BenchmarkFirstFrame(b *testing.B) {
	gen := newScript("")
	measure.Medians(b, []measure.Quantity{{Name: "first-frame", Unit: "ms"}}, func() []float64 {
		start := time.Now()
		m := New(Options{Generator: gen})
		m.Init()
		m.Update(tea.WindowSizeMsg{Width: 120, Height: 40})
		if m.View().Content == "" {
			b.Fatal("no frame")
		}
		return []float64{measure.Milliseconds(time.Since(start))}
	})
}

// BenchmarkOpen measures from the file of a conversation of 1,000 messages of 0.7 KB to its first screen.
func BenchmarkOpen(b *testing.B) {
	store := openStore(b)
	file := create(b, store, "", 1000, func(int) string { return sample })
	measure.Medians(b, []measure.Quantity{{Name: "open/1000-messages", Unit: "ms"}}, func() []float64 {
		chat := newBench(b, Options{Store: store})
		chat.send(tea.WindowSizeMsg{Width: 120, Height: 40})
		start := time.Now()
		chat.run(chat.m.openFile(file))
		chat.until("the conversation", func() bool { return len(chat.m.chat.path) == 1000 })
		took := time.Since(start)
		chat.idle()
		chat.run(chat.m.fresh()) // gives the file back
		chat.idle()
		return []float64{measure.Milliseconds(took)}
	})
}

// create makes a conversation in which the user and the model say text in turn, and returns its file.
func create(b *testing.B, store *history.Store, name string, messages int, text func(i int) string) string {
	b.Helper()
	f, err := store.Create(history.Header{Name: name})
	if err != nil {
		b.Fatal(err)
	}
	parent := ""
	for i := range messages {
		msg := history.Message{ParentID: parent, Role: generate.User, Content: text(i)}
		if i%2 == 1 {
			msg.Role, msg.Finish = generate.Assistant, generate.FinishStop
		}
		said, err := f.Append(msg)
		if err != nil {
			b.Fatal(err)
		}
		parent = said.ID
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
	return f.Path()
}

// BenchmarkPaste measures 10,000 pasted lines until they are on the screen as a draft, and then as a message.
func BenchmarkPaste(b *testing.B) {
	text := strings.Repeat("a line of some text that is pasted\n", 10_000)
	measure.Medians(b, []measure.Quantity{
		{Name: "paste/10000-lines/draft", Unit: "ms", Goal: "<= 100"},
		{Name: "paste/10000-lines/message", Unit: "ms", Goal: "<= 100"},
	}, func() []float64 {
		m := New(Options{Generator: newScript("")})
		m.Update(tea.WindowSizeMsg{Width: 120, Height: 40})
		m.View()
		start := time.Now()
		m.Update(tea.PasteMsg{Content: text})
		m.View()
		pasted := time.Now()
		m.Update(tea.KeyPressMsg{Code: tea.KeyEnter})
		m.View()
		sent := time.Now()
		if said, ok := m.chat.last(); !ok || strings.Count(said.Content, "\n") != 10_000 {
			b.Fatal("the message is not what was pasted")
		}
		return []float64{measure.Milliseconds(pasted.Sub(start)), measure.Milliseconds(sent.Sub(pasted))}
	})
}

// BenchmarkBracketedPaste measures 10,000 pasted lines from the terminal's first byte until their mark is on the screen: the
// parser of the toolkit, Update, View and the drawing.
func BenchmarkBracketedPaste(b *testing.B) {
	text := strings.Repeat("a line of some text that is pasted\n", 10_000)
	measure.Medians(b, []measure.Quantity{{Name: "paste_10000_lines_ms", Unit: "ms", Goal: "<= 100"}}, func() []float64 {
		gen := newScript("")
		term := startTerminal(b, Options{Generator: gen}, 120, 40)
		term.wait("Write a message")
		start := time.Now()
		pasteInto(term, text)
		term.wait("⟦paste 1: 10,000 lines⟧")
		took := time.Since(start)
		term.send(ctrlC, ctrlC)
		term.ended()
		if len(gen.requests) > 0 {
			b.Fatal("the paste was sent")
		}
		return []float64{measure.Milliseconds(took)}
	})
}
