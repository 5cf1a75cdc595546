package cuda

import (
	"slices"
	"testing"

	"peregrine/cuda/driver"
	"peregrine/cuda/emulator"
	"peregrine/model"
	"peregrine/model/backendtest"
)

// asking is a device that notes which modules it is asked for, and runs them.
type asking struct {
	driver.Device
	modules []string
}

func (a *asking) Function(module, name string) (driver.Function, error) {
	if !slices.Contains(a.modules, module) {
		a.modules = append(a.modules, module)
	}
	return a.Device.Function(module, name)
}

// What is compiled ahead is what loading, a token, a prompt and a few tokens ask for, in that order, in both modes; nothing else is
// asked for.
func TestModulesAreThoseThatRun(t *testing.T) {
	for precision, want := range map[model.Precision][]string{
		model.Fast:    {"repack", "linear_f16", "norm", "linear_g4", "attention_32", "top", "prefill_g4", "attention", "decode_g4"},
		model.Precise: {"repack", "linear_f16", "norm", "linear_g4", "attention", "top"},
	} {
		d := &asking{Device: emulator.Open(emulator.Options{})}
		b := New(d)
		p := small()
		x, err := b.Load(t.Context(), p, model.LoadOptions{Context: 32, Precision: precision})
		must(t, err)
		for _, n := range []int{1, 12, decodeTokens, 3} {
			must(t, x.Forward(t.Context(), backendtest.RandomTokens(1, n, p.Config.Vocab), 0, &model.Output{Rows: 1}))
		}
		if !slices.Equal(d.modules, want) {
			t.Errorf("%v: asked for %v, want %v", precision, d.modules, want)
		}
		if got := x.(*executor).modules(); !slices.Equal(got, want) {
			t.Errorf("%v: compiles %v, want %v", precision, got, want)
		}
		must(t, b.Close())
	}
}
