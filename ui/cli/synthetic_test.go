package cli

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"peregrine/model"
)

func TestBenchSyntheticSaysWhatItTimed(t *testing.T) {
	home(t)
	out := succeed(t, "", "bench", "--synthetic", "tiny-falcon", "--layers", "1", "--group", "32", "--json",
		"--prefill", "8", "--decode", "4", "--repeat", "1", "--contexts", "1,20", "--verify", "4")
	var r report
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	if want := "synthetic tiny-falcon (1 of 2 layers), GPTQ 4 bit, group 32, act-order (embedding F16)"; r.Model != want {
		t.Errorf("got model %q, want %q", r.Model, want)
	}
	if len(r.Contexts) != 2 || r.Contexts[1].Context != 20 {
		t.Fatalf("got contexts %+v, want 1 and 20", r.Contexts)
	}
	const kv = 2 * 2 * 16 * 2 // bytes a token of one layer: two KV heads of 16, keys and values, float16
	if got := r.Contexts[1].BytesPerToken - r.Contexts[0].BytesPerToken; got != 19*kv {
		t.Errorf("19 tokens more are %d bytes more, want %d", got, 19*kv)
	}
	for name, v := range map[string]float64{
		"decode": r.DecodeRate, "deep decode": r.Contexts[1].DecodeRate, "share": r.Contexts[1].Ratio,
		"verify": r.VerifyTime, "verify ratio": r.VerifyCost,
	} {
		if !(v > 0) {
			t.Errorf("%s is %v, want it positive", name, v)
		}
	}
	if r.VerifyRows != 4 {
		t.Errorf("verified %d rows, want 4", r.VerifyRows)
	}
}

func TestBenchWithoutExtrasKeepsItsKeys(t *testing.T) {
	home(t)
	out := succeed(t, "", "bench", "--synthetic", "tiny-llama", "--format", "q8_0", "--json", "--prefill", "4", "--decode", "2", "--repeat", "1")
	for _, key := range []string{"contexts", "verify"} {
		if strings.Contains(out, key) {
			t.Errorf("nobody asked for %q: %s", key, out)
		}
	}
}

// A model that bench wrote is one for every other command, and computes the same.
func TestWrittenSyntheticModelOpens(t *testing.T) {
	home(t)
	dir := filepath.Join(t.TempDir(), "random")
	out := succeed(t, "", "bench", "--synthetic", "tiny-llama", "--write", dir, "--json")
	var w written
	if err := json.Unmarshal([]byte(out), &w); err != nil || w.Path != dir || w.Bytes < 1000 || !(w.PerSec > 0) {
		t.Fatalf("got %s, %v", out, err)
	}
	if out := succeed(t, "", "inspect", dir, "--tensors"); !strings.Contains(out, "GPTQ 4 bit, no group, act-order") ||
		!strings.Contains(out, "model.layers.1.mlp.gate_proj.qweight") {
		t.Errorf("inspect says %s", out)
	}
	var ids []int32
	if err := json.Unmarshal([]byte(succeed(t, "", "debug", "greedy", dir, "--ids", "1,2,3", "-n", "6")), &ids); err != nil || len(ids) != 6 {
		t.Errorf("got ids %v, %v", ids, err)
	}
	succeed(t, "", "bench", dir, "--json", "--prefill", "4", "--decode", "2", "--repeat", "1")

	code, _, errs := program(t, "", "bench", "--synthetic", "tiny-llama", "--write", dir)
	if code != ExitError || !strings.Contains(errs, "is not empty") {
		t.Errorf("written over: exit code %d, %s", code, errs)
	}
}

func TestInterruptedWriteLeavesNothing(t *testing.T) {
	home(t)
	dir := filepath.Join(t.TempDir(), "random")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	code := run(ctx, []string{"bench", "--synthetic", "tiny-llama", "--write", dir},
		streams{in: strings.NewReader(""), out: &strings.Builder{}, err: &strings.Builder{}})
	if code != ExitInterrupted {
		t.Errorf("exit code %d, want %d", code, ExitInterrupted)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the folder is there: %v", err)
	}
}

func TestBenchRefusesWrongUsage(t *testing.T) {
	home(t)
	for want, args := range map[string][]string{
		"no shape is called":    {"--synthetic", "falcon-1t"},
		"no format is called":   {"--synthetic", "falcon-7b", "--format", "q7_k"},
		"whole blocks of 256":   {"--synthetic", "falcon-7b", "--format", "q5_k"},
		"leave \"x\" out":       {"x", "--synthetic", "falcon-7b"},
		"--layers needs":        {"--layers", "2"},
		"--contexts is [-1]":    {"--contexts=-1"},
		"--verify 0 or more":    {"--verify", "-1"},
		"cannot be GPTQ":        {"--synthetic", "falcon-7b", "--embedding", "gptq"},
		"5 bits":                {"--synthetic", "falcon-7b", "--bits", "5"},
		"40 layers; the shape":  {"--synthetic", "falcon-7b", "--layers", "40"},
		"group size -7":         {"--synthetic", "falcon-7b", "--group", "-7"},
		"--write needs --synth": {"--write", "/nowhere"},
	} {
		code, _, errs := program(t, "", append([]string{"bench"}, args...)...)
		if code != ExitUsage || !strings.Contains(errs, want) {
			t.Errorf("%v: exit code %d, %q; want %d and %q", args, code, errs, ExitUsage, want)
		}
	}
}

type measured struct{ model.Backend }

func (measured) ReadBandwidth() (float64, error) { return 3000, nil }

func TestBandwidthIsTheBackendsOwnWhereItHasOne(t *testing.T) {
	if got, err := bandwidth(measured{}, 1); err != nil || got != 3000 {
		t.Errorf("got %v, %v, want the device's 3000", got, err)
	}
}
