//go:build cgo

package eval

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"peregrine/model"
	"peregrine/model/backendtest"
	"peregrine/model/cpu"
	"peregrine/model/oracle"
)

// judgements is testdata/transformers.json.
type judgements struct {
	Perplexity []struct {
		Model string
		IDs   []int32
		Cuts  []struct {
			Window, Stride, Tokens int
			Loss                   float64
		}
	}
	Divergence []struct {
		Model, Reference string
		IDs              []int32
		KL, Top1         float64
	}
}

func readJudgements(t *testing.T) (j judgements) {
	t.Helper()
	text, err := os.ReadFile("testdata/transformers.json")
	if err == nil {
		err = json.Unmarshal(text, &j)
	}
	if err != nil {
		t.Fatal(err)
	}
	if len(j.Perplexity) != 3 || len(j.Divergence) != 1 {
		t.Fatalf("%d perplexities and %d divergences, want 3 and 1", len(j.Perplexity), len(j.Divergence))
	}
	return j
}

// onEach runs a test on the CPU backend and on the oracle; open loads a fixture there with float32 activations.
func onEach(t *testing.T, test func(t *testing.T, open func(name string) *model.Decoder)) {
	processor, err := cpu.Open(cpu.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = processor.Close() }()
	for name, backend := range map[string]model.Backend{"cpu": processor, "oracle": oracle.Backend()} {
		t.Run(name, func(t *testing.T) {
			test(t, func(name string) *model.Decoder {
				c := backendtest.Open(t, name)
				exec, err := backend.Load(t.Context(), c.Params, model.LoadOptions{Precision: model.Precise})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = exec.Close() })
				return model.NewDecoder(c.Config, exec, 0)
			})
		})
	}
}

// far says whether got lies more than 0.01 % from want.
func far(got, want float64) bool { return !(math.Abs(got/want-1) <= 1e-4) }

func TestStridedPerplexityEqualsTransformers(t *testing.T) {
	j := readJudgements(t)
	onEach(t, func(t *testing.T, open func(string) *model.Decoder) {
		for _, p := range j.Perplexity {
			d := open(p.Model)
			for _, c := range p.Cuts {
				got, err := Run(t.Context(), p.IDs, d, nil, Options{Window: c.Window, Stride: c.Stride})
				if err != nil {
					t.Fatal(err)
				}
				if want := math.Exp(c.Loss); got.Tokens != c.Tokens || far(got.Perplexity, want) {
					t.Errorf("%s, windows of %d, %d apart: perplexity %v of %d tokens, want %v of %d",
						p.Model, c.Window, c.Stride, got.Perplexity, got.Tokens, want, c.Tokens)
				}
			}
		}
	})
}

func TestDivergenceEqualsTorch(t *testing.T) {
	j := readJudgements(t)
	onEach(t, func(t *testing.T, open func(string) *model.Decoder) {
		for _, x := range j.Divergence {
			got, err := Run(t.Context(), x.IDs, open(x.Model), open(x.Reference), Options{})
			if err != nil {
				t.Fatal(err)
			}
			if far(got.Against.KL, x.KL) || far(got.Against.Top1, x.Top1) {
				t.Errorf("%s against %s: %+v, want KL divergence %v and agreement %v", x.Model, x.Reference, *got.Against, x.KL, x.Top1)
			}
		}
	})
}
