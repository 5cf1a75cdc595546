package quantize

import (
	"context"
	"fmt"
	"math"
	"slices"

	"peregrine/model/quantize/product"
)

// panel is how many columns of a Cholesky factor are found between two meetings of the goroutines.
const panel = 64

// inverseFactor returns the upper triangular U [n, n] with h⁻¹ = UᵀU, for a symmetric positive definite h [n, n], which it
// overwrites. h⁻¹ itself is not needed: with P the reversal of the order, P·h·P = L·Lᵀ gives U = P·L⁻¹·P, at a third of the
// work of factor, invert and factor again, and with one rounding less. It stops when ctx does.
func inverseFactor(ctx context.Context, h []float64, n int) ([]float64, error) {
	slices.Reverse(h)
	if err := factor(ctx, h, n); err != nil {
		return nil, err
	}
	u, err := invert(ctx, h, n)
	slices.Reverse(u)
	return u, err
}

// factor replaces the lower triangle of a [n, n] by L with a = L·Lᵀ. What is above the diagonal means nothing afterwards. ctx is
// looked at once a panel: every 10^10 multiplications at 18 176 columns.
func factor(ctx context.Context, a []float64, n int) error {
	columns := make([]float64, panel*n) // of a panel, transposed
	for begin := 0; begin < n; begin += panel {
		if err := ctx.Err(); err != nil {
			return err
		}
		end := min(begin+panel, n)
		entry := func(i, j int) float64 { return a[i*n+j] - dot(a[i*n+begin:i*n+j], a[j*n+begin:j*n+j]) }
		for i := begin; i < end; i++ {
			for j := begin; j < i; j++ {
				a[i*n+j] = entry(i, j) / a[j*n+j]
			}
			d := entry(i, i)
			if !(d > 0) {
				return fmt.Errorf("quantize: the Hessian is not positive definite at column %d of %d (%.3g); raise the damping or give more calibration text", n-1-i, n, d)
			}
			a[i*n+i] = math.Sqrt(d)
		}
		rest := n - end
		product.Parallel(rest, func(r int) {
			i := end + r
			for j := begin; j < end; j++ {
				a[i*n+j] = entry(i, j) / a[j*n+j]
				columns[(j-begin)*rest+r] = a[i*n+j]
			}
		})
		tasks := (rest + rowsPerTask - 1) / rowsPerTask
		product.Parallel(tasks, func(task int) {
			lo := end + (tasks-1-task)*rowsPerTask // the longest rows first
			hi := min(lo+rowsPerTask, n)
			product.Correct(product.Rows{Values: a[lo*n+end:], Stride: n}, product.Rows{Values: a[lo*n+begin:], Stride: n},
				product.Rows{Values: columns, Stride: rest}, hi-lo, end-begin, hi-end)
		})
	}
	return nil
}

// stripe is how many columns of an inverse one task makes.
const stripe = 128

// invert returns the inverse of the lower triangle l [n, n], lower triangular itself. Rows of a panel P follow from those above
// it: L[P, P]·M[P] = I[P] − L[P, above]·M[above], column by column on their own. ctx is looked at once a panel.
func invert(ctx context.Context, l []float64, n int) ([]float64, error) {
	m := make([]float64, n*n)
	for begin := 0; begin < n; begin += panel {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		end := min(begin+panel, n)
		product.Parallel((end+stripe-1)/stripe, func(task int) {
			lo := task * stripe
			hi := min(lo+stripe, end)
			if lo < begin {
				product.Correct(product.Rows{Values: m[begin*n+lo:], Stride: n}, product.Rows{Values: l[begin*n+lo:], Stride: n},
					product.Rows{Values: m[lo*n+lo:], Stride: n}, end-begin, begin-lo, hi-lo)
			}
			for i := begin; i < end; i++ {
				row := m[i*n+lo : i*n+hi]
				if i >= lo && i < hi {
					row[i-lo]++
				}
				for q := max(begin, lo); q < i; q++ {
					subtract(row, l[i*n+q], m[q*n+lo:q*n+hi])
				}
				for k := range row {
					row[k] /= l[i*n+i]
				}
			}
		})
	}
	return m, nil
}

// dot returns Σ a·b. Four sums, since one alone waits for its own last addition.
func dot(a, b []float64) float64 {
	b = b[:len(a)]
	var s0, s1, s2, s3 float64
	i := 0
	for ; i+4 <= len(a); i += 4 {
		s0 += a[i] * b[i]
		s1 += a[i+1] * b[i+1]
		s2 += a[i+2] * b[i+2]
		s3 += a[i+3] * b[i+3]
	}
	for ; i < len(a); i++ {
		s0 += a[i] * b[i]
	}
	return s0 + s1 + (s2 + s3)
}
