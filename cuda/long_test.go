package cuda

import (
	"context"
	"errors"
	"testing"

	"peregrine/cuda/emulator"
	"peregrine/model"
	"peregrine/model/backendtest"
	"peregrine/model/oracle"
	"peregrine/model/quant"
)

// Sequences longer than a split of the decode attention, in passes that end at, before and behind its borders, and longer
// than a chunk of a prompt. Errors are in standard deviations of the logits.
//
// Precise: the budget of backendtest. Fast: f16 rounds the inputs of nine products in sequence, 2⁻¹¹/√3·√9 ≈ 0.1 %, times what
// attention over random keys amplifies, five times at most here; the largest of some thousand errors lies within six of that.
func TestLongSequences(t *testing.T) {
	alibi := small().Config
	alibi.Heads, alibi.KVHeads, alibi.HeadDim = 8, 8, 16
	alibi.Positions, alibi.Rope, alibi.Parallel = model.ALiBi, model.Rope{}, false
	wide := small().Config
	wide.Heads, wide.KVHeads, wide.HeadDim = 17, 1, 128 // more query rows than a block takes
	f16 := backendtest.Weights{Format: quant.F16}
	for name, p := range map[string]*model.Params{
		"grouped":                    small(),
		"alibi":                      backendtest.Random(2, alibi, f16, true, false),
		"17 heads of 128 on one key": backendtest.Random(3, wide, f16, false, false),
	} {
		const length = 560
		p.Config.MaxContext = 1024
		tokens := backendtest.RandomTokens(4, length, p.Config.Vocab)
		exact := logitsOf(t, oracle.New(p), p.Config.Vocab, tokens, 0)
		t.Run(name+"/emulator", func(t *testing.T) {
			if testing.Short() {
				t.Skip("NOT RUN: long sequences take the emulator half a minute; make test runs them")
			}
			longSequence(t, New(emulator.Open(emulator.Options{})), p, tokens, exact, model.Fast)
		})
		t.Run(name+"/card", func(t *testing.T) {
			requireCard(t)
			for _, precision := range []model.Precision{model.Precise, model.Fast} {
				b, err := Open(Options{})
				must(t, err)
				longSequence(t, b, p, tokens, exact, precision)
			}
		})
	}
}

// longSequence compares passes of many lengths with the exact logits and closes b.
func longSequence(t *testing.T, b *Backend, p *model.Params, tokens []int32, exact []float32, precision model.Precision) {
	budget, most := 2e-5, 1e-4
	if precision == model.Fast {
		budget, most = 5e-3, 3e-2
	}
	e, err := b.Load(context.Background(), p, model.LoadOptions{Context: len(tokens), Precision: precision})
	must(t, err)
	at, vocab := 0, p.Config.Vocab
	for _, n := range []int{250, 5, 1, 1, 8, 240, 3, 4, 1, 9, 1, 37} {
		got := logitsOf(t, e, vocab, tokens[at:at+n], at)
		if rms, largest := errorOf(got, exact[at*vocab:(at+n)*vocab]); !(rms <= budget && largest <= most) {
			t.Errorf("precision %d, %d tokens at %d: rms %.2g, largest %.2g; budget %.2g, %.2g", precision, n, at, rms, largest, budget, most)
		}
		at += n
	}
	if at != len(tokens) {
		t.Fatalf("%d tokens checked, want %d", at, len(tokens))
	}
	must(t, e.Close())
	must(t, b.Close())
}

// logitsOf returns the logits of all tokens.
func logitsOf(t *testing.T, e model.Executor, vocab int, tokens []int32, pos int) []float32 {
	t.Helper()
	out := &model.Output{Rows: len(tokens), Logits: make([]float32, len(tokens)*vocab)}
	must(t, e.Forward(context.Background(), tokens, pos, out))
	return out.Logits
}

func TestCancellingALoadLeavesNothingAllocated(t *testing.T) {
	d := emulator.Open(emulator.Options{})
	before, err := d.Free()
	must(t, err)
	b := New(d)
	for part := 1; part <= 4; part++ {
		ctx, cancel := context.WithCancel(context.Background())
		e, err := b.Load(ctx, small(), model.LoadOptions{Context: 32, Progress: func(done, total int64) {
			if 5*done >= int64(part)*total {
				cancel()
			}
		}})
		cancel()
		if !errors.Is(err, context.Canceled) || e != nil {
			t.Fatalf("cancelled after %d fifths: got executor %v and error %v, want none and %v", part, e, err, context.Canceled)
		}
		after, err := d.Free()
		must(t, err)
		if after != before {
			t.Errorf("cancelled after %d fifths: %d bytes are free, %d before", part, after, before)
		}
	}
	must(t, b.Close())
}
