package markdown

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// finished is what the finished pieces of a document are.
type finished struct {
	lines  []string // of all of them, as the document shows them
	pieces [][]string
	refs   int
}

func finishedOf(d *Doc) finished {
	f := finished{lines: slices.Clone(d.Lines()[:d.done]), refs: len(d.refs.list)}
	for i := range d.pieces {
		f.pieces = append(f.pieces, slices.Clone(d.pieces[i].lines))
	}
	return f
}

// changed says what of the finished pieces a step of the document has changed. Only a link that was defined in this step may,
// and only where a link stands.
func (f finished) changed(d *Doc) error {
	lines := d.Lines()
	if len(d.pieces) < len(f.pieces) {
		return fmt.Errorf("%d finished pieces became %d", len(f.pieces), len(d.pieces))
	}
	if len(d.refs.list) == f.refs {
		if len(lines) < len(f.lines) || !equal(lines[:len(f.lines)], f.lines) {
			return fmt.Errorf("the finished lines were%s\nand are%s", show(f.lines), show(lines[:min(len(f.lines), len(lines))]))
		}
		return nil
	}
	for i, was := range f.pieces {
		p := &d.pieces[i]
		if text := d.src.String()[p.start:p.end]; !strings.Contains(text, "]") && !equal(p.lines, was) {
			return fmt.Errorf("a link definition changed %q, which has no link, from%s\nto%s", text, show(was), show(p.lines))
		}
		if !equal(lines[p.first:p.first+len(p.lines)], p.lines) {
			return fmt.Errorf("the piece %d is not shown where it should be", i)
		}
	}
	return nil
}

// stays streams a text that is cut anywhere, in the middle of characters too, and makes sure after every piece of it that
// nothing above the open block has changed. It returns how many pieces were finished while it streamed.
func stays(t *testing.T, text string, width int, rng *rand.Rand) int {
	t.Helper()
	d := New(width, testStyle)
	most := 1 + rng.IntN(40)
	before := finishedOf(d)
	rest := text
	for rest != "" {
		n := min(1+rng.IntN(most), len(rest))
		d.Write(rest[:n])
		rest = rest[n:]
		if err := before.changed(d); err != nil {
			t.Fatalf("document %q, after %q: %v", text, text[:len(text)-len(rest)], err)
		}
		before = finishedOf(d)
	}
	done := len(d.pieces)
	d.Finish()
	if err := before.changed(d); err != nil {
		t.Fatalf("document %q, at its end: %v", text, err)
	}
	return done
}

func TestNothingAboveTheOpenBlockChanges(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 7))
	for name, text := range corpus {
		t.Run(name, func(t *testing.T) {
			for range 10 {
				stays(t, text, []int{1, 9, 40}[rng.IntN(3)], rng)
			}
		})
	}
}

func TestNothingAboveTheOpenBlockChangesInRandomDocuments(t *testing.T) {
	rounds := 600
	if testing.Short() {
		rounds = 100
	}
	blocks, pieces := 0, 0
	for seed := range uint64(rounds) {
		rng := rand.New(rand.NewPCG(seed, 8))
		n := 2 + rng.IntN(12)
		pieces += stays(t, blockDocument(rng, n), 30, rng)
		blocks += n
		stays(t, randomDocument(rng), 30, rng)
	}
	if pieces < blocks/2 {
		t.Errorf("%d blocks gave %d finished pieces: where all stays open nothing can change, and this proves nothing", blocks, pieces)
	}
}

// blockDocument is made of n whole blocks: what stands in each is random, and so is what parts them.
func blockDocument(rng *rand.Rand, n int) string {
	var b strings.Builder
	for range n {
		b.WriteString(block(rng, 2))
		b.WriteString([]string{"\n", "\n\n", "\n\n", "\n \n", "\r\n\r\n", "\n\n\n"}[rng.IntN(6)])
	}
	return b.String()
}

