package model_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"peregrine/model"
	"peregrine/model/backendtest"
	"peregrine/model/gguf"
)

// tinyGGUF is a whole Llama of 3 kB: one layer, hidden size 8, two heads on one KV head, zeros for weights.
func tinyGGUF() []byte {
	var tensors []gguf.Tensor
	for name, shape := range map[string][]int{
		"token_embd": {8, 8}, "output_norm": {8}, "rope_freqs": {2}, "blk.0.attn_norm": {8}, "blk.0.ffn_norm": {8},
		"blk.0.attn_q": {8, 8}, "blk.0.attn_k": {4, 8}, "blk.0.attn_v": {4, 8}, "blk.0.attn_output": {8, 8},
		"blk.0.ffn_gate": {16, 8}, "blk.0.ffn_up": {16, 8}, "blk.0.ffn_down": {8, 16},
	} {
		size := 1
		for _, n := range shape {
			size *= n
		}
		data := make([]byte, 4*size)
		if name == "rope_freqs" {
			data = []byte{0, 0, 128, 63, 0, 0, 0, 64}
		}
		tensors = append(tensors, gguf.Tensor{Name: name + ".weight", Type: gguf.F32, Shape: shape, Data: data})
	}
	slices.SortFunc(tensors, func(a, b gguf.Tensor) int { return strings.Compare(a.Name, b.Name) })
	return backendtest.EncodeGGUF(map[string]any{
		"general.architecture": "llama", "llama.embedding_length": uint32(8), "llama.block_count": uint32(1),
		"llama.attention.head_count": uint32(2), "llama.attention.head_count_kv": uint32(1), "llama.feed_forward_length": uint32(16),
		"llama.context_length": uint32(64), "llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": float32(2),
		"tokenizer.ggml.tokens": []string{"a", "b"}, "tokenizer.ggml.eos_token_id": uint32(1),
	}, tensors)
}

func TestOpenTinyGGUF(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tiny.gguf")
	if err := os.WriteFile(path, tinyGGUF(), 0o600); err != nil {
		t.Fatal(err)
	}
	if c := open(t, path); c.Config.Hidden != 8 || c.Tokenizer.EOSToken != "b" {
		t.Errorf("opened as %+v", c)
	}
}

// FuzzConfig gives Open arbitrary configurations in front of real weights: it must refuse or return Params that fit them.
// What starts with GGUF is tried as such a file.
func FuzzConfig(f *testing.F) {
	for _, name := range []string{"falcon-7b", "falcon-rw-16h", "falcon-40b-legacy", "llama-falcon3", "gptq-falcon40b-4bit-32g-act"} {
		b, err := os.ReadFile(filepath.Join(backendtest.Path(f, name), "config.json"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(`{"model_type": "llama", "hidden_size": 96, "intermediate_size": 136, "num_hidden_layers": 2, "num_attention_heads": 6,
		"num_key_value_heads": 2, "head_dim": 32, "vocab_size": 301, "rope_scaling": {"type": "llama3", "factor": 8, "low_freq_factor": 1,
		"high_freq_factor": 4, "original_max_position_embeddings": 8192}}`))
	f.Add(tinyGGUF())

	// Two folders of the process's own: their weights never change, config.json does.
	root := f.TempDir()
	folders := []string{filepath.Join(root, "falcon"), filepath.Join(root, "llama")}
	for i, name := range []string{"falcon-40b", "llama-falcon3"} {
		if err := os.CopyFS(folders[i], os.DirFS(backendtest.Path(f, name))); err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		paths := folders
		if len(b) >= 4 && string(b[:4]) == "GGUF" {
			path := filepath.Join(root, "m.gguf")
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			paths = []string{path}
		}
		for _, path := range paths {
			if path != filepath.Join(root, "m.gguf") {
				if err := os.WriteFile(filepath.Join(path, "config.json"), b, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			c, err := model.Open(path)
			if err != nil {
				continue
			}
			if err := c.Params.Validate(); err != nil {
				t.Errorf("opened, but %v", err)
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}
