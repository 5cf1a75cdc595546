package ui

import (
	"fmt"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"peregrine/history"
	"peregrine/model/generate"
)

// shapes are replies of n words and more. Each word stands once, so that a line is known by them; part is one of the pieces in
// which the reply comes.
var shapes = map[string]func(i int) (part string){
	"prose":         func(i int) string { return every(i, 60, "\n\n") + fmt.Sprintf("w%d ", i) },
	"one paragraph": func(i int) string { return fmt.Sprintf("w%d ", i) },
	"code": func(i int) string {
		if i == 0 {
			return "```go\n"
		}
		return every(i, 6, "\n") + fmt.Sprintf("w%d ", i)
	},
	"list": func(i int) string { return every(i, 9, "\n- ") + fmt.Sprintf("w%d ", i) },
	"table": func(i int) string {
		if i == 0 {
			return "| a | b |\n|---|---|\n"
		}
		return every(i-1, 20, "| ") + every(i-11, 20, "| ") + fmt.Sprintf("w%d ", i) + every(i, 20, "|\n")
	},
	"quotes": func(i int) string { return every(i, 4500, "\n") + every(i, 9, "\n> ") + fmt.Sprintf("w%d ", i) },
	"nested lists": func(i int) string {
		if i%9 == 0 {
			return "\n" + strings.Repeat("  ", i/9%6) + fmt.Sprintf("- w%d ", i)
		}
		return fmt.Sprintf("w%d ", i)
	},
	"mixed": func(i int) string {
		switch i % 120 {
		case 0:
			return fmt.Sprintf("\n\n## w%d\n\n", i)
		case 30:
			return fmt.Sprintf("\n\n```\nw%d\n", i)
		case 50:
			return fmt.Sprintf("w%d\n```\n\n", i)
		case 70:
			return fmt.Sprintf("\n\n- w%d ", i)
		case 80:
			return fmt.Sprintf("\n- w%d ", i)
		case 90:
			return fmt.Sprintf("\n\n| w%d | b |\n|---|---|\n", i)
		case 91, 92, 93, 94, 95:
			return fmt.Sprintf("| w%d | c |\n", i)
		case 96:
			return fmt.Sprintf("\nw%d ", i)
		}
		return fmt.Sprintf("w%d ", i)
	},
}

// every returns sep before every n-th part.
func every(i, n int, sep string) string {
	if i%n == 0 {
		return sep
	}
	return ""
}

// topWord returns the first word of a reply on the screen, and how many lines stand above it.
func (b *bench) topWord() (word string, above int) {
	b.t.Helper()
	for i, l := range strings.Split(ansi.Strip(b.m.View().Content), "\n") {
		for _, f := range strings.Fields(l) {
			if len(f) > 1 && f[0] == 'w' && f[1] >= '0' && f[1] <= '9' {
				return f, i
			}
		}
	}
	b.t.Fatalf("no word of the reply is on the screen:\n%s", b.screen())
	return "", 0
}

// topLine returns what the first line of the screen says: its words, for the columns of a table may grow.
func (b *bench) topLine() string {
	return strings.Join(strings.Fields(strings.Split(ansi.Strip(b.m.View().Content), "\n")[0]), " ")
}

// TestTheReadingPositionIsSacred streams 10,000 tokens under somebody who reads, ends the reply and resizes 20 times.
func TestTheReadingPositionIsSacred(t *testing.T) {
	tokens := 10_000
	if testing.Short() {
		tokens = 3_000
	}
	for name, part := range shapes {
		for where, start := range map[string]int{"in the message before": 0, "in the reply": 2000} {
			if start == 0 && name != "mixed" {
				continue // above the reply its shape matters little
			}
			t.Run(name+", "+where, func(t *testing.T) {
				t.Parallel()
				b := newBench(t, Options{})
				earlier := history.Message{ID: "e", Role: generate.Assistant, Finish: generate.FinishStop}
				for i := range 200 {
					earlier.Content += shapes["prose"](90_000 + i)
				}
				b.m.transcript.add(newMessage(earlier))
				it := newMessage(history.Message{ID: "r", Role: generate.Assistant})
				b.m.transcript.add(it)
				b.m.transcript.toEnd()
				b.send(sized(80, 24))
				for i := range start {
					it.write(part(i))
				}
				b.send(sized(80, 24))
				b.m.View()
				b.keys("pgup")
				top := b.topLine()
				word, _ := b.topWord()
				if inside := !strings.HasPrefix(word, "w9"); inside != (start > 0) {
					t.Fatalf("the reader is at %s, not %s", word, where)
				}
				for i := start; i < tokens; i++ {
					it.write(part(i))
					if i%500 == 0 {
						b.send(tea.FocusMsg{})
						b.wantTop(top, fmt.Sprintf("after %d tokens", i))
					}
				}
				b.send(tea.FocusMsg{})
				b.wantTop(top, "before the end of the reply")
				b.wantScreen("↓ more below")
				done := it.message
				done.Finish = generate.FinishStop
				it.finish(done)
				b.send(tea.FocusMsg{})
				b.wantTop(top, "after the end of the reply")
				for i := range 20 {
					b.send(sized(30+i*7%90, 8+i*5%30))
					b.wantWordNearTop(word)
				}
				b.send(sized(80, 24))
				b.wantTop(top, "after 20 resizes")
			})
		}
	}
}

func (b *bench) wantTop(want, when string) {
	b.t.Helper()
	if got := b.topLine(); got != want {
		b.t.Fatalf("%s the top line is %q, was %q", when, got, want)
	}
}

// wantWordNearTop makes sure that a word stands in the first line of text at the present width.
func (b *bench) wantWordNearTop(word string) {
	b.t.Helper()
	got, _ := b.topWord()
	for _, l := range strings.Split(ansi.Strip(b.m.View().Content), "\n")[:3] {
		for _, f := range strings.Fields(l) {
			if f == word {
				return
			}
		}
	}
	b.t.Errorf("at %d×%d the first word is %s, and %s is not near the top:\n%s", b.m.size.width, b.m.size.height, got, word, b.screen())
}
