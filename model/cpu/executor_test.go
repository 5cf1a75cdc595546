package cpu

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"peregrine/model"
	"peregrine/model/backendtest"
	"peregrine/model/quant"
	"peregrine/model/tensor"
)

// llama is a small model of Llama's kind; 300 tokens of context cross a segment of the cache.
func llama(w backendtest.Weights) *model.Params {
	return backendtest.Random(3, model.Config{
		Architecture: "llama", Hidden: 96, Layers: 2, Heads: 6, KVHeads: 2, HeadDim: 32, FFN: 192, Vocab: 131, MaxContext: 600,
		Norm: model.RMSNorm, NormEps: 1e-5, MLP: model.GatedSiLU, Rope: model.Rope{Base: 10000}, BOS: -1,
	}, w, false, false)
}

// falcon is one of Falcon's kind: parallel, two norms, all heads on one KV head.
func falcon(w backendtest.Weights) *model.Params {
	return backendtest.Random(4, model.Config{
		Architecture: "falcon", Hidden: 160, Layers: 2, Heads: 5, KVHeads: 1, HeadDim: 32, FFN: 256, Vocab: 131, MaxContext: 600,
		Norm: model.LayerNorm, NormEps: 1e-5, MLP: model.GELU, Parallel: true, Tied: true, Rope: model.Rope{Base: 10000}, BOS: -1,
	}, w, true, true)
}

func gptq4() backendtest.Weights {
	return backendtest.Weights{Format: quant.GPTQFormat, Bits: 4, GroupSize: 32, ActOrder: true, Scales: tensor.F16}
}

// load returns an executor on a backend of its own; both end with the test.
func load(t testing.TB, p *model.Params, opt Options, precision model.Precision, context int) (*executor, *backend) {
	t.Helper()
	b, err := open(opt)
	if err != nil {
		t.Fatal(err)
	}
	e, err := b.Load(t.Context(), p, model.LoadOptions{Context: context, Precision: precision})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(e.Close(), b.Close()); err != nil {
			t.Error(err)
		}
	})
	return e.(*executor), b
}

// logits runs tokens from position 0 in passes of step and returns the logits of all.
func logits(t testing.TB, e *executor, tokens []int32, step int) []float32 {
	t.Helper()
	var all []float32
	for at := 0; at < len(tokens); at += step {
		n := min(step, len(tokens)-at)
		out := &model.Output{Rows: n, Logits: make([]float32, n*e.config.Vocab)}
		if err := e.Forward(t.Context(), tokens[at:at+n], at, out); err != nil {
			t.Fatal(err)
		}
		all = append(all, out.Logits...)
	}
	return all
}

// sameBits returns opt with the best set whose bits do not depend on how many tokens a pass has.
func sameBits(t testing.TB, opt Options) Options {
	t.Helper()
	b, err := open(opt)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if hasBF16(b) {
		opt.ISA = "amx"
	}
	return opt
}

func TestSameBitsForAnyThreadsAndPasses(t *testing.T) {
	models := map[string]*model.Params{
		"llama Q4_1": llama(backendtest.Weights{Format: quant.Q4_1}), "llama F16": llama(backendtest.Weights{Format: quant.F16}),
		"falcon GPTQ": falcon(gptq4()),
	}
	for name, p := range models {
		for mode, precision := range map[string]model.Precision{"fast": model.Fast, "precise": model.Precise} {
			t.Run(name+" "+mode, func(t *testing.T) {
				tokens := backendtest.RandomTokens(1, 530, p.Config.Vocab)
				var want []float32
				for _, threads := range []int{1, 2, 3, 7} {
					e, _ := load(t, p, sameBits(t, Options{Threads: threads}), precision, 0)
					for _, step := range []int{530, 1, 3, 129} {
						got := logits(t, e, tokens, step)
						if want == nil {
							want = got
						}
						if !slices.Equal(got, want) {
							t.Errorf("%d threads, passes of %d tokens: other bits than one thread, one pass", threads, step)
						}
					}
				}
			})
		}
	}
}

