package cuda

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"peregrine/cuda/driver"
	"peregrine/cuda/emulator"
	"peregrine/model"
	"peregrine/model/backendtest"
	"peregrine/model/oracle"
	"peregrine/model/quant"
	"peregrine/model/tensor"
)

// wideConfig is a configuration whose rows are whole blocks of K-quants.
func wideConfig(parallel bool) model.Config {
	c := small().Config
	c.Hidden, c.Heads, c.KVHeads, c.HeadDim, c.FFN, c.MaxContext = 256, 4, 2, 64, 512, 640
	if !parallel {
		c.Parallel, c.Norm, c.MLP, c.Tied = false, model.RMSNorm, model.GatedSiLU, false
	}
	return c
}

// mixed is a random model whose matrices are stored as a file like Q4_K_M has them: each as `format` says.
func mixed(c model.Config, format backendtest.Formats) *model.Params {
	return backendtest.RandomMixed(1, c, format, false, c.Parallel)
}

// noting is a device that runs nothing, so that launches can be looked at.
type noting struct{ driver.Device }

func (noting) Function(string, string) (driver.Function, error) { return noFunction{}, nil }

// What a launch of a prompt expands must lie in the room for it, apart from the launch's other matrix, and be what its product reads.
func TestExpandedWeightsStayInTheirRoom(t *testing.T) {
	device := noting{emulator.Open(emulator.Options{})}
	words := func(c model.Config) model.Config { // a head larger than any matrix of a layer
		c.Vocab = 3000
		return c
	}
	for _, c := range []struct {
		name string
		p    *model.Params
	}{
		{"parallel", mixed(wideConfig(true), backendtest.Uniform(quant.Q4_K))},
		{"parallel, output larger than down", mixed(func() model.Config {
			c := wideConfig(true)
			c.Heads, c.KVHeads, c.FFN = 16, 8, 256
			return c
		}(), backendtest.Uniform(quant.Q6_K))},
		{"parallel, down in another format", mixed(wideConfig(true), backendtest.Except(quant.Q4_K, map[string]quant.Format{"down": quant.Q6_K}))},
		{"parallel, output not expanded", mixed(wideConfig(true), backendtest.Except(quant.Q4_K, map[string]quant.Format{"attention output": quant.Q8_0}))},
		{"sequential, gated", mixed(wideConfig(false), backendtest.Uniform(quant.Q5_K))},
		{"query, key and value in three formats", mixed(wideConfig(false), backendtest.Except(quant.Q3_K, map[string]quant.Format{"key": quant.Q4_K, "value": quant.Q6_K}))},
		{"up in another format than gate", mixed(wideConfig(false), backendtest.Except(quant.Q5_1, map[string]quant.Format{"up": quant.Q5_0}))},
		{"a large head", mixed(words(wideConfig(false)), backendtest.Uniform(quant.Q4_K))},
		{"a large head that is the embedding", mixed(words(wideConfig(true)), backendtest.Uniform(quant.Q6_K))},
		{"nothing expanded", mixed(wideConfig(true), backendtest.Uniform(quant.Q8_0))},
	} {
		for _, precision := range []model.Precision{model.Fast, model.Precise} {
			t.Run(fmt.Sprint(c.name, " ", precision), func(t *testing.T) {
				if err := c.p.Validate(); err != nil {
					t.Fatal(err)
				}
				r, err := newResident(c.p, model.LoadOptions{Context: 600, Precision: precision})
				must(t, err)
				most := int64(0)
				for _, s := range []pass{{decodeTokens + 1, 1}, {chunkTokens, 0}, {chunkTokens, logitsRows}, {logitsRows, logitsRows}, {1, 1}} {
					list, err := (&plan{r, device}).launches(s)
					must(t, err)
					n := checkExpanded(t, r, list)
					if s.tokens <= decodeTokens && n > 0 {
						t.Errorf("%d tokens: expands %d bytes, want none", s.tokens, n)
					}
					most = max(most, n)
				}
				if room := r.expandedBytes(); most != room {
					t.Errorf("a launch expands at most %d bytes, in room for %d", most, room)
				}
				if wants := precision == model.Fast && c.name != "nothing expanded"; wants != (most > 0) {
					t.Errorf("expands %d bytes", most)
				}
			})
		}
	}
}

// checkExpanded looks at the launches of a pass and returns the most that is expanded for one product.
func checkExpanded(t *testing.T, r *resident, list []kernelLaunch) (most int64) {
	t.Helper()
	from := r.at(r.work.expanded)
	written := int64(0) // since the last product
	var at []driver.Ptr
	for _, l := range list {
		format, expands := strings.CutPrefix(l.name, "expand_")
		switch {
		case expands:
			a := (*expandArgs)(l.args)
			y := layoutNamed(t, format)
			bytes := int64(a.tiles) * tileRows * int64(a.w.k_tiles) * int64(y.features) * 2
			if driver.Ptr(a.to) != from+driver.Ptr(written) {
				t.Errorf("%s writes to %d bytes of the room, behind %d that are written", l.name, driver.Ptr(a.to)-from, written)
			}
			at = append(at, driver.Ptr(a.to))
			written += bytes
			if got := int64(l.grid.X) * int64(l.block.X) * vectorBytes; got < bytes {
				t.Errorf("%s has threads for %d bytes of %d", l.name, got, bytes)
			}
		case len(at) > 0:
			a := (*linearArgs)(l.args)
			if !strings.HasPrefix(l.name, "linear_prefill_f16") || int(a.segments) != 1 || int(a.segment[0].sources) != len(at) {
				t.Fatalf("%s of %d segments follows %d expanded matrices", l.name, a.segments, len(at))
			}
			for i, want := range at {
				if got := driver.Ptr(a.segment[0].source[i].w.codes); got != want {
					t.Errorf("source %d is read at %d, was expanded to %d", i, got, want)
				}
			}
			most, written, at = max(most, written), 0, nil
		}
	}
	if room := r.expandedBytes(); most > room || most > 0 && int64(r.work.expanded)+most > min(int64(r.work.topped), r.memory.size) {
		t.Errorf("%d bytes are expanded into room for %d", most, room)
	}
	return most
}

