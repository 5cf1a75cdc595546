package sample

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"peregrine/model/generate"
)

// topOf returns the n highest logits as a decoder does.
func topOf(logits []float32, n int) []Candidate {
	all := make([]Candidate, len(logits))
	for i, l := range logits {
		all[i] = Candidate{ID: int32(i), Logit: l}
	}
	slices.SortStableFunc(all, func(a, b Candidate) int {
		switch {
		case a.Logit > b.Logit:
			return -1
		case a.Logit < b.Logit:
			return 1
		}
		return 0
	})
	return all[:min(n, len(all))]
}

func logSum(logits []float32) float32 {
	var sum float64
	for _, l := range logits {
		sum += math.Exp(float64(l))
	}
	return float32(math.Log(sum))
}

// Half of the vocabularies have few different logits, so that equals lie across every border.
func TestNextTopIsNext(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	chosen, more := 0, 0
	for range 3000 {
		logits := make([]float32, []int{3, 64, 65, 700}[r.IntN(4)])
		coarse := r.IntN(2) == 0
		for i := range logits {
			logits[i] = float32(r.NormFloat64() * 4)
			if coarse {
				logits[i] = float32(math.Round(float64(logits[i])*4) / 4)
			}
		}
		v := generate.Sampling{
			Temperature: []float64{0, 0.3, 0.8, 1, 2}[r.IntN(5)], TopK: []int{0, 1, 10, 50, 63, 64, 100}[r.IntN(7)],
			TopP: []float64{0, 0.9}[r.IntN(2)], MinP: []float64{0, 0.05}[r.IntN(2)], TypicalP: []float64{0, 0.9}[r.IntN(2)],
		}
		seed := r.Uint64()
		full, lean := New(v, seed), New(v, seed)
		top := topOf(logits, TopCount)
		for range 3 {
			want, err := full.Next(logits)
			if err != nil {
				t.Fatal(err)
			}
			got, err := lean.NextTop(top, len(logits))
			if errors.Is(err, ErrMore) {
				more++
				if got, err = lean.Next(logits); got != want || err != nil {
					t.Fatalf("%+v: asking again gives %d, %v; want %d", v, got, err, want)
				}
				continue
			}
			chosen++
			if got != want || err != nil {
				t.Fatalf("%+v over %d logits: got %d, %v; want %d", v, len(logits), got, err, want)
			}
			a, b := full.Candidates(logits, 10), lean.CandidatesTop(top, logSum(logits), len(logits), 10)
			for i := range a {
				if a[i].ID != b[i].ID || a[i].Kept != b[i].Kept || math.Abs(a[i].Prob-b[i].Prob) > 1e-5*a[i].Prob {
					t.Fatalf("%+v: candidate %d is %+v, want %+v", v, i, b[i], a[i])
				}
			}
		}
	}
	t.Logf("%d choices from the highest logits, %d from all", chosen, more)
	if chosen < 1000 || more < 1000 {
		t.Errorf("%d choices from the highest logits and %d from all: one way is hardly tested", chosen, more)
	}
}

func TestNextTopRefusesWhatNextRefuses(t *testing.T) {
	nan, gone := float32(math.NaN()), float32(math.Inf(-1))
	x := New(generate.Sampling{Temperature: 1, TopK: 5}, 1)
	for _, c := range []struct {
		top  []Candidate
		want error
	}{
		{[]Candidate{{3, nan}, {4, 1}}, ErrNaN},
		{[]Candidate{{3, gone}, {4, gone}}, ErrNone},
		{nil, ErrMore},
	} {
		if _, err := x.NextTop(c.top, 2); !errors.Is(err, c.want) {
			t.Errorf("%v: got %v, want %v", c.top, err, c.want)
		}
	}
}
