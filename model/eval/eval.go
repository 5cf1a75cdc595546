// Package eval says how well a model predicts a text: its perplexity, and how far its distributions lie from those of another
// model or of the same model on another backend.
//
// A text is read in windows that overlap, and each token is judged once, in the first window that holds it: the strided
// perplexity of the transformers documentation, whose windows begin Stride tokens apart. Its older form averages over windows,
// its newer one over tokens; this is the mean over tokens. The newer one weighs a window by its labels less one, which is its
// number of tokens only where it overlaps none: with overlap its published code comes to slightly different values (up to 0.3 % of
// the perplexity on testdata's ids, windows of 150, 40 apart). Only a chunk's logits are ever held.
package eval

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"peregrine/model/sample"
)

// chunk is how many tokens go through the model in one pass: at a vocabulary of 65 024 their logits take 16 MiB.
const chunk = 64

// Decoder is what is judged. Package model's Decoder is one.
type Decoder interface {
	// Forward appends tokens at pos, after forgetting what lies there and behind, and fills out.
	Forward(ctx context.Context, tokens []int32, pos int, out *sample.Output) error
	Context() int // the most tokens that it holds
	Vocab() int
}

// Options says how the text is cut.
type Options struct {
	Window   int                   // tokens that the model sees at once; 0: the least context of the decoders
	Stride   int                   // tokens from one window's start to the next; 0: Window, so that none overlap
	Progress func(done, total int) // called after each chunk with tokens of the text judged, and all; may be nil
}

// Result is the judgement of a text.
type Result struct {
	Tokens     int         `json:"tokens"` // judged; the first of the text is not, nor the first of a window that overlaps none
	Window     int         `json:"window"`
	Stride     int         `json:"stride"`
	LogLoss    float64     `json:"log_loss"`   // mean of −ln p(token), in nats
	Perplexity float64     `json:"perplexity"` // e^LogLoss, or the largest float64
	Rate       float64     `json:"tokens_per_s"`
	Against    *Divergence `json:"against,omitempty"`
}

// Divergence compares the distributions at the same positions.
type Divergence struct {
	Perplexity float64 `json:"perplexity"`      // of the reference
	KL         float64 `json:"kl_divergence"`   // mean of Σ p·ln(p/q), p the reference's and q the model's, in nats
	Top1       float64 `json:"top_1_agreement"` // share of positions where both have the same most likely token
}

// Run judges ids by the model d, and compares it with a reference where that is not nil. Rate counts the tokens that went
// through d, with its time alone. When ctx ends it returns ctx's error and no result.
func Run(ctx context.Context, ids []int32, d, reference Decoder, o Options) (Result, error) {
	o, err := o.check(ids, d, reference)
	if err != nil {
		return Result{}, err
	}
	r := &run{d: d, reference: reference, logits: make([]float32, chunk*d.Vocab())}
	if reference != nil {
		r.expected = make([]float32, len(r.logits))
	}
	done := 1 // tokens of the text that have been judged, or cannot be
	for begin := 0; done < len(ids); begin += o.Stride {
		window := ids[begin:min(begin+o.Window, len(ids))]
		for pos := 0; pos < len(window); pos += chunk {
			end := min(pos+chunk, len(window))
			// Row i of a window predicts token i+1, which is judged here if no earlier window did.
			first := max(pos, done-begin-1)
			if err := r.chunk(ctx, window, pos, end, min(first, end)); err != nil {
				return Result{}, err
			}
			if o.Progress != nil {
				o.Progress(max(done, begin+end), len(ids))
			}
		}
		done = max(done, begin+len(window))
		if o.Stride == o.Window {
			done++ // the next window's first token has nothing before it
		}
	}
	return r.result(o), nil
}

