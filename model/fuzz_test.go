package model_test

import (
	"os"
	"path/filepath"
	"testing"

	"peregrine/model"
	"peregrine/model/backendtest"
)

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
	f.Add(backendtest.EncodeGGUF(map[string]any{
		"general.architecture": "llama", "llama.embedding_length": uint32(96), "llama.block_count": uint32(1), "llama.attention.head_count": uint32(6),
		"llama.feed_forward_length": uint32(136), "llama.context_length": uint32(64),
	}, nil))

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
