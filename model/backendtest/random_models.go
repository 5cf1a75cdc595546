package backendtest

import (
	"fmt"
	"testing"

	"peregrine/model"
	"peregrine/model/oracle"
	"peregrine/model/quant"
	"peregrine/model/tensor"
)

// llama returns a configuration of Llama's kind; vocabulary and feed-forward size are odd where the format allows it.
func llama(hidden, heads, kvHeads, headDim int) model.Config {
	return model.Config{
		Architecture: "llama", Hidden: hidden, Layers: 2, Heads: heads, KVHeads: kvHeads, HeadDim: headDim, FFN: 192,
		Vocab: 131, MaxContext: 256, Norm: model.RMSNorm, NormEps: 1e-5, MLP: model.GatedSiLU,
		Rope: model.Rope{Base: 10000}, BOS: -1,
	}
}

// falcon returns a configuration of Falcon's kind.
func falcon(hidden, heads, kvHeads int) model.Config {
	return model.Config{
		Architecture: "falcon", Hidden: hidden, Layers: 2, Heads: heads, KVHeads: kvHeads, HeadDim: hidden / heads, FFN: 256,
		Vocab: 131, MaxContext: 256, Norm: model.LayerNorm, NormEps: 1e-5, MLP: model.GELU, Parallel: true, Tied: true,
		Rope: model.Rope{Base: 10000}, BOS: -1,
	}
}

type shape struct {
	name           string
	config         model.Config
	weights        Weights
	bias, twoNorms bool
}

func (s shape) params() *model.Params {
	return Random(uint64(len(s.name)), s.config, s.weights, s.bias, s.twoNorms)
}

func with(c model.Config, change func(*model.Config)) model.Config {
	change(&c)
	return c
}

// shapes are the ways in which a block can be put together, and sizes that fit no tile.
func shapes() []shape {
	f32, bf16 := Weights{Format: quant.F32}, Weights{Format: quant.BF16}
	rope := func(r model.Rope) model.Config {
		return with(llama(96, 6, 3, 32), func(c *model.Config) { c.Rope = r })
	}
	return []shape{
		{"sequential rms rotary gated", llama(96, 6, 2, 32), f32, false, false},
		{"biases everywhere in a gated model", llama(96, 3, 3, 32), f32, true, false},
		{"head size 128, larger than hidden/heads", llama(160, 2, 1, 128), bf16, false, false},
		{"head size 256", llama(64, 2, 1, 256), bf16, false, false},
		{"nine heads on three, head size 12, hidden 108", with(llama(108, 9, 3, 12), func(c *model.Config) { c.FFN = 153 }), f32, false, false},
		{"tied gated", with(llama(96, 6, 2, 64), func(c *model.Config) { c.Tied = true }), bf16, false, false},
		{"vocabulary of one more than a tile", with(llama(64, 2, 2, 32), func(c *model.Config) { c.Vocab = 257; c.Layers = 1 }), f32, false, false},
		{"linear rope", rope(model.Rope{Base: 10000, Scaling: model.RopeLinear, Factor: 4}), f32, false, false},
		{"dynamic rope below its context", rope(model.Rope{Base: 10000, Scaling: model.RopeDynamic, Factor: 2, OriginalContext: 256}), f32, false, false},
		{"dynamic rope past its context", rope(model.Rope{Base: 10000, Scaling: model.RopeDynamic, Factor: 4, OriginalContext: 16}), f32, false, false},
		{"llama3 rope", rope(model.Rope{
			Base: 500000, Scaling: model.RopeLlama3, Factor: 8, LowFreqFactor: 1, HighFreqFactor: 4, OriginalContext: 64,
		}), f32, false, false},
		{"rope frequency factors", rope(model.Rope{
			Base: 10000, FreqFactors: []float32{1, 1, 1, 1, 1.5, 2, 2, 3, 4, 4, 4, 8, 8, 8, 8, 8},
		}), f32, false, false},
		{"multi-query parallel, five heads of 32", falcon(160, 5, 1), bf16, false, false},
		{"multi-query parallel, hidden 80", falcon(80, 5, 1), f32, false, false},
		{"grouped parallel, two norms", falcon(96, 6, 2), bf16, false, true},
		{"grouped parallel, one norm, head size 128, untied", with(falcon(256, 2, 1), func(c *model.Config) { c.Tied = false }), bf16, false, false},
		{"parallel with biases", falcon(128, 2, 2), f32, true, false},
		{"alibi sequential biases, eight heads", with(falcon(128, 8, 8), alibi), f32, true, false},
		{"alibi, twelve heads: not a power of two", with(falcon(96, 12, 12), alibi), f32, true, false},
		{"alibi, grouped heads, sequential", with(falcon(96, 6, 2), alibi), bf16, false, false},
		{"alibi parallel two norms", with(falcon(96, 6, 2), func(c *model.Config) { alibi(c); c.Parallel = true }), f32, false, true},
		{"one layer, one head", with(falcon(32, 1, 1), func(c *model.Config) { c.Layers = 1 }), f32, false, false},
	}
}