func (o Options) check(ids []int32, d, reference Decoder) (Options, error) {
	limit := d.Context()
	if reference != nil {
		limit = min(limit, reference.Context())
		if d.Vocab() != reference.Vocab() {
			return o, fmt.Errorf("eval: vocabularies of %d and %d tokens cannot be compared; the models must share a tokenizer", d.Vocab(), reference.Vocab())
		}
	}
	if o.Window == 0 {
		o.Window = limit
	}
	if o.Stride == 0 {
		o.Stride = o.Window
	}
	switch {
	case o.Window < 2 || o.Window > limit:
		return o, fmt.Errorf("eval: a window of %d tokens; it must lie in 2…%d, the context", o.Window, limit)
	case o.Stride < 1 || o.Stride > o.Window:
		return o, fmt.Errorf("eval: a stride of %d tokens; it must lie in 1…%d, the window", o.Stride, o.Window)
	case len(ids) < 2:
		return o, errors.New("eval: the text has fewer than 2 tokens, so that none can be predicted; give a longer one")
	}
	return o, nil
}

// run is what has been judged so far.
type run struct {
	d, reference     Decoder
	logits, expected []float32 // [chunk, vocab] of d and of the reference
	judged, agreed   int
	passed           int // tokens through d
	loss, against    float64
	kl               float64
	busy             time.Duration
}

// chunk passes the tokens pos … end−1 of a window through the decoders, and judges the predictions of the rows from first on.
func (r *run) chunk(ctx context.Context, window []int32, pos, end, first int) error {
	rows, vocab := end-first, r.d.Vocab()
	out := &sample.Output{Rows: rows, Logits: r.logits[:rows*vocab]}
	start := time.Now()
	if err := r.d.Forward(ctx, window[pos:end], pos, out); err != nil {
		return err
	}
	r.busy += time.Since(start)
	r.passed += end - pos
	if r.reference != nil {
		out.Logits = r.expected[:rows*vocab]
		if err := r.reference.Forward(ctx, window[pos:end], pos, out); err != nil {
			return err
		}
	}
	for row := range min(end, len(window)-1) - first {
		if err := r.judge(row*vocab, (row+1)*vocab, window[first+row+1]); err != nil {
			return err
		}
	}
	return nil
}

// judge adds one prediction: the logits begin … end−1, and the token that came. It refuses logits that are not finite, of which
// nothing can be said.
func (r *run) judge(begin, end int, token int32) error {
	q := r.logits[begin:end]
	sumQ, topQ, err := logSum(q)
	if err != nil {
		return fmt.Errorf("eval: prediction %d: %w", r.judged, err)
	}
	r.judged++
	r.loss += sumQ - float64(q[token])
	if r.reference == nil {
		return nil
	}
	p := r.expected[begin:end]
	sumP, topP, err := logSum(p)
	if err != nil {
		return fmt.Errorf("eval: prediction %d of the reference: %w", r.judged-1, err)
	}
	r.against += sumP - float64(p[token])
	if topP == topQ {
		r.agreed++
	}
	for i := range p {
		logP := float64(p[i]) - sumP
		r.kl += math.Exp(logP) * (logP - (float64(q[i]) - sumQ))
	}
	return nil
}

// logSum returns log Σ exp(v) and the index of the highest value; ties go to the lowest. It refuses values that are not finite.
func logSum(v []float32) (sum float64, top int, err error) {
	for i, x := range v {
		if f := float64(x); math.IsNaN(f) || math.IsInf(f, 0) {
			return 0, 0, fmt.Errorf("the logit of token %d is %v; the model's file is damaged, or its activations leave their precision", i, x)
		}
		if x > v[top] {
			top = i
		}
	}
	high := float64(v[top])
	for _, x := range v {
		sum += math.Exp(float64(x) - high)
	}
	return high + math.Log(sum), top, nil
}

func (r *run) result(o Options) Result {
	n := float64(r.judged)
	out := Result{
		Tokens: r.judged, Window: o.Window, Stride: o.Stride,
		LogLoss: r.loss / n, Perplexity: perplexity(r.loss / n), Rate: float64(r.passed) / max(r.busy.Seconds(), 1e-9),
	}
	if r.reference != nil {
		out.Against = &Divergence{Perplexity: perplexity(r.against / n), KL: r.kl / n, Top1: float64(r.agreed) / n}
	}
	return out
}

// perplexity returns e^loss. What is beyond float64 becomes its largest number, since JSON has no infinity.
func perplexity(loss float64) float64 { return min(math.Exp(loss), math.MaxFloat64) }
