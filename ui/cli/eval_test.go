package cli

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"peregrine/model/backendtest"
)

// textFile writes a text for eval to read.
func textFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "text.txt")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestEvalComparesBackendsAndModels(t *testing.T) {
	home(t)
	fixture := backendtest.Path(t, "llama-smollm2")
	text := textFile(t, strings.Repeat("The falcon saw the river, and the river saw nothing. ", 20))
	for _, against := range []string{"oracle", fixture} {
		out := succeed(t, "", "eval", fixture, "--text", text, "--backend", "cpu", "--precision", "f32", "--window", "96", "--stride", "20", "--against", against, "--json")
		var e evaluation
		if err := json.Unmarshal([]byte(out), &e); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if e.Tokens < 200 || e.Window != 96 || e.Stride != 20 || e.Against == nil {
			t.Fatalf("against %s: %s", against, out)
		}
		// The precise mode follows the float64 oracle to about 1e-5 a logit.
		if a := e.Against; math.Abs(a.Perplexity/e.Perplexity-1) > 1e-4 || a.KL > 1e-6 || a.Top1 < 0.99 {
			t.Errorf("against %s: %s", against, out)
		}
	}
	// Against itself without rounding, the fast mode differs, but not by much.
	out := succeed(t, "", "eval", fixture, "--text", text, "--backend", "cpu", "--window", "96", "--against", "f32", "--json")
	var e evaluation
	if err := json.Unmarshal([]byte(out), &e); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if a := e.Against; a == nil || !strings.HasSuffix(e.Reference, ", f32") || a.KL < 1e-7 || a.KL > 1e-2 || a.Perplexity == e.Perplexity {
		t.Errorf("against f32: %s", out)
	}
	if out := succeed(t, "", "eval", fixture, "--text", text, "--backend", "cpu", "--window", "64"); !strings.Contains(out, "perplexity   ") || strings.Contains(out, "against") {
		t.Errorf("got %s", out)
	}
}

func TestEvalRefuses(t *testing.T) {
	home(t)
	fixture := backendtest.Path(t, "llama-smollm2")
	text := textFile(t, "a text of some words")
	for want, args := range map[string][]string{
		"--window is -1":        {"--text", text, "--window", "-1"},
		"stride of 9":           {"--text", text, "--window", "8", "--stride", "9"},
		"fewer than 2 tokens":   {"--text", textFile(t, "")},
		"is not UTF-8":          {"--text", textFile(t, "\xff\xfe")},
		"no-such-text":          {"--text", "no-such-text"},
		"required flag":         {},
		"into different tokens": {"--text", text, "--against", backendtest.Path(t, "falcon-40b")},
		"no-such-model":         {"--text", text, "--against", "./no-such-model"},
	} {
		code, out, errs := program(t, "", append([]string{"eval", fixture, "--backend", "cpu"}, args...)...)
		if code == 0 || out != "" || !strings.Contains(errs, want) {
			t.Errorf("%v: exit code %d, %q, %q; want an error with %q", args, code, out, errs, want)
		}
	}
}

func TestEvalBeginsWithBOS(t *testing.T) {
	home(t)
	text := textFile(t, "The falcon saw the river.")
	judged := func(config string) int {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(backendtest.Path(t, "llama-smollm2"))); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "tokenizer_config.json"), []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		var e evaluation
		out := succeed(t, "", "eval", dir, "--text", text, "--backend", "cpu", "--json")
		if err := json.Unmarshal([]byte(out), &e); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return e.Tokens
	}
	without := judged(`{"bos_token":"<|im_start|>","add_bos_token":false}`)
	if with := judged(`{"bos_token":"<|im_start|>","add_bos_token":true}`); with != without+1 {
		t.Errorf("%d tokens are judged with BOS, %d without, want one more", with, without)
	}
}
