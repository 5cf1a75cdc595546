package model_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"peregrine/model"
	"peregrine/model/backendtest"
)

// folder returns a new folder that holds the given files.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestOpenTemplate(t *testing.T) {
	const object = `{"content": "<s>", "lstrip": false}`
	for _, c := range []struct {
		name               string
		files              map[string]string
		template, bos, eos string
		named              map[string]string
	}{
		{"nothing there", nil, "", "", "", nil},
		{"one template", map[string]string{"tokenizer_config.json": `{"chat_template": "A", "bos_token": "<s>", "eos_token": "</s>"}`}, "A", "<s>", "</s>", nil},
		{"tokens as objects", map[string]string{"tokenizer_config.json": `{"bos_token": ` + object + `, "eos_token": null}`}, "", "<s>", "", nil},
		{
			"named templates",
			map[string]string{"tokenizer_config.json": `{"chat_template": [{"name": "default", "template": "A"}, {"name": "rag", "template": "B"}]}`},
			"A", "", "",
			map[string]string{"rag": "B"},
		},
		{
			"a template file counts more",
			map[string]string{
				"tokenizer_config.json": `{"chat_template": "A"}`, "chat_template.jinja": "C",
				"additional_chat_templates/tool_use.jinja": "D",
			},
			"C", "", "",
			map[string]string{"tool_use": "D"},
		},
		{
			"tokens from special_tokens_map.json",
			map[string]string{"tokenizer_config.json": `{"eos_token": "</s>"}`, "special_tokens_map.json": `{"bos_token": ` + object + `, "eos_token": "other"}`},
			"", "<s>", "</s>", nil,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := folder(t, c.files)
			got, err := model.OpenTemplate(dir)
			if err != nil {
				t.Fatal(err)
			}
			if got.ChatTemplate != c.template || got.BOSToken != c.bos || got.EOSToken != c.eos {
				t.Errorf("got %+v", got)
			}
			if len(got.NamedTemplates) != len(c.named) {
				t.Errorf("named templates are %q, want %q", got.NamedTemplates, c.named)
			}
			for name, want := range c.named {
				if got.NamedTemplates[name] != want {
					t.Errorf("template %q is %q, want %q", name, got.NamedTemplates[name], want)
				}
			}
		})
	}
}

func TestOpenTemplateOfAGGUFFile(t *testing.T) {
	path := convert(t, "llama-falcon3", map[string]any{
		"tokenizer.ggml.tokens":   []string{"<unk>", "<s>", "</s>"},
		"tokenizer.chat_template": "{{ messages }}",
	})
	for _, p := range []string{path, filepath.Dir(path)} {
		got, err := model.OpenTemplate(p)
		if err != nil {
			t.Fatal(err)
		}
		if got.ChatTemplate != "{{ messages }}" || got.BOSToken != "<s>" || got.EOSToken != "</s>" || got.GGUF != nil {
			t.Errorf("got %+v", got)
		}
	}
}

func TestOpenTemplateRefuses(t *testing.T) {
	for name, config := range map[string]string{
		"a number": `{"chat_template": 5}`, "torn": `{"chat_template": "`, "a list of numbers": `{"chat_template": [5]}`,
	} {
		if _, err := model.OpenTemplate(folder(t, map[string]string{"tokenizer_config.json": config})); err == nil || !strings.Contains(err.Error(), "tokenizer_config.json") {
			t.Errorf("%s: got error %v, want one that names the file", name, err)
		}
	}
	if _, err := model.OpenTemplate("nowhere"); err == nil {
		t.Error("a path that is not there: no error")
	}
}

func TestOpenFindsTheTokenizer(t *testing.T) {
	c := backendtest.Open(t, "llama-smollm2")
	dir := backendtest.Path(t, "llama-smollm2")
	s := c.Tokenizer
	if s.JSONPath != filepath.Join(dir, "tokenizer.json") || s.ConfigPath != filepath.Join(dir, "tokenizer_config.json") || s.GGUF != nil {
		t.Errorf("tokenizer source is %+v", s)
	}
	if s.BOSToken != "<|im_start|>" || s.EOSToken != "<|im_end|>" || !strings.Contains(s.ChatTemplate, "add_generation_prompt") {
		t.Errorf("tokens %q %q, template %q", s.BOSToken, s.EOSToken, s.ChatTemplate)
	}
	if s := backendtest.Open(t, "falcon-7b").Tokenizer; s.JSONPath != "" || s.ConfigPath != "" {
		t.Errorf("a folder without a tokenizer: %+v", s)
	}
}