// Of the last layer only what is read is computed: that must not change it, nor what follows.
func TestRowsThatAreNotWantedChangeNothing(t *testing.T) {
	const n, first = 300, 297 // the last of three chunks has 41 tokens
	for name, p := range map[string]*model.Params{"llama": llama(backendtest.Weights{Format: quant.Q4_1}), "falcon": falcon(gptq4())} {
		for mode, precision := range map[string]model.Precision{"fast": model.Fast, "precise": model.Precise} {
			t.Run(name+" "+mode, func(t *testing.T) {
				e, _ := load(t, p, sameBits(t, Options{Threads: 3}), precision, 0)
				vocab, tokens := e.config.Vocab, backendtest.RandomTokens(1, n, p.Config.Vocab)
				want := logits(t, e, tokens, n)
				for _, rows := range []int{0, 1, 4, 5, 40, 41, 42, 129, first} {
					// Others' keys and values first: what a pass leaves out may not be taken from the one before.
					logits(t, e, backendtest.RandomTokens(2, n, p.Config.Vocab), n)
					got := make([]float32, rows*vocab)
					if err := e.Forward(t.Context(), tokens[:first], 0, &model.Output{Rows: rows, Logits: got}); err != nil {
						t.Fatal(err)
					}
					if !slices.Equal(got, want[(first-rows)*vocab:first*vocab]) {
						t.Errorf("%d rows of %d tokens: other bits than those of all", rows, first)
					}
					got = make([]float32, (n-first)*vocab)
					if err := e.Forward(t.Context(), tokens[first:], first, &model.Output{Rows: n - first, Logits: got}); err != nil {
						t.Fatal(err)
					}
					if !slices.Equal(got, want[first*vocab:]) {
						t.Errorf("after a pass with %d rows: other bits", rows)
					}
				}
			})
		}
	}
}

// All inputs of the last layer and of the head are rounded twice, so that a model of one layer is nearly precise: keys and values in
// float16 are what differs. Rounding once costs 0.01 and more.
func TestOneLayerIsNearlyPrecise(t *testing.T) {
	for name, p := range map[string]*model.Params{"llama": llama(backendtest.Weights{Format: quant.Q4_1}), "falcon": falcon(gptq4())} {
		one := *p
		one.Layers, one.Config.Layers = p.Layers[:1], 1
		tokens := backendtest.RandomTokens(1, 150, p.Config.Vocab)
		var got [2][]float32
		for i, precision := range []model.Precision{model.Fast, model.Precise} {
			e, _ := load(t, &one, sameBits(t, Options{Threads: 2}), precision, 0)
			got[i] = logits(t, e, tokens, len(tokens))
		}
		difference, size := 0.0, 0.0
		for i, v := range got[1] {
			difference += math.Pow(float64(got[0][i]-v), 2)
			size += float64(v) * float64(v)
		}
		if r := math.Sqrt(difference / size); r > 1e-3 || r == 0 {
			t.Errorf("%s: fast logits are off by %.2g of precise ones, want at most 0.001", name, r)
		} else {
			t.Logf("%s: %.2g", name, r)
		}
	}
}

func TestForwardStopsSoonAfterCancel(t *testing.T) {
	e, _ := load(t, llama(backendtest.Weights{Format: quant.F32}), Options{Threads: 2}, model.Precise, 600)
	tokens := backendtest.RandomTokens(1, 600, e.config.Vocab)
	full := time.Now()
	logits(t, e, tokens, 600)
	whole := time.Since(full)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(whole/20, cancel)
	start := time.Now()
	err := e.Forward(ctx, tokens, 0, nil)
	if took := time.Since(start); err == nil {
		t.Logf("%v were not enough to cancel in a pass of %v", whole/20, took)
	} else if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	if e.length != 0 && err != nil {
		t.Errorf("the sequence holds %d tokens after a cancelled pass at 0", e.length)
	}
	logits(t, e, tokens, 600) // the flag does not stay
}

func TestClosedIsAnError(t *testing.T) {
	p := llama(backendtest.Weights{Format: quant.Q8_0})
	e, b := load(t, p, Options{Threads: 2}, model.Fast, 16)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := e.Forward(t.Context(), []int32{1}, 0, nil); err == nil {
		t.Error("forward on a closed backend: no error")
	}
	if _, err := b.Load(t.Context(), p, model.LoadOptions{}); err == nil {
		t.Error("load on a closed backend: no error")
	}
	for range 2 {
		if err := errors.Join(e.Close(), b.Close()); err != nil {
			t.Error(err)
		}
	}
	if err := e.Forward(t.Context(), []int32{1}, 0, nil); err == nil {
		t.Error("forward on a closed executor: no error")
	}
}

func TestOpenRefusesWhatIsNotThere(t *testing.T) {
	for _, c := range []struct {
		opt  Options
		want string
	}{
		{Options{ISA: "avx1024"}, `instruction set "avx1024" is not available; this machine and build have ` + strings.Join(ISAs(), ", ")},
		{Options{Threads: -1}, "-1 threads"},
		{Options{Threads: 1 << 20}, "1048576 threads"},
	} {
		if b, err := Open(c.opt); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: got %v and error %v, want %q", c.opt, b, err, c.want)
		}
	}
}

