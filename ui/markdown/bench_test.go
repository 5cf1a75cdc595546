package markdown

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// shapes are replies that stay in one kind of block.
var shapes = map[string]func(i int) string{
	"prose": func(i int) string {
		return fmt.Sprintf("Sentence %d of a paragraph with *some* emphasis, `code` and a few more words. ", i) + every(i, 6, "\n\n")
	},
	"code": func(i int) string {
		return every(i-1, 1<<30, "") + first(i, "```go\n") + fmt.Sprintf("\tif value%d := compute(%d, \"text\"); value%d > 0 { // note\n", i, i, i)
	},
	"list": func(i int) string { return fmt.Sprintf("- item %d with **bold** text and `code` in it\n", i) },
	"table": func(i int) string {
		return first(i, "| name | value | note |\n|---|--:|---|\n") + fmt.Sprintf("| row %d | %d | some `code` and text |\n", i, i*17)
	},
	"nested": func(i int) string {
		return first(i, "1. All below is one item\n") + fmt.Sprintf("   - item %d with **bold** text\n", i)
	},
	"paragraph": func(i int) string { return fmt.Sprintf("sentence %d of *one* paragraph with `code` in it, ", i) },
	"brackets":  func(int) string { return "[[[[" },
	"one line": func(i int) string {
		return first(i, "```json\n") + fmt.Sprintf("{\"key%d\": [%d, true, \"text\"]}, ", i, i)
	},
	"quote": func(i int) string { return fmt.Sprintf("> line %d of a *quotation*\n", i) },
	"mixed": func(i int) string {
		switch i % 12 {
		case 0:
			return fmt.Sprintf("\n## Part %d\n\n", i)
		case 1, 2, 3:
			return "Some text with `code` and *emphasis*, long enough to wrap at the width of a screen. "
		case 4:
			return "\n\n```python\ndef f(x):\n"
		case 5, 6:
			return "    return [x for x in range(10)]  # comment\n"
		case 7:
			return "```\n\n"
		default:
			return fmt.Sprintf("%d. item of a list with some words\n", i%12-7)
		}
	},
}

func every(i, n int, s string) string {
	if i%n == n-1 {
		return s
	}
	return ""
}

func first(i int, s string) string {
	if i == 0 {
		return s
	}
	return ""
}

// tokens returns a reply of n tokens of four bytes.
func tokens(shape string, n int) []string {
	var b strings.Builder
	for i := 0; b.Len() < 4*n; i++ {
		b.WriteString(shapes[shape](i))
	}
	var out []string
	for i := 0; i < 4*n; i += 4 {
		out = append(out, b.String()[i:i+4])
	}
	return out
}

// BenchmarkToken measures Write and Lines of one token, over a whole reply.
func BenchmarkToken(b *testing.B) {
	for _, shape := range []string{"prose", "code", "list", "table", "nested", "mixed", "paragraph", "brackets", "one line", "quote"} {
		for _, n := range []int{2000, 8000} {
			b.Run(fmt.Sprintf("%s/%d", shape, n), func(b *testing.B) {
				reply := tokens(shape, n)
				var times []time.Duration
				for b.Loop() {
					d := New(100, testStyle)
					for _, token := range reply {
						start := time.Now()
						d.Write(token)
						d.Lines()
						times = append(times, time.Since(start))
					}
					start := time.Now()
					d.Finish()
					d.Lines()
					times = append(times, time.Since(start))
				}
				slices.Sort(times)
				at := func(p float64) float64 {
					return float64(times[int(p*float64(len(times)-1))].Microseconds())
				}
				b.ReportMetric(at(0.5), "p50-µs")
				b.ReportMetric(at(0.95), "p95-µs")
				b.ReportMetric(at(1), "max-µs")
			})
		}
	}
}

// BenchmarkRender measures a whole reply at once.
func BenchmarkRender(b *testing.B) {
	for _, shape := range []string{"prose", "code", "list", "table", "mixed"} {
		b.Run(shape+"/8000", func(b *testing.B) {
			text := strings.Join(tokens(shape, 8000), "")
			for b.Loop() {
				Render(text, 100, testStyle)
			}
		})
	}
}
