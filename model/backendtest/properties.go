package backendtest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"peregrine/model"
	"peregrine/model/quant"
)

// properties of a sequence, on one model of each kind.
func (s *suite) properties(t *testing.T) {
	gptq := Weights{Format: quant.GPTQFormat, Bits: 4, GroupSize: 32, ActOrder: true}
	random := func(c model.Config, w Weights) func() *model.Params {
		return func() *model.Params { return Random(1, c, w, c.Norm == model.LayerNorm, c.Parallel) }
	}
	mixed := with(llama(256, 8, 2, 32), func(c *model.Config) { c.Layers, c.FFN = 1, 256 }) // rows of whole blocks
	for i, m := range []struct {
		name   string
		config model.Config
		params func() *model.Params
	}{
		{"llama", llama(96, 6, 2, 32), random(llama(96, 6, 2, 32), Weights{Format: quant.Q4_1})},
		{"falcon", falcon(128, 4, 2), random(falcon(128, 4, 2), gptq)},
		{"alibi", with(falcon(96, 6, 6), alibi), random(with(falcon(96, 6, 6), alibi), Weights{Format: quant.BF16})},
		{"K-quants", mixed, func() *model.Params {
			return RandomMixed(1, mixed, Except(quant.Q4_K, map[string]quant.Format{"value": quant.Q6_K, "down": quant.Q6_K}), false, false)
		}},
	} {
		if s.opt.Only != nil && !s.opt.Only(m.config) || Raced && i > 1 {
			continue
		}
		t.Run(m.name, func(t *testing.T) {
			s.parallel(t)
			p := m.params()
			for name, precision := range s.precisions() {
				t.Run(name, func(t *testing.T) {
					s.parallel(t)
					s.sequence(t, p, precision)
				})
			}
			t.Run("load stops when cancelled", func(t *testing.T) { s.loadCancelled(t, p) })
			t.Run("progress", func(t *testing.T) { s.progress(t, p) })
		})
	}
}

func (s *suite) sequence(t *testing.T, p *model.Params, precision model.Precision) {
	const n = 70
	vocab := p.Config.Vocab
	tokens := RandomTokens(3, n, vocab)
	ref := s.reference(t, p, tokens)
	exact, b := ref.exact, ref.budgets[precision]
	opt := model.LoadOptions{Context: 96, Precision: precision}
	e := s.load(t, p, opt)
	whole := forward(t, e, vocab, tokens, 0)

	t.Run("any chunking gives the same logits", func(t *testing.T) {
		for _, size := range []int{1, 2, 7, 31, 32, 33, 64, 69} {
			var got []float32
			for at := 0; at < n; at += size {
				got = append(got, forward(t, e, vocab, tokens[at:min(at+size, n)], at)...)
			}
			b.check(t, fmt.Sprintf("chunks of %d", size), got, exact, vocab)
		}
	})
	t.Run("truncate and replay is fresh", func(t *testing.T) {
		forward(t, e, vocab, tokens, 0)
		for _, pos := range []int{n - 1, 33, 1, 0} {
			forward(t, e, vocab, RandomTokens(4, 9, vocab), pos) // overwrites what lies behind
			b.check(t, fmt.Sprintf("replay from %d", pos), forward(t, e, vocab, tokens[pos:], pos), exact[pos*vocab:], vocab)
		}
	})
	t.Run("same bits run to run", func(t *testing.T) {
		if again := forward(t, e, vocab, tokens, 0); !slices.Equal(again, whole) {
			t.Error("a second run of the same executor gives other bits")
		}
		if again := forward(t, s.load(t, p, opt), vocab, tokens, 0); !slices.Equal(again, whole) {
			t.Error("another executor gives other bits")
		}
	})
	t.Run("verifying several tokens gives the bits of single steps", func(t *testing.T) { verified(t, e, tokens, vocab) })
	t.Run("fewer rows are the last rows", func(t *testing.T) {
		for _, rows := range []int{0, 1, 4} {
			out := &model.Output{Rows: rows, Logits: make([]float32, rows*vocab)}
			if err := e.Forward(context.Background(), tokens, 0, out); err != nil {
				t.Fatal(err)
			}
			if rows > 0 {
				b.check(t, fmt.Sprintf("%d rows", rows), out.Logits, exact[(n-rows)*vocab:], vocab)
			}
		}
		if err := e.Forward(context.Background(), tokens, 0, nil); err != nil {
			t.Errorf("a nil output: %v", err)
		}
	})
	t.Run("candidates agree with logits", func(t *testing.T) { candidates(t, e, tokens, vocab) })
	t.Run("cancelled forward leaves a usable sequence", func(t *testing.T) {
		cancelled(t, e, tokens, vocab)
		b.check(t, "after cancelling", forward(t, e, vocab, tokens, 0), exact, vocab)
	})
}

// verified decodes token by token and then several at a time, as speculation does: it must not change what is said.
func verified(t *testing.T, e model.Executor, tokens []int32, vocab int) {
	const from, n = 20, 24
	forward(t, e, vocab, tokens[:from], 0)
	var single []float32
	for at := from; at < from+n; at++ {
		single = append(single, forward(t, e, vocab, tokens[at:at+1], at)...)
	}
	for _, rows := range []int{2, 3, 8} {
		for at := from; at+rows <= from+n; at += rows {
			if !slices.Equal(forward(t, e, vocab, tokens[at:at+rows], at), single[(at-from)*vocab:(at-from+rows)*vocab]) {
				t.Errorf("%d tokens at %d: other bits than one by one", rows, at)
				return
			}
		}
	}
}

