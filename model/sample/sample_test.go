package sample

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"peregrine/model/generate"
)

// reference filters logits as the definitions say, in float64, sorting everything: the probabilities by id, 0 for what is
// cut off. Written from the transformers processors: each sets scores to −Inf, and the next takes the softmax anew.
func reference(logits []float32, seen []int32, v generate.Sampling) []float64 {
	s := make([]float64, len(logits))
	for i, l := range logits {
		s[i] = float64(l)
	}
	if p := v.RepetitionPenalty; p != 0 {
		for _, id := range slices.Compact(slices.Sorted(slices.Values(seen))) {
			if s[id] < 0 {
				s[id] *= p
			} else {
				s[id] /= p
			}
		}
	}
	for i := range s {
		s[i] /= v.Temperature
	}
	cut := math.Inf(-1)
	if v.TopK > 0 {
		sorted := slices.Sorted(slices.Values(s))
		border := sorted[max(0, len(sorted)-v.TopK)]
		for i := range s {
			if s[i] < border {
				s[i] = cut
			}
		}
	}
	order := func(less func(a, b int) bool) []int {
		ids := make([]int, len(s))
		for i := range ids {
			ids[i] = i
		}
		slices.SortStableFunc(ids, func(a, b int) int {
			switch {
			case less(a, b):
				return -1
			case less(b, a):
				return 1
			}
			return 0
		})
		return ids
	}
	if v.TopP > 0 {
		p := softmax(s)
		ids := order(func(a, b int) bool { return s[a] < s[b] })
		var sum float64
		for n, id := range ids {
			if sum += p[id]; sum <= 1-v.TopP && n < len(ids)-1 {
				s[id] = cut
			}
		}
	}
	if v.MinP > 0 {
		p := softmax(s)
		for i := range s {
			if p[i] < v.MinP*slices.Max(p) {
				s[i] = cut
			}
		}
	}
	if v.TypicalP > 0 {
		p := softmax(s)
		var entropy float64
		for _, q := range p {
			if q > 0 {
				entropy -= q * math.Log(q)
			}
		}
		shift := make([]float64, len(s))
		for i := range s {
			shift[i] = math.Abs(-math.Log(p[i]) - entropy)
		}
		ids := order(func(a, b int) bool { return shift[a] < shift[b] })
		var sum float64
		count := 0
		for _, id := range ids {
			if sum += p[id]; sum < v.TypicalP {
				count++
			}
		}
		border := shift[ids[min(count, len(ids)-1)]]
		for i := range s {
			if shift[i] > border {
				s[i] = cut
			}
		}
	}
	return softmax(s)
}

func softmax(s []float64) []float64 {
	top := slices.Max(s)
	p, sum := make([]float64, len(s)), 0.0
	for i := range s {
		p[i] = math.Exp(s[i] - top)
		sum += p[i]
	}
	for i := range p {
		p[i] /= sum
	}
	return p
}

func randomLogits(r *rand.Rand, n int) []float32 {
	l := make([]float32, n)
	for i := range l {
		l[i] = float32(r.NormFloat64() * 3)
	}
	return l
}

func TestFiltersAgreeWithTheirDefinitions(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	cases := map[string]generate.Sampling{
		"temperature":       {Temperature: 0.7},
		"top-k":             {Temperature: 1, TopK: 7},
		"top-k of all":      {Temperature: 1, TopK: 1000},
		"top-p":             {Temperature: 1.3, TopP: 0.6},
		"top-p tiny":        {Temperature: 1, TopP: 1e-6},
		"top-p nearly all":  {Temperature: 1, TopP: 0.9999},
		"min-p":             {Temperature: 1, MinP: 0.1},
		"typical-p":         {Temperature: 1, TypicalP: 0.5},
		"penalty":           {Temperature: 1, RepetitionPenalty: 1.7},
		"all":               {Temperature: 0.8, TopK: 40, TopP: 0.9, MinP: 0.02, TypicalP: 0.8, RepetitionPenalty: 1.2},
		"penalty below one": {Temperature: 2, TopK: 5, RepetitionPenalty: 0.5},
	}
	for name, v := range cases {
		t.Run(name, func(t *testing.T) {
			for range 50 {
				logits := randomLogits(r, 100)
				x := New(v, 1)
				seen := []int32{3, 3, 50, 99}
				for _, id := range seen {
					x.Observe(id)
				}
				if err := x.filter(logits); err != nil {
					t.Fatal(err)
				}
				got := make([]float64, len(logits))
				for _, k := range x.kept {
					got[k.id] = k.prob
				}
				want := reference(logits, seen, v)
				for i := range want {
					// float32 scores against float64: a relative rounding of 2^-24 of scores up to 12/temperature.
					if math.Abs(got[i]-want[i]) > 1e-5 {
						t.Fatalf("token %d: probability %v, want %v", i, got[i], want[i])
					}
				}
			}
		})
	}
}

