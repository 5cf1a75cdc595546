package oracle_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"peregrine/model"
	"peregrine/model/backendtest"
	"peregrine/model/oracle"
)

// The default model, fetched by `make model`, answers in English. Its query and key rows are in llama.cpp's order and its
// weights in blocks of three formats: with anything wrong in either, the text is noise.
func TestDefaultModelSpeaksEnglish(t *testing.T) {
	c := backendtest.OpenDefault(t)
	f := c.Tokenizer.GGUF
	tokens, ok := f.Strings("tokenizer.ggml.tokens")
	if !ok {
		t.Fatal("no vocabulary in the file")
	}
	// <|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n, word by word.
	prompt := encode(t, tokens, "<|im_start|>", "user", "Ċ", "What", "Ġis", "Ġthe", "Ġcapital", "Ġof", "ĠFrance", "?", "<|im_end|>", "Ċ",
		"<|im_start|>", "ass", "istant", "Ċ")
	ids := greedy(t, oracle.New(c.Params), prompt, 40, c.Config.EOS)
	text := ""
	for _, id := range ids {
		text += strings.NewReplacer("Ġ", " ", "Ċ", "\n").Replace(tokens[id])
	}
	t.Logf("%d tokens: %q", len(ids), text)
	if !strings.Contains(text, "Paris") {
		t.Errorf("the capital of France: got %q, want Paris in it", text)
	}
}

func encode(t *testing.T, vocabulary []string, words ...string) []int32 {
	t.Helper()
	var ids []int32
	for _, w := range words {
		id := slices.Index(vocabulary, w)
		if id < 0 {
			t.Fatalf("the vocabulary has no token %q", w)
		}
		ids = append(ids, int32(id))
	}
	return ids
}

func greedy(t *testing.T, e model.Executor, tokens []int32, n int, stop []int32) []int32 {
	t.Helper()
	var ids []int32
	pos := 0
	out := &model.Output{Rows: 1, Top: [][]model.Candidate{make([]model.Candidate, 1)}}
	for len(ids) < n {
		if err := e.Forward(context.Background(), tokens, pos, out); err != nil {
			t.Fatal(err)
		}
		pos += len(tokens)
		id := out.Top[0][0].ID
		if slices.Contains(stop, id) {
			break
		}
		ids = append(ids, id)
		tokens = []int32{id}
	}
	return ids
}
