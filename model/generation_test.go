package model

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func generation(t *testing.T, text string) (GenerationConfig, []string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "generation_config.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	g, warnings, err := readGeneration(path)
	if err != nil {
		t.Fatal(err)
	}
	return g, warnings
}

func TestGenerationConfigFieldByField(t *testing.T) {
	g, warnings := generation(t, `{"do_sample": false, "temperature": 0.6, "top_k": 0, "top_p": 0.9, "min_p": null, "typical_p": 1,
		"repetition_penalty": 1.2, "max_new_tokens": 100, "bos_token_id": 1, "eos_token_id": [2, 3], "stop_strings": "User:",
		"transformers_version": "4.51.3"}`)
	yes := func(x float64) *float64 { return &x }
	whole := func(x int) *int { return &x }
	no, bos := false, int32(1)
	want := GenerationConfig{
		DoSample: &no, Temperature: yes(0.6), TopK: whole(0), TopP: yes(0.9), TypicalP: yes(1), RepetitionPenalty: yes(1.2),
		MaxNewTokens: whole(100), BOS: &bos, EOS: []int32{2, 3}, StopStrings: []string{"User:"},
	}
	if !reflect.DeepEqual(g, want) || len(warnings) > 0 {
		t.Errorf("got %+v and warnings %q, want %+v", g, warnings, want)
	}
}

func TestGenerationConfigSaysNothing(t *testing.T) {
	for _, text := range []string{`{}`, `{"temperature": null, "eos_token_id": null}`} {
		if g, warnings := generation(t, text); !reflect.DeepEqual(g, GenerationConfig{}) || len(warnings) > 0 {
			t.Errorf("%s: got %+v and warnings %q", text, g, warnings)
		}
	}
	if g, _, err := readGeneration(filepath.Join(t.TempDir(), "generation_config.json")); err != nil || !reflect.DeepEqual(g, GenerationConfig{}) {
		t.Errorf("a missing file: got %+v, %v", g, err)
	}
}

func TestGenerationConfigIgnoresWhatCannotBe(t *testing.T) {
	g, warnings := generation(t, `{"temperature": -1, "top_p": 1.5, "repetition_penalty": 0, "top_k": -5, "min_p": "much", "do_sample": 1,
		"eos_token_id": "end", "stop_strings": [1], "typical_p": 0.5}`)
	half := 0.5
	if want := (GenerationConfig{TypicalP: &half}); !reflect.DeepEqual(g, want) {
		t.Errorf("got %+v, want %+v", g, want)
	}
	all := strings.Join(warnings, "\n")
	for _, key := range []string{"temperature", "top_p", "repetition_penalty", "top_k", "min_p", "do_sample", "eos_token_id", "stop_strings"} {
		if !strings.Contains(all, key+": is ") {
			t.Errorf("no warning about %s in\n%s", key, all)
		}
	}
}
