package product

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func random(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

// eachSet runs f with every set of kernels that this machine has.
func eachSet(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	defer useSet(0)
	for i := 0; useSet(i); i++ {
		t.Run(fmt.Sprint(i), f)
	}
}

// TestMul compares with float64 sums: a chain of k float32 multiply-adds is off by at most k+1 roundings of Σ|x·w|.
func TestMul(t *testing.T) { eachSet(t, mulHolds) }

func mulHolds(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct{ rows, in, out int }{{1, 1, 1}, {5, 7, 33}, {13, 300, 31}, {24, 513, 64}, {37, 256, 100}} {
		x, w := random(r, c.rows*c.in), random(r, c.out*c.in)
		var m Matrix
		m.Pack(random(r, 1000), 10, 100) // what was there before must not shine through
		m.Pack(w, c.out, c.in)
		y := make([]float32, c.rows*c.out)
		m.Mul(y, x, c.rows)
		for i := range y {
			var want, size float64
			for k := range c.in {
				v := float64(x[i/c.out*c.in+k]) * float64(w[i%c.out*c.in+k])
				want, size = want+v, size+math.Abs(v)
			}
			if d := math.Abs(float64(y[i]) - want); d > size*float64(c.in+1)*0x1p-24 {
				t.Fatalf("%+v: y[%d] is %v, want %v", c, i, y[i], want)
			}
		}
	}
}

// TestMulDoesNotDependOnTheRowsBesideIt: each row alone has the same bits.
func TestMulDoesNotDependOnTheRowsBesideIt(t *testing.T) {
	eachSet(t, mulDoesNotDependOnTheRowsBesideItHolds)
}

func mulDoesNotDependOnTheRowsBesideItHolds(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	const rows, in, out = 29, 531, 70
	x := random(r, rows*in)
	var m Matrix
	m.PackAlone(random(r, out*in), out, in)
	all, one := make([]float32, rows*out), make([]float32, out)
	m.Mul(all, x, rows)
	for i := range rows {
		m.Mul(one, x[i*in:], 1)
		if !slices.Equal(one, all[i*out:(i+1)*out]) {
			t.Fatalf("row %d has other bits alone", i)
		}
	}
}

// TestGram compares with float64 sums, and leaves the upper triangle alone.
func TestGram(t *testing.T) { eachSet(t, gramHolds) }

func gramHolds(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, c := range []struct{ tokens, in int }{{1, 1}, {3, 31}, {128, 33}, {130, 97}, {300, 205}} {
		x := random(r, c.tokens*c.in)
		sum := make([]float64, c.in*c.in)
		for i := range sum {
			sum[i] = float64(i)
		}
		Gram(sum, x, c.tokens, c.in)
		for i := range c.in {
			for j := range c.in {
				want, size := float64(i*c.in+j), 0.0
				for at := 0; at < c.tokens && j <= i; at++ {
					v := float64(x[at*c.in+i]) * float64(x[at*c.in+j])
					want, size = want+v, size+math.Abs(v)
				}
				if d := math.Abs(sum[i*c.in+j] - want); d > size*(gramTokens+1)*0x1p-24 {
					t.Fatalf("%+v: sum[%d, %d] is %v, want %v", c, i, j, sum[i*c.in+j], want)
				}
			}
		}
	}
}

func TestKernelsEqualTheirGo(t *testing.T) { eachSet(t, kernelsEqualTheirGoHolds) }

func kernelsEqualTheirGoHolds(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	const rows, steps, columns, stride = 6, 139, 301, 310
	left, errors, u := make([]float64, rows*stride), make([]float64, rows*steps), make([]float64, steps*stride)
	for _, x := range [][]float64{left, errors, u} {
		for i := range x {
			x[i] = r.NormFloat64()
		}
	}
	want := slices.Clone(left)
	correctPlain(want, stride, errors, steps, u, stride, rows, steps, columns)
	Correct(Rows{left, stride}, Rows{errors, steps}, Rows{u, stride}, rows, steps, columns)
	for i := range want {
		if math.Abs(left[i]-want[i]) > 1e-11 {
			t.Fatalf("left[%d] is %v, want %v", i, left[i], want[i])
		}
	}
	const tokens, in = 140, 101
	x := random(r, tokens*in)
	got, plain := make([]float64, in*in), make([]float64, in*in)
	Gram(got, x, tokens, in)
	gramPlain(plain, x, tokens, in, 0, in)
	for i := range plain {
		if math.Abs(got[i]-plain[i]) > 1e-3 {
			t.Fatalf("sum[%d] is %v, want %v", i, got[i], plain[i])
		}
	}
	var m Matrix
	m.Pack(x, 40, in)
	y, same := make([]float32, 7*40), make([]float32, 7*40)
	m.Mul(y, x, 7)
	mulPlain(same, x, m.panels, 7, in, 40)
	for i := range y {
		if math.Abs(float64(y[i]-same[i])) > 1e-3 {
			t.Fatalf("y[%d] is %v, want %v", i, y[i], same[i])
		}
	}
}

func BenchmarkMul(b *testing.B) {
	r := rand.New(rand.NewPCG(9, 10))
	for _, c := range []struct{ in, out int }{{576, 1536}, {1536, 576}, {64, 256}} {
		b.Run(fmt.Sprintf("%dx%d", c.out, c.in), func(b *testing.B) {
			var m Matrix
			m.Pack(random(r, c.in*c.out), c.out, c.in)
			x, y := random(r, 256*c.in), make([]float32, 256*c.out)
			for b.Loop() {
				m.Mul(y, x, 256)
			}
			b.ReportMetric(2*256*float64(c.in*c.out)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
		})
	}
}

func BenchmarkGram(b *testing.B) {
	r := rand.New(rand.NewPCG(11, 12))
	for _, in := range []int{576, 1536} {
		b.Run(fmt.Sprint(in), func(b *testing.B) {
			x, sum := random(r, 256*in), make([]float64, in*in)
			for b.Loop() {
				Gram(sum, x, 256, in)
			}
			b.ReportMetric(256*float64(in*in)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
		})
	}
}