// candidates asks for everything at once, then for candidates without logits, which a device may compute another way.
func candidates(t *testing.T, e model.Executor, tokens []int32, vocab int) {
	const rows = 3
	full := &model.Output{Rows: rows, Logits: make([]float32, rows*vocab), LogSum: make([]float32, rows)}
	lean := &model.Output{Rows: rows, LogSum: make([]float32, rows)}
	for _, k := range []int{10, 1, 40} {
		full.Top = append(full.Top, make([]model.Candidate, k))
		lean.Top = append(lean.Top, make([]model.Candidate, k))
	}
	for _, out := range []*model.Output{full, lean} {
		if err := e.Forward(context.Background(), tokens, 0, out); err != nil {
			t.Fatal(err)
		}
	}
	for r := range rows {
		logits := full.Logits[r*vocab : (r+1)*vocab]
		want := &model.Output{Rows: 1, Top: [][]model.Candidate{make([]model.Candidate, len(full.Top[r]))}, LogSum: make([]float32, 1)}
		model.FillOutput(want, 0, logits)
		for _, out := range []*model.Output{full, lean} {
			if !slices.Equal(out.Top[r], want.Top[0]) {
				t.Errorf("row %d: top %d is %v, the logits say %v", r, len(want.Top[0]), out.Top[r], want.Top[0])
			}
			// Adding Vocab exponentials in float32 loses at most Vocab·2⁻²⁴ of the sum; 1e-4 is 10⁻¹⁰ of no sum here.
			if d := math.Abs(float64(out.LogSum[r] - want.LogSum[0])); !(d <= 1e-4) {
				t.Errorf("row %d: log sum is %v, the logits say %v", r, out.LogSum[r], want.LogSum[0])
			}
		}
	}
}

// cancelled cancels before and during forward passes; each must end with nil or the context's error.
func cancelled(t *testing.T, e model.Executor, tokens []int32, vocab int) {
	out := &model.Output{Rows: 1, Logits: make([]float32, vocab)}
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	if err := e.Forward(gone, tokens, 0, out); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled context: got %v, want %v", err, context.Canceled)
	}
	for delay := time.Microsecond; delay < 20*time.Millisecond; delay *= 3 {
		ctx, cancel := context.WithTimeout(context.Background(), delay)
		err := e.Forward(ctx, tokens, 0, out)
		cancel()
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("cancelled after %v: got %v, want nil or %v", delay, err, context.DeadlineExceeded)
		}
	}
}

func (s *suite) loadCancelled(t *testing.T, p *model.Params) {
	b := s.open(t)
	defer b.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	e, err := b.Load(ctx, p, model.LoadOptions{Context: 16})
	if !errors.Is(err, context.Canceled) || e != nil {
		t.Errorf("load with a cancelled context: got executor %v and error %v, want none and %v", e, err, context.Canceled)
	}
	e, err = b.Load(context.Background(), p, model.LoadOptions{Context: 16})
	if err != nil {
		t.Fatalf("load after a cancelled one: %v", err)
	}
	forward(t, e, p.Config.Vocab, []int32{1, 2, 3}, 0)
	if err := e.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

func (s *suite) progress(t *testing.T, p *model.Params) {
	calls, last, total := 0, int64(-1), int64(0)
	s.load(t, p, model.LoadOptions{Context: 16, Progress: func(done, all int64) {
		calls++
		if done < last || done > all || total != 0 && all != total {
			t.Errorf("progress %d of %d after %d of %d", done, all, last, total)
		}
		last, total = done, all
	}})
	if calls == 0 || calls > 200 || last != total {
		t.Errorf("%d progress calls, the last %d of %d; want some, not above 200, and to the end", calls, last, total)
	}
}

// refusals are the arguments that a sequence must refuse and survive.
func (s *suite) refusals(t *testing.T) {
	shape := shape{"refusals", llama(64, 2, 1, 32), Weights{Format: quant.F32}, false, false}
	if s.opt.Only != nil && !s.opt.Only(shape.config) {
		t.Skip("the backend's options leave this shape out")
	}
	p := shape.params()
	vocab := p.Config.Vocab
	const limit = 16
	e := s.load(t, p, model.LoadOptions{Context: limit, Precision: model.Precise})
	tokens := RandomTokens(5, limit, vocab)
	want := forward(t, e, vocab, tokens, 0) // the whole context can be used
	for _, c := range []struct {
		name   string
		tokens []int32
		pos    int
		out    *model.Output
		is     error
	}{
		{"one token past the context", []int32{1}, limit, nil, model.ErrContextFull},
		{"a prompt longer than the context", RandomTokens(6, limit+1, vocab), 0, nil, model.ErrContextFull},
		{"a position above the length", []int32{1}, limit + 1, nil, nil},
		{"a negative position", []int32{1}, -1, nil, nil},
		{"no tokens", nil, 0, nil, nil},
		{"an id of vocab", []int32{int32(vocab)}, 0, nil, nil},
		{"an id of −1", []int32{-1}, 0, nil, nil},
		{"more rows than tokens", []int32{1}, 0, &model.Output{Rows: 2, Logits: make([]float32, 2*vocab)}, nil},
		{"a short logits buffer", []int32{1}, 0, &model.Output{Rows: 1, Logits: make([]float32, vocab-1)}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := e.Forward(context.Background(), c.tokens, c.pos, c.out)
			if err == nil || c.is != nil && !errors.Is(err, c.is) {
				t.Fatalf("got error %v, want one (%v)", err, c.is)
			}
			got := forward(t, e, vocab, tokens[limit-1:], limit-1) // the sequence is as before
			precise.check(t, "afterwards", got, want[(limit-1)*vocab:], vocab)
		})
	}
}
