package model

import (
	"strings"
	"testing"

	"peregrine/model/quant"
	"peregrine/model/tensor"
)

// inMemory is the smallest Llama: one layer, all sizes 2.
func inMemory(released *int) Memory {
	m := Memory{
		Name: "two",
		Config: []byte(`{"model_type": "llama", "hidden_size": 2, "num_hidden_layers": 1, "num_attention_heads": 1,
			"intermediate_size": 2, "vocab_size": 2, "tie_word_embeddings": true, "bos_token_id": null, "eos_token_id": null}`),
		Matrices: map[string]*quant.Matrix{}, Vectors: map[string]tensor.View{},
		Release: func() error { *released++; return nil },
	}
	for _, name := range []string{
		"model.embed_tokens", "model.layers.0.self_attn.q_proj", "model.layers.0.self_attn.k_proj", "model.layers.0.self_attn.v_proj",
		"model.layers.0.self_attn.o_proj", "model.layers.0.mlp.gate_proj", "model.layers.0.mlp.up_proj", "model.layers.0.mlp.down_proj",
	} {
		m.Matrices[name] = &quant.Matrix{Name: name, Format: quant.F16, Out: 2, In: 2, Data: make([]byte, 8)}
	}
	for _, name := range []string{"model.norm", "model.layers.0.input_layernorm", "model.layers.0.post_attention_layernorm"} {
		m.Vectors[name+".weight"] = tensor.View{DType: tensor.F32, Shape: []int{2}, Data: make([]byte, 8)}
	}
	return m
}

func TestModelInMemoryIsACheckpoint(t *testing.T) {
	released := 0
	c, err := OpenMemory(inMemory(&released))
	if err != nil {
		t.Fatal(err)
	}
	if c.Name != "two" || c.Quantization != "F16" || !c.Config.Tied || len(c.Tensors()) != 11 || c.FileBytes() != 11*8 {
		t.Errorf("got %q, %q, tied %v, %d tensors, %d bytes", c.Name, c.Quantization, c.Config.Tied, len(c.Tensors()), c.FileBytes())
	}
	for _, name := range []string{"model.norm.weight", "model.embed_tokens", "model.embed_tokens.weight"} {
		if m, err := c.Matrix(name); err != nil || m.In != 2 {
			t.Errorf("%s: got %v, %v", name, m, err)
		}
	}
	if _, err := c.Matrix("lm_head"); err == nil {
		t.Error("found a head that is not there")
	}
	if released != 0 {
		t.Error("released while it is open")
	}
	if err := c.Close(); err != nil || released != 1 {
		t.Errorf("got %v, released %d times", err, released)
	}
}

func TestModelInMemoryThatIsWrongIsRefusedAndReleased(t *testing.T) {
	for name, c := range map[string]struct {
		change func(m *Memory)
		want   string
	}{
		"no JSON":              {func(m *Memory) { m.Config = []byte("[") }, "not a JSON object"},
		"unknown architecture": {func(m *Memory) { m.Config = []byte(`{"model_type": "bert"}`) }, "bert"},
		"incomplete":           {func(m *Memory) { m.Config = []byte(`{"model_type": "llama"}`) }, "is missing"},
		"other quantisation": {func(m *Memory) {
			m.Config = []byte(strings.Replace(string(m.Config), "{", `{"quantization_config": {"quant_method": "awq"},`, 1))
		}, "awq"},
		"no matrix":    {func(m *Memory) { delete(m.Matrices, "model.layers.0.mlp.up_proj") }, `"model.layers.0.mlp.up_proj.weight" is missing`},
		"no norm":      {func(m *Memory) { delete(m.Vectors, "model.norm.weight") }, `"model.norm.weight" is missing`},
		"short matrix": {func(m *Memory) { m.Matrices["model.embed_tokens"].Data = make([]byte, 6) }, "not whole F16 rows"},
	} {
		t.Run(name, func(t *testing.T) {
			released := 0
			m := inMemory(&released)
			c.change(&m)
			if _, err := OpenMemory(m); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
			if released != 1 {
				t.Errorf("released %d times, want once", released)
			}
		})
	}
}
