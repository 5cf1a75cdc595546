package sample

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"peregrine/model/generate"
)

// TestExplainIsWhatTheSamplerDraws compares the chances with those of the slow reference, for chains of all lengths.
func TestExplainIsWhatTheSamplerDraws(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	seen := []int32{1, 2, 40}
	for _, v := range []generate.Sampling{
		{Temperature: 1},
		{Temperature: 0.6, TopK: 7},
		{Temperature: 1.4, TopK: 30, TopP: 0.7},
		{Temperature: 0.9, TopP: 0.9, MinP: 0.1},
		{Temperature: 1.2, TopK: 50, TopP: 0.95, MinP: 0.02, TypicalP: 0.8, RepetitionPenalty: 1.3},
	} {
		for range 20 {
			logits := make([]float32, 200)
			for i := range logits {
				logits[i] = float32(rng.NormFloat64() * 2)
			}
			x := New(v, 1)
			for _, id := range seen {
				x.Observe(id)
			}
			want := reference(logits, seen, v)
			got := x.Explain(logits, len(logits), 0)
			if len(got) != len(logits) {
				t.Fatalf("%+v: got %d verdicts, want all %d", v, len(got), len(logits))
			}
			for i, verdict := range got {
				p := want[verdict.ID]
				if math.Abs(verdict.Chance-p) > 1e-5 || verdict.Kept != (p > 0) || verdict.Rank != i+1 {
					t.Errorf("%+v: got %+v at %d, want chance %v", v, verdict, i, p)
				}
				if cut := verdict.Cut != generate.FilterNone; cut == verdict.Kept {
					t.Errorf("%+v: got %+v, want a filter for exactly what is cut off", v, verdict)
				}
			}
			if x.values != v {
				t.Fatalf("got values %+v afterwards, want %+v", x.values, v)
			}
		}
	}
}

func TestExplainNamesTheFilterThatCuts(t *testing.T) {
	logits := []float32{5, 4, 3, 2, 1, 0, -1} // 0.63, 0.23, 0.086, 0.031, …
	for name, c := range map[string]struct {
		values generate.Sampling
		want   []generate.Filter
	}{
		"greedy":         {generate.Sampling{}, []generate.Filter{"", "temperature", "temperature", "temperature"}},
		"top-k":          {generate.Sampling{Temperature: 1, TopK: 2}, []generate.Filter{"", "", "top-k", "top-k"}},
		"top-p":          {generate.Sampling{Temperature: 1, TopP: 0.9}, []generate.Filter{"", "", "", "top-p"}},
		"min-p":          {generate.Sampling{Temperature: 1, MinP: 0.3}, []generate.Filter{"", "", "min-p", "min-p"}},
		"the first one":  {generate.Sampling{Temperature: 1, TopK: 3, TopP: 0.5, MinP: 0.01}, []generate.Filter{"", "top-p", "top-p", "top-k"}},
		"the likely too": {generate.Sampling{Temperature: 1, TypicalP: 0.2}, []generate.Filter{"typical-p", "", "typical-p", "typical-p"}},
		"nothing is cut": {generate.Sampling{Temperature: 2}, []generate.Filter{"", "", "", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []generate.Filter
			for _, v := range New(c.values, 1).Explain(logits, 4, 0) {
				got = append(got, v.Cut)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestExplainAddsTheTokenThatStandsThere(t *testing.T) {
	logits := []float32{1, 3, 2, 3, float32(math.Inf(-1))}
	x := New(generate.Sampling{Temperature: 1, TopK: 1}, 1)
	got := x.Explain(logits, 2, 0)
	if len(got) != 3 || got[2].ID != 0 || got[2].Rank != 4 || got[2].Cut != generate.FilterTopK {
		t.Fatalf("got %+v, want token 0 behind the two best, of rank 4", got)
	}
	all := New(generate.Sampling{Temperature: 1}, 1).Explain(logits, 5, 0)
	if got[2].Prob != all[3].Prob {
		t.Errorf("got probability %v, want %v", got[2].Prob, all[3].Prob)
	}
	if last := all[4]; last.Chance != 0 || last.Kept || last.Cut != generate.FilterNone {
		t.Errorf("got %+v for a logit of -Inf, want no chance and no filter", last)
	}
	if got := x.Explain([]float32{float32(math.NaN()), 1}, 2, 0); got != nil {
		t.Errorf("got %+v for a NaN, want nothing", got)
	}
	if got := x.Explain(logits, 2, 99); len(got) != 2 {
		t.Errorf("got %d verdicts for an id beyond the vocabulary, want the two best alone", len(got))
	}
}
