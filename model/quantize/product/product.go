// Package product multiplies the matrices of quantisation: activations with weights, and with themselves.
//
// The one idea: every element of a product of activations is one chain of multiply-adds over the features in order, so that
// its bits depend neither on the number of cores nor on what is computed beside it, and a run that was interrupted goes on
// with the numbers that it would have had. The kernels are C, for AVX-512, for AVX2, and plain; without cgo they are Go.
package product

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// lanes is how many rows of a matrix lie side by side in a panel, in C as PG_LANES.
const lanes = 32

// gramRows is how many rows of XᵀX one task makes, in C as PG_GRAM_ROWS.
const gramRows = 96

// Matrix is a matrix [Out, In] packed for Mul: panels of 32 rows, in each the rows' weights of one input feature side by
// side. The zero Matrix is empty; Pack may be called again and again.
type Matrix struct {
	Out, In int
	panels  []float32 // [⌈Out/32⌉, In, 32], zero where there are no rows
}

// Pack copies w, [out, in] row-major, on all cores.
func (m *Matrix) Pack(w []float32, out, in int) {
	m.resize(out, in)
	Parallel((out+lanes-1)/lanes, func(p int) { m.pack(w, p) })
}

// PackAlone is Pack on the calling goroutine alone.
func (m *Matrix) PackAlone(w []float32, out, in int) {
	m.resize(out, in)
	for p := range (out + lanes - 1) / lanes {
		m.pack(w, p)
	}
}

func (m *Matrix) resize(out, in int) {
	m.Out, m.In = out, in
	size := (out + lanes - 1) / lanes * lanes * in
	if cap(m.panels) < size {
		m.panels = make([]float32, size)
	}
	m.panels = m.panels[:size]
}

func (m *Matrix) pack(w []float32, p int) {
	panel := m.panels[p*m.In*lanes : (p+1)*m.In*lanes]
	for lane := range lanes {
		n := p*lanes + lane
		if n >= m.Out {
			for k := range m.In {
				panel[k*lanes+lane] = 0
			}
			continue
		}
		for k, v := range w[n*m.In : (n+1)*m.In] {
			panel[k*lanes+lane] = v
		}
	}
}

// Mul writes y[rows, Out] = x[rows, In]·Wᵀ, on the calling goroutine; several may multiply with one Matrix at once.
func (m *Matrix) Mul(y, x []float32, rows int) {
	if rows == 0 || m.Out == 0 || m.In == 0 {
		return
	}
	mul(y[:rows*m.Out], x[:rows*m.In], m.panels, rows, m.In, m.Out)
}

// Gram adds XᵀX to sum, [in, in], its lower triangle alone, for x [tokens, in], on all cores. Products are summed in float32
// over 128 tokens at most, and these sums in float64.
func Gram(sum []float64, x []float32, tokens, in int) {
	sum, x = sum[:in*in], x[:tokens*in]
	if tokens == 0 || in == 0 {
		return
	}
	tasks := (in + gramRows - 1) / gramRows
	Parallel(tasks, func(i int) {
		lo := (tasks - 1 - i) * gramRows // the longest rows first
		gram(sum, x, tokens, in, lo, min(lo+gramRows, in))
	})
}

// Rows are the rows of a float64 matrix, Stride values apart.
type Rows struct {
	Values []float64
	Stride int
}

// Correct takes errors·u from left: left[r, j] −= Σ errors[r, i]·u[i, j] for rows r, i < steps, j < columns, i in order. It works
// on the calling goroutine alone.
func Correct(left, errors, u Rows, rows, steps, columns int) {
	if rows == 0 || steps == 0 || columns == 0 {
		return
	}
	correct(left.of(rows, columns), left.Stride, errors.of(rows, steps), errors.Stride, u.of(steps, columns), u.Stride, rows, steps, columns)
}

// of cuts to what a kernel may touch, so that a size that is wrong panics here.
func (r Rows) of(rows, columns int) []float64 { return r.Values[:(rows-1)*r.Stride+columns] }

// Cores returns on how many cores Parallel works.
func Cores() int { return runtime.GOMAXPROCS(0) }

// Parallel calls f with 0 … n−1 on all cores and returns when all calls have. Which core gets which index must not matter.
func Parallel(n int, f func(i int)) {
	var next atomic.Int64
	var wait sync.WaitGroup
	for range min(Cores(), n) {
		wait.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	wait.Wait()
}
