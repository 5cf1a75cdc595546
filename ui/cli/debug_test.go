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
