package cpu

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"peregrine/model"
	"peregrine/model/backendtest"
	"peregrine/model/quant"
	"peregrine/model/tensor"
)

// The product of many rows is, in a set that has them, the exact one of inputs and weights rounded to bfloat16, of dense weights too, so
// that only float32 sums remain as errors.
func TestProductsOfManyRowsAreThoseOfBF16(t *testing.T) {
	eachISA(t, 2, func(t *testing.T, b *backend) {
		if !hasBF16(b) {
			t.Skip("it has no products of bfloat16")
		}
		wide := blocks(random(6), quant.Q4_1, 300, 96) // whose items have as many rows as one call takes
		for i, m := range append(every(5), wide) {
			p, err := packOne(b, m)
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range []int{bf16Rows, bf16Rows + 1, 70, chunk, 300} {
				if n > chunk && m != wide {
					continue
				}
				x, y := gaussian(random(uint64(i)), n*m.In), make([]float32, n*m.Out)
				if !p.multiply(b, y, x, n, rounded) {
					t.Fatal("no memory")
				}
				want, size := productOf(m, toBF16, slices.Clone(x), n)
				for j := range want {
					if e := math.Abs(float64(y[j])-want[j]) / (size[j] + 1e-30); !(e < 1e-5) {
						t.Fatalf("%s [%d, %d], %d rows: element %d is %v, want %v", m.Name, m.Out, m.In, n, j, y[j], want[j])
					}
				}
				for _, step := range []int{bf16Rows, 43, 64} { // the rest of chunk is enough, too
					if n != chunk {
						continue
					}
					cut := make([]float32, n*m.Out)
					for at := 0; at < n; at += step {
						p.multiply(b, cut[at*m.Out:], x[at*m.In:], min(step, n-at), rounded)
					}
					if !slices.Equal(cut, y) {
						t.Errorf("%s: steps of %d rows give other bits than %d at once", m.Name, step, n)
					}
				}
			}
			p.close()
		}
	})
}

// toBF16 rounds v to bfloat16.
func toBF16(v []float32) {
	for i, x := range v {
		v[i] = tensor.FromBF16(tensor.ToBF16(x))
	}
}

// alibi is one of Falcon's kind with ALiBi in the place of rotary embeddings.
func alibi(w backendtest.Weights) *model.Params {
	c := falcon(w).Config
	c.Positions, c.Rope, c.KVHeads = model.ALiBi, model.Rope{}, c.Heads
	return backendtest.Random(4, c, w, true, true)
}

// With products of bfloat16 the same holds for passes of as many tokens as take these, and for those of fewer.
func TestSameBitsForAnyThreadsAndPassesWithBF16(t *testing.T) {
	for name, p := range map[string]*model.Params{
		"llama Q4_1": llama(backendtest.Weights{Format: quant.Q4_1}), "llama F16": llama(backendtest.Weights{Format: quant.F16}),
		"falcon GPTQ": falcon(gptq4()),
	} {
		for kind, steps := range map[string][]int{"many": {512, bf16Rows, 128, 171}, "few": {1, 3, bf16Rows - 1}} {
			t.Run(name+" "+kind, func(t *testing.T) {
				tokens := backendtest.RandomTokens(1, 512, p.Config.Vocab)
				var want []float32
				for _, threads := range []int{1, 2, 3, 7} {
					e, b := load(t, p, Options{Threads: threads}, model.Fast, 0)
					if !hasBF16(b) {
						t.Skipf("NOT RUN: no products of bfloat16 in %s", b.Name())
					}
					for _, step := range steps {
						got := logits(t, e, tokens, step)
						if want == nil {
							want = got
						}
						if !slices.Equal(got, want) {
							t.Errorf("%d threads, passes of %d tokens: other bits than one thread, passes of %d", threads, step, steps[0])
						}
					}
				}
			})
		}
	}
}

// Threads decide how long chunks are, and so into which the wanted rows fall: neither may change a bit. Of as many rows as take
// bfloat16 themselves the bits are those of all rows.
func TestManyTokensAreTheSameBitsForAnyThreads(t *testing.T) {
	for name, p := range map[string]*model.Params{
		"llama": llama(backendtest.Weights{Format: quant.Q4_1}), "falcon act-order": falcon(gptq4()),
		"falcon": falcon(backendtest.Weights{Format: quant.Q8_0}),
	} {
		t.Run(name, func(t *testing.T) {
			tokens := backendtest.RandomTokens(1, 530, p.Config.Vocab)
			want := map[string][]float32{}
			for _, threads := range []int{1, 3, 8, 16} {
				e, _ := load(t, p, Options{Threads: threads}, model.Fast, 0)
				for _, n := range []int{130, 140, 257, 530} {
					all := logits(t, e, tokens[:n], n)
					for _, rows := range []int{1, 3, 20, 31, 32, 100} {
						got := make([]float32, rows*e.config.Vocab)
						if err := e.Forward(t.Context(), tokens[:n], 0, &model.Output{Rows: rows, Logits: got}); err != nil {
							t.Fatal(err)
						}
						key := fmt.Sprintf("%d rows of %d tokens", rows, n)
						if want[key] == nil {
							want[key] = got
						}
						if !slices.Equal(got, want[key]) {
							t.Errorf("%s with %d threads: other bits than with one", key, threads)
						}
						if rows >= bf16Rows && !slices.Equal(got, all[(n-rows)*e.config.Vocab:]) {
							t.Errorf("%s with %d threads: other bits than those of all rows", key, threads)
						}
					}
				}
			}
		})
	}
}

// In products, and in attention over more than one segment.
func TestBF16IsNearerToThePreciseModeThanInt8(t *testing.T) {
	const isa = "amxbf16"
	if !slices.Contains(ISAs(), isa) {
		t.Skipf("NOT RUN: this machine has no %s; it has %v", isa, ISAs())
	}
	for name, p := range map[string]*model.Params{
		"llama": llama(backendtest.Weights{Format: quant.Q4_1}), "falcon": falcon(gptq4()),
		"alibi": alibi(backendtest.Weights{Format: quant.Q8_0}),
	} {
		tokens := backendtest.RandomTokens(1, 600, p.Config.Vocab)
		run := func(isa string, precision model.Precision) []float32 {
			e, _ := load(t, p, Options{Threads: 2, ISA: isa}, precision, 0)
			return logits(t, e, tokens, len(tokens))
		}
		precise := run("", model.Precise)
		off := func(isa string) float64 {
			difference, size := 0.0, 0.0
			for i, v := range run(isa, model.Fast) {
				difference += math.Pow(float64(v-precise[i]), 2)
				size += float64(precise[i]) * float64(precise[i])
			}
			return math.Sqrt(difference / size)
		}
		if wide, narrow := off(isa), off("amx"); !(wide < narrow) || wide == 0 {
			t.Errorf("%s: logits of bfloat16 are off by %.2g of precise ones, those of int8 by %.2g", name, wide, narrow)
		} else {
			t.Logf("%s: bfloat16 %.2g, int8 %.2g", name, wide, narrow)
		}
	}
}
