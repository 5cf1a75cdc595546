package markdown

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
	"github.com/yuin/goldmark/parser"

	"peregrine/ui/cells"
	"peregrine/ui/escape"
)

// testStyle has a different colour for everything, so that tests see which is used.
var testStyle = Style{
	Heading: "1", Code: "2", Link: "3", Quote: "4", Muted: "5", Keyword: "6", String: "7", Comment: "8", Number: "9",
	Function: "10", Type: "11", Inserted: "12", Deleted: "13",
}

// whole renders a text as one piece: goldmark parses all of it at once and no scanner has a say.
func whole(text string, width int) []string {
	p := painter{typesetter: newTypesetter(testStyle), width: width}
	clean := escape.Visible(strings.ReplaceAll(text, "\r\n", "\n"))
	lines, _, _ := p.document(clean, listEnd{}, parser.NewContext())
	return lines
}

// streamed renders a text that arrives in random pieces, looking at the lines now and then, on a screen that is resized.
func streamed(text string, width int, rng *rand.Rand) []string {
	d := New(width, testStyle)
	for text != "" {
		n := min(1+rng.IntN(12), len(text))
		d.Write(text[:n])
		text = text[n:]
		if rng.IntN(3) == 0 {
			d.Lines()
		}
		if rng.IntN(30) == 0 {
			d.SetWidth(1 + rng.IntN(2*width))
		}
	}
	if rng.IntN(2) == 0 {
		d.SetWidth(width)
	}
	d.Finish()
	d.SetWidth(width)
	return d.Lines()
}

