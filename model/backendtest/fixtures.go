package backendtest

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"peregrine/model"
	"peregrine/model/safetensors"
)

// root returns the folder of the fixtures: they live once in the repository, and every package's tests find them from their
// own folder.
func root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(dir, "model", "backendtest", "testdata", "fixtures")
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatal("no go.mod above the working directory: fixtures not found")
		}
		dir = parent
	}
}

// Fixtures returns the names of all fixture models.
func Fixtures(t testing.TB) []string {
	t.Helper()
	entries, err := os.ReadDir(root(t))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if len(names) == 0 {
		t.Fatalf("no fixtures in %s", root(t))
	}
	return names
}

// Path returns the folder of a fixture model.
func Path(t testing.TB, name string) string {
	t.Helper()
	return filepath.Join(root(t), name)
}

// Prompt is one prompt with what the reference implementation answers.
type Prompt struct {
	Name         string
	IDs          []int32
	Greedy       []int32 // 24 ids; end-of-text does not stop it
	GreedyMargin float64 // the smallest top-1 minus top-2 logit on that path
	// Logits of all positions, [len(IDs), vocab]; nil for text prompts. Where the reference rounds ALiBi slopes to bfloat16
	// and that shows, they are the unrounded result, and Greedy is its continuation.
	Logits []float32
}

// Golden is the expected result of a fixture.
type Golden struct {
	Prompts []Prompt
	Hidden  []float32            // [layers+1, tokens, hidden] of the prompt "short": each layer's input, then the final norm's output
	Dequant map[string][]float32 // by module: its first 64 rows, [64, in]
}

// ReadGolden reads a fixture's expected results.
func ReadGolden(t testing.TB, name string) Golden {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(Path(t, name), "golden.json"))
	if err != nil {
		t.Fatal(err)
	}
	type prompt struct {
		Name             string
		IDs              []int32
		Greedy           []int32 `json:"greedy"`
		GreedyIDs        []int32 `json:"greedy_ids"`
		GreedyExactAlibi []int32 `json:"greedy_exact_alibi"`
		Margin           float64 `json:"greedy_min_margin"`
	}
	var doc struct {
		Prompts     []prompt
		TextPrompts []prompt `json:"text_prompts"`
	}
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatalf("%s: golden.json: %v", name, err)
	}
	f, err := safetensors.Open(filepath.Join(Path(t, name), "golden.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	g := Golden{Dequant: map[string][]float32{}}
	read := func(tensor string) []float32 {
		v, ok := f.Tensor(tensor)
		if !ok {
			return nil
		}
		x, err := v.Float32(nil)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	for _, p := range doc.Prompts {
		logits := read("logits_exact_alibi." + p.Name)
		if logits == nil {
			logits = read("logits." + p.Name)
		} else {
			p.Greedy = p.GreedyExactAlibi
		}
		if logits == nil {
			t.Fatalf("%s: no logits for prompt %q", name, p.Name)
		}
		g.Prompts = append(g.Prompts, Prompt{p.Name, p.IDs, p.Greedy, p.Margin, logits})
	}
	for i, p := range doc.TextPrompts {
		g.Prompts = append(g.Prompts, Prompt{fmt.Sprintf("text %d", i), p.IDs, append(p.Greedy, p.GreedyIDs...), p.Margin, nil})
	}
	g.Hidden = read("hidden.short")
	for _, n := range f.Names() {
		if module, ok := strings.CutPrefix(n, "dequant."); ok {
			g.Dequant[strings.TrimSuffix(module, ".weight")] = read(n)
		}
	}
	return g
}

// Open opens a fixture model; it ends with the test.
func Open(t testing.TB, name string) *model.Checkpoint {
	t.Helper()
	c, err := model.Open(Path(t, name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("%s: close: %v", name, err)
		}
	})
	return c
}

// fixtures compares both modes with the golden logits at all positions, and what they would say with the golden ids.
func (s *suite) fixtures(t *testing.T) {
	for _, name := range Fixtures(t) {
		t.Run(name, func(t *testing.T) {
			s.parallel(t)
			c, golden := Open(t, name), ReadGolden(t, name)
			if s.opt.Only != nil && !s.opt.Only(c.Config) {
				t.Skip("the backend's options leave this shape out")
			}
			e := s.load(t, c.Params, model.LoadOptions{Context: 160, Precision: model.Precise})
			fast := s.load(t, c.Params, model.LoadOptions{Context: 160, Precision: model.Fast})
			for _, p := range golden.Prompts {
				t.Run(p.Name, func(t *testing.T) {
					if p.Logits != nil {
						precise.check(t, "precise", forward(t, e, c.Config.Vocab, p.IDs, 0), p.Logits, c.Config.Vocab)
					}
					s.greedy(t, e, c.Config.Vocab, p)
					s.fast(t, fast, c, p)
				})
			}
		})
	}
}

// minMargin is the top-2 margin above which greedy ids of the precise mode must equal the reference's.
const minMargin = 0.01

// greedy continues a prompt with the backend's own choices.
func (s *suite) greedy(t *testing.T, e model.Executor, vocab int, p Prompt) {
	t.Helper()
	if len(p.Greedy) != 24 {
		t.Fatalf("golden continuation has %d ids, want 24", len(p.Greedy))
	}
	tokens, pos := p.IDs, 0
	for i, want := range p.Greedy {
		logits := forward(t, e, vocab, tokens, pos)
		pos += len(tokens)
		id, margin := argmax(logits[len(logits)-vocab:])
		if id != want {
			if p.GreedyMargin <= minMargin && margin <= 2*minMargin {
				t.Logf("greedy id %d is %d, want %d: a near tie, margin %.2g", i, id, want, margin)
				return
			}
			t.Errorf("greedy id %d is %d, want %d (margin here %.2g, smallest golden margin %.2g)", i, id, want, margin, p.GreedyMargin)
			return
		}
		tokens = []int32{id}
	}
}

// fast walks prompt and golden continuation in the fast mode: logits within the budget, and the golden id the highest
// wherever its margin exceeds what two logits may be off together.
func (s *suite) fast(t *testing.T, e model.Executor, c *model.Checkpoint, p Prompt) {
	t.Helper()
	vocab := c.Config.Vocab
	tokens := slices.Concat(p.IDs, p.Greedy)
	ref := s.reference(t, c.Params, tokens)
	b := ref.budgets[model.Fast]
	got := forward(t, e, vocab, tokens, 0)
	b.check(t, "fast", got, ref.exact, vocab)
	deviation := deviation(ref.exact)
	checked := 0
	for i, want := range p.Greedy {
		at := (len(p.IDs) + i - 1) * vocab
		id, margin := argmax(ref.exact[at : at+vocab])
		if float64(margin) <= 2*b.max*deviation {
			continue
		}
		checked++
		if choice, _ := argmax(got[at : at+vocab]); id != want || choice != want {
			t.Errorf("fast greedy id %d is %d, the oracle's %d, want %d (margin %.2g)", i, choice, id, want, margin)
		}
	}
	t.Logf("fast: %d of %d greedy ids have a margin above %.2g", checked, len(p.Greedy), 2*b.max*deviation)
}

// deviation is the standard deviation of logits.
func deviation(logits []float32) float64 {
	var mean, square float64
	for _, v := range logits {
		mean += float64(v)
	}
	mean /= float64(len(logits))
	for _, v := range logits {
		square += (float64(v) - mean) * (float64(v) - mean)
	}
	return math.Sqrt(square / float64(len(logits)))
}
