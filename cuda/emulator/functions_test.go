package emulator_test

import (
	"math"
	"testing"

	"peregrine/cuda/driver"
	"peregrine/cuda/emulator"
)

// function is one of kernels/math.cuh, against float64.
type function struct {
	name     string
	exact    func(x float64) float64
	from, to float64                 // where budget holds; elsewhere see special
	budget   float64                 // units in the last place of size
	size     func(x float64) float64 // what the error is measured by; nil: the exact result
	special  map[float64]float64     // by argument
}

// functions are in the order of testkernels' kernel of that name. The budgets are the largest errors over every 53rd f32, 81
// million arguments, rounded up; subnormal results count in units of 2⁻¹⁴⁹.
var functions = []function{
	{
		name: "exp", exact: math.Exp, from: -200, to: 88.7228, budget: 1.01,
		special: map[float64]float64{0: 1, -104: 0, -1e30: 0, math.Inf(-1): 0, 88.73: math.Inf(1), 89.5: math.Inf(1), math.Inf(1): math.Inf(1)},
	},
	{
		name: "erf", exact: math.Erf, from: -math.MaxFloat32, to: math.MaxFloat32, budget: 1.08,
		special: map[float64]float64{0: 0, 4: 1, -4: -1, math.Inf(1): 1, math.Inf(-1): -1},
	},
	{name: "log", exact: math.Log, from: 0x1p-126, to: math.MaxFloat32, budget: 2.7, special: map[float64]float64{1: 0}},
	{
		// 1 + erf cancels below 0, so that the error is that of the factor x/2, not of the small result.
		name: "gelu", exact: func(x float64) float64 { return x / 2 * math.Erfc(-x/math.Sqrt2) }, size: func(x float64) float64 { return x / 2 },
		from: -math.MaxFloat32, to: math.MaxFloat32, budget: 2.9,
		special: map[float64]float64{0: 0, -1e30: 0, math.Inf(1): math.Inf(1), math.Inf(-1): math.NaN()},
	},
	{
		// Below −88.7 e^−x is infinite and the result 0, which is off by 2.7e-37 at most.
		name: "silu", exact: func(x float64) float64 { return x / (1 + math.Exp(-x)) }, from: -88.7, to: math.MaxFloat32, budget: 2.4,
		special: map[float64]float64{0: 0, -89: 0, -1e30: 0, math.Inf(1): math.Inf(1), math.Inf(-1): math.NaN()},
	},
}

// evaluated returns function f of in.
func (b *rig) evaluated(f int, in driver.Ptr, n int) []float32 {
	b.Helper()
	out := b.alloc(int64(4 * n))
	b.must(b.launch("functions", 8, 256, 0, in, out, uint64(n), int64(f)))
	got := download[float32](b, out, n)
	b.release(out)
	return got
}

func TestFunctionsAreAccurate(t *testing.T) {
	step := uint64(509) // prime, so that all mantissas have their turn
	if testing.Short() {
		step = 10007
	}
	var values []float32
	for bits := uint64(0); bits < 1<<32; bits += step {
		values = append(values, math.Float32frombits(uint32(bits)))
	}
	for _, seam := range []float32{0.93, 4, 88.7, -87.3, -103.9, 0.70710677, 1.4142135, 1} { // where one formula ends
		for below, above, n := seam, seam, 0; n < 500; n++ {
			values = append(values, below, above, -below, -above)
			below, above = math.Nextafter32(below, -200), math.Nextafter32(above, 200)
		}
	}
	b := open(t, emulator.Options{})
	in := upload(b, values)
	for i, f := range functions {
		worst, at := 0.0, float32(0)
		for j, got := range b.evaluated(i, in, len(values)) {
			if x := float64(values[j]); x >= f.from && x <= f.to {
				if e := f.error(x, float64(got)); e > worst || math.IsNaN(e) {
					worst, at = e, values[j]
				}
			}
		}
		t.Logf("%s: at most %.2f ulp off, at %v", f.name, worst, at)
		if !(worst <= f.budget) {
			t.Errorf("%s(%v) is %v ulp off, want %v at most", f.name, at, worst, f.budget)
		}
	}
	b.release(in)
	b.close()
}

// error returns how far got is from f(x), in units of the last place of f's size there.
func (f *function) error(x, got float64) float64 {
	want := f.exact(x)
	size := want
	if f.size != nil {
		size = f.size(x)
	}
	return math.Abs(got-want) / math.Ldexp(1, max(math.Ilogb(math.Max(math.Abs(size), 0x1p-126))-23, -149))
}

func TestFunctionsOfSpecialValues(t *testing.T) {
	b := open(t, emulator.Options{})
	for i, f := range functions {
		values, want := []float32{float32(math.NaN())}, []float64{math.NaN()}
		for x, y := range f.special {
			values, want = append(values, float32(x)), append(want, y)
		}
		in := upload(b, values)
		for j, got := range b.evaluated(i, in, len(values)) {
			if g, w := float64(got), want[j]; g != w && !(math.IsNaN(g) && math.IsNaN(w)) {
				t.Errorf("%s(%v) is %v, want %v", f.name, values[j], g, w)
			}
		}
		b.release(in)
	}
	b.close()
}
