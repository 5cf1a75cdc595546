package model

import (
	"fmt"
	"math"
	"slices"

	"peregrine/model/gguf"
)

// rope reads rotary parameters in their three spellings: rope_theta with rope_scaling {"type" or "rope_type"}, and
// rope_parameters, which transformers 5 writes instead. context is max_position_embeddings, from which dynamic scaling
// counts.
func (f *fields) rope(context int) Rope {
	parameters := f.object("rope_parameters")
	scaling := f.object("rope_scaling")
	where := "rope_scaling"
	if scaling.raw == nil {
		scaling, where = parameters, "rope_parameters"
	}
	r := Rope{Base: f.float(parameters.float(10000, "rope_theta"), "rope_theta")}
	kind := scaling.text("", "rope_type", "type")
	if kind == "" && len(scaling.raw) > 0 && where == "rope_scaling" {
		f.fail(where, "has no rope_type")
	}
	switch kind {
	case "", "default":
	case "linear":
		r.Scaling = RopeLinear
	case "dynamic":
		r.Scaling, r.OriginalContext = RopeDynamic, context
	case "llama3":
		r.Scaling = RopeLlama3
		r.LowFreqFactor = scaling.float(0, "low_freq_factor")
		r.HighFreqFactor = scaling.float(0, "high_freq_factor")
		r.OriginalContext = scaling.required("original_max_position_embeddings")
	default:
		f.fail(where, "rope type %q is not supported; supported are default, linear, dynamic, llama3", kind)
	}
	if r.Scaling != RopeDefault {
		if !scaling.has("factor") {
			f.fail(where, "has no factor")
		}
		r.Factor = scaling.float(0, "factor")
	}
	for _, part := range []*fields{f, parameters, scaling} {
		if p := part.float(1, "partial_rotary_factor"); p != 1 {
			f.fail("partial_rotary_factor", "is %v; rotation of a part of each head is not supported", p)
		}
	}
	for _, part := range []*fields{parameters, scaling} {
		if f.err == nil {
			f.err = part.err
		}
	}
	return r
}

// special returns bos_token_id: def when it is not said, −1 when it is null.
func (f *fields) special(def int32) int32 {
	if ids := f.ids([]int32{def}, "bos_token_id"); len(ids) > 0 {
		return ids[0]
	}
	return -1
}

// metadata reads a GGUF file's keys below its architecture's name. Like fields it remembers the first problem.
type metadata struct {
	src  ggufFile
	arch string
	err  error
}

// absent is how gguf describes a key that is not there.
const absent = "absent"

func (m *metadata) fail(key, format string, args ...any) {
	if m.err == nil {
		m.err = fmt.Errorf("model: %s: metadata %s.%s: %s", m.src.Path(), m.arch, key, fmt.Sprintf(format, args...))
	}
}

func (m *metadata) integer(key string, def int) int {
	full := m.arch + "." + key
	v, ok := m.src.Int(full)
	if !ok {
		if d := m.src.Describe(full); d != absent {
			m.fail(key, "is %s; want a whole number", d)
		}
		return def
	}
	if v < 0 || v > math.MaxInt32 {
		m.fail(key, "is %d; want 0 to %d", v, math.MaxInt32)
		return def
	}
	return int(v)
}

func (m *metadata) required(key string) int {
	v := m.integer(key, -1)
	if v < 0 {
		m.fail(key, "is missing; the file is not a complete model")
		return 0
	}
	return v
}

func (m *metadata) float(key string, def float64) float64 {
	full := m.arch + "." + key
	v, ok := m.src.Float(full)
	if !ok {
		if d := m.src.Describe(full); d != absent {
			m.fail(key, "is %s; want a number", d)
		}
		return def
	}
	return v
}