// block returns a block, and inside of it others at most depth deep.
func block(rng *rand.Rand, depth int) string {
	words := func() string {
		some := []string{"word", "漢字", "**bold**", "`code`", "[link][a]", "[b]", "<b>x</b>", "a | b", "a long sentence with several words", "👩‍🚀", "1.", "#"}
		var out []string
		for range 1 + rng.IntN(6) {
			out = append(out, some[rng.IntN(len(some))])
		}
		return strings.Join(out, " ")
	}
	kinds := 9
	if depth > 0 {
		kinds = 13
	}
	switch rng.IntN(kinds) {
	case 0, 1:
		return words() + "\n" + words()
	case 2:
		return words() + "\n" + strings.Repeat([]string{"=", "-"}[rng.IntN(2)], 1+rng.IntN(5)) // a setext heading
	case 3:
		return strings.Repeat("#", 1+rng.IntN(6)) + " " + words()
	case 4:
		row := func() string { return "| " + words() + " | " + words() + " |" }
		text := row() + "\n|---|--:|"
		for range rng.IntN(5) {
			text += "\n" + row()
		}
		return text
	case 5:
		tag := []string{"<div>\n%s\n</div>", "<!-- %s\n\n%[1]s -->", "<pre>\n%s\n\n%[1]s</pre>", "<script>%s</script>", "<?x %s ?>", "<x-y>\n%s"}
		return fmt.Sprintf(tag[rng.IntN(len(tag))], words())
	case 6:
		return "[" + []string{"a", "b"}[rng.IntN(2)] + "]: http://x/" + fmt.Sprint(rng.IntN(9))
	case 7:
		return []string{"---", "***", "    indented code\n\n    more"}[rng.IntN(3)]
	case 8, 9:
		inside := words()
		if depth > 0 {
			inside = block(rng, depth-1) + "\n" + block(rng, depth-1)
		}
		mark := strings.Repeat([]string{"`", "~"}[rng.IntN(2)], 3+rng.IntN(3)) // the fence inside may be as long, and end it
		end := "\n" + mark
		if rng.IntN(8) == 0 {
			end = "" // it goes on to the end
		}
		return mark + []string{"", "go", " md x"}[rng.IntN(3)] + "\n" + inside + end
	case 10:
		return "> " + strings.ReplaceAll(block(rng, depth-1), "\n", []string{"\n> ", "\n>", "\n"}[rng.IntN(3)])
	}
	var items []string
	marker := []string{"- ", "* ", "1. ", "10) "}[rng.IntN(4)]
	for range 1 + rng.IntN(4) {
		items = append(items, marker+strings.ReplaceAll(block(rng, depth-1), "\n", "\n"+strings.Repeat(" ", len(marker)-rng.IntN(2))))
	}
	return strings.Join(items, []string{"\n", "\n\n"}[rng.IntN(2)])
}

func TestBlockDocumentsEndWithTheLinesOfOneRendering(t *testing.T) {
	rounds := 600
	if testing.Short() {
		rounds = 100
	}
	for seed := range uint64(rounds) {
		rng := rand.New(rand.NewPCG(seed, 9))
		text := blockDocument(rng, 2+rng.IntN(12))
		if got, want := streamed(text, 30, rng), whole(text, 30); !equal(got, want) {
			t.Fatalf("document %q:\n got %s\nwant %s", text, show(got), show(want))
		}
	}
}

func FuzzNothingAboveTheOpenBlockChanges(f *testing.F) {
	for _, text := range corpus {
		f.Add(text, uint64(1), false)
		f.Add(text, uint64(2), true)
	}
	f.Fuzz(func(t *testing.T, text string, seed uint64, more bool) {
		if len(text) > 2000 {
			return
		}
		rng := rand.New(rand.NewPCG(seed, 10))
		if more { // what the fuzzer finds, among blocks that are whole
			text = blockDocument(rng, rng.IntN(4)) + text + blockDocument(rng, rng.IntN(4))
		}
		stays(t, text, 1+rng.IntN(60), rng)
	})
}
