package ui

import (
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
)

// lines returns a text that is too large to stand in the draft as it is.
func lines(n int) string { return strings.Repeat("\tall:\n", n-1) + "\techo hi" }

func TestAPasteReachesTheMessageByteForByte(t *testing.T) {
	for name, c := range map[string]struct{ paste, want string }{
		"tabs":                        {"all:\n\techo hi", "all:\n\techo hi"},
		"line ends of other systems":  {"a\r\nb\rc", "a\nb\nc"},
		"spaces inside":               {"a  \n  b", "a  \n  b"},
		"control characters":          {"a\x1b[31mb\x00c", "a\x1b[31mb\x00c"},
		"marks that look like ours":   {"⟦paste 1: 101 lines⟧", "⟦paste 1: 101 lines⟧"},
		"a C comment":                 {"// one\nint x;", "// one\nint x;"},
		"two slashes":                 {"//etc/passwd", "//etc/passwd"},
		"a path and more lines":       {"/etc/passwd\n/etc/group", "/etc/passwd\n/etc/group"},
		"just small enough":           {lines(foldLines), lines(foldLines)},
		"just too large":              {lines(foldLines + 1), lines(foldLines + 1)},
		"large, spaces at the end":    {lines(101) + " \n\n", lines(101) + " \n\n"},
		"large, two slashes":          {"//" + lines(101), "//" + lines(101)},
		"large, one line":             {strings.Repeat("漢", 5000), strings.Repeat("漢", 5000)},
		"more lines than a field has": {lines(20_000), lines(20_000)},
		"scripts":                     {scripts["joined emoji"] + scripts["Indic"] + scripts["flags"], scripts["joined emoji"] + scripts["Indic"] + scripts["flags"]},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, Options{Store: openStore(t)})
			b.send(tea.PasteMsg{Content: c.paste})
			b.keys("enter")
			b.ended()
			if len(b.gen.requests) == 0 {
				t.Fatalf("nothing was sent; the screen is:\n%s", b.screen())
			}
			if got := b.gen.last().Messages[0].Content; got != c.want {
				t.Errorf("got %.80q (%d bytes), want %.80q (%d bytes)", got, len(got), c.want, len(c.want))
			}
		})
	}
}

func TestAPasteMarkIsOneCharacter(t *testing.T) {
	paste := lines(101)
	for name, c := range map[string]struct {
		keys []string
		want string
	}{
		"backspace":                    {[]string{"backspace"}, "see"},
		"delete":                       {[]string{"left", "delete"}, "see"},
		"word":                         {[]string{"ctrl+w"}, "see"},
		"to the start":                 {[]string{"ctrl+u", "ok"}, "ok"},
		"to the end":                   {[]string{"ctrl+a", "ctrl+k", "ok"}, "ok"},
		"selected and typed over":      {[]string{"shift+left", "x"}, "see x"},
		"text before it":               {[]string{"left", "x"}, "see x" + paste},
		"text behind it":               {[]string{"x"}, "see " + paste + "x"},
		"no key stops inside":          {[]string{"left", "right", "left", "left", "x"}, "seex " + paste},
		"letters are not changed":      {[]string{"ctrl+a", "alt+u", "alt+u", "alt+u"}, "SEE " + paste},
		"exchanged as a whole":         {[]string{"ctrl+t"}, "see" + paste},
		"backspace and undo":           {[]string{"backspace", "ctrl+_"}, "see " + paste},
		"backspace, undo, redo":        {[]string{"backspace", "ctrl+_", "ctrl+y"}, "see"},
		"everything erased and undone": {[]string{"ctrl+g", "backspace", "ctrl+_"}, "see " + paste},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, Options{Store: openStore(t)})
			b.keys("see ")
			b.send(tea.PasteMsg{Content: paste})
			b.wantScreen("❯ see ⟦paste 1: 101 lines⟧")
			b.keys(c.keys...)
			b.keys("enter")
			b.ended()
			if got := b.gen.last().Messages[0].Content; got != c.want {
				t.Errorf("got %.60q (%d bytes), want %.60q (%d bytes)", got, len(got), c.want, len(c.want))
			}
		})
	}
}

func TestErasingAPasteIsSaidAndTheSamePasteBringsItBack(t *testing.T) {
	b := newBench(t, Options{Store: openStore(t)})
	b.keys("see ")
	b.send(tea.PasteMsg{Content: lines(101)})
	b.keys("backspace")
	b.wantScreen("paste 1: 101 lines erased; ctrl+/ brings it back")
	b.wantNotScreen("⟦")
	b.send(tea.PasteMsg{Content: lines(101)})
	b.wantScreen("❯ see ⟦paste 1: 101 lines⟧")
	b.send(tea.PasteMsg{Content: lines(70)})
	b.wantScreen("❯ see ⟦paste 1: 101 lines⟧⟦paste 2: 70 lines⟧")
	b.keys("ctrl+a", "ctrl+k")
	b.wantScreen("2 pastes erased")
}

func TestAPasteSurvivesThePalette(t *testing.T) {
	b := newBench(t, Options{Store: openStore(t)})
	b.keys("see ")
	b.send(tea.PasteMsg{Content: lines(101)})
	b.keys("left", "f2", "esc", "!", "enter")
	b.ended()
	if got := b.gen.last().Messages[0].Content; got != "see !"+lines(101) {
		t.Errorf("got %.60q (%d bytes), want the pasted text, and the cursor where it was", got, len(got))
	}
}

func TestAClearedDraftComesBack(t *testing.T) {
	for _, keys := range [][]string{{"up", "up"}, {"ctrl+_"}} { // up comes by what was sent since
		b := newBench(t, Options{Store: openStore(t)})
		b.keys("a draft ")
		b.send(tea.PasteMsg{Content: lines(101)})
		b.keys("ctrl+c")
		b.wantScreen("up brings the draft back", "Write a message")
		b.say("hi")
		b.keys(keys...)
		b.wantScreen("❯ a draft ⟦paste 1: 101 lines⟧")
		b.say("")
		if got := b.gen.last().Messages[2].Content; got != "a draft "+lines(101) {
			t.Errorf("%q: got %.60q (%d bytes)", keys, got, len(got))
		}
	}
}

func TestWhatIsNoCommandComesBack(t *testing.T) {
	b := newBench(t, Options{})
	b.keys("/me waves", "enter")
	b.wantScreen("there is no command /me")
	b.keys("up")
	b.wantScreen("❯ /me waves")
}
