package engine

import (
	"context"
	"math/rand/v2"
	"testing"

	"peregrine/model/generate"
	"peregrine/model/sample"
)

// instantDecoder has its logits ready: what is left is the engine's own time a token.
type instantDecoder struct {
	vocab int
	logit []float32
}

func newInstantDecoder(vocab int) instantDecoder {
	r := rand.New(rand.NewPCG(1, 2))
	d := instantDecoder{vocab: vocab, logit: make([]float32, vocab)}
	for i := range d.logit {
		d.logit[i] = float32(r.NormFloat64() * 3)
	}
	return d
}

func (d instantDecoder) Forward(_ context.Context, _ []int32, _ int, out *sample.Output) error {
	if out.Rows > 0 {
		copy(out.Logits, d.logit)
	}
	return nil
}

func (d instantDecoder) Context() int { return 1 << 20 }
func (d instantDecoder) Vocab() int   { return d.vocab }

// BenchmarkToken is the time of one token besides the decoder's, with Falcon's vocabulary.
func BenchmarkToken(b *testing.B) {
	for _, c := range []struct {
		name string
		r    generate.Request
	}{
		{"greedy", generate.Request{}},
		{"top-k 50", generate.Request{Sampling: generate.Sampling{Temperature: 0.8, TopK: 50}}},
		{"top-k 50, 10 candidates", generate.Request{Sampling: generate.Sampling{Temperature: 0.8, TopK: 50}, Candidates: 10}},
	} {
		b.Run(c.name, func(b *testing.B) {
			f := says("")
			f.model.Decoder = newInstantDecoder(65024)
			f.model.EOS = nil
			f.tokens.pieces = make([]string, 65024-pieces)
			f.Engine = New(func(context.Context, func(float64)) (*Model, error) { return f.model, nil }, Options{})
			c.r.Messages, c.r.Raw = []generate.Message{{Role: generate.User, Content: "hi"}}, true
			c.r.MaxTokens = 1000
			var tokens, seconds float64
			for b.Loop() {
				s, err := f.Start(b.Context(), c.r)
				if err != nil {
					b.Fatal(err)
				}
				for u, err := s.Next(b.Context()); err == nil; u, err = s.Next(b.Context()) {
					if u.Result != nil {
						tokens += float64(u.Result.Timings.ReplyTokens)
						seconds += u.Result.Timings.Decode.Seconds()
					}
				}
			}
			b.ReportMetric(seconds/tokens*1e6, "µs/token")
			if err := f.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}
