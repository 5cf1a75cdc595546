package cuda

import (
	"context"
	"errors"
	"math"
	"strconv"
	"strings"
	"testing"

	"peregrine/cuda/driver"
	"peregrine/cuda/emulator"
	"peregrine/model"
	"peregrine/model/backendtest"
	"peregrine/model/quant"
)

// The whole suite that every backend passes, on the emulator and on the card where there is one.
func TestBackend(t *testing.T) {
	t.Run("emulator", func(t *testing.T) {
		backendtest.RunWith(t, func(*testing.T) model.Backend { return New(emulator.Open(emulator.Options{Lazy: true})) },
			backendtest.Options{Parallel: true})
	})
	t.Run("emulator, short prompts", func(t *testing.T) {
		backendtest.RunWith(t, func(*testing.T) model.Backend { return shortPrompts{New(emulator.Open(emulator.Options{Lazy: true}))} },
			backendtest.Options{Only: kQuants, FastOnly: true, Parallel: true})
	})
	t.Run("card", func(t *testing.T) {
		requireCard(t)
		backendtest.RunWith(t, func(t *testing.T) model.Backend {
			b, err := Open(Options{})
			if err != nil {
				t.Fatal(err)
			}
			return b
		}, backendtest.Options{})
	})
}

// shortPrompts is a backend that takes up to six passes of few tokens for one of many, as it would for a large model of K-quants in the
// fast mode; in the precise one nothing is expanded, and it never does.
type shortPrompts struct{ model.Backend }

func (b shortPrompts) Load(ctx context.Context, p *model.Params, opt model.LoadOptions) (model.Executor, error) {
	x, err := b.Backend.Load(ctx, p, opt)
	if err == nil {
		x.(*executor).shortPrompt = 6 * decodeTokens
	}
	return x, err
}

// kQuants is the model of K-quants whose properties the suite looks at.
func kQuants(c model.Config) bool {
	return c.Hidden == 256 && c.FFN == 256 && c.Layers == 1
}

func small() *model.Params {
	return backendtest.Random(1, model.Config{
		Architecture: "falcon", Hidden: 128, Layers: 2, Heads: 4, KVHeads: 2, HeadDim: 32, FFN: 256, Vocab: 131,
		MaxContext: 64, Norm: model.LayerNorm, NormEps: 1e-5, MLP: model.GELU, Parallel: true, Tied: true,
		Rope: model.Rope{Base: 10000}, BOS: -1,
	}, backendtest.Weights{Format: quant.GPTQFormat, Bits: 4, GroupSize: 32, ActOrder: true}, false, true)
}

func TestAModelThatDoesNotFitIsRefusedBeforeLoading(t *testing.T) {
	d := emulator.Open(emulator.Options{Memory: reserve + 1<<20})
	b := New(d)
	defer b.Close()
	before, err := d.Free()
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.Load(context.Background(), small(), model.LoadOptions{Context: 1 << 16})
	if !errors.Is(err, driver.ErrOutOfMemory) {
		t.Fatalf("got %v, want an error of memory", err)
	}
	for _, want := range []string{"needs", "weights", "KV cache of 65536 tokens", "are free", "--context", "--backend cpu"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	if after, _ := d.Free(); after != before {
		t.Errorf("%d bytes are free afterwards, %d before", after, before)
	}
}

// Sizes of a context that no memory holds must not wrap around to ones that fit: that of this model would take 2^64 bytes, 0.
func TestAContextBeyondAllMemoryIsRefused(t *testing.T) {
	c := small().Config
	c.Heads, c.KVHeads, c.HeadDim = 32, 2, 64
	p := backendtest.Random(1, c, backendtest.Weights{Format: quant.F16}, false, true)
	b := New(emulator.Open(emulator.Options{}))
	defer b.Close()
	for _, tokens := range []int{contextMost, contextMost + 1, 1 << 32, 1 << 61, math.MaxInt} {
		e, err := b.Load(context.Background(), p, model.LoadOptions{Context: tokens})
		if e != nil || err == nil || !strings.Contains(err.Error(), strconv.Itoa(tokens)) || !strings.Contains(err.Error(), "--context") {
			t.Errorf("%d tokens: got %v, %v; want an error that names them and the remedy", tokens, e, err)
		}
		if need, err := b.Need(p, model.LoadOptions{Context: tokens}); err == nil && need.KV < 1<<30 {
			t.Errorf("%d tokens: the KV cache needs %d bytes", tokens, need.KV)
		}
	}
}

func TestAnArenaDoesNotOverflow(t *testing.T) {
	var a arena
	for range 100 {
		a.take(math.MaxInt64 - 1000)
	}
	if a.size != arenaMost {
		t.Errorf("got a size of %d, want %d", a.size, int64(arenaMost))
	}
	a = arena{}
	if p, q := a.take(1), a.take(257); p != 0 || q != 256 || a.size != 768 {
		t.Errorf("got slots %d, %d and a size of %d, want 0, 256, 768", p, q, a.size)
	}
}

func TestADecodeGraphHasFourKernelsALayer(t *testing.T) {
	p := small()
	b := New(emulator.Open(emulator.Options{}))
	defer b.Close()
	x, err := b.Load(context.Background(), p, model.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	e := x.(*executor)
	out := &model.Output{Rows: 1, Top: [][]model.Candidate{make([]model.Candidate, 5)}, LogSum: make([]float32, 1)}
	for pos := range 3 {
		if err := e.Forward(context.Background(), []int32{7}, pos, out); err != nil {
			t.Fatal(err)
		}
	}
	if len(e.graphs) != 1 {
		t.Errorf("%d graphs for three tokens, want one for all", len(e.graphs))
	}
	for _, g := range e.graphs {
		if most := 4*p.Config.Layers + 6; g.Kernels() > most {
			t.Errorf("a token launches %d kernels, want %d at most", g.Kernels(), most)
		}
	}
}
