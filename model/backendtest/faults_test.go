//go:build !race

package backendtest_test

import (
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"peregrine/model"
	"peregrine/model/backendtest"
	"peregrine/model/oracle"
	"peregrine/model/quant"
)

// A suite that cannot fail proves nothing: each fault below is a backend that is wrong in one way, and the part of the suite
// that is there for it must fail. The suite runs in a process of its own, since a failed subtest fails its parents.

const faultVariable = "BACKENDTEST_FAULT"

// roundings are faults of the precise mode's arithmetic.
var roundings = map[string]oracle.Rounding{
	"precise mode rounds as the fast one does":   {Activations: 32, KV16: true},
	"precise mode rounds keys and values":        {KV16: true},
	"precise mode computes GELU in another form": {TanhGELU: true},
}

// faults, and the part of the suite that must catch each.
var faults = map[string]string{
	"precise mode rounds as the fast one does":    "fixtures/falcon-7b/short",
	"precise mode rounds keys and values":         "fixtures/falcon-7b/short",
	"precise mode computes GELU in another form":  "fixtures/falcon-11b/short",
	"a constant is added to the largest logit":    "fixtures/falcon-7b/short",
	"tokens are read one position late":           "shapes/sequential_rms_rotary_gated",
	"a part of the weights is missing":            "formats/Q4_1/llama",
	"the sequence is not truncated":               "properties/llama/precise/truncate",
	"a chunk does not see the chunks before it":   "properties/llama/precise/any_chunking",
	"the last bit is random":                      "properties/llama/precise/same_bits",
	"candidates are in no order":                  "properties/llama/precise/candidates",
	"the first rows are returned, not the last":   "properties/llama/precise/fewer_rows",
	"cancelling is not noticed":                   "properties/llama/precise/cancelled",
	"load does not notice cancelling":             "properties/llama/load_stops",
	"progress is not reported":                    "properties/llama/progress",
	"tokens past the context are accepted":        "refusals",
	"the fast mode is a tenth of a deviation off": "fixtures/falcon-7b/short",
}

func TestSuiteCatches(t *testing.T) {
	for fault, part := range faults {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(os.Args[0], "-test.run=^TestFaultyBackend$/"+part) //nolint:gosec // this very test binary
			cmd.Env = append(os.Environ(), faultVariable+"="+fault)
			out, err := cmd.CombinedOutput()
			if err == nil {
				t.Fatalf("the suite passes:\n%s", out)
			}
			if strings.Contains(string(out), "panic:") || !strings.Contains(string(out), "--- FAIL: TestFaultyBackend/") {
				t.Fatalf("the suite does not run: %v\n%s", err, out)
			}
		})
	}
}

func TestFaultyBackend(t *testing.T) {
	fault := os.Getenv(faultVariable)
	if fault == "" {
		t.Skip("run by TestSuiteCatches")
	}
	backendtest.Run(t, func(*testing.T) model.Backend { return faulty{oracle.Backend(), fault} })
}

// faulty is the oracle with one fault.
type faulty struct {
	model.Backend
	fault string
}

func (b faulty) Load(ctx context.Context, p *model.Params, opt model.LoadOptions) (model.Executor, error) {
	switch b.fault {
	case "load does not notice cancelling":
		ctx = context.WithoutCancel(ctx)
	case "progress is not reported":
		opt.Progress = nil
	case "a part of the weights is missing":
		p = withoutLastRow(p)
	case "tokens past the context are accepted", "the sequence is not truncated":
		opt.Context *= 8
	}
	e, err := b.Backend.Load(ctx, p, opt)
	if err != nil {
		return nil, err
	}
	if r, ok := roundings[b.fault]; ok && opt.Precision == model.Precise {
		e = oracle.NewRounded(p, r)
	}
	return &faultyExecutor{Executor: e, fault: b.fault, vocab: p.Config.Vocab, fast: opt.Precision == model.Fast}, nil
}

// withoutLastRow repeats the first row of the first layer's down projection in the place of the last.
func withoutLastRow(p *model.Params) *model.Params {
	q := *p
	q.Layers = slices.Clone(p.Layers)
	w := p.Layers[0].Down.W[0]
	rows := make([]int32, w.Out)
	for n := range rows {
		rows[n] = int32(n)
	}
	rows[len(rows)-1] = 0
	q.Layers[0].Down.W = []*quant.Matrix{w.Reorder(rows)}
	return &q
}

type faultyExecutor struct {
	model.Executor
	fault  string
	vocab  int
	fast   bool
	length int
}

func (e *faultyExecutor) Forward(ctx context.Context, tokens []int32, pos int, out *model.Output) error {
	want := out
	switch e.fault {
	case "tokens are read one position late":
		tokens = append(slices.Clone(tokens[1:]), tokens[0])
	case "cancelling is not noticed":
		ctx = context.WithoutCancel(ctx)
	case "the sequence is not truncated":
		pos = e.length
		e.length += len(tokens)
	case "a chunk does not see the chunks before it":
		pos = 0
	case "the first rows are returned, not the last":
		if want != nil {
			out = &model.Output{Rows: len(tokens), Logits: make([]float32, len(tokens)*e.vocab)}
		}
	}
	if err := e.Executor.Forward(ctx, tokens, pos, out); err != nil || out == nil || out.Rows == 0 {
		return err
	}
	e.spoil(out)
	if out != want {
		copy(want.Logits, out.Logits)
	}
	return nil
}

// spoil changes a correct result.
func (e *faultyExecutor) spoil(out *model.Output) {
	switch e.fault {
	case "a constant is added to the largest logit":
		best := 0
		for i, v := range out.Logits[:e.vocab] {
			if v > out.Logits[best] {
				best = i
			}
		}
		out.Logits[best] += 0.05
	case "the last bit is random":
		i := rand.IntN(len(out.Logits)) //nolint:gosec // noise
		out.Logits[i] *= 1 + 1e-5*rand.Float32()
	case "candidates are in no order":
		for _, top := range out.Top {
			if len(top) > 1 {
				top[0], top[1] = top[1], top[0]
			}
		}
	case "the fast mode is a tenth of a deviation off":
		if e.fast {
			for i := range out.Logits {
				out.Logits[i] += 0.4 * float32(rand.NormFloat64()) // the fixture's logits have a deviation of 4
			}
		}
	}
}