func TestTopKKeepsTiesAtTheBorder(t *testing.T) {
	x := New(generate.Sampling{Temperature: 1, TopK: 2}, 1)
	if err := x.filter([]float32{1, 3, 2, 2, 0, 2}); err != nil {
		t.Fatal(err)
	}
	var ids []int32
	for _, k := range x.kept {
		ids = append(ids, k.id)
	}
	if want := []int32{1, 2, 3, 5}; !slices.Equal(ids, want) {
		t.Errorf("kept %v, want %v", ids, want)
	}
}

// Two scores that differ in their last bit are the same after a division: transformers divides first, and keeps both.
func TestTopKKeepsWhatTheTemperatureMakesEqual(t *testing.T) {
	low, high := float32(3), math.Nextafter32(3, 4)
	for hundredths := 30; hundredths < 1000; hundredths++ {
		v := generate.Sampling{Temperature: float64(hundredths) / 100, TopK: 1}
		if low/float32(v.Temperature) != high/float32(v.Temperature) {
			continue
		}
		x := New(v, 1)
		if err := x.filter([]float32{1, low, high}); err != nil || len(x.kept) != 2 {
			t.Errorf("temperature %v: kept %v, %v, want two tokens", v.Temperature, x.kept, err)
		}
		return
	}
	t.Fatal("no temperature makes them equal")
}