// corpus are documents in which something is special.
var corpus = map[string]string{
	"empty":                         "",
	"blank lines":                   "\n\n\n",
	"paragraphs":                    "one\n\ntwo\nthree\n\n\nfour",
	"carriage returns":              "one\r\ntwo\r\n\r\nthree\rand\r",
	"headings":                      "# a\ntext\n## b\n### c\n\nx\n===\n\ny\n---\nz",
	"fence":                         "text\n```go\nfunc main() {\n\n\treturn // x\n}\n```\nmore",
	"fence in a paragraph":          "a\n~~~\ncode\n~~~~\nb",
	"fence that never ends":         "a\n\n```\ncode\n\n# no heading\n\n- no list\n",
	"nested fences":                 "````md\n```go\nx\n```\n\ny\n````\n\nz",
	"fence of three in five":        "`````\n````\n```\n`````\nend",
	"indented fence":                "  ```\n   x\n  y\n z\n  ```\nend",
	"not a fence":                   "``` a`b\ntext\n\n- x\n\n```",
	"empty fence":                   "```\n```\nafter\n```\n\n\n```\nend",
	"list":                          "- a\n- b\n  more\n- c\n\nend",
	"loose list":                    "1. a\n\n2. b\n\n   more\n\n3. c",
	"numbers all one":               "1. a\n1. b\n1. c\n\n1. d",
	"number from five":              "5) a\n6) b\n\n7) c\n\n1. other",
	"two lists":                     "- a\n- b\n\n* c\n* d\n\n+ e",
	"nested lists":                  "- a\n  - b\n    - c\n\n      d\n  - e\n- f\n\n  1. g\n  2. h\n- i",
	"lazy lines":                    "- a\nlazy\n- b\nlazy too\n\n1. c\nlazy\n2. d",
	"fence in an item":              "1. do:\n\n   ```sh\n   ls\n\n   # x\n   ```\n\n2. then\n   ```\n   y\n   ```\n3. end",
	"fence too far left in an item": "1. do:\n  ```\n  ls\n  ```\n2. then\n\nend",
	"item after a fence in an item": "- ```\n  x\n- y\n\n```\nz\n```",
	"lazy line after nested fence":  "1. ```\n   x\n   ```\ntext\n2. b\n\n  ```\n\nc",
	"text after an empty item":      "3) \n\n  text\n3) 1. still text\n\n- \n\n  text\n- list",
	"heading below a table":         "```\n```\n- word\n| a | b |\n|---|---|\n| 1 | 2 |\n   ---\n\nend",
	"empty items":                   "-\n- a\n-\n\n  b\n\n- c\n-\n\n\n- d",
	"rule in a list":                "- a\n***\n- b\n- - -\n- c\n---\n",
	"list after a paragraph":        "text\n- a\n2. b\n\ntext\n2. no list\n- c",
	"task list":                     "- [ ] a\n- [x] b\n\n  c\n- d",
	"tabs":                          "-\ta\n-\tb\n\n\tc\n\n1.\td\n\n\t\tcode\n",
	"indented code":                 "a\n\n    code\n\n    more\n\nb\n\n\tcode",
	"quotes":                        "> a\n> b\nlazy\n\n> c\n>\n> - d\n> - e\n>\n> ```\n> f\n\ng",
	"quote then fence":              "> a\n```\nb\n```\n> c",
	"table":                         "| a | b |\n|---|--:|\n| 1 | 2 |\n| longer cell | `3` |\n\nend",
	"table without end":             "a|b\n-|-\n1|2\n3|4|5\n6",
	"table after text":              "text\n| a | b |\n|:-:|---|\n| 1 | 2 |\ntail\n\nend",
	"table then list":               "| a |\n|---|\n| 1 |\n- x\n- y\n| 2 |",
	"table then code":               "| a |\n|---|\n| 1 |\n\n    code\n\n| b |\n|---|\n\n\tc",
	"table then fence":              "| a |\n|---|\n| 1 |\n```\nx\n```\n| 2 |",
	"table in a list":               "- | a | b |\n  |---|---|\n  | 1 | 2 |\n- c",
	"wide table":                    "| a | b | c | d | e | f | g | h | i | j | k | l | m |\n|-|-|-|-|-|-|-|-|-|-|-|-|-|\n|1|2|3|4|5|6|7|8|9|0|1|2|3|",
	"escaped pipes":                 "| a \\| b | `c \\| d` |\n|---|---|\n| e | f |",
	"html":                          "<div>\n```\nnot code\n\n```\ncode\n```\n</div>\n\n<b>x</b>\n- a",
	"comment":                       "<!-- a\n\n```\n\n- x\n--> b\n\n- y",
	"pre":                           "<pre>\n\n- a\n\n</pre>\n- b\n<script>x</script>\n\nc",
	"html in a list":                "- <!-- a\n\nb\n\n- c\n  <pre>\n\n- d\n\n1. e\n <!-- f\n\n```\n-->\n```",
	"comment in an item":            "- <!--\n  -->\n- a\n\n1. <!-- x\n   y -->\n```\nb\n```\n> <?x\n> ?>\n> - c",
	"html after a list":             "- a\n<div>\n- b\n\n- c",
	"link definitions":              "[a][1] and [b]\n\n- [c][1]\n- x\n\n[1]: http://one \"t\"\n[B]: /two\n\n[a]\n\n[a]: three\n[a]: four",
	"definition between items":      "1. a\n\n[x]: /y\n\n2. b",
	"inline":                        "**bold *both*** `code <b>&amp;` ~~gone~~ <i>html</i> &lt;tag&gt; https://x.org/a_b [l](http://y 'z') ![i](j)\\\nhard  \nbreak",
	"unfinished inline":             "**bold and `code and [link](http://x",
	"wide characters":               "# 漢字の見出し\n\n- 日本語のとても長い文章はどこで折り返されるのでしょうか\n\n| 表 | 二 |\n|---|---|\n| 👩‍👩‍👧 | ok |\n\n```\n漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字\n```",
	"escape sequences":              "a\x1b[31mb\u009b2J &#27;[2J `&#27;` <\x1b> [x](\x07) \x1b]8;;http://x\x07y\n\n```\x1b]0;t\x07\n\x1b[2J\n```",
	"definition lists stay text":    "Term\n\n: definition\n\n: another",
	"setext after table":            "0\n-:\n-\n\nx",
	"paragraph then equals":         "- a\n===\n\nb\n===",
	"very long word":                strings.Repeat("x", 300) + " " + strings.Repeat("y", 100),
}

func TestPiecesAreLaidOutAsOneDocument(t *testing.T) {
	for name, text := range corpus {
		t.Run(name, func(t *testing.T) {
			for _, width := range []int{1, 7, 20, 40, 100} {
				compare(t, Render(text, width, testStyle), whole(text, width))
			}
		})
	}
}

func TestStreamingEndsWithTheLinesOfOneRendering(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for name, text := range corpus {
		t.Run(name, func(t *testing.T) {
			for range 20 {
				compare(t, streamed(text, 40, rng), whole(text, 40))
			}
		})
	}
}

