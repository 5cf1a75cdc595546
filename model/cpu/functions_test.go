package cpu

import (
	"math"
	"testing"

	"peregrine/model/tensor"
)

// sweep returns a dense grid over [lo, hi] and both ends.
func sweep(lo, hi float64, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(lo + (hi-lo)*float64(i)/float64(n-1))
	}
	return x
}

// The definition is x/2·(1+erf(x/√2)). Next to −5, 1+erf cancels: there the error is measured against |x|/2, the size of the
// factor in front.
func TestGELUIsTheExactForm(t *testing.T) {
	eachISA(t, 1, func(t *testing.T, b *backend) {
		x := append(sweep(-12, 12, 1<<20), sweep(-1e-3, 1e-3, 1001)...)
		y := append([]float32(nil), x...)
		mapAll(b, mapGELU, y)
		worst := 0.0
		for i := range x {
			v := float64(x[i])
			want := v / 2 * (1 + math.Erf(v/math.Sqrt2))
			size := max(math.Abs(v)/2, 1e-30)
			worst = max(worst, math.Abs(float64(y[i])-want)/size)
		}
		t.Logf("largest error %.3g of |x|/2", worst)
		if !(worst < 2.5e-7) { // 1+erf reaches 2, whose half unit is 1.2e-7, and the product rounds once more
			t.Errorf("largest error %v of |x|/2", worst)
		}
	})
}

// Relative, over the range in which the result is a normal number.
func TestExpIsAccurate(t *testing.T) {
	eachISA(t, 1, func(t *testing.T, b *backend) {
		x := sweep(-87, 80, 1<<20)
		y := append([]float32(nil), x...)
		mapAll(b, mapExp, y)
		worst := 0.0
		for i := range x {
			want := math.Exp(float64(x[i]))
			worst = max(worst, math.Abs(float64(y[i])-want)/want)
		}
		t.Logf("largest relative error %.3g", worst)
		if !(worst < 1.5e-7) {
			t.Errorf("largest relative error %v", worst)
		}
	})
}

func TestExpEnds(t *testing.T) {
	eachISA(t, 1, func(t *testing.T, b *backend) {
		x := []float32{float32(math.Inf(-1)), -200, -90, 0, float32(math.NaN())}
		mapAll(b, mapExp, x)
		if x[0] != 0 || x[1] != 0 || x[2] > 1e-38 || x[3] != 1 || !math.IsNaN(float64(x[4])) {
			t.Errorf("exp of -Inf, -200, -90, 0, NaN: got %v", x)
		}
	})
}

func TestSiLU(t *testing.T) {
	eachISA(t, 1, func(t *testing.T, b *backend) {
		x := append(sweep(-100, 100, 1<<18+3), sweep(-1, 1, 1001)...)
		y := append([]float32(nil), x...)
		mapAll(b, mapSiLU, y)
		for i := range x {
			v := float64(x[i])
			want := v / (1 + math.Exp(-v))
			if e := math.Abs(float64(y[i]) - want); !(e <= 3e-7*math.Abs(want)+1e-36) {
				t.Fatalf("silu(%v) is %v, want %v", v, y[i], want)
			}
		}
	})
}

func TestHalfRoundsToNearestEvenAndSaturates(t *testing.T) {
	eachISA(t, 1, func(t *testing.T, b *backend) {
		r := random(11)
		x := []float32{0, 65504, 65519, 1e6, -1e6, 6e-8, 2.9e-8, 1e-10, float32(math.NaN()), 1 + 1.0/2048, 1 + 3.0/2048}
		for range 1 << 16 {
			x = append(x, math.Float32frombits(r.Uint32()))
		}
		y := append([]float32(nil), x...)
		mapAll(b, mapHalf, y)
		for i, v := range x {
			want := tensor.FromF16(tensor.ToF16(min(max(v, -65504), 65504)))
			if y[i] != want && !(math.IsNaN(float64(v)) && math.IsNaN(float64(y[i]))) {
				t.Fatalf("%v as half is %v, want %v", v, y[i], want)
			}
		}
	})
}

func TestNorms(t *testing.T) {
	eachISA(t, 1, func(t *testing.T, b *backend) {
		const eps = 1e-5
		for _, n := range []int{1, 2, 7, 8, 9, 96, 577, 4544} {
			r := random(uint64(n))
			x, w, bias := gaussian(r, n), gaussian(r, n), gaussian(r, n)
			for i := range x {
				x[i] = 3*x[i] + 5
			}
			for _, layer := range []bool{true, false} {
				var shift []float32
				mean, square := 0.0, 0.0
				if layer {
					shift = bias
					for _, v := range x {
						mean += float64(v) / float64(n)
					}
				}
				for _, v := range x {
					square += (float64(v) - mean) * (float64(v) - mean) / float64(n)
				}
				got := norm(b, x, w, shift, eps)
				for i, v := range x {
					want := (float64(v) - mean) / math.Sqrt(square+eps) * float64(w[i])
					if layer {
						want += float64(bias[i])
					}
					if e := math.Abs(float64(got[i]) - want); !(e < 2e-5) {
						t.Fatalf("n %d, layer norm %v: element %d is %v, want %v", n, layer, i, got[i], want)
					}
				}
			}
		}
	})
}
