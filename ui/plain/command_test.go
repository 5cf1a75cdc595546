package plain

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

// switching is a generator with two backends.
type switching struct{ *scripted }

func (switching) Backends() []string { return []string{"auto", "cpu"} }

func (switching) UseBackend(name string) error {
	if name != "cpu" {
		return errors.New("no such backend")
	}
	return nil
}

func TestCommandsSayAndSetValues(t *testing.T) {
	g := echoes()
	_, errs, err := chatting(
		t, Options{Generator: switching{g}, Store: store(t)},
		"/temp 0.3", "/temperature", "/top-k 7", "/top-p 0.9", "/min-p 0.1", "/typical-p 0.8", "/repeat-penalty 1.2", "/seed 5", "/seed", "/max-tokens 9",
		"/max-tokens", "/system Be brief.", "/system", "/backend", "/backend cpu", "/backend x", "/top-p 7", "/seed x", "/max-tokens -1", "/template falcon", "/template", "one",
		"/seed off", "/system -", "two", "/rename Birds", "/model", "/undo", "/delete", "/undo", "/list",
	)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"temp 0.3\ntemperature 0.3\ntop-k 7\ntop-p 0.9\nmin-p 0.1\ntypical-p 0.8\nrepeat-penalty 1.2\nseed 5\nseed 5\n",
		"replies end after 9 tokens; /continue goes on\nreplies end after 9 tokens",
		"system: Be brief.\nsystem: Be brief.\n", "there are [auto cpu]", "loading the model on cpu", "error: no such backend",
		`error: seed "x"`, `error: max-tokens "-1"`, "template falcon\ntemplate falcon; there are", "no seed from here on", "no system text", "named Birds",
		"model: " + ready.Model, "there is nothing to take back\n", "the old one is deleted; /undo brings it back\n", "Birds, 4 messages\n", "You: two\n",
	} {
		if !strings.Contains(errs, want) {
			t.Errorf("the notes lack %q:\n%s", want, errs)
		}
	}
	if len(g.requests) != 2 {
		t.Fatalf("got %d requests, want 2", len(g.requests))
	}
	first, second := g.requests[0], g.requests[1]
	s := first.Sampling
	if s.Temperature != 0.3 || s.TopK != 7 || s.TopP != 0.9 || s.MinP != 0.1 || s.TypicalP != 0.8 || s.RepetitionPenalty != 1.2 || s.Seed == nil || *s.Seed != 5 {
		t.Errorf("the first reply was asked for with %+v", s)
	}
	if first.MaxTokens != 9 || first.Template != "falcon" || first.Messages[0].Content != "Be brief." {
		t.Errorf("the first request is %+v", first)
	}
	if second.Sampling.Seed != nil || second.Messages[0].Content != "one" {
		t.Errorf("the second request is %+v", second)
	}
}

func TestAPersonHearsWhoSpeaks(t *testing.T) {
	terminal, keyboard, shown := screen(t)
	done := make(chan error)
	go func() {
		done <- Run(t.Context(), Options{Generator: says("one ", "two"), Interactive: true, In: terminal, Out: terminal, Err: terminal})
	}()
	for _, line := range []string{"hi\\\n", "there\n", "/quit\n"} {
		_, _ = io.WriteString(keyboard, line)
		time.Sleep(100 * time.Millisecond)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	got := shown()
	for _, want := range []string{"You: ", "more: ", "Assistant: one two\r\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("got %q, want %q in it", got, want)
		}
	}
	for _, r := range got {
		if r >= 0x2500 && r < 0x2600 || r >= 0x2800 && r < 0x2900 || r == '\x1b' {
			t.Errorf("%q is nothing to be read aloud, in %q", r, got)
		}
	}
}

func FuzzOnlyTextIsWrittenToATerminal(f *testing.F) {
	for _, s := range []string{"\x1b[2J", "\u009b2J", "\x1b]0;x\a", "a\rb", "\u202e", "\xff", "\x00", "/model", "/\x1b", "\"\"\"\x1b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 500 {
			return
		}
		var out strings.Builder
		g := says(text)
		g.info.Model, g.info.Backend, g.info.BackendWhy, g.info.Path, g.info.Template = text, text, text, text, text
		c := newChat(Options{
			Generator: g, Interactive: true, In: strings.NewReader(text + "\n/model\n/template\n/system " + text + "\n/open " + text + "\nhi\n"), Out: &out, Err: &out,
		})
		c.terminal = true
		if err := c.begin(); err != nil {
			t.Fatal(err)
		}
		_ = c.converse(t.Context()) // whatever it says
		for _, r := range out.String() {
			if r < 0x20 && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
				t.Fatalf("%U of %q reached the terminal: %q", r, text, out.String())
			}
		}
	})
}
