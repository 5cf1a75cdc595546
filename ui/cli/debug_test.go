package cli

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"peregrine/model/backendtest"
)

func TestDebugTokenizeReadsWhatOpenDoes(t *testing.T) {
	home(t)
	dir := t.TempDir()
	keys := map[string]any{
		"general.architecture": "llama", "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "gpt-2",
		"tokenizer.ggml.tokens": []string{"a", "b"}, "tokenizer.ggml.merges": []string{},
	}
	file := filepath.Join(dir, "vocabulary.GGUF")
	backendtest.WriteGGUF(t, file, keys, nil)
	if got := succeed(t, `["ab"]`, "debug", "tokenize", file); got != "[[0,1]]\n" {
		t.Errorf("a file in upper case: got %s", got)
	}
	if err := os.Rename(file, filepath.Join(dir, "vocabulary.gguf")); err != nil {
		t.Fatal(err)
	}
	if got := succeed(t, `["ab"]`, "debug", "tokenize", dir); got != "[[0,1]]\n" {
		t.Errorf("a folder with one GGUF file: got %s", got)
	}
	none := filepath.Join(t.TempDir(), "none.gguf")
	backendtest.WriteGGUF(t, none, map[string]any{"general.architecture": "llama"}, nil)
	code, _, errs := program(t, `["ab"]`, "debug", "tokenize", none)
	if code != ExitUsage || !strings.Contains(errs, none) || !strings.Contains(errs, "no vocabulary") {
		t.Errorf("a file without a vocabulary: exit code %d, %s", code, errs)
	}
}

func TestDebugTokenizesASentencePieceVocabulary(t *testing.T) {
	home(t)
	file := filepath.Join(t.TempDir(), "pieces.gguf")
	keys := map[string]any{
		"general.architecture": "llama", "tokenizer.ggml.model": "llama", "tokenizer.ggml.pre": "default",
		"tokenizer.ggml.tokens":     []string{"<unk>", "<s>", "<0xC3>", "<0xA9>", "▁", "a", "b", "ab", "▁ab"},
		"tokenizer.ggml.scores":     []float32{0, 0, 0, 0, -3, -4, -5, -1, -2},
		"tokenizer.ggml.token_type": []int32{2, 3, 6, 6, 1, 1, 1, 1, 1},
	}
	const text = `["ab abé"]`
	for _, want := range []string{"[[8,8,2,3]]", "[[7,8,2,3]]"} {
		backendtest.WriteGGUF(t, file, keys, nil)
		got := strings.TrimSpace(succeed(t, text, "debug", "tokenize", file))
		if got != want {
			t.Errorf("add_space_prefix %v: got %s, want %s", keys["tokenizer.ggml.add_space_prefix"], got, want)
		}
		if back := strings.TrimSpace(succeed(t, got, "debug", "detokenize", file)); back != text {
			t.Errorf("add_space_prefix %v: got %s, want %s", keys["tokenizer.ggml.add_space_prefix"], back, text)
		}
		keys["tokenizer.ggml.add_space_prefix"] = false
	}
	delete(keys, "tokenizer.ggml.scores")
	backendtest.WriteGGUF(t, file, keys, nil)
	if code, _, errs := program(t, `["ab"]`, "debug", "tokenize", file); code == 0 || !strings.Contains(errs, file) || !strings.Contains(errs, "tokenizer.ggml.scores") {
		t.Errorf("without scores: exit code %d, %s", code, errs)
	}
}

func TestDebugDoesNotReplaceTheModel(t *testing.T) {
	home(t)
	dir := filepath.Join(t.TempDir(), "model")
	if err := os.CopyFS(dir, os.DirFS(backendtest.Path(t, "falcon-40b-sharded"))); err != nil {
		t.Fatal(err)
	}
	shard := filepath.Join(dir, "model-00002-of-00003.safetensors")
	before, err := os.ReadFile(shard)
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"logits", dir, "--ids", "1"}, {"dequantize", dir, "--tensor", "transformer.ln_f.bias"}} {
		args = append([]string{"debug"}, append(args, "--out", shard)...)
		if code, _, errs := program(t, "", args...); code != ExitUsage || !strings.Contains(errs, "is not replaced") {
			t.Errorf("%v: exit code %d, %s", args, code, errs)
		}
	}
	if after, err := os.ReadFile(shard); err != nil || !slices.Equal(before, after) {
		t.Errorf("the shard has changed (%v)", err)
	}
	out := filepath.Join(dir, "out.safetensors")
	for range 2 { // a result in the same folder may be replaced
		succeed(t, "", "debug", "logits", dir, "--ids", "1", "--out", out)
	}
}
