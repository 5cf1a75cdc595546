package sample

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"peregrine/model/generate"
)

// Errors of a model that computes nonsense. They are wrapped with the place.
var (
	ErrNaN  = errors.New("logit is not a number")
	ErrNone = errors.New("no token has a finite logit")
)

// Validate says which value lies outside its range.
func Validate(v generate.Sampling) error {
	if err := v.Validate(); err != nil {
		return fmt.Errorf("sample: %w", err)
	}
	return nil
}

// Sampler chooses the tokens of one reply. One goroutine at a time.
type Sampler struct {
	values generate.Sampling
	random *rand.Rand
	seen   map[int32]struct{} // ids of prompt and reply, for the penalty
	scores []float32          // [vocab] logits after the penalty and the temperature
	kept   []scored           // what the filters leave
	heap   []scored
}

// scored is a token on its way through the filters.
type scored struct {
	id    int32
	score float32
	prob  float64
}

// New returns a sampler with the given values and random sequence; values.Seed is not looked at. The values must be valid.
func New(values generate.Sampling, seed uint64) *Sampler {
	return &Sampler{
		values: values,
		// The second word only separates this sequence from others made of the same seed.
		random: rand.New(rand.NewPCG(seed, 0x706572656772696e)),
		seen:   map[int32]struct{}{},
	}
}

// Tune changes the values from the next token on; the random sequence goes on.
func (x *Sampler) Tune(values generate.Sampling) { x.values = values }

// Observe notes a token of the prompt or the reply, for the repetition penalty.
func (x *Sampler) Observe(id int32) { x.seen[id] = struct{}{} }

// Reset forgets the observed tokens.
func (x *Sampler) Reset() { clear(x.seen) }

// Next chooses an id from logits [vocab], which it does not change. With temperature 0 it is the highest logit, the lowest
// id among equals. It returns ErrNaN if any logit is NaN, and ErrNone if none is above −Inf.
func (x *Sampler) Next(logits []float32) (int32, error) {
	draw := x.random.Float64()
	if err := x.filter(logits); err != nil {
		return 0, err
	}
	return pick(x.kept, draw), nil
}

// filter leaves in x.kept the tokens that the values let through, with probabilities that add up to 1.
func (x *Sampler) filter(logits []float32) error {
	best, err := x.penalize(logits)
	if err != nil {
		return err
	}
	v := x.values
	top := x.scores[best]
	if v.Temperature == 0 || math.IsInf(float64(top), 1) {
		// An infinite logit has all the probability there is; several would share it, and the lowest id stands for them.
		x.kept = append(x.kept[:0], scored{id: int32(best), score: top, prob: 1})
		return nil
	}
	if v.Temperature != 1 {
		t := float32(v.Temperature)
		for i, s := range x.scores {
			x.scores[i] = s / t
		}
		top = x.scores[best]
		if math.IsInf(float64(top), 0) { // the temperature is too near 0 for float32: greedy
			x.kept = append(x.kept[:0], scored{id: int32(best), score: top, prob: 1})
			return nil
		}
	}
	x.topK(v.TopK)
	normalize(x.kept, top)
	if v.TopP > 0 && v.TopP < 1 {
		x.kept = topP(x.kept, v.TopP)
	}
	if v.MinP > 0 {
		x.kept = minP(x.kept, v.MinP)
	}
	if v.TypicalP > 0 && v.TypicalP < 1 {
		x.kept = typicalP(x.kept, v.TypicalP)
	}
	return nil
}

// penalize copies logits into x.scores, applies the repetition penalty, and returns the index of the highest score.
func (x *Sampler) penalize(logits []float32) (best int, err error) {
	x.scores = append(x.scores[:0], logits...)
	if p := float32(x.values.RepetitionPenalty); p != 0 && p != 1 {
		for id := range x.seen {
			if id < 0 || int(id) >= len(x.scores) {
				continue
			}
			if s := x.scores[id]; s < 0 {
				x.scores[id] = s * p
			} else {
				x.scores[id] = s / p
			}
		}
	}
	best = -1
	high := float32(math.Inf(-1))
	for i, s := range x.scores {
		if s > high {
			best, high = i, s
		} else if s != s {
			return 0, fmt.Errorf("sample: token %d of %d: %w; the weights are damaged, or the precision is too low", i, len(x.scores), ErrNaN)
		}
	}
	if best < 0 {
		return 0, fmt.Errorf("sample: %d logits: %w; the weights are damaged", len(x.scores), ErrNone)
	}
	return best, nil
}

// pick returns the token at draw (0 ≤ draw < 1) of the cumulated probabilities.
func pick(kept []scored, draw float64) int32 {
	var sum float64
	for _, k := range kept {
		sum += k.prob
		if draw < sum {
			return k.id
		}
	}
	return kept[len(kept)-1].id // rounding left the sum below draw
}
