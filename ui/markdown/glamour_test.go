package markdown

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"charm.land/glamour/v2"
	"charm.land/glamour/v2/styles"
)

var wordPattern = regexp.MustCompile(`[\p{L}\p{N}]+`)

// TestTheWordsAreGlamours compares with a rendering of the whole text by Glamour alone, in which layout and spacing differ.
func TestTheWordsAreGlamours(t *testing.T) {
	text := "# Title\n\nA *paragraph* with **strong** text, `code`, ~~struck~~ words & a [link](https://example.org/x).\n\n" +
		"- one\n- two\n  - nested\n\n3. three\n4. four\n\n> quoted\n> text\n\n```go\nfunc main() {}\n```\n\n" +
		"| head | other |\n|---|---|\n| cell | `code` |\n\n---\n\nhttps://auto.link/path"
	r, err := glamour.NewTermRenderer(glamour.WithStyles(styles.NoTTYStyleConfig), glamour.WithWordWrap(200))
	if err != nil {
		t.Fatal(err)
	}
	out, err := r.Render(text)
	if err != nil {
		t.Fatal(err)
	}
	want := wordPattern.FindAllString(stripped(out), -1)
	rendered := stripped(strings.Join(Render(text, 200, testStyle), "\n"))
	rendered = strings.Replace(rendered, "[1] go", "", 1) // ours: the number and the language of the code
	got := wordPattern.FindAllString(rendered, -1)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("words:\n got %v\nwant %v", got, want)
	}
}

func TestItemsWithSeveralParagraphsKeepTheirWordsApart(t *testing.T) {
	// Glamour alone writes "onetwo".
	got := stripped(strings.Join(Render("- one\n\n  two", 40, testStyle), "|"))
	if want := "• one||  two"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestWrappedItemsHang(t *testing.T) {
	got := stripped(strings.Join(Render("10. some words that wrap", 14, testStyle), "|"))
	if want := "10. some words|    that wrap"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestLineBreaksOfTheTextAreKept(t *testing.T) {
	got := strings.Join(Render("roses are red\nviolets are blue", 40, testStyle), "|")
	if want := "roses are red|violets are blue"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAParagraphOfWhiteSpaceIsNone(t *testing.T) {
	got := strings.Join(Render("one\n\n&nbsp;\n\n&#32;\n\ntwo", 40, testStyle), "|")
	if want := "one||two"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestHTMLIsShown(t *testing.T) {
	got := stripped(strings.Join(Render("a List<String> and <br> in it\n\n<div>x</div>", 60, testStyle), "|"))
	if want := "a List<String> and <br> in it||<div>x</div>"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestCodeKeepsItsShape(t *testing.T) {
	got := stripped(strings.Join(Render("```\n\tif x {\n\t\ty  =  1\n\t}\n```", 40, testStyle), "|"))
	if want := "  [1]|      if x {|          y  =  1|      }"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestCodeIsColoured(t *testing.T) {
	for name, c := range map[string]struct{ code, want string }{
		"keyword":               {"```go\nreturn x", "36mreturn"},
		"string":                {"```python\nx = 'a b'", "37m'a b'"},
		"comment":               {"```c\nx; // no", "90m// no"},
		"comment over lines":    {"```c\n/* a\nb */ c", "90mb */"},
		"string over lines":     {"```python\n\"\"\"a\nb\"\"\"\nreturn", "36mreturn"},
		"apostrophe":            {"```rust\n&'a str", "93mstr"},
		"function":              {"```js\nprint(x)", "92mprint"},
		"number":                {"```java\nx = 0x1F", "91m0x1F"},
		"added line":            {"```diff\n+new", "94m+new"},
		"key":                   {"```yaml\nname: x", "92mname"},
		"SQL in capitals":       {"```sql\nSELECT 1", "36mSELECT"},
		"nothing in plain text": {"```text\nreturn", "32mreturn"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := strings.Join(Render(c.code, 60, testStyle), "\n"); !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q in it", got, c.want)
			}
		})
	}
}
