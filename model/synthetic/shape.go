package synthetic

import (
	"fmt"
	"strings"
)

// Shape is the size of a model and how its blocks are put together.
type Shape struct {
	Name    string
	Layers  int
	Hidden  int
	Heads   int
	KVHeads int
	HeadDim int
	FFN     int
	Vocab   int
	Context int
	Tied    bool
	Rope    float64 // base; 0: ALiBi
	Eps     float64 // of the norms
	BOS     int
	EOS     int
	Falcon  *Falcon // nil: of Llama's kind
}

// Falcon is what the generations of Falcon differ in.
type Falcon struct {
	Grouped    bool // new_decoder_architecture: grouped KV heads; else one KV head for all, or one for each
	Norms      int  // in front of a parallel block
	Sequential bool
	Bias       bool // on all four linear layers
}

// The published shapes. Sources: config.json of tiiuae's falcon-rw-1b, 7b, 40b, 180B, 11B and Falcon3-*-Base, of
// HuggingFaceTB's SmolLM2-135M. The tiny ones are ours, for tests.
var shapes = []Shape{
	{
		Name: "falcon-rw-1b", Layers: 24, Hidden: 2048, Heads: 32, KVHeads: 32, HeadDim: 64, FFN: 8192, Vocab: 50304, Context: 2048,
		Tied: true, Eps: 1e-5, BOS: 1, EOS: 2, Falcon: &Falcon{Norms: 1, Sequential: true, Bias: true},
	},
	{
		Name: "falcon-7b", Layers: 32, Hidden: 4544, Heads: 71, KVHeads: 1, HeadDim: 64, FFN: 18176, Vocab: 65024, Context: 2048,
		Tied: true, Rope: 1e4, Eps: 1e-5, BOS: 11, EOS: 11, Falcon: &Falcon{Norms: 1},
	},
	{
		Name: "falcon-40b", Layers: 60, Hidden: 8192, Heads: 128, KVHeads: 8, HeadDim: 64, FFN: 32768, Vocab: 65024, Context: 2048,
		Tied: true, Rope: 1e4, Eps: 1e-5, BOS: 11, EOS: 11, Falcon: &Falcon{Grouped: true, Norms: 2},
	},
	{
		Name: "falcon-180b", Layers: 80, Hidden: 14848, Heads: 232, KVHeads: 8, HeadDim: 64, FFN: 59392, Vocab: 65024, Context: 2048,
		Tied: true, Rope: 1e4, Eps: 1e-5, BOS: 11, EOS: 11, Falcon: &Falcon{Grouped: true, Norms: 2},
	},
	{
		Name: "falcon-11b", Layers: 60, Hidden: 4096, Heads: 32, KVHeads: 8, HeadDim: 128, FFN: 16384, Vocab: 65024, Context: 8192,
		Rope: 500042, Eps: 1e-5, BOS: 11, EOS: 11, Falcon: &Falcon{Grouped: true, Norms: 1},
	},
	{
		Name: "falcon3-1b", Layers: 18, Hidden: 2048, Heads: 8, KVHeads: 4, HeadDim: 256, FFN: 8192, Vocab: 131072, Context: 8192,
		Rope: 1000042, Eps: 1e-6, BOS: 1, EOS: 11,
	},
	{
		Name: "falcon3-3b", Layers: 22, Hidden: 3072, Heads: 12, KVHeads: 4, HeadDim: 256, FFN: 9216, Vocab: 131072, Context: 32768,
		Rope: 1000042, Eps: 1e-6, BOS: 11, EOS: 11,
	},
	{
		Name: "falcon3-7b", Layers: 28, Hidden: 3072, Heads: 12, KVHeads: 4, HeadDim: 256, FFN: 23040, Vocab: 131072, Context: 32768,
		Rope: 1000042, Eps: 1e-6, BOS: 11, EOS: 11,
	},
	{
		Name: "falcon3-10b", Layers: 40, Hidden: 3072, Heads: 12, KVHeads: 4, HeadDim: 256, FFN: 23040, Vocab: 131072, Context: 32768,
		Rope: 1000042, Eps: 1e-6, BOS: 11, EOS: 11,
	},
	{
		Name: "smollm2-135m", Layers: 30, Hidden: 576, Heads: 9, KVHeads: 3, HeadDim: 64, FFN: 1536, Vocab: 49152, Context: 8192,
		Tied: true, Rope: 1e5, Eps: 1e-5, BOS: 1, EOS: 2,
	},
	{
		Name: "tiny-falcon", Layers: 2, Hidden: 128, Heads: 8, KVHeads: 2, HeadDim: 16, FFN: 512, Vocab: 320, Context: 256,
		Tied: true, Rope: 1e4, Eps: 1e-5, BOS: 11, EOS: 11, Falcon: &Falcon{Grouped: true, Norms: 2},
	},
	{
		Name: "tiny-llama", Layers: 2, Hidden: 96, Heads: 3, KVHeads: 1, HeadDim: 64, FFN: 256, Vocab: 320, Context: 256,
		Rope: 1e4, Eps: 1e-6, BOS: 1, EOS: 2,
	},
}

