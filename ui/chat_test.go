package ui

import (
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"peregrine/model/generate"
)

func TestNewlineKeysStartALine(t *testing.T) {
	for _, key := range []string{"shift+enter", "ctrl+j", "alt+enter"} {
		b := newBench(t, Options{})
		b.keys("one", key, "two")
		if got := b.m.composer.draft(); got != "one\ntwo" {
			t.Errorf("%s: got draft %q, want two lines", key, got)
		}
	}
}

func TestTheComposerGrowsToAThirdOfTheScreen(t *testing.T) {
	b := newBench(t, Options{})
	for range 20 {
		b.keys("x", "ctrl+j")
	}
	if got := b.m.composer.rows(); got != 8 {
		t.Errorf("got %d rows of 24, want 8", got)
	}
	if lines := strings.Split(b.screen(), "\n"); len(lines) != 24 {
		t.Errorf("got a screen of %d lines, want 24", len(lines))
	}
}

func TestAPasteIsOneMessageAndNeverSent(t *testing.T) {
	b := newBench(t, Options{Store: openStore(t)})
	b.send(tea.PasteMsg{Content: "one\r\ntwo\nthree\n"})
	if b.m.turn != nil {
		t.Fatal("a paste was sent")
	}
	if got := textOf(b.m.composer.text); got != "one\ntwo\nthree\n" {
		t.Errorf("got %q, want the lines", got)
	}
	b.say("")
	if got := b.saved()[0].Content; got != "one\ntwo\nthree" {
		t.Errorf("got message %q, want the lines", got)
	}
}

func TestALargePasteIsSentByteForByte(t *testing.T) {
	b := newBench(t, Options{Store: openStore(t)})
	paste := strings.Repeat("\tindented line\n", 10_000) + "end"
	start := time.Now()
	b.keys("see: ")
	b.send(tea.PasteMsg{Content: paste})
	if took := time.Since(start); took > 500*time.Millisecond {
		t.Errorf("the paste took %v", took)
	}
	b.wantScreen("see: ⟦paste 1: 10,001 lines⟧")
	b.say(" that")
	if got := b.saved()[0].Content; got != "see: "+paste+" that" {
		t.Errorf("got %d bytes, want the pasted %d and what was typed", len(got), len(paste))
	}
}

func TestControlSequencesAreShownNotSent(t *testing.T) {
	gen := newScript("a\x1b[31mred\x1b]0;title\x07 &#27;[2J \u009b5n")
	gen.info.Model = "evil\x1b[2Jmodel"
	gen.info.Backend = "cpu\x07"
	b := newBench(t, Options{Generator: gen, Store: openStore(t), System: "\x1bc"})
	b.send(tea.PasteMsg{Content: "paste\x1b[5m"})
	b.say("\u202edraw")
	b.keys("f4")
	views := b.m.View().Content
	b.keys("esc")
	v := b.m.View()
	views += v.Content + v.WindowTitle
	for _, bad := range []string{"\x1b[31m", "\x1b]0", "\x1b[2J", "\x07", "\u009b", "\x1b[5m", "\x1bc", "\u202e"} {
		if strings.Contains(views, bad) {
			t.Errorf("the screen holds %q", bad)
		}
	}
	b.wantScreen("a␛[31mred␛]0;title␇", "evil␛[2Jmodel")
}

