package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
)

// Stored is one module of a transformers checkpoint whose weights are rows of a Linear.
type Stored struct {
	Module string  // such as "model.layers.0.self_attn.q_proj"
	Lo, Hi int     // its rows among the Linear's
	Rows   []int32 // its row n is row Rows[n] of the Linear; nil: Lo + n
}

// StoredLayer names the modules of one block.
type StoredLayer struct {
	AttnNorm, MLPNorm string // MLPNorm is "" where the block has none
	QKV, AttnOut      []Stored
	Up, Down          []Stored
}

// StoredNames are the modules of a model as transformers calls them, and so AutoGPTQ, whatever container it came from.
type StoredNames struct {
	Embed, FinalNorm, Head string
	Layers                 []StoredLayer
}

// StoredNames returns what the model's tensors are called in a safetensors checkpoint.
func (p *Params) StoredNames() StoredNames {
	c := p.Config
	falcon := c.Architecture == falconArchitecture.name
	n := StoredNames{Embed: "model.embed_tokens", FinalNorm: "model.norm", Head: "lm_head"}
	var rows []int32
	if falcon {
		n.Embed, n.FinalNorm = "transformer.word_embeddings", "transformer.ln_f"
		// With one KV head or as many as query heads the grouped layout is that of the older models.
		stored := qkvGrouped.rows(c)
		rows = make([]int32, len(stored))
		for at, row := range stored {
			rows[row] = int32(at)
		}
	}
	for i := range p.Layers {
		if falcon {
			n.Layers = append(n.Layers, falconStored(c, i, &p.Layers[i], rows))
		} else {
			n.Layers = append(n.Layers, llamaStored(c, i))
		}
	}
	return n
}

func llamaStored(c Config, i int) StoredLayer {
	at := fmt.Sprintf("model.layers.%d.", i)
	q, kv := c.Heads*c.HeadDim, c.KVHeads*c.HeadDim
	return StoredLayer{
		AttnNorm: at + "input_layernorm", MLPNorm: at + "post_attention_layernorm",
		QKV: []Stored{
			{Module: at + "self_attn.q_proj", Hi: q},
			{Module: at + "self_attn.k_proj", Lo: q, Hi: q + kv},
			{Module: at + "self_attn.v_proj", Lo: q + kv, Hi: q + 2*kv},
		},
		AttnOut: []Stored{{Module: at + "self_attn.o_proj", Hi: c.Hidden}},
		Up:      []Stored{{Module: at + "mlp.gate_proj", Hi: c.FFN}, {Module: at + "mlp.up_proj", Lo: c.FFN, Hi: 2 * c.FFN}},
		Down:    []Stored{{Module: at + "mlp.down_proj", Hi: c.Hidden}},
	}
}

func falconStored(c Config, i int, l *Layer, rows []int32) StoredLayer {
	at := fmt.Sprintf("transformer.h.%d.", i)
	s := StoredLayer{
		AttnNorm: at + "input_layernorm",
		QKV:      []Stored{{Module: at + "self_attention.query_key_value", Hi: len(rows), Rows: rows}},
		AttnOut:  []Stored{{Module: at + "self_attention.dense", Hi: c.Hidden}},
		Up:       []Stored{{Module: at + "mlp.dense_h_to_4h", Hi: c.FFN}},
		Down:     []Stored{{Module: at + "mlp.dense_4h_to_h", Hi: c.Hidden}},
	}
	switch {
	case !c.Parallel:
		s.MLPNorm = at + "post_attention_layernorm"
	case l.MLPNorm.Weight != nil:
		s.AttnNorm, s.MLPNorm = at+"ln_attn", at+"ln_mlp"
	}
	return s
}

// Files returns the paths of the files that the weights lie in, sorted.
func (c *Checkpoint) Files() []string {
	seen := map[string]bool{}
	for _, name := range c.src.names() {
		seen[c.src.where(name)] = true
	}
	return slices.Sorted(maps.Keys(seen))
}

// Folder returns the folder of a safetensors checkpoint, with its configuration and tokenizer; "" for a GGUF file and for a
// model in memory.
func (c *Checkpoint) Folder() string {
	if s, ok := c.src.(stFiles); ok {
		return filepath.Dir(s.Path())
	}
	return ""
}

// ConfigJSON returns what the config.json of a transformers checkpoint of this model holds, by key: the model's own, or one made
// of a GGUF file's metadata, or of one of Falcon's first configurations, whose model types only their own Python files explain.
// What names such files is left out. It refuses what config.json has no words for.
func (c *Checkpoint) ConfigJSON() (map[string]json.RawMessage, error) {
	var f *fields
	var err error
	switch s := c.src.(type) {
	case stFiles:
		f, err = readFields(filepath.Join(filepath.Dir(s.Path()), "config.json"))
	case memory:
		f, err = parseFields(s.Name+": config.json", s.Config)
	}
	if err != nil {
		return nil, err
	}
	if f != nil {
		delete(f.raw, "auto_map")
		if modelType := f.text("", "model_type"); f.err != nil || !isLegacyFalcon(modelType) {
			return f.raw, f.err
		}
	}
	values, err := c.madeConfig()
	if err != nil {
		return nil, fmt.Errorf("model: %s: %w", c.Path, err)
	}
	made := map[string]json.RawMessage{}
	for key, v := range values {
		if made[key], err = json.Marshal(v); err != nil {
			return nil, fmt.Errorf("model: %s: %s: %w", c.Path, key, err)
		}
	}
	return made, nil
}

