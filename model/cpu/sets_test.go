package cpu

import (
	"slices"
	"strings"
	"testing"

	"peregrine/model"
	"peregrine/model/backendtest"
	"peregrine/model/quant"
)

// The sets of an architecture differ in how they sum integers, which is exact: a machine with a better one answers with the same
// words.
func TestSetsOfAnArchitectureGiveTheSameBits(t *testing.T) {
	const most = 91 // for amx: a full tile, one of 16 tokens, one of 8 and three that go to avx512vnni
	type product struct {
		matrix int
		in     inputs
	}
	want := map[product][]float32{}
	var sets []string
	eachISA(t, 2, func(t *testing.T, b *backend) {
		if b.Name() == "cpu (scalar, 2 threads)" {
			t.Skip("scalar sums floats in another order")
		}
		rows := most
		if hasBF16(b) {
			rows = bf16Rows - 1
		}
		sets = append(sets, b.Name())
		for i, m := range every(11) {
			p, err := packOne(b, m)
			if err != nil {
				t.Fatal(err)
			}
			for _, in := range []inputs{rounded, roundedTwice} {
				y := make([]float32, rows*m.Out)
				p.multiply(b, y, gaussian(random(12), rows*m.In), rows, in)
				if first, ok := want[product{i, in}]; !ok {
					want[product{i, in}] = y
				} else if !slices.Equal(y, first[:len(y)]) {
					t.Errorf("%s, inputs %d: other bits than with %s", m.Name, in, sets[0])
				}
			}
			p.close()
		}
	})
	if len(sets) < 2 {
		t.Skipf("NOT COMPARED: %q is all that this machine has but for scalar", sets)
	}
}

// The same for whole models, whose attention takes more vectors at once with wider registers: heads of 64 features, and of 24, which are
// no whole register.
func TestModelsGiveTheSameBitsWithAllSetsOfAnArchitecture(t *testing.T) {
	for _, c := range []struct {
		name           string
		heads, kv, dim int
		precision      model.Precision
	}{{"f16", 6, 2, 64, model.Fast}, {"f32", 8, 1, 24, model.Precise}} {
		config := model.Config{
			Architecture: "llama", Hidden: c.heads * c.dim, Layers: 2, Heads: c.heads, KVHeads: c.kv, HeadDim: c.dim, FFN: 320, Vocab: 97,
			MaxContext: 400, Norm: model.RMSNorm, NormEps: 1e-5, MLP: model.GatedSiLU, Rope: model.Rope{Base: 10000}, BOS: -1,
		}
		params := backendtest.Random(7, config, backendtest.Weights{Format: quant.Q4_1}, false, false)
		tokens := make([]int32, 333)
		for i := range tokens {
			tokens[i] = int32(i * i % config.Vocab)
		}
		var want []float32
		for _, isa := range ISAs() {
			if isa == "scalar" {
				continue
			}
			e, b := load(t, params, Options{Threads: 2, ISA: isa}, c.precision, 0)
			if hasBF16(b) && c.precision == model.Fast {
				continue // products of many rows are of bfloat16
			}
			got := make([]float32, 2*config.Vocab)
			for i, at := range []int{0, len(tokens) - 1} { // a prompt, then one token
				end := []int{len(tokens) - 1, len(tokens)}[i]
				out := &model.Output{Rows: 1, Logits: got[i*config.Vocab : (i+1)*config.Vocab]}
				if err := e.Forward(t.Context(), tokens[at:end], at, out); err != nil {
					t.Fatal(err)
				}
			}
			if want == nil {
				want = got
			} else if !slices.Equal(got, want) {
				t.Errorf("%s: %s gives other bits than %s", c.name, isa, ISAs()[0])
			}
		}
	}
}

// What only an emulator has run may be wrong on a machine in ways that no test here has seen.
func TestUntriedSetsAreNeverTheDefault(t *testing.T) {
	if got := tried(); got != "old" {
		t.Errorf("the default of an untried and a tried set is the %s one", got)
	}
	b, err := open(Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if b.isa.untried != 0 {
		t.Errorf("the default here is %s, which is untried", b.Name())
	}
	for _, isa := range ISAs() {
		named, err := open(Options{Threads: 1, ISA: isa})
		if err != nil {
			t.Errorf("%s does not open by its name: %v", isa, err)
			continue
		}
		if untried := strings.HasPrefix(isa, "neon"); (named.isa.untried != 0) != untried {
			t.Errorf("%s is marked as untried: %v", isa, !untried)
		}
		named.Close()
	}
}
