package ui

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"

	"peregrine/history"
)

func TestUpWalksThroughWhatWasSent(t *testing.T) {
	store := openStore(t)
	b := newBench(t, Options{Store: store})
	b.say("one")
	b.say("two\nlines")
	b.keys("a draft", "ctrl+j", "of two lines", "up") // within the draft
	for _, step := range []struct{ key, want string }{
		{"up", "two\nlines"},
		{"up", "one"},
		{"up", "one"},
		{"down", "two\nlines"},
		{"down", "a draft\nof two lines"},
		{"down", "a draft\nof two lines"},
		{"ctrl+p", "a draft\nof two lines"},
		{"ctrl+p", "two\nlines"},
		{"ctrl+p", "one"},
		{"ctrl+n", "two\nlines"},
		{"ctrl+c", "a draft\nof two lines"},
	} {
		b.keys(step.key)
		if got := b.m.composer.draft(); got != step.want {
			t.Fatalf("%s: got %q, want %q", step.key, got, step.want)
		}
		b.wantDraft("a draft\nof two lines") // it is the draft whatever is shown
	}
}

func TestWhatEarlierRunsTypedIsThere(t *testing.T) {
	store := openStore(t)
	b := newBench(t, Options{Store: store})
	b.say("first of all")
	b.keys("/rename Old", "enter", "/new", "enter")
	b.say("//etc/passwd")
	b.send(tea.PasteMsg{Content: lines(101)})
	b.say("")
	b.keys("never sent", "ctrl+c", "left")
	b = b.restart(Options{Store: store})
	for _, want := range []string{"never sent", lines(101), "//etc/passwd", "first of all", "first of all"} {
		b.keys("up")
		if got := textOf(b.m.composer.text); got != want {
			t.Errorf("got %.60q, want %.60q", got, want)
		}
	}
	if b.m.composer.palette.open {
		t.Error("what was typed before opens no palette")
	}
	b = b.restart(Options{Store: store, Name: "Old"})
	b.keys("up")
	if got := b.m.composer.draft(); got != "first of all" {
		t.Errorf("got %q, want what was said in this conversation", got)
	}
	b.keys("up", "up", "up", "enter")
	b.ended()
	if got := b.gen.last().Messages[2].Content; got != "/etc/passwd" {
		t.Errorf("sent again: got %q", got)
	}
	info, err := os.Stat(filepath.Join(store.Dir(), "inputs"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v, want a file of mode 0600", info, err)
	}
}

func TestNothingOfAWalkIsLost(t *testing.T) {
	for name, c := range map[string]struct {
		keys  []string
		draft string // afterwards
		up    string // and one before it
	}{
		"sent as it was":        {[]string{"up", "enter"}, "my draft", "old"},
		"edited":                {[]string{"up", "er"}, "older", "my draft"},
		"edited and sent":       {[]string{"up", "er", "enter"}, "", "older"},
		"edited and cleared":    {[]string{"up", "er", "ctrl+c"}, "older", "older"},
		"the palette in it":     {[]string{"up", "f2", "esc"}, "old", "my draft"},
		"another conversation":  {[]string{"up", "f2", "new", "enter"}, "", "my draft"},
		"a command in between":  {[]string{"up", "f6"}, "my draft", "old"},
		"to the end of history": {[]string{"up", "down", "!"}, "my draft!", "old"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, Options{Store: openStore(t)})
			b.say("old")
			b.keys("my draft")
			b.keys(c.keys...)
			b.ended()
			b.wantDraft(c.draft)
			b.keys("down", "down", "down", "ctrl+a", "up")
			if got := b.m.composer.draft(); got != c.up {
				t.Errorf("one up: got %q, want %q", got, c.up)
			}
		})
	}
}

func TestSearchFindsWhatWasTyped(t *testing.T) {
	b := newBench(t, Options{Store: openStore(t)})
	for _, text := range []string{"The falcon stoops", "an eagle\nand a FALCON", "nothing of the kind"} {
		b.say(text)
	}
	b.keys("my draft", "ctrl+r")
	b.wantScreen("search ❯", "nothing of the kind", "3/3")
	b.keys("falcon")
	b.wantScreen("search ❯ falcon", "an eagle", "and a FALCON", "2/3 · Enter takes it · ctrl+r older")
	b.keys("ctrl+r")
	b.wantScreen("  The falcon stoops", "1/3")
	b.keys("ctrl+r")
	b.wantScreen("nothing older fits", "  The falcon stoops")
	b.keys("down")
	b.wantScreen("and a FALCON")
	b.keys("xyz")
	b.wantScreen("not found")
	b.keys("enter")
	b.wantScreen("❯ my draft")
	b.keys("ctrl+r", "falcon", "esc")
	b.wantScreen("❯ my draft")
	requests := len(b.gen.requests)
	b.keys("ctrl+r", "falcon", "ctrl+r", "enter")
	b.idle()
	b.wantScreen("❯ The falcon stoops")
	if len(b.gen.requests) != requests {
		t.Fatal("the search sent something")
	}
	b.keys("down", "down", "down")
	b.wantScreen("❯ my draft")
	b.keys("ctrl+r")
	b.send(tea.PasteMsg{Content: "stoops"})
	b.keys("enter", "enter")
	b.ended()
	b.wantScreen("❯ my draft", "┃ The falcon stoops")
	b.keys("f2", "recall eagle", "enter")
	b.wantScreen("search ❯ eagle", "an eagle")
}

func TestTheSearchShowsTextsHarmlessly(t *testing.T) {
	b := newBench(t, Options{Store: openStore(t)})
	b.send(tea.PasteMsg{Content: "evil \x1b[2J\u202e text 漢字" + strings.Repeat(" long", 100)})
	b.say("")
	b.send(tea.PasteMsg{Content: lines(300)})
	b.say("")
	b.keys("ctrl+r")
	b.wantScreen("⟦paste: 300 lines⟧")
	b.keys("漢")
	b.wantScreen("evil ␛[2J‹U+202E› text 漢字")
	if strings.Contains(b.m.View().Content, "\x1b[2J") {
		t.Error("a control sequence reached the screen")
	}
	for w := 1; w < 60; w += 3 {
		for h := 1; h < 20; h += 2 {
			b.send(tea.WindowSizeMsg{Width: w, Height: h})
			checkScreen(t, b, w, h)
		}
	}
}

func TestSearchWithNothingTypedSaysSo(t *testing.T) {
	b := newBench(t, Options{})
	b.keys("ctrl+r")
	b.wantScreen("nothing was typed before")
	b.say("without a store")
	b.keys("up")
	b.wantScreen("❯ without a store")
}

// TestManyInputsAreWalkedAtOnce holds the walk to the time of a key press, with as much as is remembered at most.
func TestManyInputsAreWalkedAtOnce(t *testing.T) {
	b := newBench(t, Options{})
	for i := range 2000 {
		b.m.composer.earlier = append(b.m.composer.earlier, history.Text{Pieces: []history.Piece{{Text: fmt.Sprint("text ", i)}}})
	}
	b.keys("ctrl+r", "text 17")
	b.wantScreen("text 1799")
	b.keys("esc", "up", "up")
	b.wantScreen("❯ text 1998")
}
