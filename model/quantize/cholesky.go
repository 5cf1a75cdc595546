package quantize

import (
	"fmt"
	"math"

	"peregrine/model/quantize/product"
)

// panel is how many columns of a Cholesky factor are found between two meetings of the goroutines.
const panel = 64

// inverseFactor returns the upper triangular U [n, n] with h⁻¹ = UᵀU, for a symmetric positive definite h [n, n], which it
// overwrites. h⁻¹ itself is not needed: with P the reversal of the order, P·h·P = L·Lᵀ gives U = P·L⁻¹·P, at a third of the
// work of factor, invert and factor again, and with one rounding less.
func inverseFactor(h []float64, n int) ([]float64, error) {
	for i := range len(h) / 2 {
		h[i], h[len(h)-1-i] = h[len(h)-1-i], h[i]
	}
	if err := factor(h, n); err != nil {
		return nil, err
	}
	// Column c of L⁻¹ solves L·m = e_c from the top, and becomes column n−1−c of U from the bottom.
	u := make([]float64, n*n)
	product.Parallel(n, func(c int) {
		m := make([]float64, n-c)
		m[0] = 1 / h[c*n+c]
		for i := c + 1; i < n; i++ {
			m[i-c] = -dot(h[i*n+c:i*n+i], m[:i-c]) / h[i*n+i]
		}
		for i, v := range m {
			u[(n-1-c-i)*n+n-1-c] = v
		}
	})
	return u, nil
}

// factor replaces the lower triangle of a [n, n] by L with a = L·Lᵀ. What is above the diagonal stays.
func factor(a []float64, n int) error {
	entry := func(i, j int) float64 { return a[i*n+j] - dot(a[i*n:i*n+j], a[j*n:j*n+j]) }
	for begin := 0; begin < n; begin += panel {
		end := min(begin+panel, n)
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
		product.Parallel(n-end, func(r int) {
			i := end + r
			for j := begin; j < end; j++ {
				a[i*n+j] = entry(i, j) / a[j*n+j]
			}
		})
	}
	return nil
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
