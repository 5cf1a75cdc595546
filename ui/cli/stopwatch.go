package cli

import (
	"context"
	"slices"
	"time"

	"peregrine/model"
	"peregrine/model/tokenizer"
)

// stopwatch times forward passes.
type stopwatch struct {
	ctx   context.Context
	d     *sequence
	vocab int
}

// token returns an arbitrary but repeatable id.
func (b *stopwatch) token(i int) int32 { return int32((i*7919 + 13) % b.vocab) }

// forward times a pass that gives the best token of each of the last rows tokens.
func (b *stopwatch) forward(ids []int32, pos, rows int) (time.Duration, error) {
	out := &model.Output{Rows: rows}
	if rows > 0 {
		out.LogSum, out.Top = make([]float32, rows), make([][]model.Candidate, rows)
		for i := range out.Top {
			out.Top[i] = make([]model.Candidate, 1)
		}
	}
	begin := time.Now()
	err := b.d.Forward(b.ctx, ids, pos, out)
	return time.Since(begin), err
}

// first reads a short text, as for the first token of a reply. Without a tokenizer, or with one of another model, it reads one token.
func (b *stopwatch) first(t *tokenizer.Tokenizer) error {
	ids := b.fill(1)
	if t != nil && t.Size() <= b.vocab {
		var err error
		if ids, err = t.Encode("What is the capital of France?", false); err != nil {
			return err
		}
	}
	_, err := b.forward(ids, 0, 1)
	return err
}

func (b *stopwatch) fill(n int) []int32 {
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = b.token(i)
	}
	return ids
}

// prefill returns the median rate of reading a prompt from an empty cache, the last token's logits included.
func (b *stopwatch) prefill(o benchOptions) (float64, error) {
	ids := b.fill(o.prefill)
	rates := make([]float64, o.repeat)
	for i := range rates {
		took, err := b.forward(ids, 0, 1)
		if err != nil {
			return 0, err
		}
		rates[i] = float64(o.prefill) / took.Seconds()
	}
	return median(rates), nil
}

// decode returns the median rate of single tokens after depth tokens.
func (b *stopwatch) decode(depth int, o benchOptions) (float64, error) {
	rates := make([]float64, o.repeat)
	for i := range rates {
		if err := b.prepare(depth); err != nil {
			return 0, err
		}
		var total time.Duration
		for t := range o.decode {
			took, err := b.forward([]int32{b.token(t)}, depth+t, 1)
			if err != nil {
				return 0, err
			}
			total += took
		}
		rates[i] = float64(o.decode) / total.Seconds()
	}
	return median(rates), nil
}

// prepare puts depth tokens into the cache.
func (b *stopwatch) prepare(depth int) error {
	if depth == 0 {
		return nil
	}
	_, err := b.forward(b.fill(depth), 0, 0)
	return err
}

// verify returns the median time in seconds of checking o.verify guessed tokens in one pass after o.depth tokens, and what it
// costs relative to decoding one token there. The two take turns.
func (b *stopwatch) verify(o benchOptions) (seconds, ratio float64, err error) {
	if err := b.prepare(o.depth); err != nil {
		return 0, 0, err
	}
	pass := func(n int, to *[]float64) error {
		took, err := b.forward(b.fill(n), o.depth, n)
		*to = append(*to, took.Seconds())
		return err
	}
	var one, many []float64
	for range 16 * o.repeat {
		if err := pass(1, &one); err != nil {
			return 0, 0, err
		}
		if err := pass(o.verify, &many); err != nil {
			return 0, 0, err
		}
	}
	return median(many), median(many) / median(one), nil
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}
