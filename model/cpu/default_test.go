package cpu

import (
	"math"
	"slices"
	"testing"

	"peregrine/model"
	"peregrine/model/backendtest"
	"peregrine/model/oracle"
)

// prompt is a turn of the default model's own template: a question in English.
var prompt = []string{
	"<|im_start|>", "user", "Ċ", "What", "Ġis", "Ġthe", "Ġcapital", "Ġof", "ĠFrance", "?", "<|im_end|>", "Ċ", "<|im_start|>", "ass",
	"istant", "Ċ",
}

// greedy continues tokens by n ids, the highest logit each.
func greedy(t *testing.T, e *executor, tokens []int32, n int) []int32 {
	t.Helper()
	all := slices.Clone(tokens)
	out := &model.Output{Rows: 1, Top: [][]model.Candidate{make([]model.Candidate, 1)}}
	for pos := 0; len(all) < len(tokens)+n; {
		next := len(all)
		if err := e.Forward(t.Context(), all[pos:], pos, out); err != nil {
			t.Fatal(err)
		}
		all, pos = append(all, out.Top[0][0].ID), next
	}
	return all
}

// The real default model, 40 tokens by greedy choice. In the precise mode they are the oracle's. In the fast mode they may part
// where the oracle's best two lie closer together than the fast mode's error, which is measured on the same text.
func TestDefaultModelFollowsTheOracle(t *testing.T) {
	c := backendtest.OpenDefault(t)
	vocabulary, ok := c.Tokenizer.GGUF.Strings("tokenizer.ggml.tokens")
	if !ok {
		t.Fatal("no vocabulary in the file")
	}
	var tokens []int32
	for _, word := range prompt {
		tokens = append(tokens, int32(slices.Index(vocabulary, word)))
	}
	// The oracle takes one pass over what the precise mode wrote: if every choice in that text is the oracle's, the oracle would
	// have written the same.
	precise, _ := load(t, c.Params, Options{}, model.Precise, 128)
	const n = 40
	text := greedy(t, precise, tokens, n)
	vocab := c.Config.Vocab
	want := &model.Output{Rows: n, Logits: make([]float32, n*vocab)}
	at := len(tokens) - 1
	if err := oracle.New(c.Params).Forward(t.Context(), text[:at+n], 0, want); err != nil {
		t.Fatal(err)
	}
	got := logits(t, precise, text[:at+n], at+n)[at*vocab:]
	worst, unit := 0.0, deviation(want.Logits)
	for i := range got {
		worst = max(worst, math.Abs(float64(got[i]-want.Logits[i]))/unit)
	}
	t.Logf("precise: largest error %.2g standard deviations of the logits", worst)
	if !(worst <= 1e-3) {
		t.Errorf("precise: largest error %v standard deviations, budget 1e-3", worst)
	}
	for i := range n {
		if best, _ := top2(want.Logits[i*vocab : (i+1)*vocab]); best != text[at+1+i] {
			t.Fatalf("precise: token %d is %d, the oracle's is %d", i, text[at+1+i], best)
		}
	}
	fast, _ := load(t, c.Params, Options{}, model.Fast, 128)
	own := greedy(t, fast, tokens, n)
	fastLogits := logits(t, fast, text[:at+n], at+n)[at*vocab:]
	largest, smallest := 0.0, float32(math.Inf(1))
	for i := range n {
		row := want.Logits[i*vocab : (i+1)*vocab]
		_, margin := top2(row)
		smallest = min(smallest, margin)
		e := 0.0
		for j, v := range row {
			e = max(e, math.Abs(float64(v-fastLogits[i*vocab+j])))
		}
		largest = max(largest, e)
		if own[at+1+i] == text[at+1+i] {
			continue
		}
		t.Logf("fast: parts at token %d, where the oracle's margin is %.3f and the fast mode's largest error %.3f", i, margin, e)
		if float64(margin) > 2*e { // each of the two may be off by e
			t.Errorf("fast: token %d is %d, the oracle's is %d by a margin of %v; the largest error is %v", i, own[at+1+i], text[at+1+i], margin, e)
		}
		return
	}
	t.Logf("fast: all %d tokens are the oracle's; smallest margin of the oracle's best two %.3f, largest error %.3f", n, smallest, largest)
}

func top2(v []float32) (best int32, margin float32) {
	out := &model.Output{Rows: 1, Top: [][]model.Candidate{make([]model.Candidate, 2)}}
	model.FillOutput(out, 0, v)
	return out.Top[0][0].ID, out.Top[0][0].Logit - out.Top[0][1].Logit
}

func deviation(v []float32) float64 {
	mean, square := 0.0, 0.0
	for _, x := range v {
		mean += float64(x) / float64(len(v))
	}
	for _, x := range v {
		square += (float64(x) - mean) * (float64(x) - mean) / float64(len(v))
	}
	return math.Sqrt(square)
}
