package model_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"peregrine/model"
	"peregrine/model/backendtest"
	"peregrine/model/gguf"
	"peregrine/model/oracle"
)

// convert writes a fixture as GGUF the way llama.cpp's convert_hf_to_gguf.py does, in F32: names, Falcon's query_key_value as
// all queries, all keys, all values, and Llama's query and key rows in pairs.
func convert(t *testing.T, name string, extra map[string]any) string {
	t.Helper()
	c := backendtest.Open(t, name)
	tensors := map[string]func(*testing.T, *model.Checkpoint) []gguf.Tensor{
		"falcon": falconTensors, "llama": llamaTensors,
	}[c.Config.Architecture](t, c)
	path := filepath.Join(t.TempDir(), name+".gguf")
	keys := ggufKeys(c.Config)
	maps.Copy(keys, extra)
	backendtest.WriteGGUF(t, path, keys, tensors)
	return path
}

func ggufKeys(c model.Config) map[string]any {
	a := c.Architecture + "."
	keys := map[string]any{
		"general.architecture":                 c.Architecture,
		a + "embedding_length":                 uint32(c.Hidden),
		a + "block_count":                      uint32(c.Layers),
		a + "attention.head_count":             uint32(c.Heads),
		a + "attention.head_count_kv":          uint32(c.KVHeads),
		a + "feed_forward_length":              uint32(c.FFN),
		a + "context_length":                   uint32(c.MaxContext),
		a + "rope.freq_base":                   float32(c.Rope.Base),
		a + "attention.layer_norm_epsilon":     c.NormEps,
		a + "attention.layer_norm_rms_epsilon": c.NormEps,
		"tokenizer.ggml.bos_token_id":          uint32(1),
		"tokenizer.ggml.eos_token_id":          uint32(2),
	}
	if c.HeadDim*c.Heads != c.Hidden {
		keys[a+"attention.key_length"], keys[a+"attention.value_length"] = uint32(c.HeadDim), uint32(c.HeadDim)
	}
	return keys
}

// stored returns a weight of the source by name, its rows in the given order.
func stored(t *testing.T, c *model.Checkpoint, from, to string, rows []int) gguf.Tensor {
	t.Helper()
	m, err := c.Matrix(from)
	if err != nil {
		t.Fatal(err)
	}
	w := make([]float32, m.Out*m.In)
	m.Dequantize(w, 0, m.Out)
	out := gguf.Tensor{Name: to, Type: gguf.F32, Shape: []int{m.Out, m.In}}
	if m.Out == 1 {
		out.Shape = []int{m.In}
	}
	for n := range m.Out {
		from := n
		if rows != nil {
			from = rows[n]
		}
		for _, v := range w[from*m.In : (from+1)*m.In] {
			out.Data = binary.LittleEndian.AppendUint32(out.Data, math.Float32bits(v))
		}
	}
	return out
}

func falconTensors(t *testing.T, c *model.Checkpoint) []gguf.Tensor {
	t.Helper()
	config := c.Config
	group := config.Heads / config.KVHeads
	var rows []int // q | k | v, cut out of [kvHeads, group + 2, headDim]
	for _, slots := range [][]int{seq(0, group), {group}, {group + 1}} {
		for g := range config.KVHeads {
			for _, s := range slots {
				for i := range config.HeadDim {
					rows = append(rows, (g*(group+2)+s)*config.HeadDim+i)
				}
			}
		}
	}
	get := func(from, to string, rows []int) gguf.Tensor { return stored(t, c, from, to, rows) }
	tensors := []gguf.Tensor{
		get("transformer.word_embeddings", "token_embd.weight", nil),
		get("transformer.ln_f.weight", "output_norm.weight", nil), get("transformer.ln_f.bias", "output_norm.bias", nil),
	}
	if !config.Tied {
		tensors = append(tensors, get("lm_head", "output.weight", nil))
	}
	for i := range config.Layers {
		from, to := fmt.Sprintf("transformer.h.%d.", i), fmt.Sprintf("blk.%d.", i)
		norms := map[string]string{"input_layernorm": "attn_norm"}
		if c.Params.Layers[0].MLPNorm.Weight != nil {
			norms = map[string]string{"ln_mlp": "attn_norm", "ln_attn": "attn_norm_2"}
		}
		for f, g := range norms {
			tensors = append(tensors, get(from+f+".weight", to+g+".weight", nil), get(from+f+".bias", to+g+".bias", nil))
		}
		tensors = append(tensors,
			get(from+"self_attention.query_key_value", to+"attn_qkv.weight", rows),
			get(from+"self_attention.dense", to+"attn_output.weight", nil),
			get(from+"mlp.dense_h_to_4h", to+"ffn_up.weight", nil),
			get(from+"mlp.dense_4h_to_h", to+"ffn_down.weight", nil))
	}
	return tensors
}

