package cuda

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"peregrine/cuda/driver"
	"peregrine/model/tensor"
)

// activation is an x that a kernel writes: where each of n features stands among more, and how it is stored.
type activation struct {
	at       driver.Ptr
	place    []uint32
	features int
	tokens   int
	form     int
}

// newActivation makes an x of n features or a few more, of which n have a place.
func (r rig) newActivation(random *rand.Rand, tokens, n, form int, placed bool) activation {
	r.Helper()
	x := activation{features: ceilDiv(n+3, 32) * 32, tokens: tokens, form: form}
	if placed {
		for _, p := range random.Perm(x.features)[:n] {
			x.place = append(x.place, uint32(p))
		}
	}
	r.poison(&x)
	return x
}

// poison gives x new memory in which nothing was written yet.
func (r rig) poison(x *activation) {
	r.Helper()
	n := xElements(x.form, x.features, x.tokens)
	if x.form == formFloats {
		x.at = put(r, slices.Repeat([]float32{unwritten}, n))
	} else {
		x.at = put(r, slices.Repeat([]uint16{tensor.ToF16(unwritten)}, n))
	}
}

const unwritten = -1024 // exact in f16, and no result comes near it

// read returns x as [tokens][n] and fails if another element was written.
func (r rig) read(x activation, n int) [][]float64 {
	r.Helper()
	count := xElements(x.form, x.features, x.tokens)
	flat := make([]float64, count)
	if x.form == formFloats {
		for i, v := range get[float32](r, x.at, count) {
			flat[i] = float64(v)
		}
	} else {
		for i, v := range get[uint16](r, x.at, count) {
			flat[i] = float64(tensor.FromF16(v))
		}
	}
	rows := make([][]float64, x.tokens)
	for t := range rows {
		rows[t] = make([]float64, n)
		for k := range n {
			p := k
			if x.place != nil {
				p = int(x.place[k])
			}
			at := xIndex(x.form, x.features, t, p)
			rows[t][k], flat[at] = flat[at], unwritten
		}
	}
	for i, v := range flat {
		if v != unwritten {
			r.Fatalf("element %d of x was written: %v", i, v)
		}
	}
	return rows
}

// near fails unless got is want within absolute + relative·|want|; half a unit of f16 (2^-11) comes on top where x is f16.
func near(r rig, what string, got [][]float64, want [][]float64, half bool, absolute, relative float64) {
	r.Helper()
	if half {
		relative += 1.0 / 2048
		absolute += 1e-7 // subnormal f16
	}
	for t := range want {
		for k, w := range want[t] {
			if e := math.Abs(got[t][k] - w); !(e <= absolute+relative*math.Abs(w)) {
				r.Fatalf("%s: token %d, feature %d is %v, want %v", what, t, k, got[t][k], w)
			}
		}
	}
}

func gaussian(random *rand.Rand, n int, deviation, mean float64) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(random.NormFloat64()*deviation + mean)
	}
	return v
}

// normCase is one launch of norm, or of norm_decode with the statistics of the rows.
type normCase struct {
	hidden, tokens, slices, outputs int
	rms, decode                     bool
	form                            int
}

// statistics is what linear_decode leaves of rows: [token][block][2], mean and Σ (x − mean)².
func statistics(rows []float32, hidden int) (stats []float32) {
	for len(rows) > 0 {
		for block := range slices.Chunk(rows[:hidden], decodeTiles*tileRows) {
			mean, squares := 0.0, 0.0
			for _, v := range block {
				mean += float64(v) / float64(len(block))
			}
			for _, v := range block {
				squares += (float64(v) - mean) * (float64(v) - mean)
			}
			stats = append(stats, float32(mean), float32(squares))
		}
		rows = rows[hidden:]
	}
	return stats
}

// run compares with the definition in float64. The statistics are sums of up to 64 terms a thread and 8 in a tree: their relative
// error stays below 72·2^-24 = 4e-6; rows have a mean of 5 deviations, whose rounding costs as much again.
func (c normCase) run(r rig) {
	r.Helper()
	const eps = 1e-5
	random := rand.New(rand.NewPCG(uint64(c.hidden), uint64(c.tokens)))
	in := gaussian(random, c.tokens*c.hidden, 3, 15)
	a := normArgs{
		in: address(put(r, in)), outputs: size(c.outputs), hidden: size(c.hidden), tokens: size(c.tokens), eps: eps,
		rms: truth(c.rms), form: size(c.form),
	}
	xs, weights, biases := make([]activation, c.outputs), make([][]float32, c.outputs), make([][]float32, c.outputs)
	for o := range xs {
		xs[o], weights[o] = r.newActivation(random, c.tokens, c.hidden, c.form, o%2 == 1), gaussian(random, c.hidden, 1, 0)
		if !c.rms && o%3 != 2 {
			biases[o] = gaussian(random, c.hidden, 1, 0)
		}
		a.output[o] = normOutput{
			weight: address(put(r, weights[o])), bias: address(put(r, biases[o])), place: address(put(r, xs[o].place)),
			x: address(xs[o].at), features: size(xs[o].features),
		}
	}
	if c.decode {
		blocks := ceilDiv(c.hidden, decodeTiles*tileRows)
		a.stats, a.ready, a.blocks = address(put(r, statistics(in, c.hidden))), address(put(r, []uint32{uint32(blocks)})), size(blocks)
		run(r, "norm", "norm_decode", c.tokens, ceilDiv(c.hidden, threads), a)
	} else {
		run(r, normKernel(c.form), normKernel(c.form), c.tokens, c.slices, a)
	}
	for o, x := range xs {
		want := make([][]float64, c.tokens)
		for t := range want {
			want[t] = normalized(in[t*c.hidden:][:c.hidden], weights[o], biases[o], eps, c.rms)
		}
		near(r, fmt.Sprintf("output %d", o), r.read(x, c.hidden), want, c.form != formFloats, 2e-5, 1e-5)
	}
}

