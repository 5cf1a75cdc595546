package quantize

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// positive returns A·Aᵀ + I for a random A [n, n].
func positive(r *rand.Rand, n int) []float64 {
	a := make([]float64, n*n)
	for i := range a {
		a[i] = r.NormFloat64()
	}
	h := make([]float64, n*n)
	for i := range n {
		for j := range n {
			h[i*n+j] = dot(a[i*n:(i+1)*n], a[j*n:(j+1)*n])
		}
		h[i*n+i]++
	}
	return h
}

// TestInverseFactor multiplies back: U must be upper triangular, and UᵀU times the matrix must be the identity.
func TestInverseFactor(t *testing.T) {
	for _, n := range []int{1, 2, panel - 1, panel, panel + 1, 3*panel + 5} {
		r := rand.New(rand.NewPCG(1, uint64(n)))
		h := positive(r, n)
		u, err := inverseFactor(t.Context(), slices.Clone(h), n)
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			for j := range n {
				if j < i && u[i*n+j] != 0 {
					t.Fatalf("n=%d: U[%d, %d] is %g, below the diagonal", n, i, j, u[i*n+j])
				}
			}
		}
		inverse := make([]float64, n*n)
		for k := range n {
			for i := range n {
				subtract(inverse[i*n:(i+1)*n], -u[k*n+i], u[k*n:(k+1)*n])
			}
		}
		for i := range n {
			for j := range n {
				want := 0.0
				if i == j {
					want = 1
				}
				// The condition number of A·Aᵀ + I is below 4n + 1, its rounding error below n² times that of a float64.
				if got := dot(inverse[i*n:(i+1)*n], h[j*n:(j+1)*n]); math.Abs(got-want) > 1e-9 {
					t.Fatalf("n=%d: H⁻¹·H [%d, %d] is %g, want %g", n, i, j, got, want)
				}
			}
		}
	}
}