func TestNextDoesNotAllocate(t *testing.T) {
	logits := randomLogits(rand.New(rand.NewPCG(7, 8)), 5000)
	for name, v := range map[string]generate.Sampling{
		"greedy": {}, "top-k": {Temperature: 0.8, TopK: 50},
		"all": {Temperature: 0.8, TopK: 500, TopP: 0.9, MinP: 0.001, TypicalP: 0.9, RepetitionPenalty: 1.1},
	} {
		x := New(v, 1)
		x.Observe(3)
		if n := testing.AllocsPerRun(20, func() {
			if _, err := x.Next(logits); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations a token, want 0", name, n)
		}
	}
}

func TestGreedyTakesTheLowestIDAmongEquals(t *testing.T) {
	x := New(generate.Sampling{}, 1)
	if id, err := x.Next([]float32{1, 4, 2, 4}); err != nil || id != 1 {
		t.Errorf("got %d, %v, want 1", id, err)
	}
}

func TestGreedyAppliesThePenalty(t *testing.T) {
	x := New(generate.Sampling{RepetitionPenalty: 2}, 1)
	x.Observe(1)
	if id, err := x.Next([]float32{1, 4, 3, -1}); err != nil || id != 2 {
		t.Errorf("got %d, %v, want 2", id, err)
	}
}

func TestTopKOfOneIsGreedy(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	one, greedy := New(generate.Sampling{Temperature: 1.5, TopK: 1}, 9), New(generate.Sampling{}, 9)
	for range 200 {
		logits := randomLogits(r, 500)
		a, errA := one.Next(logits)
		b, errB := greedy.Next(logits)
		if a != b || errA != nil || errB != nil {
			t.Fatalf("got %d (%v), want %d (%v)", a, errA, b, errB)
		}
	}
}

func TestSameSeedSameIDsWhateverTheValuesBetween(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	a, b := New(generate.Sampling{Temperature: 1}, 42), New(generate.Sampling{Temperature: 1}, 42)
	for step := range 100 {
		logits := randomLogits(r, 300)
		if step == 50 { // one greedy token on one side must not shift the sequence
			b.Tune(generate.Sampling{})
		}
		got, _ := b.Next(logits)
		want, _ := a.Next(logits)
		b.Tune(generate.Sampling{Temperature: 1})
		if step != 50 && got != want {
			t.Fatalf("step %d: got %d, want %d", step, got, want)
		}
	}
}

func TestDrawsFollowTheProbabilities(t *testing.T) {
	logits := []float32{0, 1, 2, -1, 0.5}
	v := generate.Sampling{Temperature: 0.9, TopK: 4}
	x, want := New(v, 7), reference(logits, nil, v)
	counts := make([]float64, len(logits))
	const draws = 100_000
	for range draws {
		id, err := x.Next(logits)
		if err != nil {
			t.Fatal(err)
		}
		counts[id]++
	}
	for id, p := range want {
		// Five standard deviations of a binomial count; the seed is fixed, so the test is not random.
		if bound := 5*math.Sqrt(draws*p*(1-p)) + 1e-9; math.Abs(counts[id]-draws*p) > bound {
			t.Errorf("token %d came %v times, want %v ± %v", id, counts[id], draws*p, bound)
		}
	}
}

func TestBadLogits(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	x := New(generate.Sampling{Temperature: 1, TopK: 2}, 1)
	if _, err := x.Next([]float32{1, nan, 2}); !errors.Is(err, ErrNaN) {
		t.Errorf("got %v, want ErrNaN", err)
	}
	if _, err := x.Next([]float32{-inf, -inf}); !errors.Is(err, ErrNone) {
		t.Errorf("got %v, want ErrNone", err)
	}
	if id, err := x.Next([]float32{1, inf, 2}); err != nil || id != 1 {
		t.Errorf("+Inf: got %d, %v, want 1", id, err)
	}
	if id, err := x.Next([]float32{-inf, 1, -inf}); err != nil || id != 1 {
		t.Errorf("one finite: got %d, %v, want 1", id, err)
	}
}

func TestTinyTemperatureIsGreedy(t *testing.T) {
	x := New(generate.Sampling{Temperature: 1e-45}, 1)
	if id, err := x.Next([]float32{1, 9, 2}); err != nil || id != 1 {
		t.Errorf("got %d, %v, want 1", id, err)
	}
}

func TestNextLeavesTheLogitsAlone(t *testing.T) {
	logits := []float32{1, 2, 3}
	x := New(generate.Sampling{Temperature: 0.5, RepetitionPenalty: 3, TopK: 2}, 1)
	x.Observe(2)
	if _, err := x.Next(logits); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(logits, []float32{1, 2, 3}) {
		t.Errorf("logits are now %v", logits)
	}
}

func TestCandidatesAreOfTheUnmodifiedLogits(t *testing.T) {
	logits := []float32{1, 3, 2, 3, -5}
	x := New(generate.Sampling{Temperature: 0.1, TopK: 2, RepetitionPenalty: 50}, 1)
	x.Observe(3)
	got := x.Candidates(logits, 3)
	p := softmax([]float64{1, 3, 2, 3, -5})
	want := []Scored{{1, p[1], true}, {3, p[3], false}, {2, p[2], true}}
	for i := range want {
		if got[i].ID != want[i].ID || got[i].Kept != want[i].Kept || math.Abs(got[i].Prob-want[i].Prob) > 1e-12 {
			t.Errorf("candidate %d is %v, want %v", i, got[i], want[i])
		}
	}
	if n := len(x.Candidates(logits, 100)); n != len(logits) {
		t.Errorf("got %d candidates of a vocabulary of %d", n, len(logits))
	}
}

func TestValidateNamesTheValue(t *testing.T) {
	for _, v := range []generate.Sampling{
		{Temperature: -1}, {Temperature: math.NaN()}, {TopK: -1}, {TopP: 1.5}, {MinP: -0.1}, {TypicalP: 2}, {RepetitionPenalty: -1},
	} {
		if Validate(v) == nil {
			t.Errorf("%+v is accepted", v)
		}
	}
	if err := Validate(generate.Sampling{Temperature: 0.8, TopK: 50}); err != nil {
		t.Error(err)
	}
}

func BenchmarkNext(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	for name, v := range map[string]generate.Sampling{
		"top-k 50":  {Temperature: 0.8, TopK: 50},
		"top-p 0.9": {Temperature: 0.8, TopP: 0.9},
		"plain":     {Temperature: 0.8},
	} {
		for _, vocab := range []int{49152, 131072} {
			logits := randomLogits(r, vocab)
			b.Run(name+"/"+map[int]string{49152: "49k", 131072: "131k"}[vocab], func(b *testing.B) {
				x := New(v, 1)
				b.ReportAllocs()
				for b.Loop() {
					if _, err := x.Next(logits); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
