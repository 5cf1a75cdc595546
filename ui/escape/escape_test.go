package escape

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestVisible(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"plain text is untouched", "Grüße, 世界 \"x\"\n\tend", "Grüße, 世界 \"x\"\n\tend"},
		{"empty", "", ""},
		{"colour sequence", "a\x1b[31mred", "a␛[31mred"},
		{"title by OSC with BEL", "\x1b]0;owned\a", "␛]0;owned␇"},
		{"carriage return", "ok\rno", "ok␍no"},
		{"NUL and DEL", "\x00\x7f", "␀␡"},
		{"8-bit CSI", "\u009b31m", "‹U+009B›31m"},
		{"right-to-left override", "abc\u202edef", "abc‹U+202E›def"},
		{"isolate", "\u2066x\u2069", "‹U+2066›x‹U+2069›"},
		{"line separator", "a\u2028b", "a‹U+2028›b"},
		{"byte order mark", "\ufeffa", "‹U+FEFF›a"},
		{"hidden text in tags", "a\U000e0041", "a‹U+E0041›"},
		{"noncharacter of a higher plane", "\U0001fffe", "‹U+1FFFE›"},
		{"invalid bytes", "a\xff\xc3b", "a\ufffd\ufffdb"},
		{"a replacement character stays", "\ufffd", "\ufffd"},
		{"emoji with joiner and selector", "👩‍🚀 ❤️", "👩‍🚀 ❤️"},
		{"direction marks stay", "\u200e\u200f\u061c", "\u200e\u200f\u061c"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Visible(c.in); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestLineShowsNewlineAndTab(t *testing.T) {
	if got, want := Line("a\n\tb\x1b"), "a␊ b␛"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestVisibleOfHarmlessTextDoesNotAllocate(t *testing.T) {
	s := strings.Repeat("größer ist besser\n", 50)
	if n := testing.AllocsPerRun(20, func() { Visible(s) }); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}

func FuzzVisible(f *testing.F) {
	f.Add("a\x1b[31m\u009b\u202e", 3)
	f.Add("\xff\xc3\x28世\U000e0041", 4)
	f.Fuzz(func(t *testing.T, s string, cut int) {
		got := Visible(s)
		if !utf8.ValidString(got) {
			t.Fatalf("%q: not valid UTF-8: %q", s, got)
		}
		for _, r := range got {
			if hazard(r) {
				t.Fatalf("%q: %U is left in %q", s, r, got)
			}
		}
		if again := Visible(got); again != got {
			t.Fatalf("%q: not idempotent: %q, then %q", s, got, again)
		}
		if strings.ContainsAny(Line(s), "\n\t") {
			t.Fatalf("%q: Line left a newline or tab", s)
		}
		if cut < 0 || cut > len(s) || !utf8.ValidString(s[:cut]) {
			return
		}
		if parts := Visible(s[:cut]) + Visible(s[cut:]); parts != got {
			t.Fatalf("%q cut at %d: got %q, want %q", s, cut, parts, got)
		}
	})
}
