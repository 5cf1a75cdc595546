package model

import "fmt"

// Falcon: RW-1B (ALiBi, sequential blocks, biases), 7B (multi-query, parallel, one norm), 40B and 180B (grouped KV heads,
// two norms in front of a parallel block), 11B (grouped, one norm, a head of its own).
// Source: transformers modeling_falcon.py and configuration_falcon.py, and text-generation-inference's flash_rw_modeling.py
// for the legacy names.

var falconArchitecture = architecture{
	name:       "falcon",
	modelTypes: []string{"falcon", "RefinedWeb", "RefinedWebModel"},
	classes:    []string{"FalconForCausalLM", "RWForCausalLM"},
	fromJSON:   falconJSON,
	fromGGUF:   falconGGUF,
}

// qkvLayout is how the rows of Falcon's fused query_key_value are stored.
type qkvLayout uint8

const (
	qkvGrouped     qkvLayout = iota // per KV head: its query heads, key, value
	qkvInterleaved                  // per head: query, key, value
	qkvInOrder                      // all queries, all keys, all values
)

// rows returns the order that makes a stored matrix all queries, all keys, all values; nil when it is so already.
func (l qkvLayout) rows(c Config) []int32 {
	d, group := c.HeadDim, c.Heads/c.KVHeads
	var slot func(kind, head int) int // which stored run of d rows holds query, key or value number head
	switch l {
	case qkvGrouped:
		slot = func(kind, head int) int {
			if kind == 0 {
				return head/group*(group+2) + head%group
			}
			return head*(group+2) + group + kind - 1
		}
	case qkvInterleaved:
		slot = func(kind, head int) int { return 3*head + kind }
	case qkvInOrder:
		return nil
	}
	rows := make([]int32, 0, (c.Heads+2*c.KVHeads)*d)
	for kind, heads := range []int{c.Heads, c.KVHeads, c.KVHeads} {
		for head := range heads {
			for i := range d {
				rows = append(rows, int32(slot(kind, head)*d+i))
			}
		}
	}
	return rows
}

// falconNames are the modules of a Falcon checkpoint in one container's words; mlpNorm is "" where there is none.
type falconNames struct {
	embed, finalNorm, head                string
	layer                                 string // a format with the layer's number
	attnNorm, mlpNorm, qkv, out, up, down string
	bias                                  bool // every linear has one
}

// fill lists Falcon's tensors.
func (n falconNames) fill(layout qkvLayout) func(b *builder, p *Params) {
	return func(b *builder, p *Params) {
		c := p.Config
		rows := func() []int32 { return layout.rows(c) }
		b.vocabulary(p, n.embed, n.head)
		for i := 0; i < c.Layers && b.err == nil; i++ {
			at := fmt.Sprintf(n.layer, i)
			l := Layer{
				AttnNorm: b.norm(at + n.attnNorm),
				QKV:      b.linear(c.Hidden, part{at + n.qkv, (c.Heads + 2*c.KVHeads) * c.HeadDim, rows, n.bias}),
				AttnOut:  b.linear(c.Heads*c.HeadDim, part{at + n.out, c.Hidden, nil, n.bias}),
				Up:       b.linear(c.Hidden, part{at + n.up, c.FFN, nil, n.bias}),
				Down:     b.linear(c.FFN, part{at + n.down, c.Hidden, nil, n.bias}),
			}
			if n.mlpNorm != "" {
				l.MLPNorm = b.norm(at + n.mlpNorm)
			}
			p.Layers = append(p.Layers, l)
		}
		p.FinalNorm = b.norm(n.finalNorm)
	}
}

// isLegacyFalcon says whether a model type is one of those that Falcon had before transformers knew it.
func isLegacyFalcon(modelType string) bool {
	return modelType == "RefinedWeb" || modelType == "RefinedWebModel"
}