func alibi(c *model.Config) {
	c.Positions, c.Rope, c.Parallel = model.ALiBi, model.Rope{}, false
}

func (s *suite) shapes(t *testing.T) {
	for _, shape := range shapes() {
		t.Run(shape.name, func(t *testing.T) { s.ofShape(t, shape) })
	}
}

// formats are all ways to store weights: the dense and block formats in a model of Llama's and one of Falcon's kind, GPTQ in
// one of the two by turns.
func (s *suite) formats(t *testing.T) {
	oneLayer := func(c *model.Config) { c.Layers = 1 }
	onLlama := func(name string, w Weights) {
		t.Run(name+"/llama", func(t *testing.T) {
			s.ofShape(t, shape{name: name, config: with(llama(160, 5, 1, 32), oneLayer), weights: w})
		})
	}
	onFalcon := func(name string, w Weights) {
		t.Run(name+"/falcon", func(t *testing.T) {
			s.ofShape(t, shape{name: name, config: with(falcon(192, 6, 2), oneLayer), weights: w, bias: true, twoNorms: true})
		})
	}
	for _, f := range []quant.Format{
		quant.F32, quant.F16, quant.BF16, quant.Q4_0, quant.Q4_1, quant.Q5_0, quant.Q5_1, quant.Q8_0,
	} {
		onLlama(f.String(), Weights{Format: f})
		onFalcon(f.String(), Weights{Format: f})
	}
	for _, f := range []quant.Format{quant.Q2_K, quant.Q3_K, quant.Q4_K, quant.Q5_K, quant.Q6_K} {
		s.super(t, f)
	}
	s.mixed(t)
	types := []tensor.DType{tensor.F16, tensor.BF16, tensor.F32}
	turn := 0
	for _, bits := range []int{2, 3, 4, 8} {
		for _, group := range []int{0, 32, 64, 128} { // 128 leaves the last group of 160 or 192 features short
			for _, act := range []bool{false, true} {
				if act && group == 0 {
					continue
				}
				w := Weights{Format: quant.GPTQFormat, Bits: bits, GroupSize: group, ActOrder: act}
				w.Zeros, w.Scales = quant.ZeroRule(turn%3), types[turn/3%3]
				name := fmt.Sprintf("GPTQ %d bit group %d act-order %v zeros %d scales %v", bits, group, act, w.Zeros, w.Scales)
				if turn%2 == 0 {
					onLlama(name, w)
				} else {
					onFalcon(name, w)
				}
				turn++
			}
		}
	}
}

// super is formats for a K-quant, whose rows are whole blocks of 256.
func (s *suite) super(t *testing.T, f quant.Format) {
	wide := func(c *model.Config) { c.Layers, c.FFN = 1, 512 }
	w := Weights{Format: f}
	t.Run(f.String()+"/llama", func(t *testing.T) {
		s.ofShape(t, shape{name: f.String(), config: with(llama(256, 8, 2, 32), wide), weights: w})
	})
	t.Run(f.String()+"/falcon", func(t *testing.T) {
		s.ofShape(t, shape{name: f.String(), config: with(falcon(256, 8, 2), wide), weights: w, bias: true, twoNorms: true})
	})
}