func TestSlashCommands(t *testing.T) {
	for name, c := range map[string]struct{ typed, want string }{
		"temperature":           {"/temp 0.35", "temp 0.35"},
		"greedy":                {"/temp 0", "greedy"},
		"decimal comma":         {"/temp 0,5", "temp 0.5"},
		"top-k":                 {"/top-k 7", "top-k 7"},
		"all tokens":            {"/top-k 0", "top-k all"},
		"top-p":                 {"/top-p 0.9", "top-p 0.9"},
		"out of range":          {"/top-p 3", "top_p"},
		"no number":             {"/temp warm", "\"warm\" is no number"},
		"no whole number":       {"/top-k 1.5", "no whole number"},
		"seed":                  {"/seed 42", "seed 42"},
		"no seed":               {"/seed off", "a new seed"},
		"limit":                 {"/max-tokens 64", "replies end after 64 tokens"},
		"template":              {"/template falcon", "template falcon"},
		"system text":           {"/system Talk like a pirate.", "system: Talk like a pirate."},
		"unknown":               {"/frobnicate now", "there is no command /frobnicate"},
		"missing argument":      {"/open", "open a conversation"},
		"theme":                 {"/theme blue", "There are auto, light and dark"},
		"mouse":                 {"/mouse off", "mouse off"},
		"nothing to undo":       {"/undo", "nothing to take back"},
		"nothing to stop":       {"/stop", "nothing to stop"},
		"nothing to save":       {"/save x.jsonl", "nothing to save yet"},
		"nothing to regenerate": {"/regenerate", "nothing to answer yet"},
		"help":                  {"/help", "Keys and commands"},
		"model":                 {"/model", "/models/tiny-falcon"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, Options{Store: openStore(t)})
			b.keys(c.typed, "esc") // closes the palette, which would complete
			b.m.composer.set(c.typed)
			b.keys("enter")
			b.idle()
			if !strings.Contains(strings.ReplaceAll(b.screen(), "-", "_"), strings.ReplaceAll(c.want, "-", "_")) {
				t.Errorf("no %q on the screen:\n%s", c.want, b.screen())
			}
			if len(b.gen.requests) > 0 {
				t.Error("a command was sent to the model")
			}
		})
	}
}

func TestCommandValuesReachTheModel(t *testing.T) {
	b := newBench(t, Options{Store: openStore(t)})
	for _, c := range []string{"/temp 0.3", "/seed 9", "/max-tokens 5", "/template falcon", "/system Be kind.", "/min-p 0.1", "/repeat-penalty 1.2"} {
		b.m.composer.set(c)
		b.keys("enter")
	}
	b.say("hi")
	r := b.gen.last()
	if r.Sampling.Temperature != 0.3 || r.Sampling.TopK != 40 || r.Sampling.MinP != 0.1 || r.Sampling.RepetitionPenalty != 1.2 {
		t.Errorf("got sampling %+v", r.Sampling)
	}
	if r.Sampling.Seed == nil || *r.Sampling.Seed != 9 || r.MaxTokens != 5 || r.Template != "falcon" {
		t.Errorf("got request %+v", r)
	}
	if r.Messages[0].Role != generate.System || r.Messages[0].Content != "Be kind." {
		t.Errorf("got messages %+v", r.Messages)
	}
	if h := b.m.chat.file.Conversation().Header; h.System != "Be kind." || h.Template != "falcon" || h.Model != "tiny-falcon" {
		t.Errorf("got header %+v", h)
	}
}

func TestTwoSlashesSendOne(t *testing.T) {
	b := newBench(t, Options{Store: openStore(t)})
	b.say("//etc/passwd is a file")
	if got := b.gen.last().Messages[0].Content; got != "/etc/passwd is a file" {
		t.Errorf("got %q, want it with one slash", got)
	}
}

func TestSamplingKeys(t *testing.T) {
	b := newBench(t, Options{})
	b.keys("draft", "f5", "f5", "f8")
	b.wantScreen("temp 0.6", "top-k 50", "❯ draft")
	b.keys("f7", "f7", "f7")
	b.wantScreen("top-k 20")
	b.keys("shift+f5", "ctrl+u", "0.42", "enter")
	b.wantScreen("temp 0.42", "❯ draft")
	b.keys("shift+f7", "ctrl+u", "123", "enter")
	b.wantScreen("top-k 123")
	b.keys("shift+f7", "ctrl+u", "5", "esc")
	b.wantScreen("top-k 123")
}

func TestTypingReplacesTheValueOfAPrompt(t *testing.T) {
	for name, c := range map[string]struct {
		keys []string
		want string
	}{
		"a digit replaces it":     {[]string{"1.1"}, "temp 1.1"},
		"a moved cursor keeps it": {[]string{"end", "5"}, "temp 0.75"},
		"erasing takes it all":    {[]string{"backspace", "0.3"}, "temp 0.3"},
		"enter leaves it":         {nil, "temp 0.7 "},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, Options{})
			b.keys("shift+f5") // shows 0.7
			b.keys(c.keys...)
			b.keys("enter")
			b.wantScreen(c.want)
		})
	}
	b := newBench(t, Options{})
	b.keys("shift+f5")
	b.send(tea.PasteMsg{Content: "0.25"})
	b.keys("enter")
	b.wantScreen("temp 0.25")
}