func layoutNamed(t *testing.T, name string) layout {
	t.Helper()
	for _, y := range storedLayouts {
		if y.name == name {
			return y
		}
	}
	t.Fatalf("no layout is called %q", name)
	return layout{}
}

// A prompt whose weights are expanded may end in more rows of logits than decode takes at once: the head goes in parts then. With
// a few tokens the prompt itself does.
func TestLogitsOfManyRowsOfAKQuant(t *testing.T) {
	p := mixed(wideConfig(false), backendtest.Uniform(quant.Q6_K))
	vocab := p.Config.Vocab
	b := New(emulator.Open(emulator.Options{Lazy: true}))
	defer b.Close()
	for _, c := range []struct{ tokens, rows, short int }{{60, 13, 0}, {60, 60, 0}, {30, 13, 48}, {70, 66, 0}} {
		ids := backendtest.RandomTokens(3, c.tokens, vocab)
		exact := &model.Output{Rows: c.rows, Logits: make([]float32, c.rows*vocab)}
		must(t, oracle.New(p).Forward(t.Context(), ids, 0, exact))
		x, err := b.Load(t.Context(), p, model.LoadOptions{Context: 96})
		must(t, err)
		x.(*executor).shortPrompt = c.short
		got := &model.Output{Rows: c.rows, Logits: make([]float32, c.rows*vocab)}
		must(t, x.Forward(t.Context(), ids, 0, got))
		for r := range c.rows {
			// The budget is TestFullSizeLayers'.
			rms, most := errorOf(got.Logits[r*vocab:][:vocab], exact.Logits[r*vocab:][:vocab])
			if !(rms <= 2e-3 && most <= 1e-2) {
				t.Errorf("row %d of the last %d of %d: rms %.2g, largest %.2g of a deviation", r, c.rows, c.tokens, rms, most)
			}
		}
		must(t, x.Close())
	}
}

// Few tokens go in passes that read weights as they are stored, where others would expand most of them.
func TestShortPromptsAreNotExpanded(t *testing.T) {
	large := wideConfig(true)
	large.Layers, large.Hidden, large.Heads, large.FFN = 1, 2048, 32, 8192
	for _, c := range []struct {
		p         *model.Params
		precision model.Precision
		passes    []int // of a prompt of 30 tokens
	}{
		{mixed(large, backendtest.Uniform(quant.Q4_K)), model.Fast, []int{8, 8, 8, 6}},
		{mixed(large, backendtest.Uniform(quant.Q4_K)), model.Precise, []int{30}},
		{mixed(large, backendtest.Uniform(quant.Q8_0)), model.Fast, []int{30}},
		{mixed(large, backendtest.Except(quant.Q8_0, map[string]quant.Format{"down": quant.Q4_K})), model.Fast, []int{30}},
		{mixed(wideConfig(true), backendtest.Uniform(quant.Q4_K)), model.Fast, []int{30}}, // too small to be worth it
	} {
		r, err := newResident(c.p, model.LoadOptions{Context: 600, Precision: c.precision})
		must(t, err)
		e := &executor{resident: r}
		var passes []int
		for left := 30; left > 0; {
			n := e.next(left, 1)
			passes = append(passes, n)
			left -= n
		}
		if fmt.Sprint(passes) != fmt.Sprint(c.passes) {
			t.Errorf("%v, %v: passes of %v, want %v", c.p.Layers[0].Down.W[0].Format, c.precision, passes, c.passes)
		}
		if n := e.next(chunkTokens+30, 1); n != chunkTokens {
			t.Errorf("a long prompt begins with %d tokens, want %d", n, chunkTokens)
		}
	}
}

// What a matrix is expanded to is what Dequantize says, rounded to f16 once.
func checkExpand(r rig, p packing, args matrixArgs, want [][]float32, gated bool) {
	r.Helper()
	to := r.room(p.expandedBytes())
	run(r, "expand", "expand_"+p.name, ceilDiv(int(p.expandedBytes()/vectorBytes), threads), 1, expandArgs{w: args, to: address(to), tiles: size(p.rowTiles)})
	f16 := packing{layout: layoutF16, kTiles: p.xFeatures() / layoutF16.features}
	b := packedBytes{packing: f16, codes: get[byte](r, to, int(p.expandedBytes()))}
	for n := range want {
		for k, v := range want[n] {
			v = min(max(v, -65504), 65504)
			if got, want := uint16(b.code(p.row(n, gated), p.at(k))), tensor.ToF16(v); got != want {
				r.Fatalf("expanded weight [%d][%d] is %#x, want %#x", n, k, got, want)
			}
		}
	}
	for row := range p.rowTiles * tileRows {
		for k := range p.xFeatures() {
			if v := float64(b.weight(row, k)); math.IsNaN(v) || math.IsInf(v, 0) {
				r.Fatalf("expanded weight [%d][%d], padding, is %g", row, k, v)
			}
		}
	}
}