// falconJSON reads a config.json in any of its three generations: RefinedWebModel (7B), RefinedWeb (40B), falcon.
func falconJSON(f *fields, modelType string) (blueprint, error) {
	legacy := isLegacyFalcon(modelType)
	c := Config{
		Architecture: "falcon", Norm: LayerNorm, MLP: GELU,
		Layers:     f.required("num_hidden_layers", "n_layer"),
		Heads:      f.required("num_attention_heads", "n_head"),
		Hidden:     f.required("n_embed", "hidden_size"),
		Vocab:      f.integer(65024, "vocab_size"),
		MaxContext: f.integer(2048, "max_position_embeddings"),
		NormEps:    float32(f.float(1e-5, "layer_norm_epsilon")),
		Tied:       f.boolean(true, "tie_word_embeddings"),
	}
	c.FFN = f.integer(min(4*c.Hidden, maxFFN+1), "ffn_hidden_size")
	grouped := f.boolean(f.has("n_head_kv") || modelType == "RefinedWeb", "new_decoder_architecture")
	multiQuery := f.boolean(!legacy, "multi_query")
	parallel := f.boolean(!legacy, "parallel_attn")
	c.Parallel = grouped || parallel
	if f.boolean(false, "alibi") {
		c.Positions = ALiBi
	}
	layout := qkvGrouped
	switch {
	case grouped:
		c.KVHeads = f.integer(c.Heads, "num_kv_heads", "n_head_kv")
	case multiQuery: // num_kv_heads says 71 in 7B's configuration and means nothing
		c.KVHeads = 1
	default:
		c.KVHeads, layout = c.Heads, qkvInterleaved
	}
	bias := f.boolean(false, "bias")
	norms := 1
	if grouped {
		norms = 2
	}
	norms = f.integer(norms, "num_ln_in_parallel_attn")
	if act := f.text("gelu", "activation"); act != "gelu" {
		f.fail("activation", "%q is not supported; Falcon computes gelu", act)
	}
	if norms != 1 && norms != 2 {
		f.fail("num_ln_in_parallel_attn", "is %d; want 1 or 2", norms)
	}
	c.Rope = f.rope(c.MaxContext)
	c.BOS, c.EOS = f.special(11), f.ids([]int32{11}, "eos_token_id")
	if f.err == nil && (c.Heads == 0 || c.Hidden%c.Heads != 0) {
		f.fail("hidden_size", "%d is not a multiple of %d heads", c.Hidden, c.Heads)
	}
	if f.err != nil {
		return blueprint{}, f.err
	}
	c.HeadDim = c.Hidden / c.Heads
	names := falconNames{
		embed: "transformer.word_embeddings", finalNorm: "transformer.ln_f", head: "lm_head", layer: "transformer.h.%d.",
		qkv: "self_attention.query_key_value", out: "self_attention.dense", up: "mlp.dense_h_to_4h", down: "mlp.dense_4h_to_h",
		attnNorm: "input_layernorm", bias: bias,
	}
	switch {
	case !c.Parallel:
		names.mlpNorm = "post_attention_layernorm"
	case norms == 2:
		names.attnNorm, names.mlpNorm = "ln_attn", "ln_mlp"
	}
	return blueprint{f.file, c, names.fill(layout)}, nil
}

// falconGGUF reads the metadata that llama.cpp's converter writes. It knows parallel blocks with rotary positions only; its
// attn_norm is what the MLP reads, and attn_norm_2, where there is one, what attention reads.
// Source: llama.cpp build_falcon and FalconModel.
func falconGGUF(m *metadata) (blueprint, error) {
	c := Config{
		Architecture: "falcon", Norm: LayerNorm, MLP: GELU, Parallel: true, Tied: true,
		NormEps: float32(m.float("attention.layer_norm_epsilon", 1e-5)),
	}
	m.common(&c)
	if m.err != nil {
		return blueprint{}, m.err
	}
	names := falconNames{
		embed: "token_embd", finalNorm: "output_norm", head: "output", layer: "blk.%d.",
		qkv: "attn_qkv", out: "attn_output", up: "ffn_up", down: "ffn_down", attnNorm: "attn_norm",
	}
	if m.src.has("blk.0.attn_norm_2.weight") {
		names.attnNorm, names.mlpNorm = "attn_norm_2", "attn_norm"
	}
	return blueprint{m.src.Path(), c, names.fill(qkvInOrder)}, nil
}