// madeConfig says a configuration in transformers' words.
func (c *Checkpoint) madeConfig() (map[string]any, error) {
	m := c.Config
	v := map[string]any{
		"vocab_size": m.Vocab, "hidden_size": m.Hidden, "num_hidden_layers": m.Layers, "num_attention_heads": m.Heads,
		"max_position_embeddings": m.MaxContext, "tie_word_embeddings": m.Tied, "use_cache": true,
		"bos_token_id": nil, "eos_token_id": nil,
	}
	if m.BOS >= 0 {
		v["bos_token_id"] = m.BOS
	}
	switch len(m.EOS) {
	case 0:
	case 1:
		v["eos_token_id"] = m.EOS[0]
	default:
		v["eos_token_id"] = m.EOS
	}
	if err := madeRope(m, v); err != nil {
		return nil, err
	}
	var attnBias, mlpBias bool
	for i := range c.Params.Layers {
		l := &c.Params.Layers[i]
		attnBias = attnBias || l.QKV.Bias != nil || l.AttnOut.Bias != nil
		mlpBias = mlpBias || l.Up.Bias != nil || l.Down.Bias != nil
	}
	if m.Architecture == llamaArchitecture.name {
		v["model_type"], v["architectures"] = "llama", []string{"LlamaForCausalLM"}
		v["hidden_act"], v["rms_norm_eps"], v["intermediate_size"] = "silu", shortest(m.NormEps), m.FFN
		v["num_key_value_heads"], v["head_dim"] = m.KVHeads, m.HeadDim
		v["attention_bias"], v["mlp_bias"] = attnBias, mlpBias
		return v, nil
	}
	return v, madeFalcon(m, c.Params.Layers[0].MLPNorm.Weight != nil, attnBias || mlpBias, v)
}

// madeFalcon adds what Falcon's configurations say; twoNorms means that a block has two.
func madeFalcon(m Config, twoNorms, bias bool, v map[string]any) error {
	norms := m.Parallel && twoNorms
	grouped := m.Parallel && (norms || m.KVHeads > 1 && m.KVHeads < m.Heads)
	if !grouped && m.KVHeads != 1 && m.KVHeads != m.Heads {
		return fmt.Errorf("%d KV heads of %d in a sequential block: config.json has no words for that", m.KVHeads, m.Heads)
	}
	v["model_type"], v["architectures"] = "falcon", []string{"FalconForCausalLM"}
	v["activation"], v["layer_norm_epsilon"], v["ffn_hidden_size"] = "gelu", shortest(m.NormEps), m.FFN
	v["alibi"], v["bias"], v["parallel_attn"] = m.Positions == ALiBi, bias, m.Parallel
	v["new_decoder_architecture"], v["multi_query"], v["num_kv_heads"] = grouped, grouped || m.KVHeads == 1, m.KVHeads
	if grouped {
		v["num_ln_in_parallel_attn"] = map[bool]int{true: 2, false: 1}[norms]
	}
	return nil
}

func madeRope(m Config, v map[string]any) error {
	r := m.Rope
	v["rope_theta"], v["rope_scaling"] = r.Base, nil
	switch {
	case r.FreqFactors != nil:
		l, ok := llama3Of(r, m.HeadDim)
		if !ok {
			return fmt.Errorf("tensor %q: config.json has no words for these rope factors, which are not Llama 3's; quantise from the safetensors checkpoint", ropeFactors)
		}
		if l.Factor != 1 {
			v["rope_scaling"] = map[string]any{
				"rope_type": "llama3", "factor": l.Factor, "low_freq_factor": l.LowFreqFactor, "high_freq_factor": l.HighFreqFactor,
				"original_max_position_embeddings": l.OriginalContext,
			}
		}
	case r.Scaling == RopeLinear:
		v["rope_scaling"] = map[string]any{"type": "linear", "factor": r.Factor}
	case r.Scaling != RopeDefault:
		return errors.New("rope scaling: config.json cannot be made from this file; quantise from the safetensors checkpoint")
	}
	return nil
}

// llama3Of returns the scaling that gives the factors of a file, with the settings that every Llama 3 has: 3.1 to 3.3 differ in
// Factor alone, which is that of the longest waves. It is false when a single factor is another.
// Source: ggml-org/llama.cpp convert_hf_to_gguf.py, LlamaModel.generate_extra_tensors.
func llama3Of(r Rope, headDim int) (Rope, bool) {
	if r.Scaling != RopeDefault || len(r.FreqFactors) != headDim/2 || len(r.FreqFactors) == 0 {
		return Rope{}, false
	}
	l := Rope{Base: r.Base, Scaling: RopeLlama3, LowFreqFactor: 1, HighFreqFactor: 4, OriginalContext: 8192}
	l.Factor = float64(slices.Max(r.FreqFactors))
	got, want := r.InvFreq(headDim, 1), l.InvFreq(headDim, 1)
	for i := range got {
		// The converter takes wavelengths in float32; blending by 1 to Factor multiplies their rounding by Factor at most.
		if !(math.Abs(got[i]/want[i]-1) <= 4*l.Factor*0x1p-24) {
			return Rope{}, false
		}
	}
	return l, l.Factor >= 1
}

// shortest returns the float64 with the fewest digits that is v in float32.
func shortest(v float32) json.Number { return json.Number(fmt.Sprint(v)) }
