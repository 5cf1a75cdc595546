package cuda

import (
	"slices"
	"testing"

	"peregrine/cuda/emulator"
	"peregrine/model"
)

// What is compiled ahead is what loading and running ask for, in that order, in both modes.
func TestModulesAreThoseThatRun(t *testing.T) {
	for precision, want := range map[model.Precision][]string{
		model.Fast:    {"repack", "linear_f16", "norm", "linear_g4", "attention_32", "top", "prefill_g4", "attention", "decode_g4"},
		model.Precise: {"repack", "linear_f16", "norm", "linear_g4", "attention", "top"},
	} {
		r, err := newResident(small(), model.LoadOptions{Context: 32, Precision: precision})
		must(t, err)
		d := emulator.Open(emulator.Options{})
		e := &executor{d: d, resident: r}
		if got := e.modules(); !slices.Equal(got, want) {
			t.Errorf("%v: got %v, want %v", precision, got, want)
		}
		must(t, d.Close())
	}
}
