package cli

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os/exec"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/creack/pty"

	"peregrine/history"
	"peregrine/model/generate"
	"peregrine/ui"
	"peregrine/ui/measure"
)

// The reply whose speed is compared: always the same, since it is greedy.
const (
	spokenQuestion = "Write a long story about a falcon that learns to read."
	spokenTokens   = 400 // a second or more: in a reply of half of that, what a turn's beginning takes is most of the difference
	spokenPairs    = 20  // in a round: single replies differ by 10 % on a machine that is not alone on its host
)

// BenchmarkScreenBesideNone compares the speed of the default model in the chat, on a screen of 100×40 with its files, with that
// of the same reply taken by a loop that throws it away, in pairs, of which each second one has the chat first; the median of the pairs'
// ratios counts. A first reply fills the prompt's cache.
func BenchmarkScreenBesideNone(b *testing.B) {
	rates := make(replyRates, 1)
	x := defaultSession(b, rates)
	without(b, x, rates)
	measure.Medians(b, []measure.Quantity{
		{Name: "tokens-a-second/discarded", Unit: "tok/s"},
		{Name: "tokens-a-second/chat", Unit: "tok/s"},
		{Name: "chat-beside-discarded", Unit: "%", Goal: ">= 98"},
	}, func() []float64 {
		var discarded, chat, ratio []float64
		for i := range spokenPairs {
			var pair [2]float64 // discarded, chat
			for _, way := range []int{i % 2, 1 - i%2} {
				if way == 0 {
					pair[0] = without(b, x, rates)
				} else {
					pair[1] = inChat(b, x, rates)
				}
			}
			discarded, chat = append(discarded, pair[0]), append(chat, pair[1])
			ratio = append(ratio, 100*pair[1]/pair[0])
		}
		return []float64{measure.Quantile(discarded, 0.5), measure.Quantile(chat, 0.5), measure.Quantile(ratio, 0.5)}
	})
}

// defaultSession loads the default model. What it says of each reply goes to rates.
func defaultSession(b *testing.B, rates replyRates) *session {
	b.Helper()
	path, missing, err := resolve("")
	if err == nil && missing {
		err = errors.New("the default model is not there; run make model")
	}
	if err != nil {
		b.Fatal(err)
	}
	s := &settings{log: slog.New(rates)}
	s.file.Backend, s.file.Precision = "auto", "fast"
	x := newSession(s, path, use{chatting: true})
	b.Cleanup(func() {
		if err := x.Close(); err != nil {
			b.Error(err)
		}
	})
	return x
}

// spokenSampling chooses the most probable token.
func spokenSampling() *generate.Sampling { return &generate.Sampling{Temperature: 0} }

// without asks for the reply, throws it away and returns its tokens per second.
func without(b *testing.B, x *session, rates replyRates) float64 {
	b.Helper()
	stream, err := x.Start(context.Background(), generate.Request{
		Messages: []generate.Message{{Role: generate.User, Content: spokenQuestion}}, MaxTokens: spokenTokens, Sampling: *spokenSampling(),
	})
	if err != nil {
		b.Fatal(err)
	}
	for {
		if _, err := stream.Next(context.Background()); errors.Is(err, io.EOF) {
			return rates.next(b)
		} else if err != nil {
			b.Fatal(err)
		}
	}
}

// inChat asks for the same reply in the chat and returns its tokens per second.
func inChat(b *testing.B, x *session, rates replyRates) float64 {
	b.Helper()
	store, err := history.OpenStore(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	master, tty, err := pty.Open()
	if err != nil {
		b.Fatalf("no pseudo-terminal: %v", err)
	}
	defer master.Close()
	if err := pty.Setsize(tty, &pty.Winsize{Rows: 40, Cols: 100}); err != nil {
		b.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		err := ui.Run(context.Background(), ui.Options{
			Generator: x, Store: store, MaxTokens: spokenTokens, Sampling: spokenSampling(),
		}, tea.WithInput(tty), tea.WithOutput(tty), tea.WithEnvironment([]string{"TERM=xterm-256color", "COLORTERM=truecolor"}))
		ended <- errors.Join(err, tty.Close())
	}()
	// The terminal is another process: reading in this one would be this one's work.
	terminal := exec.CommandContext(b.Context(), "cat")
	terminal.Stdin = master
	if err := terminal.Start(); err != nil {
		b.Fatal(err)
	}
	time.Sleep(300 * time.Millisecond) // until it reads keys
	if _, err := master.WriteString(spokenQuestion + "\r"); err != nil {
		b.Fatal(err)
	}
	rate := rates.next(b)
	time.Sleep(300 * time.Millisecond) // the reply is saved
	if _, err := master.WriteString("\x03\x03"); err != nil {
		b.Fatal(err)
	}
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
	_ = terminal.Wait() // it fails to read once nobody has the terminal open
	return rate
}

// replyRates is a log that keeps the speed of each reply alone.
type replyRates chan float64

func (replyRates) Enabled(context.Context, slog.Level) bool { return true }
func (r replyRates) WithAttrs([]slog.Attr) slog.Handler     { return r }
func (r replyRates) WithGroup(string) slog.Handler          { return r }

func (r replyRates) Handle(_ context.Context, record slog.Record) error {
	record.Attrs(func(a slog.Attr) bool {
		if a.Key != "decode_tokens_per_s" {
			return true
		}
		r <- a.Value.Float64()
		return false
	})
	return nil
}

// next returns the speed of the reply that ends next.
func (r replyRates) next(b *testing.B) float64 {
	b.Helper()
	select {
	case rate := <-r:
		return rate
	case <-time.After(2 * time.Minute):
		b.Fatal("no reply has ended")
		return 0
	}
}
