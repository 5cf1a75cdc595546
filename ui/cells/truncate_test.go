package cells

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
)

func TestTruncateKeepsTheStartAndTheStyling(t *testing.T) {
	family := "👩‍👩‍👧"
	for _, c := range []struct {
		method     ansi.Method
		text       string
		width      int
		tail, want string
	}{
		{ansi.WcWidth, "hello", 5, "…", "hello"},
		{ansi.WcWidth, "hello", 4, "…", "hel…"},
		{ansi.WcWidth, "hello", 4, "", "hell"},
		{ansi.WcWidth, "hello", 1, "…", "…"},
		{ansi.WcWidth, "hello", 0, "…", ""},
		{ansi.WcWidth, "hello", -1, "…", ""},
		{ansi.WcWidth, "hello", 2, "...", "he"},
		{ansi.WcWidth, "漢字", 3, "", "漢"},
		{ansi.WcWidth, "漢字", 3, "…", "漢…"},
		{ansi.WcWidth, "\x1b[31mred\x1b[m text", 4, "…", "\x1b[31mred\x1b[m…"},
		{ansi.WcWidth, "\x1b[31mred text\x1b[m", 4, "…", "\x1b[31mred…\x1b[m"},
		{ansi.GraphemeWidth, "a" + family + "b", 3, "", "a" + family},
		{ansi.GraphemeWidth, "a" + family + "b", 2, "", "a"},
		{ansi.WcWidth, "e\u0301e\u0301", 1, "", "e\u0301"},
	} {
		if got := (Method{c.method}).Truncate(c.text, c.width, c.tail); got != c.want {
			t.Errorf("method %d: %q at %d: got %q, want %q", c.method, c.text, c.width, got, c.want)
		}
	}
}

func TestNothingIsWiderThanItsPlace(t *testing.T) {
	parts := []string{
		"a", " ", "漢", "👩", "\u200d", "\ufe0f", "\u20e3", "1", "#", "🇩", "🇪", "\u0301", "🏽", "\x1b[31m", "\x1b[m", "क", "्", "ष", "\u115f", "\u1160", "\u00ad",
		"\u200e", "ｗ", "ท", "ำ", "ᄀ", "ᅡ", "ᆨ", "-", "\U000e0100", "†", "\U0001f3f4",
	}
	for seed := range uint64(3000) {
		rng := rand.New(rand.NewPCG(seed, 5))
		var b strings.Builder
		for range rng.IntN(14) {
			b.WriteString(parts[rng.IntN(len(parts))])
		}
		text, width := b.String(), rng.IntN(12)+1
		for _, m := range []Method{{ansi.WcWidth}, {ansi.GraphemeWidth}} {
			for _, tail := range []string{"", "…"} {
				if got := m.Truncate(text, width, tail); m.StringWidth(got) > width {
					t.Fatalf("seed %d, method %d: %q at %d: %q is %d wide", seed, m.Method, text, width, got, m.StringWidth(got))
				}
			}
			for line := range strings.SplitSeq(m.Wrap(text, max(width, 2)), "\n") {
				if m.StringWidth(line) > max(width, 2) {
					t.Fatalf("seed %d, method %d: %q at %d: line %q is %d wide", seed, m.Method, text, width, line, m.StringWidth(line))
				}
			}
		}
	}
}
