package cuda

import (
	"context"
	"math"
	"testing"

	"peregrine/model"
	"peregrine/model/backendtest"
	"peregrine/model/oracle"
	"peregrine/model/quant"
)

// Single layers of the published sizes against the oracle, on the card alone: the emulator would take hours.
func TestFullSizeLayers(t *testing.T) {
	requireCard(t)
	falcon := func(hidden, heads, kvHeads, ffn int) model.Config {
		return model.Config{
			Architecture: "falcon", Hidden: hidden, Layers: 1, Heads: heads, KVHeads: kvHeads, HeadDim: 64, FFN: ffn, Vocab: 1000,
			MaxContext: 64, Norm: model.LayerNorm, NormEps: 1e-5, MLP: model.GELU, Parallel: true, Tied: true,
			Rope: model.Rope{Base: 10000}, BOS: -1,
		}
	}
	llama := model.Config{
		Architecture: "llama", Hidden: 3072, Layers: 1, Heads: 12, KVHeads: 4, HeadDim: 256, FFN: 23040, Vocab: 1000,
		MaxContext: 64, Norm: model.RMSNorm, NormEps: 1e-6, MLP: model.GatedSiLU, Rope: model.Rope{Base: 1000042}, BOS: -1,
	}
	gptq := func(bits, group int) backendtest.Weights {
		return backendtest.Weights{Format: quant.GPTQFormat, Bits: bits, GroupSize: group, ActOrder: group != 0}
	}
	for _, c := range []struct {
		name    string
		config  model.Config
		weights backendtest.Weights
	}{
		{"40B, 4 bits, no group", falcon(8192, 128, 8, 32768), gptq(4, 0)},
		{"40B, 4 bits, group 128, act-order", falcon(8192, 128, 8, 32768), gptq(4, 128)},
		{"7B, 2 bits, group 64, act-order", falcon(4544, 71, 1, 18176), gptq(2, 64)},
		{"7B, 3 bits, no group", falcon(4544, 71, 1, 18176), gptq(3, 0)},
		{"7B, 4 bits, group 64, act-order", falcon(4544, 71, 1, 18176), gptq(4, 64)},
		{"7B, 8 bits, group 128, act-order", falcon(4544, 71, 1, 18176), gptq(8, 128)},
		{"Falcon3-7B, Q4_0", llama, backendtest.Weights{Format: quant.Q4_0}},
		{"Falcon3-7B, Q4_1", llama, backendtest.Weights{Format: quant.Q4_1}},
		{"Falcon3-7B, Q8_0", llama, backendtest.Weights{Format: quant.Q8_0}},
		{"Falcon3-7B, Q5_0", llama, backendtest.Weights{Format: quant.Q5_0}},
		{"Falcon3-7B, Q5_1", llama, backendtest.Weights{Format: quant.Q5_1}},
		{"Falcon3-7B, Q2_K", llama, backendtest.Weights{Format: quant.Q2_K}},
		{"Falcon3-7B, Q3_K", llama, backendtest.Weights{Format: quant.Q3_K}},
		{"Falcon3-7B, Q4_K", llama, backendtest.Weights{Format: quant.Q4_K}},
		{"Falcon3-7B, Q5_K", llama, backendtest.Weights{Format: quant.Q5_K}},
		{"40B, Q6_K", falcon(8192, 128, 8, 32768), backendtest.Weights{Format: quant.Q6_K}},
		{"Falcon3-7B, BF16", llama, backendtest.Weights{Format: quant.BF16}},
		{"7B, F16", falcon(4544, 71, 1, 18176), backendtest.Weights{Format: quant.F16}},
		{"7B, F32", falcon(4544, 71, 1, 18176), backendtest.Weights{Format: quant.F32}},
	} {
		t.Run(c.name, func(t *testing.T) { fullSize(t, backendtest.Random(1, c.config, c.weights, false, c.config.Parallel)) })
	}
}

// fullSize compares the logits of twelve tokens, which take the prompt's kernels, and if the model would take them in passes of few
// tokens, once more so; and of the last alone after eleven, which takes the token's. Errors are in standard deviations of the logits.
//
// Precise: the budget of backendtest. Fast: inputs rounded to f16 add 2⁻¹¹/√3 ≈ 0.03 % to each product, the weights' last
// rounding, in the prompt's kernels and where groups are short, as much; over the few products in sequence and what attention
// amplifies, 0.2 % in all, and the largest of 12000 errors lies within five of that.
func fullSize(t *testing.T, p *model.Params) {
	const tokens = 12
	ids, vocab := backendtest.RandomTokens(2, tokens, p.Config.Vocab), p.Config.Vocab
	run := func(e model.Executor, ids []int32, pos int) []float32 {
		out := &model.Output{Rows: len(ids), Logits: make([]float32, len(ids)*vocab)}
		if err := e.Forward(context.Background(), ids, pos, out); err != nil {
			t.Fatal(err)
		}
		return out.Logits
	}
	exact := run(oracle.New(p), ids, 0)
	b, err := Open(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for _, mode := range []struct {
		name      string
		precision model.Precision
		rms, most float64
	}{{"precise", model.Precise, 2e-5, 1e-4}, {"fast", model.Fast, 2e-3, 1e-2}} {
		e, err := b.Load(context.Background(), p, model.LoadOptions{Context: 32, Precision: mode.precision})
		if err != nil {
			t.Fatal(err)
		}
		check := func(what string, got, want []float32) {
			rms, most := errorOf(got, want)
			t.Logf("%s, %s: rms %.2g, largest %.2g (budget %.2g, %.2g)", mode.name, what, rms, most, mode.rms, mode.most)
			if !(rms <= mode.rms && most <= mode.most) {
				t.Errorf("%s, %s: rms %.2g, largest %.2g; budget %.2g, %.2g", mode.name, what, rms, most, mode.rms, mode.most)
			}
		}
		x := e.(*executor)
		if short := x.shortPrompt; short >= tokens {
			check("short prompt", run(e, ids, 0), exact)
			x.shortPrompt = 0
		}
		check("prompt", run(e, ids, 0), exact)
		check("last token", run(e, ids[tokens-1:], tokens-1), exact[(tokens-1)*vocab:])
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// errorOf returns the root mean square and the largest error, in standard deviations of want.
func errorOf(got, want []float32) (rms, most float64) {
	var mean, square float64
	for _, v := range want {
		mean += float64(v) / float64(len(want))
	}
	for _, v := range want {
		square += (float64(v) - mean) * (float64(v) - mean) / float64(len(want))
	}
	for i := range want {
		e := math.Abs(float64(got[i])-float64(want[i])) / math.Sqrt(square)
		if e > most || math.IsNaN(e) {
			most = e
		}
		rms += e * e / float64(len(want))
	}
	return math.Sqrt(rms), most
}
