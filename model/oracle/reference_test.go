package oracle_test

import (
	"context"
	"math"
	"testing"

	"peregrine/model"
	"peregrine/model/backendtest"
	"peregrine/model/oracle"
)

// tolerance is what transformers in float32 may differ from float64, of the largest logit: the fixtures' README reports at
// most 2.6e-5 of 28.
const tolerance = 5e-6

func TestLogitsOfEveryFixture(t *testing.T) {
	for _, name := range backendtest.Fixtures(t) {
		t.Run(name, func(t *testing.T) {
			c, golden := backendtest.Open(t, name), backendtest.ReadGolden(t, name)
			for _, p := range golden.Prompts {
				if p.Logits == nil {
					continue
				}
				out := &model.Output{Rows: len(p.IDs), Logits: make([]float32, len(p.Logits))}
				if err := oracle.New(c.Params).Forward(context.Background(), p.IDs, 0, out); err != nil {
					t.Fatal(err)
				}
				closeTo(t, p.Name, out.Logits, p.Logits, tolerance)
			}
		})
	}
}

func TestHiddenStatesOfEveryFixture(t *testing.T) {
	for _, name := range backendtest.Fixtures(t) {
		t.Run(name, func(t *testing.T) {
			c, golden := backendtest.Open(t, name), backendtest.ReadGolden(t, name)
			within := tolerance
			if name == "falcon-rw-16h" { // carries the reference's bfloat16 slopes, 2⁻⁹ off each; there is no unrounded form
				within = 2e-2
			}
			if len(golden.Hidden) == 0 || golden.Prompts[0].Name != "short" {
				t.Fatal("no golden hidden states of the short prompt")
			}
			var hidden []float32
			o := oracle.New(c.Params)
			o.OnLayer(func(layer int, x []float64) {
				if want := len(hidden) / len(x); layer != want {
					t.Errorf("layer %d reported, want %d", layer, want)
				}
				for _, v := range x {
					hidden = append(hidden, float32(v))
				}
			})
			if err := o.Forward(context.Background(), golden.Prompts[0].IDs, 0, nil); err != nil {
				t.Fatal(err)
			}
			closeTo(t, "hidden states", hidden, golden.Hidden, within)
		})
	}
}

func closeTo(t *testing.T, what string, got, want []float32, within float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	var largest, worst float64
	for i := range want {
		largest = math.Max(largest, math.Abs(float64(want[i])))
		if d := math.Abs(float64(got[i]) - float64(want[i])); d > worst || math.IsNaN(d) {
			worst = d
		}
	}
	t.Logf("%s: largest error %.2g of %.3g", what, worst, largest)
	if !(worst <= within*largest) {
		t.Errorf("%s: largest error %.3g, want at most %.3g", what, worst, within*largest)
	}
}

func TestRoundingChangesLittleButSomething(t *testing.T) {
	c, golden := backendtest.Open(t, "falcon-7b"), backendtest.ReadGolden(t, "falcon-7b")
	p := golden.Prompts[0]
	out := &model.Output{Rows: len(p.IDs), Logits: make([]float32, len(p.Logits))}
	o := oracle.NewRounded(c.Params, oracle.Rounding{Activations: 32, KV16: true})
	if err := o.Forward(context.Background(), p.IDs, 0, out); err != nil {
		t.Fatal(err)
	}
	worst := 0.0
	for i := range p.Logits {
		worst = math.Max(worst, math.Abs(float64(out.Logits[i]-p.Logits[i])))
	}
	if worst < 1e-3 || worst > 2 {
		t.Errorf("int8 activations and a float16 cache change logits by %v; want some hundredths of their size", worst)
	}
}

func TestForwardStopsBetweenLayersWhenCancelled(t *testing.T) {
	c := backendtest.Open(t, "falcon-40b")
	ctx, cancel := context.WithCancel(context.Background())
	o := oracle.New(c.Params)
	o.OnLayer(func(layer int, _ []float64) {
		if layer > 0 {
			t.Errorf("layer %d runs after the context was cancelled", layer)
		}
		cancel()
	})
	if err := o.Forward(ctx, []int32{1, 2, 3}, 0, nil); err == nil {
		t.Error("a cancelled forward pass reports no error")
	}
	if err := o.Forward(context.Background(), []int32{4}, 3, nil); err == nil {
		t.Error("a cancelled forward pass left its tokens in the sequence")
	}
}
