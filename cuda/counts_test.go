package cuda

import (
	"fmt"
	"strings"
	"testing"

	"peregrine/cuda/driver"
	"peregrine/cuda/emulator"
	"peregrine/model"
	"peregrine/model/backendtest"
	"peregrine/model/quant"
)

// awaited is a counter that a launch waits for, and up to what.
type awaited struct {
	what    string
	counter driver.Ptr
	blocks  uint32
}

// awaits lists what a launch waits for.
func (l kernelLaunch) awaits() (list []awaited) {
	note := func(what string, counter, blocks uint64) {
		if counter != 0 {
			list = append(list, awaited{l.name + ", " + what, driver.Ptr(counter), uint32(blocks)})
		}
	}
	switch {
	case l.name == "norm_decode":
		a := (*normArgs)(l.args)
		note("row", uint64(a.ready), uint64(a.blocks))
	case strings.HasPrefix(l.name, "attention_decode_"):
		a := (*attentionArgs)(l.args)
		note("queries, keys and values", uint64(a.ready), uint64(a.blocks))
	case strings.HasPrefix(l.name, "linear_"):
		a := (*linearArgs)(l.args)
		for i, s := range a.segment[:a.segments] {
			for j, source := range s.source[:s.sources] {
				note(fmt.Sprintf("x of segment %d, source %d", i, j), uint64(source.ready), uint64(source.blocks))
			}
		}
	}
	return list
}

// A kernel that begins early waits for a count. The emulator, where kernels follow one another, sees one that is never reached; that
// a kernel waits for all of those who count, and not for some, shows here: the count is what the counter has in the end.
func TestEveryCountIsWaitedForToItsEnd(t *testing.T) {
	gptq := backendtest.Weights{Format: quant.GPTQFormat, Bits: 4, GroupSize: 32}
	shape := func(change func(c *model.Config)) *model.Params {
		c := small().Config
		c.Hidden, c.FFN = 96, 288 // no whole items of row tiles
		change(&c)
		return backendtest.Random(1, c, gptq, false, false)
	}
	apart := shape(func(c *model.Config) { c.Norm = model.RMSNorm }) // query, key and value in three matrices
	other := backendtest.Random(1, apart.Config, backendtest.Weights{Format: quant.Q8_0}, false, false)
	for i := range apart.Layers {
		apart.Layers[i].QKV.W[1] = other.Layers[i].QKV.W[1]
	}
	for name, c := range map[string]struct {
		p     *model.Params
		waits int // of a layer
	}{
		"parallel":              {shape(func(*model.Config) {}), 4},
		"many heads on one key": {shape(func(c *model.Config) { c.Heads, c.KVHeads = 17, 1 }), 4},
		"formats apart":         {apart, 4},
		"sequential":            {shape(func(c *model.Config) { c.Parallel = false }), 3},
		"sequential gated":      {shape(func(c *model.Config) { c.Parallel, c.MLP = false, model.GatedSiLU }), 3},
		"parallel gated":        {shape(func(c *model.Config) { c.MLP = model.GatedSiLU }), 2},
	} {
		t.Run(name, func(t *testing.T) {
			d := emulator.Open(emulator.Options{})
			b := New(d)
			x, err := b.Load(t.Context(), c.p, model.LoadOptions{Context: splitKeys + decodeTokens})
			must(t, err)
			e, pos := x.(*executor), 0
			for _, n := range []int{1, 2, 7, splitKeys - 14, decodeTokens} {
				must(t, e.Forward(t.Context(), backendtest.RandomTokens(1, n, c.p.Config.Vocab), pos, &model.Output{Rows: 1}))
				pos += n
				if n > decodeTokens {
					continue
				}
				launches, err := e.plan.launches(pass{n, 1})
				must(t, err)
				waits := 0
				for _, l := range launches {
					for _, w := range l.awaits() {
						waits++
						if got := download[uint32](t, d, w.counter, 1)[0]; got != w.blocks {
							t.Errorf("%d tokens, launch of %s: waits for %d of %d", n, w.what, w.blocks, got)
						}
					}
				}
				// The last norm has no statistics of its row where it takes one of several.
				if want := c.waits*c.p.Config.Layers - 1 + 1/n; waits != want {
					t.Errorf("%d tokens: %d counts are waited for, want %d", n, waits, want)
				}
			}
			must(t, b.Close())
		})
	}
}
