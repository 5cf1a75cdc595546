package cpu

import (
	"context"
	"fmt"
	"testing"

	"peregrine/model"
	"peregrine/model/backendtest"
)

// BenchmarkDefaultModel reports tokens a second of the real default model as a user sees them: decode of 64 tokens after a
// short prompt, and prefill of 128 and 512 tokens.
func BenchmarkDefaultModel(b *testing.B) {
	c := backendtest.OpenDefault(b)
	for _, threads := range []int{1, 2} {
		backend, err := Open(Options{Threads: threads})
		if err != nil {
			b.Fatal(err)
		}
		e, err := backend.Load(context.Background(), c.Params, model.LoadOptions{Context: 1024})
		if err != nil {
			b.Fatal(err)
		}
		out := &model.Output{Rows: 1, Top: [][]model.Candidate{make([]model.Candidate, 50)}, LogSum: make([]float32, 1)}
		forward := func(tokens []int32, pos int) {
			if err := e.Forward(context.Background(), tokens, pos, out); err != nil {
				b.Fatal(err)
			}
		}
		tokens := backendtest.RandomTokens(1, 512, c.Config.Vocab)
		b.Run(fmt.Sprintf("tg64/threads=%d", threads), func(b *testing.B) {
			forward(tokens[:4], 0)
			for b.Loop() {
				for i := range 64 {
					forward(tokens[i:i+1], 4+i)
				}
			}
			b.ReportMetric(float64(64*b.N)/b.Elapsed().Seconds(), "tok/s")
			b.SetBytes(64 * c.WeightBytes())
		})
		for _, n := range []int{128, 512} {
			b.Run(fmt.Sprintf("pp%d/threads=%d", n, threads), func(b *testing.B) {
				for b.Loop() {
					forward(tokens[:n], 0)
				}
				b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "tok/s")
			})
		}
		if err := e.Close(); err != nil {
			b.Fatal(err)
		}
		if err := backend.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
