package markdown

import (
	"strings"
	"testing"
)

func TestWhatNoWriterMeansIsNotParsed(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want bool
	}{
		"prose":                    {strings.Repeat("*words* and [a link](x), ", 500), true},
		"a rule":                   {strings.Repeat("- ", 500) + "\n" + strings.Repeat("*", 500), true},
		"some depth":               {strings.Repeat("> - ", 30) + "text", true},
		"a long piece":             {strings.Repeat("x", mostBytes+1), false},
		"brackets":                 {strings.Repeat("[", mostBrackets+1), false},
		"asterisks":                {strings.Repeat("a*", mostAccents+1), false},
		"lists in lists":           {"text\n" + strings.Repeat("- ", mostNested+1) + "x", false},
		"quotes in quotes of none": {strings.Repeat(">", mostNested+1), false},
	} {
		if got := plausible(c.text); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

// TestHostileTextIsDrawn takes texts for which parsers need a time that grows with the square: 256 KiB of each would take minutes.
func TestHostileTextIsDrawn(t *testing.T) {
	const size = 256 << 10
	for _, piece := range []string{"[", "[a](", "![", "a*", "*a ", "_a ", "~~a", "> ", ">", "- ", "+ ", "<a ", "<!--", "&amp;", "[^a]", "[a]: b\n", "|a", "\\", "www."} {
		text := strings.Repeat(piece, size/len(piece)) + "z"
		if lines := Render(text, 80, testStyle); len(lines) == 0 {
			t.Errorf("%q many times: got no lines", piece)
		}
	}
}

func TestALongLineOfCodeHasNoColours(t *testing.T) {
	for _, n := range []int{10, 1000} {
		code := "```json\n" + strings.Repeat(`{"a": [1, "text"]}, `, n)
		lines := strings.Join(Render(code, 80, testStyle), "\n")
		if got, want := strings.Contains(lines, pen(testStyle.String)), n == 10; got != want {
			t.Errorf("a line of %d bytes: colours are %v, want %v", len(code), got, want)
		}
	}
}
