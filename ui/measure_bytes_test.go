package ui

import (
	"context"
	"testing"
	"time"

	"peregrine/model/generate"
	"peregrine/ui/measure"
)

// BenchmarkBytes measures what one token makes the program send to a terminal of 100×40, at the end of a reply of 2,000
// tokens. Each token comes after the frame of the one before; faster ones would share a frame.
func BenchmarkBytes(b *testing.B) {
	for _, shape := range replyShapes {
		b.Run(shape.name, func(b *testing.B) {
			measure.Medians(b, []measure.Quantity{{Name: "bytes/" + shape.name, Unit: "B/token", Goal: "<= 400"}}, func() []float64 {
				sent, _, _ := bytesOfTokens(b, replyOf(shape.line, 2050), 4*2000)
				return []float64{float64(measure.Quantile(sent, 0.5))}
			})
		})
	}
}

// bytesOfTokens streams a reply into a terminal, all that lies before from at once, and returns how many bytes were sent for
// each token of four bytes after that, all that was sent since then, the end of the reply included, and the last screen.
func bytesOfTokens(b testing.TB, text string, from int) (sent []int, said, screen string) {
	b.Helper()
	gen := newScript("")
	words := gen.metered()
	term := startTerminal(b, Options{Generator: gen}, 100, 40)
	term.wait("Write a message")
	term.send("go", enterKey)
	term.wait("Esc stops")
	empty := term.sent()
	words <- text[:from]
	if !term.until(func() bool { return term.sent() > empty+1000 }) { // half of what a full screen has at least
		b.Fatalf("the beginning of the reply is not shown:\n%s", term.screen())
	}
	term.quiet(200 * time.Millisecond)
	start := term.sent()
	for at := from; at < len(text); at += 4 {
		before := term.sent()
		words <- text[at : at+4]
		for range 60 { // of milliseconds: a token that changes nothing sends nothing
			if time.Sleep(time.Millisecond); term.sent() != before {
				break
			}
		}
		term.quiet(5 * time.Millisecond)
		sent = append(sent, term.sent()-before)
	}
	close(words)
	term.wait(plural(len(sent)+1, "token"))
	term.quiet(50 * time.Millisecond)
	term.mu.Lock()
	said = string(term.raw[start:])
	term.mu.Unlock()
	screen = term.screen()
	term.send(ctrlC, ctrlC)
	term.ended()
	return sent, said, screen
}

// metered is drip with meters that never stand still, as those of a real model: the worst for the status line.
func (s *script) metered() chan string {
	words := make(chan string)
	s.reply = func(_ context.Context, r generate.Request, w *generate.Writer) {
		var text string
		var ids []int32
		for word := range words {
			text += word
			ids = append(ids, int32(len(ids)+1))
			w.Update(generate.Update{
				Phase: generate.Decoding, Text: word, Tokens: []generate.Token{{ID: int32(len(ids))}}, PrefillDone: 20, PrefillTotal: 20,
				TokensPerSecond: 20 + float64(len(ids)%10)/10,
			})
		}
		w.Update(generate.Update{Result: result(generate.FinishStop, text, ids, r.Sampling)})
	}
	return words
}