func TestSamplingKeysStopAtTheEnds(t *testing.T) {
	s := newSampling(&generate.Sampling{Temperature: 0.1, TopK: 2})
	for range 5 {
		s.nudge(parameterOf("temp"), false)
		s.nudge(parameterOf("top-k"), false)
	}
	if s.now.Temperature != 0 || s.now.TopK != 1 {
		t.Errorf("got %+v, want 0 and 1", s.now)
	}
	for range 40 {
		s.nudge(parameterOf("top-k"), true)
	}
	if s.now.TopK != 0 {
		t.Errorf("got top-k %d, want 0: all", s.now.TopK)
	}
	s.nudge(parameterOf("top-k"), false)
	if s.now.TopK != 1000 {
		t.Errorf("got top-k %d, want 1000 below all", s.now.TopK)
	}
	if s = newSampling(&generate.Sampling{TopK: 45}); true {
		s.nudge(parameterOf("top-k"), true)
		if s.now.TopK != 50 {
			t.Errorf("got top-k %d after 45, want 50", s.now.TopK)
		}
	}
}

func TestDefaultsLeaveWhatTheUserChose(t *testing.T) {
	s := newSampling(nil)
	s.nudge(parameterOf("top-k"), true)
	s.defaults(generate.Sampling{Temperature: 0.2, TopK: 5, TopP: 0.9})
	if s.now.TopK != 60 || s.now.Temperature != 0.2 || s.now.TopP != 0.9 {
		t.Errorf("got %+v, want the model's but for top-k", s.now)
	}
}

func TestThePaletteCompletesAndRuns(t *testing.T) {
	b := newBench(t, Options{})
	b.keys("/tem")
	b.wantScreen("❯ /temp [VALUE]", "/template [NAME]")
	b.keys("down", "tab")
	if got := b.m.composer.draft(); got != "/template " {
		t.Fatalf("got draft %q, want the completed command", got)
	}
	b.wantScreen("chatml", "instruction")
	b.keys("fal", "enter")
	if b.m.chat.template != "falcon" || !b.m.composer.empty() {
		t.Errorf("got template %q and draft %q, want falcon and none", b.m.chat.template, b.m.composer.draft())
	}
}

func TestThePaletteKeyPutsTheDraftAside(t *testing.T) {
	b := newBench(t, Options{})
	b.keys("my draft", "f2")
	b.wantScreen("/new", "/open PATH|NAME")
	b.keys("them", "enter")
	if got := b.m.composer.draft(); got != "/theme " {
		t.Fatalf("got draft %q, want it to ask for the argument", got)
	}
	b.keys("light", "enter")
	if !b.m.theme.light {
		t.Error("the theme did not change")
	}
	b.wantScreen("❯ my draft")
	b.keys("f2", "esc")
	b.wantScreen("❯ my draft")
}

func TestADraftPutAsideComesBackHoweverTheCommandIsGivenUp(t *testing.T) {
	for name, c := range map[string]struct {
		keys []string
		want string
	}{
		"the slash is erased":    {[]string{"backspace"}, "my draft"},
		"it becomes text":        {[]string{"backspace", ", longer"}, "my draft, longer"},
		"ctrl+c without a match": {[]string{"xyzq", "ctrl+c"}, "my draft"},
		"ctrl+c, then once more": {[]string{"xyzq", "ctrl+c", "ctrl+c"}, ""},
		"an unknown command":     {[]string{"xyzq", "enter"}, "my draft"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, Options{})
			b.keys("my draft", "f2")
			b.keys(c.keys...)
			if got := b.m.composer.draft(); got != c.want {
				t.Errorf("got draft %q, want %q", got, c.want)
			}
		})
	}
}

func TestAKeyForEachCommandIsInThePalette(t *testing.T) {
	b := newBench(t, Options{})
	b.keys("/conv")
	b.wantScreen("F3")
}