// common reads what the architectures share, and the vocabulary from the embedding.
func (m *metadata) common(c *Config) {
	c.Hidden = m.required("embedding_length")
	c.Layers = m.required("block_count")
	c.Heads = m.required("attention.head_count")
	c.KVHeads = m.integer("attention.head_count_kv", c.Heads)
	c.FFN = m.required("feed_forward_length")
	c.MaxContext = m.required("context_length")
	if m.err == nil && c.Heads == 0 {
		m.fail("attention.head_count", "is 0")
	}
	if m.err != nil {
		return
	}
	c.HeadDim = m.integer("attention.key_length", c.Hidden/c.Heads)
	for _, key := range []string{"attention.value_length", "rope.dimension_count"} {
		if v := m.integer(key, c.HeadDim); v != c.HeadDim {
			m.fail(key, "is %d; only the head size, %d, is supported", v, c.HeadDim)
		}
	}
	m.vocabulary(c)
	m.rope(c)
}

// vocabulary takes the size from the embedding, whose rows are what ids index, and the special tokens.
func (m *metadata) vocabulary(c *Config) {
	embed, ok := m.src.Tensor("token_embd.weight")
	if !ok || len(embed.Shape) != 2 {
		if m.err == nil {
			m.err = missing(m.src, "token_embd.weight")
		}
		return
	}
	c.Vocab = embed.Shape[0]
	if v := m.integer("vocab_size", c.Vocab); v != c.Vocab {
		m.fail("vocab_size", "is %d, but tensor %q has %d rows", v, embed.Name, c.Vocab)
	}
	if tokens, ok := m.src.Strings("tokenizer.ggml.tokens"); ok && len(tokens) > c.Vocab && m.err == nil {
		m.err = fmt.Errorf("model: %s: the tokenizer has %d tokens, but tensor %q has %d rows; vocabulary and weights do not belong together",
			m.src.Path(), len(tokens), embed.Name, c.Vocab)
	}
	c.BOS = -1
	if id, ok := m.src.Int("tokenizer.ggml.bos_token_id"); ok && id >= 0 && id < int64(c.Vocab) {
		c.BOS = int32(id)
	}
	for _, key := range []string{"eos", "eot"} {
		id, ok := m.src.Int("tokenizer.ggml." + key + "_token_id")
		if ok && id >= 0 && id < int64(c.Vocab) && !slices.Contains(c.EOS, int32(id)) {
			c.EOS = append(c.EOS, int32(id))
		}
	}
}

// ropeFactors is the tensor that divides rotary frequencies.
const ropeFactors = "rope_freqs.weight"

// rope reads rotary parameters. llama.cpp knows linear scaling, by an old and a new key, and yarn; the stretched frequencies
// of Llama 3 come as a tensor of factors.
func (m *metadata) rope(c *Config) {
	c.Rope.Base = m.float("rope.freq_base", 10000)
	factor := m.float("rope.scale_linear", 0)
	factor = m.float("rope.scaling.factor", factor)
	kind := "linear"
	if s, ok := m.src.String(m.arch + ".rope.scaling.type"); ok {
		kind = s
	} else if d := m.src.Describe(m.arch + ".rope.scaling.type"); d != absent {
		m.fail("rope.scaling.type", "is %s; want a string", d)
	}
	switch kind {
	case "none":
	case "linear":
		if factor != 0 && factor != 1 {
			c.Rope.Scaling, c.Rope.Factor = RopeLinear, factor
		}
	default:
		m.fail("rope.scaling.type", "rope type %q is not supported; supported are none, linear", kind)
	}
	if m.err != nil || !m.src.has(ropeFactors) {
		return
	}
	v, err := vector(m.src, ropeFactors)
	if err != nil {
		m.err = err
		return
	}
	c.Rope.FreqFactors = v
}

// architectureOfGGUF finds the family that general.architecture names.
func architectureOfGGUF(f *gguf.File) (*architecture, error) {
	name, ok := f.String("general.architecture")
	if !ok {
		return nil, fmt.Errorf("model: %s: metadata general.architecture is missing; the file is not a model", f.Path())
	}
	for i, a := range architectures {
		if a.name == name {
			return &architectures[i], nil
		}
	}
	return nil, fmt.Errorf("model: %s: architecture %q is not supported; supported are %s", f.Path(), name, supported())
}