func TestNameSaysSetAndThreads(t *testing.T) {
	for threads, want := range map[int]string{1: "cpu (scalar, 1 thread)", 3: "cpu (scalar, 3 threads)"} {
		b, err := Open(Options{Threads: threads, ISA: "scalar"})
		if err != nil {
			t.Fatal(err)
		}
		if got := b.Name(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
}

// NaN anywhere must reach the caller, who refuses it: in a weight it does through every product behind it.
func TestNaNWeightsShowInLogits(t *testing.T) {
	for _, precision := range []model.Precision{model.Fast, model.Precise} {
		p := llama(backendtest.Weights{Format: quant.Q4_1})
		down := p.Layers[0].Down.W[0]
		down.Data[0], down.Data[1] = 0, 0x7e // the first scale
		e, _ := load(t, p, Options{Threads: 2}, precision, 32)
		for i, v := range logits(t, e, backendtest.RandomTokens(1, 9, p.Config.Vocab), 9) {
			if !math.IsNaN(float64(v)) {
				t.Fatalf("precision %v: logit %d is %v, want NaN", precision, i, v)
			}
		}
		out := &model.Output{Rows: 1, LogSum: make([]float32, 1), Top: [][]model.Candidate{make([]model.Candidate, 3)}}
		if err := e.Forward(t.Context(), []int32{1}, 9, out); err != nil {
			t.Fatal(err)
		}
		if !math.IsNaN(float64(out.LogSum[0])) || !math.IsNaN(float64(out.Top[0][0].Logit)) {
			t.Errorf("precision %v: log sum %v and best candidate %v, want NaN", precision, out.LogSum[0], out.Top[0][0])
		}
	}
}

// A gate and an up projection may come as one matrix.
func TestFusedGateAndUp(t *testing.T) {
	p := llama(backendtest.Weights{Format: quant.F32})
	e, _ := load(t, p, Options{Threads: 2}, model.Precise, 32)
	tokens := backendtest.RandomTokens(1, 9, p.Config.Vocab)
	want := logits(t, e, tokens, 9)
	fused := *p
	fused.Layers = slices.Clone(p.Layers)
	for i := range fused.Layers {
		up := fused.Layers[i].Up.W
		if len(up) != 2 {
			t.Fatalf("up is %d matrices; this test wants to fuse two", len(up))
		}
		fused.Layers[i].Up.W = []*quant.Matrix{{
			Name: "fused", Format: quant.F32, Out: 2 * up[0].Out, In: up[0].In, Data: slices.Concat(up[0].Data, up[1].Data),
		}}
	}
	e, _ = load(t, &fused, Options{Threads: 2}, model.Precise, 32)
	if got := logits(t, e, tokens, 9); !slices.Equal(got, want) {
		t.Error("the fused matrix gives other logits")
	}
}

func TestLoadRefusesSplitOutputsOfParallelBlocks(t *testing.T) {
	p := falcon(backendtest.Weights{Format: quant.F32})
	whole := p.Layers[1].Down.W[0]
	p.Layers[1].Down.W = []*quant.Matrix{whole.Slice(0, 8), whole.Slice(8, whole.Out)}
	b, err := open(Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	const want = "layer 1: the outputs of a parallel block in 1 and 2 matrices"
	if _, err := b.Load(t.Context(), p, model.LoadOptions{}); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %q", err, want)
	}
}

// Many candidates, few candidates, more than a thread's share of the vocabulary.
func TestTopOfAnySizeForAnyThreads(t *testing.T) {
	p := llama(backendtest.Weights{Format: quant.F32})
	for _, threads := range []int{1, 3, 7} {
		e, _ := load(t, p, Options{Threads: threads}, model.Fast, 32)
		for _, k := range []int{1, 40, p.Config.Vocab} {
			t.Run(fmt.Sprintf("%d of %d, %d threads", k, p.Config.Vocab, threads), func(t *testing.T) {
				out := &model.Output{Rows: 1, Logits: make([]float32, p.Config.Vocab), Top: [][]model.Candidate{make([]model.Candidate, k)}}
				if err := e.Forward(t.Context(), []int32{5}, 0, out); err != nil {
					t.Fatal(err)
				}
				want := &model.Output{Rows: 1, Top: [][]model.Candidate{make([]model.Candidate, k)}}
				model.FillOutput(want, 0, out.Logits)
				if !slices.Equal(out.Top[0], want.Top[0]) {
					t.Errorf("got %v, want %v", out.Top[0], want.Top[0])
				}
			})
		}
	}
}