func llamaTensors(t *testing.T, c *model.Checkpoint) []gguf.Tensor {
	t.Helper()
	config := c.Config
	// permute is reshape(heads, 2, D/2, in).swapaxes(1, 2) of the converter.
	permute := func(heads int) []int {
		var rows []int
		for h := range heads {
			for i := range config.HeadDim / 2 {
				rows = append(rows, h*config.HeadDim+i, h*config.HeadDim+config.HeadDim/2+i)
			}
		}
		return rows
	}
	get := func(from, to string, rows []int) gguf.Tensor { return stored(t, c, from, to+".weight", rows) }
	tensors := []gguf.Tensor{get("model.embed_tokens", "token_embd", nil), get("model.norm", "output_norm", nil)}
	if !config.Tied {
		tensors = append(tensors, get("lm_head", "output", nil))
	}
	for i := range config.Layers {
		from, to := fmt.Sprintf("model.layers.%d.", i), fmt.Sprintf("blk.%d.", i)
		tensors = append(tensors,
			get(from+"input_layernorm", to+"attn_norm", nil), get(from+"post_attention_layernorm", to+"ffn_norm", nil),
			get(from+"self_attn.q_proj", to+"attn_q", permute(config.Heads)),
			get(from+"self_attn.k_proj", to+"attn_k", permute(config.KVHeads)),
			get(from+"self_attn.v_proj", to+"attn_v", nil), get(from+"self_attn.o_proj", to+"attn_output", nil),
			get(from+"mlp.gate_proj", to+"ffn_gate", nil), get(from+"mlp.up_proj", to+"ffn_up", nil),
			get(from+"mlp.down_proj", to+"ffn_down", nil))
	}
	return tensors
}

func seq(lo, hi int) []int {
	var s []int
	for i := lo; i < hi; i++ {
		s = append(s, i)
	}
	return s
}

func logits(t *testing.T, c *model.Checkpoint, ids []int32) []float32 {
	t.Helper()
	out := &model.Output{Rows: len(ids), Logits: make([]float32, len(ids)*c.Config.Vocab)}
	if err := oracle.New(c.Params).Forward(context.Background(), ids, 0, out); err != nil {
		t.Fatal(err)
	}
	return out.Logits
}

func open(t *testing.T, path string) *model.Checkpoint {
	t.Helper()
	c, err := model.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return c
}

func TestOpenGGUFComputesWhatSafetensorsDoes(t *testing.T) {
	for _, name := range []string{"falcon-7b", "falcon-40b", "falcon-11b", "llama-falcon3", "llama-smollm2"} {
		t.Run(name, func(t *testing.T) {
			c := open(t, convert(t, name, nil))
			if c.Quantization != "F32" {
				t.Errorf("quantization is %q, want F32", c.Quantization)
			}
			p := backendtest.ReadGolden(t, name).Prompts[1]
			got := logits(t, c, p.IDs)
			for i, want := range p.Logits {
				if d := math.Abs(float64(got[i] - want)); !(d <= 1e-4) {
					t.Fatalf("logit %d of token %d: got %v, want %v", i%c.Config.Vocab, i/c.Config.Vocab, got[i], want)
				}
			}
		})
	}
}

func TestOpenGGUFRopeFrequencyFactors(t *testing.T) {
	base := open(t, convert(t, "llama-falcon3", nil))
	config := base.Config
	factors := gguf.Tensor{Name: "rope_freqs.weight", Type: gguf.F32, Shape: []int{config.HeadDim / 2}}
	for i := range config.HeadDim / 2 {
		factors.Data = binary.LittleEndian.AppendUint32(factors.Data, math.Float32bits(float32(1+i)))
	}
	path := filepath.Join(t.TempDir(), "m.gguf")
	backendtest.WriteGGUF(t, path, ggufKeys(config), append(llamaTensors(t, backendtest.Open(t, "llama-falcon3")), factors))
	c := open(t, path)
	plain, got := base.Config.Rope.InvFreq(config.HeadDim, 1), c.Config.Rope.InvFreq(config.HeadDim, 1)
	for i := range plain {
		if want := plain[i] / float64(1+i); math.Abs(got[i]-want) > 1e-12*want {
			t.Errorf("frequency %d is %v, want %v", i, got[i], want)
		}
	}
}

func TestOpenGGUFLinearRope(t *testing.T) {
	c := open(t, convert(t, "llama-falcon3", map[string]any{
		"llama.rope.scaling.type":   "linear",
		"llama.rope.scaling.factor": float32(4),
	}))
	if r := c.Config.Rope; r.Scaling != model.RopeLinear || r.Factor != 4 {
		t.Errorf("rope is %+v, want linear by 4", r)
	}
}