func TestSolveRefuses(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	identity := []float64{1, 0, 0, 1}
	for _, c := range []struct {
		name    string
		weights []float32
		out, in int
		hessian []float64
		options Options
		want    string
	}{
		{"5 bits", []float32{1, 2}, 1, 2, identity, Options{Bits: 5, GroupSize: -1}, "5 bits"},
		{"group size 0", []float32{1, 2}, 1, 2, identity, Options{Bits: 4}, "group size 0"},
		{"group size -2", []float32{1, 2}, 1, 2, identity, Options{Bits: 4, GroupSize: -2}, "group size -2"},
		{"damping not a number", []float32{1, 2}, 1, 2, identity, Options{Bits: 4, GroupSize: -1, Damping: math.NaN()}, "damping NaN"},
		{"negative damping", []float32{1, 2}, 1, 2, identity, Options{Bits: 4, GroupSize: -1, Damping: -1}, "damping -1"},
		{"not a matrix", []float32{1, 2, 3}, 1, 2, identity, Options{Bits: 4, GroupSize: -1}, "3 weights are not a matrix of 1 × 2"},
		{"no rows", nil, 0, 2, identity, Options{Bits: 4, GroupSize: -1}, "not a matrix"},
		{"weight not a number", []float32{1, nan}, 1, 2, identity, Options{Bits: 4, GroupSize: -1}, "weight [0, 1] is NaN"},
		{"infinite weight", []float32{1, 2, inf, 3}, 2, 2, identity, Options{Bits: 4, GroupSize: -1}, "weight [1, 0] is +Inf"},
		{"Hessian of another size", []float32{1, 2}, 1, 2, identity[:3], Options{Bits: 4, GroupSize: -1}, "Hessian of 3 values"},
		{"Hessian not finite", []float32{1, 2}, 1, 2, []float64{1, math.Inf(1), 0, 1}, Options{Bits: 4, GroupSize: -1}, "Hessian [0, 1] is +Inf"},
		{"Hessian not definite", []float32{1, 2}, 1, 2, []float64{1, 3, 3, 1}, Options{Bits: 4, GroupSize: -1}, "not positive definite"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Solve(t.Context(), c.weights, c.out, c.in, c.hessian, c.options)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

// TestSolveLeavesItsArguments: a caller quantises one matrix at several settings.
func TestSolveLeavesItsArguments(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 3))
	const out, in = 3, 130
	weights, hessian := make([]float32, out*in), positive(r, in)
	for i := range weights {
		weights[i] = float32(r.NormFloat64())
	}
	w, h := slices.Clone(weights), slices.Clone(hessian)
	if _, err := Solve(t.Context(), weights, out, in, hessian, Options{Bits: 3, GroupSize: 32, ActOrder: true}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(w, weights) || !slices.Equal(h, hessian) {
		t.Error("the weights or the Hessian have changed")
	}
}

// TestHessianAddRefuses, and counts nothing of what it refused.
func TestHessianAddRefuses(t *testing.T) {
	h := NewHessian(2)
	if err := h.Add([]float32{1, 2}); err != nil {
		t.Fatal(err)
	}
	for want, inputs := range map[string][]float32{
		"0 inputs are not whole tokens": {},
		"3 inputs are not whole tokens": {1, 2, 3},
		"input 1 of token 1 is NaN":     {1, 2, 3, float32(math.NaN())},
	} {
		if err := h.Add(inputs); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
	if got, want := h.Take(), []float64{2, 4, 4, 8}; !slices.Equal(got, want) {
		t.Errorf("after refusals H is %v, want %v", got, want)
	}
}

// TestStorableGridsHaveNoZeroPoint0, and hold the extremes nevertheless.
func TestStorableGridsHaveNoZeroPoint0(t *testing.T) {
	for _, values := range [][]float64{{0, 1, 2}, {-0.1, 3}, {0.5}, {0, 0}, {-1, 1}} {
		for _, bits := range []int{2, 3, 4, 8} {
			g := findGrid(values, Options{Bits: bits, GroupSize: -1, Storable: true})
			if g.zero < 1 || g.zero > g.maxCode {
				t.Errorf("%d bits, %v: zero point %v", bits, values, g.zero)
			}
			for _, v := range values {
				if _, got := g.nearest(v); math.Abs(got-v) > g.scale/2*(1+1e-12) {
					t.Errorf("%d bits, %v: %v became %v with scale %v", bits, values, v, got, g.scale)
				}
			}
		}
	}
}

// TestGridRoundsHalvesToEven, as torch does, and keeps codes within their bits.
func TestGridRoundsHalvesToEven(t *testing.T) {
	g := grid{scale: 1, zero: 8, maxCode: 15}
	for v, want := range map[float64]uint8{0.5: 8, 1.5: 10, 2.5: 10, -0.5: 8, -1.5: 6, -2.5: 6, 100: 15, -100: 0} {
		if code, value := g.nearest(v); code != want || value != float64(want)-8 {
			t.Errorf("%v has code %d for %v, want %d", v, code, value, want)
		}
	}
}

// TestDeadColumnsRankWithOne: a dead column stands in act-order where a diagonal of 1 does.
func TestDeadColumnsRankWithOne(t *testing.T) {
	hessian := []float64{0.5, 0, 0, 0, 0, 0, 0, 0, 1.5}
	s := newFactor(3, hessian, Options{Bits: 4, GroupSize: 1, ActOrder: true})
	if want := []int{2, 1, 0}; !slices.Equal(s.order, want) {
		t.Errorf("order %v, want %v", s.order, want)
	}
}

// TestConfigSaysHowGroupsWereMade: act-order with static groups has other groups than without.
func TestConfigSaysHowGroupsWereMade(t *testing.T) {
	for _, static := range []bool{false, true} {
		if got := (Options{Bits: 4, GroupSize: 32, ActOrder: true, StaticGroups: static}).config()["static_groups"]; got != static {
			t.Errorf("static_groups is %v, want %v", got, static)
		}
	}
}

// looks is a context that ends when it has been looked at so many times.
type looks struct {
	context.Context
	left atomic.Int64
}

func (l *looks) Err() error {
	if l.left.Add(-1) < 0 {
		return context.Canceled
	}
	return nil
}

// TestSolveStops wherever it is: between the panels of both halves of the factor, and between rows.
func TestSolveStops(t *testing.T) {
	const out, in = 3*rowsPerTask + 1, 2*panel + 5
	weights, hessian := make([]float32, out*in), positive(rand.New(rand.NewPCG(4, 5)), in)
	stops := 0
	for ; ; stops++ {
		ctx := &looks{Context: t.Context()}
		ctx.left.Store(int64(stops))
		w, err := Solve(ctx, weights, out, in, hessian, Options{Bits: 4, GroupSize: -1})
		if err == nil {
			break
		}
		if !errors.Is(err, context.Canceled) || w != nil {
			t.Fatalf("stopped at look %d: got %v, %v", stops, w, err)
		}
	}
	if want := 3 + 3 + 4 + 1; stops != want { // panels twice, tasks of rows, and the end
		t.Errorf("the context was looked at %d times, want %d", stops, want)
	}
}
