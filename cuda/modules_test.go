package cuda

import (
	"slices"
	"testing"

	"peregrine/cuda/driver"
	"peregrine/cuda/emulator"
	"peregrine/model"
	"peregrine/model/backendtest"
	"peregrine/model/quant"
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
	k4 := small()
	k4.Config.Hidden, k4.Config.HeadDim = 256, 64
	k4 = backendtest.Random(1, k4.Config, backendtest.Weights{Format: quant.Q4_K}, false, true)
	for _, c := range []struct {
		p         *model.Params
		precision model.Precision
		want      []string
	}{
		{small(), model.Fast, []string{"repack", "linear_f16", "norm", "linear_g4", "attention_32", "top", "prefill_g4", "attention", "decode_g4", "decode_f16"}},
		{small(), model.Precise, []string{"repack", "linear_f16", "norm", "linear_g4", "attention", "top"}},
		{k4, model.Fast, []string{"repack_gguf", "linear_k4", "norm", "attention_64", "top", "expand", "prefill_f16", "attention", "decode_k4"}},
		{k4, model.Precise, []string{"repack_gguf", "linear_k4", "norm", "attention", "top"}},
	} {
		d := &asking{Device: emulator.Open(emulator.Options{})}
		b := New(d)
		x, err := b.Load(t.Context(), c.p, model.LoadOptions{Context: 64, Precision: c.precision})
		must(t, err)
		for _, s := range []pass{{1, 1}, {60, 1}, {decodeTokens, decodeTokens}, {3, 1}, {2, 2}} {
			must(t, x.Forward(t.Context(), backendtest.RandomTokens(1, s.tokens, c.p.Config.Vocab), 0, &model.Output{Rows: s.rows}))
		}
		if !slices.Equal(d.modules, c.want) {
			t.Errorf("%v, %v: asked for %v, want %v", c.p.Embed.Format, c.precision, d.modules, c.want)
		}
		if got := x.(*executor).modules(); !slices.Equal(got, c.want) {
			t.Errorf("%v, %v: compiles %v, want %v", c.p.Embed.Format, c.precision, got, c.want)
		}
		must(t, b.Close())
	}
}
