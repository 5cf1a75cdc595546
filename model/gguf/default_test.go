package gguf

import (
	"os"
	"path/filepath"
	"testing"
)

// defaultModel is the default model where the program keeps it once it has been fetched. PEREGRINE_REQUIRE_MODEL makes its
// absence a failure.
func defaultModel(tb testing.TB) string {
	tb.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		tb.Skip(err)
	}
	path := filepath.Join(cache, "peregrine", "models", "SmolLM2-135M-Instruct.Q4_1.gguf")
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("PEREGRINE_REQUIRE_MODEL") != "" {
			tb.Fatal(err)
		}
		tb.Skip("the default model has not been fetched:", err)
	}
	return path
}

func TestOpenDefaultModel(t *testing.T) {
	f, err := Open(defaultModel(t))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got := len(f.Names()); got != 272 {
		t.Errorf("got %d tensors, want 272", got)
	}
	if got, _ := f.String("general.architecture"); got != "llama" {
		t.Errorf("got architecture %q, want llama", got)
	}
	tokens, _ := f.Strings("tokenizer.ggml.tokens")
	if len(tokens) != 49152 || tokens[1] != "<|im_start|>" {
		t.Errorf("got %d tokens, want 49152 with <|im_start|> as number 1", len(tokens))
	}
	embedding, ok := f.Tensor("token_embd.weight")
	if !ok || embedding.Type != Q8_0 || embedding.Shape[0] != 49152 || embedding.Shape[1] != 576 {
		t.Errorf("got embedding %v %v, want Q8_0 [49152 576]", embedding.Type, embedding.Shape)
	}
	if up, ok := f.Tensor("blk.0.ffn_up.weight"); !ok || up.Type != Q4_1 || up.Shape[0] != 1536 || up.Shape[1] != 576 {
		t.Errorf("got blk.0.ffn_up %v %v, want Q4_1 [1536 576]", up.Type, up.Shape)
	}
	for _, key := range f.Keys() {
		t.Log(key, "=", f.Describe(key))
	}
}

func BenchmarkOpenDefaultModel(b *testing.B) {
	path := defaultModel(b)
	b.ReportAllocs()
	for b.Loop() {
		f, err := Open(path)
		if err != nil {
			b.Fatal(err)
		}
		if err := f.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
