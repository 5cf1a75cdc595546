package ui

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"

	"peregrine/model/generate"
)

// TestNewlineKeysInEveryEncoding sends what terminals send for the keys that start a line, through Bubble Tea's own parser.
func TestNewlineKeysInEveryEncoding(t *testing.T) {
	// A terminal that encodes nothing sends the same for shift+enter as for enter.
	encodings := []struct{ name, bytes string }{
		{"ctrl+j, raw", "\n"},
		{"ctrl+j, kitty", "\x1b[106;5u"},
		{"ctrl+j, modifyOtherKeys", "\x1b[27;5;106~"},
		{"alt+enter, raw", "\x1b\r"},
		{"alt+enter, kitty", "\x1b[13;3u"},
		{"alt+enter, modifyOtherKeys", "\x1b[27;3;13~"},
		{"shift+enter, kitty", "\x1b[13;2u"},
		{"shift+enter, kitty with event type", "\x1b[13;2:1u"},
		{"shift+enter, modifyOtherKeys", "\x1b[27;2;13~"},
	}
	gen := newScript("an answer")
	term := startTerminal(t, Options{Generator: gen, Store: openStore(t)}, 80, 40)
	term.wait("Write a message")
	var want []string
	for i, e := range encodings {
		term.send(fmt.Sprintf("line %d", i), e.bytes)
		want = append(want, fmt.Sprintf("line %d", i))
		term.wait(want[i])
	}
	term.send("the end")
	term.wait("the end")
	gen.mu.Lock()
	if n := len(gen.requests); n > 0 {
		t.Errorf("%d messages were sent by a key that starts a line", n)
	}
	gen.mu.Unlock()
	term.send("\x1b[13u") // enter, as kitty sends it where it is asked to tell all keys apart
	term.wait("an answer")
	got := strings.Split(gen.last().Messages[0].Content, "\n")
	want = append(want, "the end")
	for i := range want {
		name := "the end"
		if i > 0 {
			name = encodings[i-1].name
		}
		if i >= len(got) || got[i] != want[i] {
			t.Fatalf("after %s: got lines %q, want %q", name, got, want)
		}
	}
	term.send(ctrlC, ctrlC)
	term.ended()
}

// pasteInto sends a text as a terminal that brackets pastes does.
func pasteInto(term *terminal, text string) {
	term.t.Helper()
	if _, err := term.master.WriteString("\x1b[200~" + text + "\x1b[201~"); err != nil {
		term.t.Fatal(err)
	}
}

func TestALargeBracketedPasteIsOneMessageAndNeverSent(t *testing.T) {
	text := strings.Repeat("a line\twith 漢字 and a return\r\n", 10_000)
	gen := newScript("an answer")
	term := startTerminal(t, Options{Generator: gen, Store: openStore(t)}, 80, 24)
	term.wait("Write a message")
	pasteInto(term, text)
	term.wait("⟦paste 1: 10,000 lines⟧")
	time.Sleep(50 * time.Millisecond)
	gen.mu.Lock()
	if n := len(gen.requests); n > 0 {
		t.Errorf("%d messages were sent by a paste", n)
	}
	gen.mu.Unlock()
	term.send(enterKey)
	term.wait("an answer")
	if got, want := gen.last().Messages[0].Content, strings.ReplaceAll(text, "\r\n", "\n"); got != want {
		t.Errorf("got %.60q (%d bytes), want %.60q (%d bytes)", got, len(got), want, len(want))
	}
	term.send(ctrlC, ctrlC)
	term.ended()
}

// TestEscAtAnyMomentKeepsTheText stops replies of words that come as fast as they are taken, at random moments, and finds
// every word that the model has said, on the screen and on disk, and what was typed meanwhile.
func TestEscAtAnyMomentKeepsTheText(t *testing.T) {
	store := openStore(t)
	b := newBench(t, Options{Store: store})
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	random := newRandom(seed)
	said := make(chan string, 1)
	b.gen.babbles(said)
	for i := range 30 {
		typed := ""
		b.keys(fmt.Sprint("question ", i), "enter")
		stop := time.Now().Add(time.Duration(random.IntN(40)) * time.Millisecond)
		for time.Now().Before(stop) {
			select {
			case msg := <-b.msgs:
				b.send(msg)
			default:
				time.Sleep(time.Millisecond)
			}
			if random.IntN(4) == 0 {
				typed += "x"
				b.keys("x")
			}
		}
		b.keys("esc")
		b.ended()
		b.wantDraft(typed)
		last, _ := b.m.chat.last()
		text := ""
		select {
		case text = <-said:
		default: // stopped before it was asked
		}
		if text != "" && last.Content != text {
			t.Fatalf("round %d: got %q, want all that was said: %q", i, last.Content, text)
		}
		words := strings.Fields(text)
		if shown := strings.Fields(ansi.Strip(b.m.transcript.text(&b.m.theme))); len(words) > 0 && !slices.Contains(shown, words[len(words)-1]) {
			t.Errorf("round %d: the last word of %q is not on the screen", i, text)
		}
		if saved := b.saved(); len(saved) != len(b.m.chat.path) || saved[len(saved)-1].Content != last.Content {
			t.Errorf("round %d: got %d messages on disk, want %d", i, len(saved), len(b.m.chat.path))
		}
		b.keys("ctrl+u")
	}
}

// newRandom returns numbers that depend on the seed alone.
func newRandom(seed int64) *rand.Rand { return rand.New(rand.NewPCG(uint64(seed), 0)) }

// babbles makes the model say numbered words, as fast as they come, until it is cancelled; then it tells the text.
func (s *script) babbles(said chan<- string) {
	s.reply = func(ctx context.Context, r generate.Request, w *generate.Writer) {
		var text string
		var ids []int32
		for i := 0; ctx.Err() == nil; i++ {
			word := fmt.Sprintf("w%d ", i)
			text += word
			ids = append(ids, int32(i))
			w.Update(generate.Update{Phase: generate.Decoding, Text: word, Tokens: []generate.Token{{ID: int32(i)}}})
			time.Sleep(time.Millisecond)
		}
		w.Update(generate.Update{Result: result(generate.FinishCancelled, text, ids, r.Sampling)})
		said <- text
	}
}