// Names lists the shapes, smaller generations first.
func Names() []string {
	names := make([]string, len(shapes))
	for i, s := range shapes {
		names[i] = s.Name
	}
	return names
}

// Find returns the shape of that name, in any case of its letters.
func Find(name string) (Shape, error) {
	for _, s := range shapes {
		if strings.EqualFold(s.Name, name) {
			return s, nil
		}
	}
	return Shape{}, fmt.Errorf("synthetic: no shape is called %q; there are %s", name, strings.Join(Names(), ", "))
}

// linear is one weight matrix of a shape.
type linear struct {
	module  string
	out, in int
	input   string // matrices that read the same input share their act-order
	bias    bool
	outer   bool // embedding or head: never quantised by GPTQ
}

// norm is one normalisation of a shape.
type norm struct {
	module string
	bias   bool
}

// parts lists what a checkpoint of the shape holds, in the words of its architecture.
func (s Shape) parts() ([]linear, []norm) {
	if s.Falcon != nil {
		return s.falconParts()
	}
	q, kv := s.Heads*s.HeadDim, s.KVHeads*s.HeadDim
	linears := []linear{{module: "model.embed_tokens", out: s.Vocab, in: s.Hidden, outer: true}}
	var norms []norm
	for i := range s.Layers {
		at := fmt.Sprintf("model.layers.%d.", i)
		for _, l := range []linear{
			{module: "self_attn.q_proj", out: q, in: s.Hidden, input: "attention"},
			{module: "self_attn.k_proj", out: kv, in: s.Hidden, input: "attention"},
			{module: "self_attn.v_proj", out: kv, in: s.Hidden, input: "attention"},
			{module: "self_attn.o_proj", out: s.Hidden, in: q, input: "heads"},
			{module: "mlp.gate_proj", out: s.FFN, in: s.Hidden, input: "mlp"},
			{module: "mlp.up_proj", out: s.FFN, in: s.Hidden, input: "mlp"},
			{module: "mlp.down_proj", out: s.Hidden, in: s.FFN, input: "activations"},
		} {
			l.module, l.input = at+l.module, at+l.input
			linears = append(linears, l)
		}
		norms = append(norms, norm{at + "input_layernorm", false}, norm{at + "post_attention_layernorm", false})
	}
	if !s.Tied {
		linears = append(linears, linear{module: "lm_head", out: s.Vocab, in: s.Hidden, outer: true})
	}
	return linears, append(norms, norm{"model.norm", false})
}

func (s Shape) falconParts() ([]linear, []norm) {
	q := s.Heads * s.HeadDim
	linears := []linear{{module: "transformer.word_embeddings", out: s.Vocab, in: s.Hidden, outer: true}}
	var norms []norm
	names := []string{"input_layernorm"}
	switch {
	case s.Falcon.Sequential:
		names = append(names, "post_attention_layernorm")
	case s.Falcon.Norms == 2:
		names = []string{"ln_attn", "ln_mlp"}
	}
	for i := range s.Layers {
		at := fmt.Sprintf("transformer.h.%d.", i)
		for _, l := range []linear{
			{module: "self_attention.query_key_value", out: q + 2*s.KVHeads*s.HeadDim, in: s.Hidden},
			{module: "self_attention.dense", out: s.Hidden, in: q},
			{module: "mlp.dense_h_to_4h", out: s.FFN, in: s.Hidden},
			{module: "mlp.dense_4h_to_h", out: s.Hidden, in: s.FFN},
		} {
			l.module, l.bias = at+l.module, s.Falcon.Bias
			l.input = l.module
			linears = append(linears, l)
		}
		for _, name := range names {
			norms = append(norms, norm{at + name, true})
		}
	}
	if !s.Tied {
		linears = append(linears, linear{module: "lm_head", out: s.Vocab, in: s.Hidden, outer: true})
	}
	return linears, append(norms, norm{"transformer.ln_f", true})
}
