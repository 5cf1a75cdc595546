package model

import "fmt"

// Llama and the many models of its shape, Falcon3 and SmolLM2 among them: RMS norms, sequential blocks, rotary positions,
// grouped KV heads, gated SiLU. Source: transformers modeling_llama.py and configuration_llama.py.

var llamaArchitecture = architecture{
	name:       "llama",
	modelTypes: []string{"llama"},
	classes:    []string{"LlamaForCausalLM"},
	fromJSON:   llamaJSON,
	fromGGUF:   llamaGGUF,
}

// llamaNames are the modules of a Llama checkpoint in one container's words.
type llamaNames struct {
	embed, finalNorm, head string
	layer                  string // a format with the layer's number
	attnNorm, mlpNorm      string
	q, k, v, out           string
	gate, up, down         string
	attnBias, mlpBias      bool // those linears have biases
	pairs                  bool // query and key rows are in llama.cpp's order, see halves
}

func (n llamaNames) fill(b *builder, p *Params) {
	c := p.Config
	q, kv := c.Heads*c.HeadDim, c.KVHeads*c.HeadDim
	rows := func(heads int) func() []int32 {
		if !n.pairs {
			return nil
		}
		return func() []int32 { return halves(heads, c.HeadDim) }
	}
	b.vocabulary(p, n.embed, n.head)
	for i := 0; i < c.Layers && b.err == nil; i++ {
		at := fmt.Sprintf(n.layer, i)
		p.Layers = append(p.Layers, Layer{
			AttnNorm: b.norm(at + n.attnNorm),
			QKV: b.linear(c.Hidden, part{at + n.q, q, rows(c.Heads), n.attnBias},
				part{at + n.k, kv, rows(c.KVHeads), n.attnBias}, part{at + n.v, kv, nil, n.attnBias}),
			AttnOut: b.linear(q, part{at + n.out, c.Hidden, nil, n.attnBias}),
			MLPNorm: b.norm(at + n.mlpNorm),
			Up:      b.linear(c.Hidden, part{at + n.gate, c.FFN, nil, n.mlpBias}, part{at + n.up, c.FFN, nil, n.mlpBias}),
			Down:    b.linear(c.FFN, part{at + n.down, c.Hidden, nil, n.mlpBias}),
		})
	}
	p.FinalNorm = b.norm(n.finalNorm)
}

func llamaJSON(f *fields, _ string) (blueprint, error) {
	c := Config{
		Architecture: "llama", Norm: RMSNorm, MLP: GatedSiLU,
		Hidden:     f.required("hidden_size"),
		Layers:     f.required("num_hidden_layers"),
		Heads:      f.required("num_attention_heads"),
		FFN:        f.required("intermediate_size"),
		Vocab:      f.integer(32000, "vocab_size"),
		MaxContext: f.integer(2048, "max_position_embeddings"),
		NormEps:    float32(f.float(1e-6, "rms_norm_eps")),
		Tied:       f.boolean(false, "tie_word_embeddings"),
	}
	c.KVHeads = f.integer(c.Heads, "num_key_value_heads")
	if f.has("head_dim") {
		c.HeadDim = f.integer(0, "head_dim")
	} else if f.err == nil && (c.Heads == 0 || c.Hidden%c.Heads != 0) {
		f.fail("hidden_size", "%d is not a multiple of %d heads, and there is no head_dim", c.Hidden, c.Heads)
	} else if f.err == nil {
		c.HeadDim = c.Hidden / c.Heads
	}
	if act := f.text("silu", "hidden_act"); act != "silu" {
		f.fail("hidden_act", "%q is not supported; Llama computes silu", act)
	}
	if tp := f.integer(1, "pretraining_tp"); tp != 1 {
		f.fail("pretraining_tp", "is %d; weights cut for tensor parallelism are not supported", tp)
	}
	if f.boolean(false, "rope_interleaved") {
		f.fail("rope_interleaved", "rotation of neighbours is not supported, only of halves")
	}
	attnBias, mlpBias := f.boolean(false, "attention_bias"), f.boolean(false, "mlp_bias")
	c.Rope = f.rope(c.MaxContext)
	c.BOS, c.EOS = f.special(1), f.ids([]int32{2}, "eos_token_id")
	if f.err != nil {
		return blueprint{}, f.err
	}
	return blueprint{f.file, c, llamaNames{
		embed: "model.embed_tokens", finalNorm: "model.norm", head: "lm_head", layer: "model.layers.%d.",
		attnNorm: "input_layernorm", mlpNorm: "post_attention_layernorm",
		q: "self_attn.q_proj", k: "self_attn.k_proj", v: "self_attn.v_proj", out: "self_attn.o_proj",
		gate: "mlp.gate_proj", up: "mlp.up_proj", down: "mlp.down_proj",
		attnBias: attnBias, mlpBias: mlpBias,
	}.fill}, nil
}

// llamaGGUF reads the metadata that llama.cpp's converter writes. Its query and key rows are in another order (see halves).
func llamaGGUF(m *metadata) (blueprint, error) {
	c := Config{
		Architecture: "llama", Norm: RMSNorm, MLP: GatedSiLU, Tied: true,
		NormEps: float32(m.float("attention.layer_norm_rms_epsilon", 1e-5)),
	}
	m.common(&c)
	if experts := m.integer("expert_count", 0); experts > 0 {
		m.fail("expert_count", "is %d; mixtures of experts are not supported", experts)
	}
	if m.err != nil {
		return blueprint{}, m.err
	}
	return blueprint{m.src.Path(), c, llamaNames{
		embed: "token_embd", finalNorm: "output_norm", head: "output", layer: "blk.%d.",
		attnNorm: "attn_norm", mlpNorm: "ffn_norm",
		q: "attn_q", k: "attn_k", v: "attn_v", out: "attn_output",
		gate: "ffn_gate", up: "ffn_up", down: "ffn_down",
		pairs: true,
	}.fill}, nil
}

// halves returns the row order that undoes llama.cpp's reordering of a rotary projection: its converter stores each head's
// rows as pairs (i, i+D/2) side by side, for a rotation of neighbours; rotation of halves wants them apart again. Stored
// row h·D+2i+s becomes row h·D+s·D/2+i. Source: llama.cpp convert_hf_to_gguf.py, LlamaModel.permute.
func halves(heads, headDim int) []int32 {
	rows := make([]int32, 0, heads*headDim)
	for h := range heads {
		for s := range 2 {
			for i := range headDim / 2 {
				rows = append(rows, int32(h*headDim+2*i+s))
			}
		}
	}
	return rows
}