func TestRandomDocumentsEndWithTheLinesOfOneRendering(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	n := 3000
	if testing.Short() {
		n = 300
	}
	for range n {
		text := randomDocument(rng)
		if got, want := streamed(text, 30, rng), whole(text, 30); !equal(got, want) {
			t.Fatalf("document %q:\n got %q\nwant %q", text, got, want)
		}
	}
}

// fragments are what random documents are made of.
var fragments = []string{
	"word", "two words", "A sentence, that is long enough to be wrapped.", "**bold**", "`code`", "[link][1]", "[1]: http://x",
	"\n", "\n", "\n", "\n\n", "\n\n", " ", "  ", "   ", "    ", "\t",
	"- ", "* ", "+ ", "1. ", "2. ", "3) ", "10. ", "- [ ] ", "> ", "# ", "## ", "---", "***", "===", "-", "1.",
	"```", "```go", "~~~", "````", "```\n", "\n```\n", "\n\n```\n",
	"| a | b |", "|---|---|", "| 1 | 2 |", "\n| a | b |\n|---|---|\n| 1 | 2 |\n", "|",
	"<div>", "</div>", "<!--", "-->", "<pre>", "</pre>", "<b>", "&#27;", "\\", "*", "_", ": ", "!", "漢字", "👍🏽", "\x1b[1m",
}

func randomDocument(rng *rand.Rand) string {
	var b strings.Builder
	for range 1 + rng.IntN(30) {
		b.WriteString(fragments[rng.IntN(len(fragments))])
	}
	return b.String()
}

func FuzzStreamingEndsWithTheLinesOfOneRendering(f *testing.F) {
	for _, text := range corpus {
		f.Add(text, uint64(1))
	}
	f.Fuzz(func(t *testing.T, text string, seed uint64) {
		if len(text) > 4000 {
			return
		}
		text = strings.ToValidUTF8(text, "?")
		rng := rand.New(rand.NewPCG(seed, 5))
		got, want := streamed(text, 30, rng), whole(text, 30)
		compare(t, got, want)
		for _, line := range got {
			checkLine(t, line, 30)
		}
	})
}

func TestLinesFitTheWidth(t *testing.T) {
	for name, text := range corpus {
		for _, width := range []int{2, 7, 12, 33, 80} {
			for _, method := range []cells.Method{{Method: ansi.WcWidth}, {Method: ansi.GraphemeWidth}} {
				style := testStyle
				style.Cells = method
				for _, line := range Render(text, width, style) {
					if w := method.StringWidth(line); w > width {
						t.Errorf("%s at %d: line %q is %d wide (method %d)", name, width, line, w, method.Method)
					}
				}
			}
		}
	}
}

func TestOnlyTextAndStylingComesOut(t *testing.T) {
	for _, text := range corpus {
		for _, line := range Render(text, 40, testStyle) {
			checkLine(t, line, 40)
		}
	}
}

// checkLine makes sure that a line holds nothing but printable text, SGR sequences and hyperlinks, all closed at its end.
func checkLine(t *testing.T, line string, width int) {
	t.Helper()
	if w := testStyle.Cells.StringWidth(line); w > width {
		t.Errorf("line %q is %d cells wide, want at most %d", line, w, width)
	}
	rest := line
	for rest != "" {
		switch {
		case strings.HasPrefix(rest, "\x1b["):
			n := strings.IndexAny(rest[2:], "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz@`~")
			if n < 0 || rest[2+n] != 'm' {
				t.Fatalf("line %q holds a control sequence that is no styling", line)
			}
			rest = rest[2+n+1:]
		case strings.HasPrefix(rest, "\x1b]8;"):
			n := strings.IndexByte(rest, '\a')
			if n < 0 || strings.ContainsFunc(rest[4:n], func(r rune) bool { return r < 0x20 || r > 0x7e }) {
				t.Fatalf("line %q holds a broken hyperlink", line)
			}
			rest = rest[n+1:]
		default:
			r := []rune(rest[:min(4, len(rest))])[0]
			if r < 0x20 || r >= 0x7f && r <= 0x9f {
				t.Fatalf("line %q holds the control character %q", line, r)
			}
			rest = rest[len(string(r)):]
		}
	}
}

