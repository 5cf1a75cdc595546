package markdown

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

var numberAbove = regexp.MustCompile(`\[(\d+)\]( \S+)?$`)

// numbers returns the numbers above code blocks, in order.
func numbers(lines []string) []string {
	var found []string
	for _, l := range lines {
		if m := numberAbove.FindStringSubmatch(stripped(l)); m != nil && strings.Contains(l, pen(testStyle.Muted)) {
			found = append(found, m[1])
		}
	}
	return found
}

func TestEachCodeBlockHasItsNumberOnTheScreen(t *testing.T) {
	blocks := 0
	for name, text := range corpus {
		if name == "link definitions" {
			continue // its text has numbers in brackets
		}
		t.Run(name, func(t *testing.T) {
			_, count, _ := Code(text, 0)
			blocks += count
			var want []string
			for i := range count {
				want = append(want, fmt.Sprint(i+1))
				code, _, ok := Code(text, i+1)
				if !ok || strings.TrimSpace(code) == "" {
					t.Errorf("block %d is %q, %v", i+1, code, ok)
				}
			}
			if got := numbers(Render(text, 60, testStyle)); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("got numbers %v, want %v, in:\n%s", got, want, strings.Join(Render(text, 60, testStyle), "\n"))
			}
		})
	}
	if blocks < 20 {
		t.Errorf("the texts have %d code blocks: too few to prove anything", blocks)
	}
}

func TestNumbersGoOnOverLinkDefinitionsAndWidths(t *testing.T) {
	const text = "```\na\n```\n\n- x [l]\n\n  ```\n  b\n  ```\n\n```\nc\n```\n\n[l]: /y\n\n```\nd\n```\n"
	d := New(40, testStyle)
	for _, r := range text {
		d.Write(string(r))
		d.Lines()
	}
	for _, width := range []int{40, 20, 60} {
		d.SetWidth(width)
		if got := fmt.Sprint(numbers(d.Lines())); got != "[1 2 3 4]" {
			t.Errorf("at %d: got numbers %v, want 1 to 4, in:\n%s", width, got, strings.Join(d.Lines(), "\n"))
		}
	}
}

func TestCodeIsTheSource(t *testing.T) {
	const text = "a\n\n```go\nfunc f() {\n\n\treturn\n}\n```\n\n```\n\n```\n\n1. do\n\n   ~~~~sh\n   ls\n     x\n   ~~~~\n\n" +
		"> ```\n> quoted\n> ```\n\n````md\n```\ninner\n```\n````\n\n    indented\n\n```\x1b\n\x1b[31mred\nopen"
	want := []string{"func f() {\n\n\treturn\n}", "ls\n  x", "quoted", "```\ninner\n```", "indented", "␛[31mred\nopen"}
	for i, w := range want {
		if code, count, ok := Code(text, i+1); code != w || !ok || count != len(want) {
			t.Errorf("block %d: got %q of %d, %v, want %q of %d", i+1, code, count, ok, w, len(want))
		}
	}
	for _, n := range []int{-1, 0, len(want) + 1} {
		if code, _, ok := Code(text, n); ok {
			t.Errorf("there is no block %d, but got %q", n, code)
		}
	}
}