func TestStopIDs(t *testing.T) {
	gpt2 := func(token string) (int32, bool) { return 50256, token == "<|endoftext|>" }
	special := func(id int32) bool { return id >= 50256 }
	for _, c := range []struct {
		name        string
		config, gen []int32
		end         string
		want        []int32
	}{
		{"RW-1B: configuration says 2, an ordinary token", []int32{2}, nil, "<|endoftext|>", []int32{50256}},
		{"the tokenizer names no end", []int32{2}, nil, "", []int32{2}},
		{"the tokenizer's end is not in its vocabulary", []int32{2}, nil, "</s>", []int32{2}},
		{"generation_config.json counts more", []int32{50256}, []int32{50257, 50258}, "", []int32{50257, 50258}},
		{"all agree", []int32{50256}, []int32{50256}, "<|endoftext|>", []int32{50256}},
		{"the tokenizer's end is added", []int32{50257}, nil, "<|endoftext|>", []int32{50257, 50256}},
		{"nobody says", nil, nil, "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := &model.Checkpoint{
				Config: model.Config{EOS: c.config}, Generation: model.GenerationConfig{EOS: c.gen},
				Tokenizer: model.TokenizerSource{EOSToken: c.end},
			}
			if got := m.StopIDs(gpt2, special); !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestBOS(t *testing.T) {
	id := func(token string) (int32, bool) { return 1, token == "<s>" }
	for _, c := range []struct {
		name, config string
		begins, want bool
	}{
		{"nothing is said", `{"bos_token": "<s>"}`, false, false},
		{"tokenizer.json says so", `{"bos_token": "<s>"}`, true, true},
		{"said", `{"bos_token": "<s>", "add_bos_token": true}`, false, true},
		{"denied", `{"bos_token": "<s>", "add_bos_token": false}`, true, false},
		{"null", `{"bos_token": "<s>", "add_bos_token": null}`, true, true},
		{"no token", `{"add_bos_token": true}`, true, false},
		{"an unknown token", `{"bos_token": "<none>", "add_bos_token": true}`, true, false},
	} {
		s, err := model.OpenTemplate(folder(t, map[string]string{"tokenizer_config.json": c.config}))
		if err != nil {
			t.Fatal(err)
		}
		got, ok := s.BOS(id, func() (int32, bool) { return 1, c.begins })
		if ok != c.want || ok && got != 1 {
			t.Errorf("%s: got %d, %v, want %v", c.name, got, ok, c.want)
		}
	}
	if _, err := model.OpenTemplate(folder(t, map[string]string{"tokenizer_config.json": `{"add_bos_token": "yes"}`})); err == nil || !strings.Contains(err.Error(), "add_bos_token") {
		t.Errorf("a string: got %v, want an error that names add_bos_token", err)
	}
}

func TestBOSOfAGGUFFile(t *testing.T) {
	for _, c := range []struct {
		name   string
		values map[string]any
		want   bool
	}{
		{"SentencePiece", map[string]any{"tokenizer.ggml.model": "llama"}, true},
		{"SentencePiece that denies it", map[string]any{"tokenizer.ggml.model": "llama", "tokenizer.ggml.add_bos_token": false}, false},
		{"byte level", map[string]any{"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "smollm"}, false},
		{"byte level that says so", map[string]any{"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.add_bos_token": true}, true},
		{"Llama 3", map[string]any{"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "llama-bpe"}, true},
		{"Falcon3", map[string]any{"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "falcon3"}, true},
		{"Falcon3 that denies it", map[string]any{"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "falcon3", "tokenizer.ggml.add_bos_token": false}, false},
		{"Falcon", map[string]any{"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "falcon"}, false},
	} {
		c.values["tokenizer.ggml.tokens"] = []string{"<unk>", "<s>", "</s>"}
		s, err := model.OpenTemplate(convert(t, "llama-falcon3", c.values))
		if err != nil {
			t.Fatal(err)
		}
		id := func(token string) (int32, bool) { return 1, token == "<s>" }
		if _, ok := s.BOS(id, func() (int32, bool) { return 0, false }); ok != c.want {
			t.Errorf("%s: got %v, want %v", c.name, ok, c.want)
		}
	}
}
