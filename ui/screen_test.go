package ui

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
	"github.com/charmbracelet/x/ansi"
)

func width(s string) int { return ansi.StringWidth(s) }

func TestReadingPositionStaysWhileItStreamsAndResizes(t *testing.T) {
	b := newBench(t, Options{Store: openStore(t)})
	b.gen.says(strings.Repeat("A paragraph of some words that is long enough to wrap more than once on a screen.\n\n", 30))
	b.say("one")
	words := b.gen.drip()
	b.keys("two", "enter")
	b.until("the start", func() bool { return b.m.turn.feed != nil })
	b.keys("pgup", "pgup")
	top := strings.Split(b.screen(), "\n")[0]
	for range 50 {
		words <- "more words\n\n"
	}
	b.until("the words", func() bool { return strings.Count(b.m.transcript.text(&b.m.theme), "more words") == 50 })
	if got := strings.Split(b.screen(), "\n")[0]; got != top {
		t.Errorf("the top line changed from %q to %q", top, got)
	}
	b.wantScreen("↓ more below")
	for i := range 20 {
		b.send(tea.WindowSizeMsg{Width: 30 + i*5, Height: 10 + i})
	}
	b.send(tea.WindowSizeMsg{Width: 80, Height: 24})
	if got := strings.Split(b.screen(), "\n")[0]; got != top {
		t.Errorf("after 20 resizes the top line is %q, was %q", got, top)
	}
	b.keys("end")
	b.wantNotScreen("↓ more below")
	close(words)
	b.until("the end", func() bool { return b.m.turn == nil })
	b.wantNotScreen("↓ more below")
}

func TestScrollingToTheEndFollowsAgain(t *testing.T) {
	b := newBench(t, Options{})
	b.gen.says(strings.Repeat("line\n\n", 60))
	b.say("x")
	b.keys("home")
	b.wantScreen("┃ x", "↓ more below")
	for range 10 {
		b.keys("pgdown")
	}
	if !b.m.transcript.follow {
		t.Error("scrolling to the end should follow it again")
	}
	b.send(tea.MouseWheelMsg{Button: tea.MouseWheelUp})
	b.wantScreen("↓ more below")
}

func TestLightAndDark(t *testing.T) {
	b := newBench(t, Options{})
	b.send(tea.BackgroundColorMsg{Color: lightBackground{}})
	if !b.m.theme.light {
		t.Error("a light background should give the light theme")
	}
	b = newBench(t, Options{Theme: "dark"})
	b.send(tea.BackgroundColorMsg{Color: lightBackground{}})
	if b.m.theme.light {
		t.Error("the theme that was asked for should stay")
	}
}

type lightBackground struct{}

func (lightBackground) RGBA() (r, g, b, a uint32) { return 0xffff, 0xffff, 0xffff, 0xffff }

func TestWithoutColoursMarksAreShown(t *testing.T) {
	b := newBench(t, Options{})
	b.send(tea.ColorProfileMsg{Profile: colorprofile.ASCII})
	b.gen.says("# Title\n\nsome `code`")
	b.say("x")
	b.wantScreen("# Title", "`code`")
}

func TestNoColorMeansNone(t *testing.T) {
	colours := regexp.MustCompile(`\x1b\[[\d;:]*\b(3[0-8]|4[0-8]|9\d|10\d)[;:m]`)
	for _, none := range []bool{false, true} {
		term := startTerminal(t, Options{Generator: newScript(sample), NoColor: none}, 80, 24)
		term.wait("Write a message")
		term.send("go", enterKey)
		term.wait("tokens · 20.0 tok/s")
		term.send(f3Key)
		term.wait("conversations are not kept")
		term.send("/") // not behind Esc: the two are alt+/
		term.wait("/import")
		term.send(ctrlC, ctrlC, ctrlC)
		term.ended()
		term.mu.Lock()
		found := colours.FindString(string(term.raw))
		term.mu.Unlock()
		if (found == "") != none {
			t.Errorf("no colours wanted: %v, found %q", none, found)
		}
	}
}

func TestNoSizePanics(t *testing.T) {
	b := newBench(t, Options{Store: openStore(t)})
	b.gen.says("# 漢字\n\n- a 👩‍👩‍👧 b\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```go\nx := 1\n```")
	b.say("hello world 漢字漢字漢字")
	for _, view := range [][]string{{}, {"f1"}, {"esc", "f3"}, {"esc", "f4"}, {"esc", "/"}, {"esc", "shift+f5"}, {"esc", "a", "ctrl+j", "b"}} {
		b.keys(view...)
		b.idle()
		for w := 1; w <= 24; w++ {
			for h := 1; h <= 9; h++ {
				b.send(tea.WindowSizeMsg{Width: w, Height: h})
				checkScreen(t, b, w, h)
			}
		}
	}
}

// checkScreen makes sure that the screen fits the terminal.
func checkScreen(t *testing.T, b *bench, w, h int) {
	t.Helper()
	v := b.m.View()
	lines := strings.Split(v.Content, "\n")
	if len(lines) != h {
		t.Errorf("%d×%d: got %d lines", w, h, len(lines))
	}
	for _, l := range lines {
		if got := width(l); got > w {
			t.Errorf("%d×%d: line %q is %d wide", w, h, l, got)
		}
	}
	if c := v.Cursor; c != nil && (c.X < 0 || c.X >= w || c.Y < 0 || c.Y >= h) {
		t.Errorf("%d×%d: the cursor is at %d, %d", w, h, c.X, c.Y)
	}
}

func TestTheSmallestScreenIsUsable(t *testing.T) {
	b := newBench(t, Options{Store: openStore(t)})
	b.send(tea.WindowSizeMsg{Width: 10, Height: 3})
	b.say("hi")
	b.keys("ok")
	b.wantScreen("❯ ok")
	b.keys("f6")
	b.wantScreen("temperatu…")
}

func TestAStoreThatIsMissingIsNoError(t *testing.T) {
	b := newBench(t, Options{})
	b.say("hi")
	b.wantScreen("hello there")
	b.keys("f3")
	b.wantScreen("not kept in this run")
	if err := b.m.close(); err != nil {
		t.Error(err)
	}
}

func TestStartNoticesAreShown(t *testing.T) {
	b := newBench(t, Options{Notices: []string{"config: odd"}, Keys: map[string][]string{"help": {"f3"}, "fly": {"f9"}}})
	b.wantScreen("config: odd", "f3 is wanted by help and conversations; help has it", "there is no action \"fly\"")
	b.keys("f3")
	b.wantScreen("Keys and commands")
}

func TestATemplateThatCannotBeUsedIsNamedAtOnce(t *testing.T) {
	b := newBench(t, Options{})
	b.gen.planErr = errors.New("prompt: x.jinja: no such file")
	b.keys("/template x.jinja", "enter")
	b.idle()
	b.wantScreen("prompt: x.jinja: no such file")
}

func TestTheContextMeterShowsUseAndLimit(t *testing.T) {
	b := newBench(t, Options{})
	b.wantScreen("0/2k")
	b.say("hi")
	b.wantScreen("22/2k")
}
