package ui

import (
	"math"
	"strings"
	"testing"

	"peregrine/model/generate"
)

func TestEveryParameterStepsTypesAndResetsWithItsKeys(t *testing.T) {
	for name, c := range map[string]struct{ up, down, set, reset, raised, typed, shown string }{
		"temp":           {"f6", "f5", "shift+f5", "shift+f6", "0.75", "0.33", "temp 0.33"},
		"top-k":          {"f8", "f7", "shift+f7", "shift+f8", "50", "33", "top-k 33"},
		"top-p":          {"f10", "f9", "shift+f9", "shift+f10", "0.95", "0.5", "top-p 0.5"},
		"repeat-penalty": {"f12", "f11", "shift+f11", "shift+f12", "1.2", "1.5", "penalty 1.5"},
		"min-p":          {"ctrl+f10", "ctrl+f9", "ctrl+f11", "ctrl+f12", "0.06", "0.2", "min-p 0.2"},
		"seed":           {"ctrl+f6", "ctrl+f5", "ctrl+f7", "ctrl+f8", "8", "18446744073709551615", "seed 18446744073709551615"},
	} {
		t.Run(name, func(t *testing.T) {
			gen := newScript("")
			seed := uint64(7)
			gen.info.Defaults = generate.Sampling{Temperature: 0.7, TopK: 40, TopP: 0.9, MinP: 0.05, RepetitionPenalty: 1.15, Seed: &seed}
			b := newBench(t, Options{Generator: gen})
			text := func() string { return parameterOf(name).text(&b.m.sampling.now) }
			was := text()
			b.keys("draft", c.up)
			if got := text(); got != c.raised {
				t.Errorf("%s: got %s, want %s", c.up, got, c.raised)
			}
			b.keys(c.down, c.down)
			b.keys(c.up)
			if got := text(); got != was {
				t.Errorf("up, down twice, up: got %s, want %s again", got, was)
			}
			b.keys(c.set, c.typed, "enter")
			if got := text(); got != c.typed {
				t.Errorf("typed %s, got %s", c.typed, got)
			}
			b.send(sized(160, 24))
			if !strings.Contains(b.status(), c.shown) {
				t.Errorf("the status line has no %q: %s", c.shown, b.status())
			}
			b.keys(c.reset)
			if got := text(); got != was {
				t.Errorf("%s: got %s, want the model's %s", c.reset, got, was)
			}
			b.wantScreen("❯ draft")
		})
	}
}

func TestStepsEndWhereTheValuesDo(t *testing.T) {
	for name, ends := range map[string][2]string{
		"temp": {"0", "5"}, "top-k": {"1", "0"}, "top-p": {"0.05", "0"}, "min-p": {"0", "1"}, "typical-p": {"0.05", "0"},
		"repeat-penalty": {"1", "2"},
	} {
		for i, up := range []bool{false, true} {
			s := newSampling(&generate.Sampling{Temperature: 0.8, TopK: 50, TopP: 0.9, MinP: 0.1, TypicalP: 0.9, RepetitionPenalty: 1.1})
			p, last := parameterOf(name), ""
			for range 200 {
				s.nudge(p, up)
				if err := s.now.Validate(); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if last = p.text(&s.now); last == ends[i] {
					break
				}
			}
			if last != ends[i] {
				t.Errorf("%s, up %v: ends at %s, want %s", name, up, last, ends[i])
			}
		}
	}
}

func TestTheSeedStepsThroughOffAndStopsAtTheLargest(t *testing.T) {
	s := newSampling(&generate.Sampling{})
	p := parameterOf("seed")
	var got []string
	for _, up := range []bool{false, true, true, false, false, false} {
		s.nudge(p, up)
		got = append(got, p.text(&s.now))
	}
	if want := "off 0 1 0 off off"; strings.Join(got, " ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
	most := uint64(math.MaxUint64)
	s.now.Seed = &most
	if s.nudge(p, true); *s.now.Seed != most {
		t.Errorf("got %d above the largest seed", *s.now.Seed)
	}
}

func TestAllValuesResetAtOnceEvenWhileAReplyStreams(t *testing.T) {
	b := newBench(t, Options{Store: openStore(t)})
	words := b.gen.drip()
	b.keys("hi", "enter")
	b.until("the start", func() bool { return b.m.turn.feed != nil })
	b.keys("f6", "f8", "f10", "f12", "ctrl+f6", "alt+0")
	words <- "a"
	close(words)
	b.ended()
	if got, want := *b.saved()[1].Sampling, (generate.Sampling{Temperature: 0.7, TopK: 40}); got != want {
		t.Errorf("got %+v recorded, want the model's %+v", got, want)
	}
}

func TestThePanelShowsAndChangesEveryValueWhileAReplyStreams(t *testing.T) {
	b := newBench(t, Options{Store: openStore(t)})
	words := b.gen.drip()
	b.keys("hi", "enter")
	b.until("the start", func() bool { return b.m.turn.feed != nil })
	b.keys("alt+s")
	for _, p := range parameters() {
		b.wantScreen(p.label)
	}
	words <- "streamed on"
	b.until("the words", func() bool { return b.m.turn.item.message.Content != "" })
	b.wantScreen("streamed on")
	b.keys("right")                     // temperature
	b.keys("down", "down", "0.9")       // top-p
	b.keys("enter", "down", "down")     // typical-p
	b.keys("0.5", "esc")                // is left alone
	b.keys("ctrl+f6", "f12", "f12")     // the chat's own keys
	b.keys("shift+f7", "ctrl+u", "12")  // selects top-k
	b.keys("enter", "down", "down")     // min-p
	b.keys("0.2", "enter", "backspace") // is reset
	words <- "."
	close(words)
	b.ended()
	b.keys("esc")
	if b.m.overlay != nil {
		t.Error("the panel is still open")
	}
	got := *b.saved()[1].Sampling
	if got.Temperature != 0.75 || got.TopP != 0.9 || got.TypicalP != 0 || got.RepetitionPenalty != 1.1 || got.TopK != 12 ||
		got.MinP != 0 || got.Seed == nil || *got.Seed != 0 {
		t.Errorf("got %+v recorded", got)
	}
}

func TestValuesChangeByCommandsWhereTheTerminalKeepsTheKeys(t *testing.T) {
	b := newBench(t, Options{})
	for _, c := range []string{"/top-p 0.9", "/temp up", "/top-k down", "/seed 5"} {
		b.m.composer.set(c)
		b.keys("enter")
	}
	if s := b.m.sampling.now; s.TopP != 0.9 || s.Temperature != 0.75 || s.TopK != 30 || *s.Seed != 5 {
		t.Errorf("got %+v", s)
	}
	for _, c := range []string{"/temp reset", "/reset top-k", "/reset seed", "/reset wings", "/top-p 3"} {
		b.m.composer.set(c)
		b.keys("enter")
	}
	b.wantScreen("top-p 3: want 0 to 1")
	if s := b.m.sampling.now; s != (generate.Sampling{Temperature: 0.7, TopK: 40, TopP: 0.9}) {
		t.Errorf("got %+v, want all but top-p reset", s)
	}
}
