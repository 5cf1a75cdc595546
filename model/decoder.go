package model

import (
	"context"
	"errors"
	"fmt"
	"math"
)

// ErrContextFull says that tokens do not fit into what an executor holds.
var ErrContextFull = errors.New("context is full")

// CheckForward validates the arguments of a forward pass on a sequence of the given length: every id within [0, Vocab), a
// pos not above length, pos+len(tokens) not above limit (else [ErrContextFull]), 0 ≤ Rows ≤ len(tokens), and buffers of
// the sizes that [Output] documents. Executors call it first, so that all of them refuse alike.
func CheckForward(c Config, length, limit int, tokens []int32, pos int, out *Output) error {
	if len(tokens) == 0 {
		return errors.New("model: forward: no tokens")
	}
	if pos < 0 || pos > length {
		return fmt.Errorf("model: forward: position %d, but the sequence holds %d tokens", pos, length)
	}
	if len(tokens) > limit-pos {
		return fmt.Errorf("model: forward: %d tokens at position %d pass the context of %d: %w", len(tokens), pos, limit, ErrContextFull)
	}
	for i, id := range tokens {
		if id < 0 || int(id) >= c.Vocab {
			return fmt.Errorf("model: forward: token %d has id %d, outside the vocabulary of %d", pos+i, id, c.Vocab)
		}
	}
	if out == nil || out.Rows == 0 {
		return nil
	}
	if out.Rows < 0 || out.Rows > len(tokens) {
		return fmt.Errorf("model: forward: %d rows wanted of %d tokens", out.Rows, len(tokens))
	}
	if out.Logits != nil && len(out.Logits) != out.Rows*c.Vocab {
		return fmt.Errorf("model: forward: logits hold %d values, want %d rows of %d", len(out.Logits), out.Rows, c.Vocab)
	}
	if out.Top != nil && len(out.Top) != out.Rows {
		return fmt.Errorf("model: forward: top candidates hold %d rows, want %d", len(out.Top), out.Rows)
	}
	for _, top := range out.Top {
		if len(top) > c.Vocab {
			return fmt.Errorf("model: forward: %d top candidates wanted of a vocabulary of %d", len(top), c.Vocab)
		}
	}
	if out.LogSum != nil && len(out.LogSum) != out.Rows {
		return fmt.Errorf("model: forward: log sums hold %d rows, want %d", len(out.LogSum), out.Rows)
	}
	return nil
}

// Decoder is one sequence on an [Executor], with everything checked that goes in and comes out: the engine's view of a
// model. It is not safe for concurrent use.
type Decoder struct {
	config Config
	exec   Executor
	limit  int
	length int
	logSum []float32 // for callers that want none: a NaN anywhere in a row shows here
}

// NewDecoder wraps an executor that was loaded with room for context tokens; 0 means the model's MaxContext, as in
// [LoadOptions]. The executor stays the caller's to close.
func NewDecoder(c Config, e Executor, context int) *Decoder {
	if context <= 0 {
		context = c.MaxContext
	}
	return &Decoder{config: c, exec: e, limit: context}
}

// Context returns the most tokens that the sequence can hold.
func (d *Decoder) Context() int { return d.limit }

// Vocab returns the number of token ids.
func (d *Decoder) Vocab() int { return d.config.Vocab }

// Len returns how many tokens the sequence holds.
func (d *Decoder) Len() int { return d.length }

// Forward appends tokens at pos, after forgetting what lies at pos and behind it, and fills out; out may be nil. It refuses
// what [CheckForward] refuses and leaves the sequence as it was then. After any other error, a cancelled ctx among them,
// the sequence holds at most pos tokens. Logits that are not finite are an error that names the position.
func (d *Decoder) Forward(ctx context.Context, tokens []int32, pos int, out *Output) error {
	if err := CheckForward(d.config, d.length, d.limit, tokens, pos, out); err != nil {
		return err
	}
	var own Output
	if out != nil {
		own = *out
		if own.Rows > 0 && own.LogSum == nil {
			if cap(d.logSum) < own.Rows {
				d.logSum = make([]float32, own.Rows)
			}
			own.LogSum = d.logSum[:own.Rows]
		}
	}
	d.length = min(d.length, pos)
	if err := d.exec.Forward(ctx, tokens, pos, &own); err != nil {
		return err
	}
	if err := checkFinite(&own, d.config.Vocab, pos+len(tokens)-own.Rows); err != nil {
		return err
	}
	d.length = pos + len(tokens)
	return nil
}

// checkFinite looks for values that are not finite; first is the position of the output's first row.
func checkFinite(out *Output, vocab, first int) error {
	bad := func(row int, what string, v float32) error {
		return fmt.Errorf("model: forward: %s at position %d is %v; the weights or the backend's arithmetic are broken "+
			"(check the file, or compare with --keep-repacked off, --precision f32 or --backend oracle)", what, first+row, v)
	}
	for row := range out.Rows {
		if out.Logits != nil {
			for id, v := range out.Logits[row*vocab : (row+1)*vocab] {
				if !finite(v) {
					return bad(row, fmt.Sprintf("the logit of token %d", id), v)
				}
			}
		}
		if out.Top != nil {
			for _, c := range out.Top[row] {
				if !finite(c.Logit) {
					return bad(row, fmt.Sprintf("the logit of token %d", c.ID), c.Logit)
				}
			}
		}
		if v := out.LogSum[row]; !finite(v) {
			return bad(row, "the log sum of the logits", v)
		}
	}
	return nil
}

func finite(v float32) bool { return !math.IsNaN(float64(v)) && !math.IsInf(float64(v), 0) }

// FillOutput writes row's share of out from the logits of all tokens, [Vocab]: the logits themselves, the highest of them
// and their log sum. Backends whose logits are in host memory anyway use it; the others must agree with it.
func FillOutput(out *Output, row int, logits []float32) {
	if out.Logits != nil {
		copy(out.Logits[row*len(logits):(row+1)*len(logits)], logits)
	}
	if out.Top != nil {
		fillTop(out.Top[row], logits)
	}
	if out.LogSum != nil {
		out.LogSum[row] = logSumExp(logits)
	}
}

// fillTop keeps the len(top) highest logits in order by insertion: K is small and most logits fail the first comparison.
func fillTop(top []Candidate, logits []float32) {
	n := 0
	for id, v := range logits {
		if n == len(top) && (n == 0 || v <= top[n-1].Logit) {
			continue
		}
		if n < len(top) {
			n++
		}
		i := n - 1
		for ; i > 0 && top[i-1].Logit < v; i-- {
			top[i] = top[i-1]
		}
		top[i] = Candidate{ID: int32(id), Logit: v}
	}
}

// logSumExp returns log Σ exp(v), computed around the highest value. A NaN anywhere makes it NaN.
func logSumExp(v []float32) float32 {
	high := math.Inf(-1)
	for _, x := range v {
		high = math.Max(high, float64(x))
	}
	if math.IsInf(high, 0) {
		return float32(high)
	}
	sum := 0.0
	for _, x := range v {
		sum += math.Exp(float64(x) - high)
	}
	return float32(high + math.Log(sum))
}