// mixed is formats for models whose matrices are stored in several, as most files of K-quants have them: Q4_K_M, for one, keeps values
// and down projections in six bits.
func (s *suite) mixed(t *testing.T) {
	wide := func(c *model.Config) { c.FFN = 512 }
	q6 := quant.Q6_K
	for seed, c := range []struct {
		name    string
		config  model.Config
		formats Formats
	}{
		{"Q4_K with Q6_K, as Q4_K_M", llama(256, 8, 2, 32), Except(quant.Q4_K, map[string]quant.Format{"value": q6, "down": q6, "head": q6})},
		{
			"three formats of one input", llama(256, 8, 2, 32),
			Except(quant.Q3_K, map[string]quant.Format{"query": quant.Q5_0, "value": quant.Q8_0, "gate": quant.Q4_1}),
		},
		{"parallel, down in six bits", falcon(256, 8, 2), Except(quant.Q4_K, map[string]quant.Format{"down": q6, "embed": quant.Q5_0})},
		{"parallel, half of it expanded", falcon(256, 8, 2), Except(quant.Q5_K, map[string]quant.Format{"down": quant.Q8_0, "qkv": quant.Q4_0})},
	} {
		t.Run("mixed/"+c.name, func(t *testing.T) {
			config := with(c.config, wide)
			s.againstOracle(t, config, func() *model.Params {
				return RandomMixed(uint64(seed), config, c.formats, config.Parallel, config.Parallel)
			})
		})
	}
}

func (s *suite) ofShape(t *testing.T, shape shape) { s.againstOracle(t, shape.config, shape.params) }

// againstOracle compares both modes with the oracle on prompts around the sizes at which backends change their way: one
// token, a few, and more than a batch, the last followed by single steps.
func (s *suite) againstOracle(t *testing.T, c model.Config, params func() *model.Params) {
	s.parallel(t)
	if s.opt.Only != nil && !s.opt.Only(c) {
		t.Skip("the backend's options leave this shape out")
	}
	const steps = 3
	p := params()
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	vocab := p.Config.Vocab
	prompts := [][]int32{RandomTokens(1, 1, vocab), RandomTokens(5, 5, vocab), RandomTokens(67, 67, vocab)}
	var references []reference
	for _, tokens := range prompts {
		references = append(references, s.reference(t, p, tokens))
	}
	// The steps' budget is their own: one fragile token among three weighs more than among 67.
	o, rounded := oracle.New(p), s.rounded(p)
	forward(t, o, vocab, prompts[2], 0)
	forward(t, rounded, vocab, prompts[2], 0)
	var exactSteps, roundedSteps []float32
	for i, id := range prompts[1][:steps] {
		exactSteps = append(exactSteps, forward(t, o, vocab, []int32{id}, len(prompts[2])+i)...)
		roundedSteps = append(roundedSteps, forward(t, rounded, vocab, []int32{id}, len(prompts[2])+i)...)
	}
	after := newReference(exactSteps, roundedSteps)
	for name, precision := range s.precisions() {
		t.Run(name, func(t *testing.T) {
			e := s.load(t, p, model.LoadOptions{Context: 96, Precision: precision})
			for i, tokens := range prompts {
				ref := references[i]
				ref.budgets[precision].check(t, fmt.Sprintf("%d tokens", len(tokens)), forward(t, e, vocab, tokens, 0), ref.exact, vocab)
			}
			var got []float32
			for i, id := range prompts[1][:steps] {
				got = append(got, forward(t, e, vocab, []int32{id}, len(prompts[2])+i)...)
			}
			after.budgets[precision].check(t, "single steps", got, after.exact, vocab)
		})
	}
}
