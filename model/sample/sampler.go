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
	scores []float32          // [vocab] logits after the penalty; unused without one
	kept   []scored           // what the filters leave
	heap   []scored
}

// scored is a token on its way through the filters.
type scored struct {
	id    int32
	score float32 // the logit after penalty and temperature
	prob  float64
	key   float64 // by which a filter orders, the lowest first
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
	if err := x.filter(logits); err != nil {
		return 0, err
	}
	return pick(x.kept, x.random.Float64()), nil
}

// filter leaves in x.kept the tokens that the values let through, with probabilities that add up to 1.
func (x *Sampler) filter(logits []float32) error {
	v := x.values
	scores := x.penalize(logits)
	k := v.TopK
	if v.Temperature == 0 {
		k = 1
	}
	top, err := x.choose(scores, k, float32(v.Temperature))
	if err != nil {
		return err
	}
	return x.narrow(top)
}

// narrow applies temperature and what follows top-k to x.kept, of which top is the best.
func (x *Sampler) narrow(top scored) error {
	v := x.values
	if t := float32(v.Temperature); t != 0 && t != 1 {
		for i := range x.kept {
			x.kept[i].score /= t
		}
		top.score /= t
	}
	// Greedy, or an infinite logit, which has all the probability there is (several would share it: the lowest id stands for
	// them), or a temperature that is too near 0 for float32.
	if v.Temperature == 0 || math.IsInf(float64(top.score), 0) {
		top.prob = 1
		x.kept = append(x.kept[:0], top)
		return nil
	}
	normalize(x.kept, top.score)
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

// penalize returns logits with the repetition penalty applied: in x.scores, or logits themselves if there is none.
func (x *Sampler) penalize(logits []float32) []float32 {
	p := float32(x.values.RepetitionPenalty)
	if p == 0 || p == 1 || len(x.seen) == 0 {
		return logits
	}
	x.scores = append(x.scores[:0], logits...)
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
	return x.scores
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