func TestATableIsLaidOutRowByRow(t *testing.T) {
	d := New(40, testStyle)
	for _, c := range "intro\n\n| name | value |\n|---|--:|\n| one | 1 |\n| two | 2 |\n| thr" {
		d.Write(string(c))
		d.Lines()
	}
	live := d.open.table
	if live == nil || !live.ok || len(live.grid.rows) != 3 || live.grid.laid < 2 {
		t.Fatalf("the open table is not laid out row by row: %+v", live)
	}
	want := whole("intro\n\n| name | value |\n|---|--:|\n| one | 1 |\n| two | 2 |\n| thr", 40)
	compare(t, d.Lines(), want)
}

func TestALongPieceShowsAllItsText(t *testing.T) {
	d := New(60, testStyle)
	d.Write("1. one item\n")
	for i := range 200 {
		d.Write(fmt.Sprintf("   - nested entry %d\n", i))
		if last := d.Lines()[len(d.Lines())-1]; !strings.Contains(last, fmt.Sprintf("entry %d", i)) {
			t.Fatalf("the last line is %q, want entry %d in it", last, i)
		}
	}
}

func TestAWriteAfterFinishGoesOn(t *testing.T) {
	d := New(40, testStyle)
	d.Write("one ")
	d.Finish()
	d.Write("two\n\n- a")
	d.Write("\n- b")
	d.Finish()
	compare(t, d.Lines(), whole("one two\n\n- a\n- b", 40))
}

func TestAWidthChangeEqualsAFreshRendering(t *testing.T) {
	for name, text := range corpus {
		d := New(50, testStyle)
		d.Write(text)
		d.Lines()
		for _, width := range []int{20, 33, 9, 50} {
			d.SetWidth(width)
		}
		d.Finish()
		if got, want := d.Lines(), whole(text, 50); !equal(got, want) {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

func TestFinishedLinesStayWhileMoreArrives(t *testing.T) {
	text := "# Title\n\nA paragraph.\n\n- one\n- two\n\n```go\nx := 1\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nThe end."
	d := New(40, testStyle)
	var before []string
	for i := range len(text) {
		d.Write(text[i : i+1])
		lines := d.Lines()
		if !equal(lines[:len(before)], before) {
			t.Fatalf("after %q the finished lines changed:\n got %q\nwant %q", text[:i+1], lines[:len(before)], before)
		}
		before = append(before[:0], lines[:d.done]...)
	}
}

func TestAPositionSurvivesAWidthChange(t *testing.T) {
	var b strings.Builder
	for i := range 30 {
		b.WriteString("Paragraph number " + strings.Repeat("word ", 10+i%7) + "\n\n- item with some text in it\n- another\n\n")
	}
	d := New(60, testStyle)
	d.Write(b.String())
	for line := 0; line < len(d.Lines()); line += 7 {
		want := firstWord(strings.TrimSpace(stripped(d.Lines()[line])))
		pos := d.Locate(line)
		d.SetWidth(31)
		if got := stripped(d.Lines()[d.Find(pos)]); !strings.Contains(got, want) {
			t.Errorf("line %d: got %q, want the word %q in it", line, got, want)
		}
		d.SetWidth(60)
		if got := d.Find(pos); got != line {
			t.Errorf("line %d came back as %d", line, got)
		}
	}
}

func TestAPositionInATightListSurvivesAWidthChange(t *testing.T) {
	d := New(60, testStyle)
	for i := range 60 {
		d.Write(fmt.Sprintf("- w%d word word word word word word word word word word word x%d\n", 2*i, i))
	}
	for line := range d.Lines() {
		want := strings.Fields(strings.Trim(stripped(d.Lines()[line]), "• "))[0]
		pos := d.Locate(line)
		d.SetWidth(31)
		if got := stripped(d.Lines()[d.Find(pos)]); !strings.Contains(got, want) {
			t.Errorf("line %d: got %q, want the word %q in it", line, got, want)
		}
		d.SetWidth(60)
		if got := d.Find(pos); got != line {
			t.Errorf("line %d came back as %d", line, got)
		}
	}
}

func compare(t *testing.T, got, want []string) {
	t.Helper()
	if !equal(got, want) {
		t.Fatalf("\n got %s\nwant %s", show(got), show(want))
	}
}

func show(lines []string) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString("\n\t" + strings.ReplaceAll(l, "\x1b", "␛"))
	}
	return b.String()
}

func equal(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}