func normalized(x, weight, bias []float32, eps float64, rms bool) []float64 {
	mean, variance, y := 0.0, 0.0, make([]float64, len(x))
	if !rms {
		for _, v := range x {
			mean += float64(v) / float64(len(x))
		}
	}
	for _, v := range x {
		variance += (float64(v) - mean) * (float64(v) - mean) / float64(len(x))
	}
	for i, v := range x {
		y[i] = (float64(v) - mean) / math.Sqrt(variance+eps) * float64(weight[i])
		if bias != nil {
			y[i] += float64(bias[i])
		}
	}
	return y
}

func TestNorm(t *testing.T) {
	eachDevice(t, func(t *testing.T, d driver.Device) {
		for _, c := range []normCase{
			{hidden: 1, tokens: 1, slices: 8, outputs: 1},
			{hidden: 2, tokens: 3, slices: 1, outputs: 6, form: formFloats},
			{hidden: 255, tokens: 8, slices: 8, outputs: 2, rms: true},
			{hidden: 577, tokens: 9, slices: 1, outputs: 3},
			{hidden: 1025, tokens: 2, slices: 3, outputs: 2, rms: true, form: formFloats},
			{hidden: 4544, tokens: 1, slices: 8, outputs: 2},
			{hidden: 8192, tokens: 1, slices: 8, outputs: 2, form: formFloats},
			{hidden: 8193, tokens: 2, slices: 8, outputs: 1},
			{hidden: 16384, tokens: 1, slices: 7, outputs: 1, rms: true},
			{hidden: 20001, tokens: 1, slices: 1, outputs: 1},
			{hidden: 1, tokens: 1, outputs: 1, decode: true},
			{hidden: 577, tokens: 3, outputs: 3, decode: true},
			{hidden: 8192, tokens: 1, outputs: 2, decode: true},
			{hidden: 20001, tokens: 8, outputs: 1, rms: true, decode: true},
			{hidden: 1, tokens: 9, slices: 1, outputs: 1, form: formCores},
			{hidden: 577, tokens: 70, slices: 1, outputs: 3, form: formCores},
			{hidden: 300, tokens: maxTokens, slices: 1, outputs: 2, rms: true, form: formCores},
		} {
			t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) { c.run(rig{t, d}) })
		}
	})
}

// What one of two tokens has does not reach the other; f16 saturates instead of becoming infinite.
func TestNormOfNaNAndLargeValues(t *testing.T) {
	eachDevice(t, func(t *testing.T, d driver.Device) {
		r, hidden := rig{t, d}, 300
		random := rand.New(rand.NewPCG(1, 1))
		in, weight := gaussian(random, 2*hidden, 1, 0), gaussian(random, hidden, 1, 0)
		in[17] = float32(math.NaN())
		weight[3] = 1e9
		x := r.newActivation(random, 2, hidden, formFragments, false)
		a := normArgs{in: address(put(r, in)), outputs: 1, hidden: size(hidden), tokens: 2, eps: 1e-5}
		a.output[0] = normOutput{weight: address(put(r, weight)), x: address(x.at), features: size(x.features)}
		run(r, "norm", "norm", 2, 1, a)
		got := r.read(x, hidden)
		for k := range hidden {
			if !math.IsNaN(got[0][k]) || math.IsNaN(got[1][k]) {
				t.Fatalf("feature %d is %v and %v, want NaN and a number", k, got[0][k], got[1][k])
			}
		}
		if math.Abs(got[1][3]) != 65504 {
			t.Errorf("a value beyond f16 became %v, want 65504 in size", got[1][3])
		}
	})
}

// The relative error of silu is 1.7e-7 (kernels/math.cuh), the product rounds once more.
func TestActivate(t *testing.T) {
	eachDevice(t, func(t *testing.T, d driver.Device) {
		for _, form := range []int{formFragments, formFloats, formCores} {
			for _, c := range []struct{ ffn, tokens, blocks int }{{1, 1, 1}, {300, 9, 2}, {1000, 2, 1}} {
				r, random := rig{t, d}, rand.New(rand.NewPCG(2, uint64(c.ffn)))
				gate, up := gaussian(random, c.ffn*c.tokens, 4, 0), gaussian(random, c.ffn*c.tokens, 1, 0)
				gate[0] = -100 // e^100 is no f32
				x := r.newActivation(random, c.tokens, c.ffn, form, true)
				run(r, "norm", "activate", c.blocks, c.tokens, activateArgs{
					gate: address(put(r, gate)), up: address(put(r, up)), place: address(put(r, x.place)), x: address(x.at),
					features: size(x.features), ffn: size(c.ffn), tokens: size(c.tokens), form: size(form),
				})
				want := make([][]float64, c.tokens)
				for token := range want {
					for k := range c.ffn {
						g, u := float64(gate[token*c.ffn+k]), float64(up[token*c.ffn+k])
						want[token] = append(want[token], g/(1+math.Exp(-g))*u)
					}
				}
				near(r, fmt.Sprintf("ffn %d", c.ffn), r.read(x, c.ffn), want, form != formFloats, 1e-36, 3e-7)
			}
		}
	})
}
