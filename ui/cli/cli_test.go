package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"peregrine/model"
	"peregrine/model/backendtest"
	"peregrine/model/safetensors"
)

// program runs the command line in this process with folders of its own and returns its exit code and output.
func program(t *testing.T, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = run(context.Background(), args, streams{in: strings.NewReader(stdin), out: &out, err: &err})
	return code, out.String(), err.String()
}

// home gives the test empty XDG folders.
func home(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"} {
		t.Setenv(name, filepath.Join(dir, name))
	}
	return dir
}

// succeed runs the program and fails the test if it does.
func succeed(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	code, out, errs := program(t, stdin, args...)
	if code != ExitOK {
		t.Fatalf("peregrine %v: exit code %d, %s", args, code, errs)
	}
	return out
}

// floats reads the one tensor of a file that a debug command wrote.
func floats(t *testing.T, path, name string, shape ...int) []float32 {
	t.Helper()
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	v, ok := f.Tensor(name)
	if !ok || !slices.Equal(v.Shape, shape) {
		t.Fatalf("tensor %q of %v has shape %v, want %v", name, f.Names(), v.Shape, shape)
	}
	values, err := v.Float32(nil)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Clone(values)
}

func TestDebugLogitsWritesEveryPosition(t *testing.T) {
	home(t)
	fixture := backendtest.Path(t, "falcon-40b")
	out := filepath.Join(t.TempDir(), "logits.safetensors")
	var config struct {
		Vocab int `json:"vocab_size"`
	}
	raw, err := os.ReadFile(filepath.Join(fixture, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &config); err != nil {
		t.Fatal(err)
	}
	succeed(t, "", "debug", "logits", fixture, "--ids", "1,2, 3", "--out", out)
	cpu := floats(t, out, "logits", 3, config.Vocab)
	succeed(t, "", "debug", "logits", fixture, "--ids", "1,2,3", "--out", out, "--backend", "oracle")
	oracle := floats(t, out, "logits", 3, config.Vocab)
	for i := range cpu {
		if d := cpu[i] - oracle[i]; d > 1e-3 || d < -1e-3 {
			t.Fatalf("logit %d is %v on the CPU and %v in the oracle", i, cpu[i], oracle[i])
		}
	}
}

func TestDebugGreedyEqualsTheReference(t *testing.T) {
	home(t)
	golden := struct {
		Prompts []struct {
			IDs    []int32 `json:"ids"`
			Greedy []int32 `json:"greedy"`
		} `json:"prompts"`
	}{}
	fixture := backendtest.Path(t, "gptq-falcon40b-4bit--1g")
	raw, err := os.ReadFile(filepath.Join(fixture, "golden.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &golden); err != nil {
		t.Fatal(err)
	}
	p := golden.Prompts[0]
	var ids []string
	for _, id := range p.IDs {
		ids = append(ids, string(must1(json.Marshal(id))))
	}
	var got []int32
	out := succeed(t, "", "debug", "greedy", fixture, "--ids", strings.Join(ids, ","))
	if err := json.Unmarshal([]byte(out), &got); err != nil || !slices.Equal(got, p.Greedy) {
		t.Errorf("got %v (%v), want %v", got, err, p.Greedy)
	}
}

func must1[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestDebugDequantizeTakesEveryKindOfWeight(t *testing.T) {
	home(t)
	out := filepath.Join(t.TempDir(), "weight.safetensors")
	cases := []struct{ fixture, tensor, reference string }{
		{"gptq-falcon40b-4bit-32g-act", "transformer.h.0.mlp.dense_h_to_4h", ""},
		{"falcon-40b-bf16", "transformer.h.0.mlp.dense_h_to_4h.weight", ""},
	}
	for _, c := range cases {
		fixture := backendtest.Path(t, c.fixture)
		succeed(t, "", "debug", "dequantize", fixture, "--tensor", c.tensor, "--out", out)
		checkpoint, err := model.Open(fixture)
		if err != nil {
			t.Fatal(err)
		}
		m, err := checkpoint.Matrix(c.tensor)
		if err != nil {
			t.Fatal(err)
		}
		want := make([]float32, m.Out*m.In)
		m.Dequantize(want, 0, m.Out)
		if got := floats(t, out, "weight", m.Out, m.In); !slices.Equal(got, want) {
			t.Errorf("%s: the file differs from the matrix", c.tensor)
		}
		if err := checkpoint.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestDebugTokenizeAndBack(t *testing.T) {
	home(t)
	fixture := backendtest.Path(t, "llama-smollm2")
	ids := succeed(t, `["hello <|im_end|>", ""]`, "debug", "tokenize", fixture)
	special := succeed(t, `["hello <|im_end|>", ""]`, "debug", "tokenize", fixture, "--special")
	if ids == special || !strings.HasSuffix(strings.TrimSpace(ids), ",[]]") {
		t.Errorf("plain %s special %s", ids, special)
	}
	if back := succeed(t, special, "debug", "detokenize", fixture); back != "[\"hello <|im_end|>\",\"\"]\n" {
		t.Errorf("got %q", back)
	}
}

func TestDebugDetokenizeRefusesIDsThatAreNoTokens(t *testing.T) {
	home(t)
	for _, ids := range []string{"[[1],[99999999]]", "[[-1]]"} {
		code, _, errs := program(t, ids, "debug", "detokenize", backendtest.Path(t, "llama-smollm2"))
		if code != ExitUsage || !strings.Contains(errs, "no token has id") {
			t.Errorf("%s: exit code %d, %s", ids, code, errs)
		}
	}
}

func TestLogDoesNotHoldWhatWasSaid(t *testing.T) {
	dir := home(t)
	log := filepath.Join(dir, "log")
	succeed(t, "", backendtest.Path(t, "llama-smollm2"), "-p", "my secret", "--max-new-tokens", "2", "--log", log)
	raw, err := os.ReadFile(log)
	if err != nil || len(raw) == 0 || strings.Contains(string(raw), "secret") {
		t.Errorf("the log (%v) is %s", err, raw)
	}
}

func TestModelPathNeedsNoCacheFolder(t *testing.T) {
	home(t)
	t.Setenv("XDG_CACHE_HOME", "")
	t.Setenv("HOME", "")
	succeed(t, "", "inspect", backendtest.Path(t, "llama-smollm2"))
}

func TestDebugRenderPrintsThePromptAndNothingElse(t *testing.T) {
	home(t)
	messages := `{"messages":[{"role":"user","content":"Hi"}],"add_generation_prompt":true}`
	fixture := backendtest.Path(t, "llama-smollm2")
	if got := succeed(t, messages, "debug", "render", fixture, "--template", "instruction"); got != "### Instruction: Hi\n### Response:" {
		t.Errorf("instruction: got %q", got)
	}
	if got := succeed(t, messages, "debug", "render", fixture); !strings.HasSuffix(got, "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n") {
		t.Errorf("model: got %q", got)
	}
	own := filepath.Join(t.TempDir(), "own.jinja")
	if err := os.WriteFile(own, []byte("{{ bos_token }}|{{ messages[0].content }}|{{ eos_token }}"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := succeed(t, messages, "debug", "render", fixture, "--template", own, "--bos-token", "<b>", "--eos-token", "<e>")
	if got != "<b>|Hi|<e>" {
		t.Errorf("file: got %q", got)
	}
}

func TestErrorsAreOneLineWithTheRightExitCode(t *testing.T) {
	dir := home(t)
	fixture := backendtest.Path(t, "llama-smollm2")
	empty := t.TempDir()
	bad := filepath.Join(dir, "bad.toml")
	if err := os.WriteFile(bad, []byte("[sampling]\ntemperatur = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	kind, broken := filepath.Join(dir, "kind.toml"), filepath.Join(dir, "broken.jinja")
	for path, text := range map[string]string{kind: "threads = \"x\"\n", broken: "{{ x"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cases := []struct {
		name string
		args []string
		code int
		want string
	}{
		{"unknown flag", []string{"--nope"}, ExitUsage, "--nope"},
		{"no such model", []string{"inspect", "no/such"}, ExitError, "no/such: no such model file or folder"},
		{"folder without a model", []string{"inspect", empty}, ExitError, "config.json"},
		{"template that is none", []string{fixture, "-p", "x", "--template", "no/such"}, ExitUsage, "use one of model, instruction"},
		{"template that is no Jinja", []string{fixture, "-p", "x", "--template", broken}, ExitUsage, "broken.jinja"},
		{"setting of another kind", []string{"--config", kind, "config", "show"}, ExitUsage, "line 1, column 11: this setting takes no value of the kind string"},
		{"more context than numbers", []string{"-p", "x", fixture, "--context", "9223372036854775807"}, ExitError, "are free"},
		{"no such GPU", []string{fixture, "-p", "x", "--backend", "cuda", "--device", "99"}, ExitError, "--backend cpu"},
		{"backend that is none", []string{fixture, "-p", "x", "--backend", "tpu"}, ExitUsage, `"tpu"`},
		{"instruction set that is none", []string{"bench", fixture, "--isa", "mmx"}, ExitError, "mmx"},
		{"negative temperature", []string{"-p", "x", "--temperature", "-1"}, ExitUsage, "temperature"},
		{"misspelt setting", []string{"--config", bad, "config", "show"}, ExitUsage, "temperatur"},
		{"config file that is not there", []string{"--config", empty + "/x", "config", "show"}, ExitUsage, "--config"},
		{"debug errors are 2", []string{"debug", "greedy", fixture, "--ids", "1,x"}, ExitUsage, `"x" is no token id`},
		{"debug without --out", []string{"debug", "logits", fixture, "--ids", "1"}, ExitUsage, `"out"`},
		{"debug command that is none", []string{"debug", "nope"}, ExitUsage, `"nope"`},
		{"two models", []string{"a", "b"}, ExitUsage, "at most 1"},
		{"id outside the vocabulary", []string{"debug", "greedy", fixture, "--ids", "99999999"}, ExitUsage, "99999999"},
		{"two conversations", []string{"-p", "x", "--open", "a", "--resume"}, ExitUsage, "--resume"},
		{"speculation that is neither", []string{"-p", "x", fixture, "--speculation", "maybe"}, ExitUsage, "maybe"},
		{"replies of random weights", []string{"bench", "--synthetic", "tiny-llama", "--replies"}, ExitUsage, "--replies"},
		{"bench of nothing", []string{"bench", fixture, "--decode", "0"}, ExitUsage, "--decode"},
		{"log in no folder", []string{"--log", empty + "/no/log", "config", "path"}, ExitUsage, "--log"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			code, out, errs := program(t, "", c.args...)
			if code != c.code || out != "" || !strings.Contains(errs, c.want) || strings.Count(errs, "\n") != 1 {
				t.Errorf("exit code %d, stdout %q, stderr %q; want %d and one line with %q", code, out, errs, c.code, c.want)
			}
		})
	}
}

func TestAnswerAsJSONIsRepeatable(t *testing.T) {
	home(t)
	fixture := backendtest.Path(t, "llama-smollm2")
	answer := func() map[string]any {
		out := succeed(t, "", fixture, "-p", "hello", "--json", "--seed", "7", "--max-new-tokens", "12")
		v := map[string]any{}
		if err := json.Unmarshal([]byte(out), &v); err != nil {
			t.Fatalf("%v in %q", err, out)
		}
		return v
	}
	a, b := answer(), answer()
	if a["text"] != b["text"] || a["finish_reason"] == "" {
		t.Errorf("same seed, but %q and %q (%v)", a["text"], b["text"], a["finish_reason"])
	}
}

func TestAnswerIsTheSameWhereWeightsAreNotRepackedFirst(t *testing.T) {
	home(t)
	before := earlyFrom
	t.Cleanup(func() { earlyFrom = before })
	answer := func() string {
		return succeed(t, "", backendtest.Path(t, "llama-smollm2"), "--backend", "cpu", "-p", "hello", "--seed", "7", "--max-new-tokens", "12")
	}
	want := answer()
	earlyFrom = 0
	if got := answer(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestBenchPrintsTheKeysThatScriptsRead(t *testing.T) {
	home(t)
	out := succeed(t, "", "bench", backendtest.Path(t, "llama-smollm2"), "--json", "--prefill", "8", "--decode", "4", "--repeat", "1")
	v := map[string]any{}
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		t.Fatal(err)
	}
	keys := []string{
		"model", "backend", "threads", "context", "prefill_tokens", "prefill_tokens_per_s", "decode_tokens",
		"decode_tokens_per_s", "bytes_per_token", "gb_per_s", "read_bandwidth_gb_per_s", "bandwidth_ratio", "load_s", "load_mapped", "settle_s",
		"first_token_s",
	}
	if got := slices.Sorted(maps.Keys(v)); !slices.Equal(got, slices.Sorted(slices.Values(keys))) {
		t.Errorf("got the keys %q, want %q", got, keys)
	}
}

func TestInspectNamesArchitectureAndBits(t *testing.T) {
	home(t)
	out := succeed(t, "", "inspect", backendtest.Path(t, "gptq-falcon40b-4bit--1g"), "--tensors")
	for _, want := range []string{"falcon", "GPTQ 4 bit, no group, act-order", "memory", "transformer.h.0.self_attention.dense.qweight"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

func TestResumeTakesANameButNotAModel(t *testing.T) {
	home(t)
	model := t.TempDir()
	cases := []struct{ args, want []string }{
		{[]string{"--resume"}, []string{"--resume"}},
		{[]string{"--resume", "birds"}, []string{"--resume=birds"}},
		{[]string{"--resume", model}, []string{"--resume", model}},
		{[]string{"--resume", "smollm2"}, []string{"--resume", "smollm2"}},
		{[]string{"--resume", "--raw"}, []string{"--resume", "--raw"}},
		{[]string{"--", "--resume", "x"}, []string{"--", "--resume", "x"}},
	}
	for _, c := range cases {
		if got := joinResume(c.args); !slices.Equal(got, c.want) {
			t.Errorf("%v became %v, want %v", c.args, got, c.want)
		}
	}
}

// A tiny model repeats itself soon, so that drafts are made; bench itself refuses replies that differ.
func TestBenchOfRepliesComparesBothWays(t *testing.T) {
	out := succeed(t, "", "bench", backendtest.Path(t, "llama-smollm2"), "--replies", "--json", "--decode", "120", "--repeat", "1")
	var r speculationReport
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("%v in %q", err, out)
	}
	if len(r.Tasks) != len(speculationTasks) {
		t.Fatalf("got %d tasks, want %d", len(r.Tasks), len(speculationTasks))
	}
	for _, task := range r.Tasks {
		if task.Tokens == 0 || task.Plain <= 0 || task.Rate <= 0 || task.Gain <= 0 || task.Accepted > task.Drafted {
			t.Errorf("got %+v, want tokens and rates", task)
		}
	}
}