func TestOpenGGUFTokenizerSource(t *testing.T) {
	c := open(t, convert(t, "llama-falcon3", map[string]any{
		"tokenizer.ggml.tokens":            []string{"<unk>", "<s>", "</s>", "a"},
		"tokenizer.ggml.eot_token_id":      uint32(3),
		"tokenizer.chat_template":          "{{ messages }}",
		"tokenizer.chat_template.tool_use": "{{ tools }}",
	}))
	s := c.Tokenizer
	if s.GGUF == nil || s.ChatTemplate != "{{ messages }}" || s.NamedTemplates["tool_use"] != "{{ tools }}" || s.BOSToken != "<s>" || s.EOSToken != "</s>" {
		t.Errorf("tokenizer source is %+v", s)
	}
	if want := []int32{2, 3}; c.Config.BOS != 1 || !slices.Equal(c.Config.EOS, want) {
		t.Errorf("bos %d eos %v, want 1 and %v", c.Config.BOS, c.Config.EOS, want)
	}
}

// with returns metadata with one key changed, or taken away for a nil value.
func with(keys map[string]any, name string, value any) map[string]any {
	keys = maps.Clone(keys)
	keys[name] = value
	if value == nil {
		delete(keys, name)
	}
	return keys
}

func TestOpenGGUFRefuses(t *testing.T) {
	source := backendtest.Open(t, "llama-falcon3")
	keys, tensors := ggufKeys(source.Config), llamaTensors(t, source)
	without := func(name string) []gguf.Tensor {
		return slices.DeleteFunc(slices.Clone(tensors), func(t gguf.Tensor) bool { return t.Name == name })
	}
	for _, c := range []struct {
		name    string
		keys    map[string]any
		tensors []gguf.Tensor
		want    []string
	}{
		{"unknown architecture", with(keys, "general.architecture", "mamba"), tensors, []string{`"mamba"`, "falcon", "llama"}},
		{"no architecture", with(keys, "general.architecture", nil), tensors, []string{"general.architecture is missing"}},
		{"architecture that is a number", with(keys, "general.architecture", uint32(1)), tensors, []string{"general.architecture"}},
		{"yarn", with(keys, "llama.rope.scaling.type", "yarn"), tensors, []string{`"yarn"`, "linear"}},
		{"rope type that is a number", with(keys, "llama.rope.scaling.type", uint32(1)), tensors, []string{"rope.scaling.type", "u32 1"}},
		{"heads that are a string", with(keys, "llama.attention.head_count", "six"), tensors, []string{"attention.head_count", "six"}},
		{"heads per layer", with(keys, "llama.attention.head_count", []int32{6, 6}), tensors, []string{"attention.head_count", "array"}},
		{"no heads", with(keys, "llama.attention.head_count", uint32(0)), tensors, []string{"attention.head_count"}},
		{"no layers key", with(keys, "llama.block_count", nil), tensors, []string{"block_count", "missing"}},
		{"four billion layers", with(keys, "llama.block_count", uint32(math.MaxUint32)), tensors, []string{"block_count"}},
		{"more layers than tensors", with(keys, "llama.block_count", uint32(3)), tensors, []string{`"blk.2.attn_norm.weight" is missing`}},
		{"fewer layers than tensors", with(keys, "llama.block_count", uint32(1)), tensors, []string{"blk.1.", "no part of"}},
		{"another feed-forward size", with(keys, "llama.feed_forward_length", uint32(128)), tensors, []string{"blk.0.ffn_gate.weight", "[136, 96]", "[128, 96]"}},
		{"partial rotation", with(keys, "llama.rope.dimension_count", uint32(16)), tensors, []string{"rope.dimension_count", "16", "32"}},
		{"mixture of experts", with(keys, "llama.expert_count", uint32(8)), tensors, []string{"expert_count", "8"}},
		{"no embedding", keys, without("token_embd.weight"), []string{`"token_embd.weight" is missing`}},
		{"vocabulary of another size", with(keys, "llama.vocab_size", uint32(300)), tensors, []string{"vocab_size", "300", "301"}},
		{"more tokens than rows", with(keys, "tokenizer.ggml.tokens", make([]string, 302)), tensors, []string{"302", "301"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "bad.gguf")
			backendtest.WriteGGUF(t, path, c.keys, c.tensors)
			refused(t, path, append(c.want, path)...)
		})
	}
}

// refused opens path and wants a one-line error with all of want in it.
func refused(t *testing.T, path string, want ...string) {
	t.Helper()
	c, err := model.Open(path)
	if err == nil {
		t.Fatalf("opened as %s; want an error with %q", c.Quantization, want)
	}
	t.Log(err)
	if strings.ContainsAny(err.Error(), "\n") {
		t.Errorf("the error has more than one line: %v", err)
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("got error %q, want %q in it", err, w)
		}
	}
}
