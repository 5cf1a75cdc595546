package cells

import (
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
)

func TestNoLineIsTooWideAndNoCharacterIsLost(t *testing.T) {
	family := "👩‍👩‍👧"
	for _, m := range []Method{{ansi.WcWidth}, {ansi.GraphemeWidth}} {
		for _, text := range []string{
			"one two three", "a-b-c-d-e-f-g-h-", "漢字かな交じり文", family + family, "x" + family + "y " + family, "क्षत्रिय नमस्ते",
			"\x1b[31m" + family + " red\x1b[m", "e\u0301e\u0301e\u0301e\u0301", "🇩🇪🇯🇵🇧🇷", "1️⃣2️⃣ 3️⃣ #️⃣", "   indented longwordhere",
		} {
			for width := 2; width < 12; width++ {
				got := m.Wrap(text, width)
				for line := range strings.SplitSeq(got, "\n") {
					if w := m.StringWidth(line); w > width {
						t.Errorf("method %d: %q at %d: line %q is %d wide", m.Method, text, width, line, w)
					}
				}
				bare := func(s string) string { return strings.Join(strings.Fields(ansi.Strip(s)), "") }
				if bare(got) != bare(text) {
					t.Errorf("method %d: %q at %d: got %q, which is not the same text", m.Method, text, width, got)
				}
			}
		}
	}
}

func TestWrapBreaksAtSpacesAndHyphens(t *testing.T) {
	for _, c := range []struct {
		text  string
		width int
		want  string
	}{
		{"one two three", 8, "one two\nthree"},
		{"one  two", 5, "one\ntwo"},
		{"well-known words", 6, "well-\nknown\nwords"},
		{"a\n\n  b", 5, "a\n\n  b"},
		{"incomprehensible", 6, "incomp\nrehens\nible"},
		{"an incomprehensible", 6, "an\nincomp\nrehens\nible"},
		{"  incomprehensible", 6, "incomp\nrehens\nible"},
		{"10\u00a0km on", 6, "10\u00a0km\non"},
		{"ends ", 8, "ends "},
		{"漢字漢字", 4, "漢字\n漢字"},
	} {
		if got := (Method{}).Wrap(c.text, c.width); got != c.want {
			t.Errorf("%q at %d: got %q, want %q", c.text, c.width, got, c.want)
		}
	}
}

func TestTheMethodFollowsWhatTheTerminalSays(t *testing.T) {
	for setting, want := range map[ansi.ModeSetting]bool{
		ansi.ModeNotRecognized: false, ansi.ModeSet: true, ansi.ModeReset: true, ansi.ModePermanentlySet: true,
		ansi.ModePermanentlyReset: false,
	} {
		if m, ok := Of(setting); ok != want || ok && m.Method != ansi.GraphemeWidth {
			t.Errorf("setting %d: got %v, %v, want %v", setting, m.Method, ok, want)
		}
	}
	if w := (Method{}).StringWidth("👩‍👩‍👧"); w != 6 {
		t.Errorf("got %d cells before the terminal has said anything, want 6: three of two", w)
	}
}
