package quantize

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"peregrine/model/quantize/product"
)

// blockSize is how many columns are quantised before the rest of a row is corrected. It is part of the result, not of the
// speed alone: a grid that begins inside a block does not see that block's corrections. AutoGPTQ's value.
const blockSize = 128

// rowsPerTask rows are corrected together, so that a row of the inverse Hessian's factor is read from memory once for all of
// them.
const rowsPerTask = 16

// Solve quantises the weights [out, in] by GPTQ with the Hessian [in, in] of their inputs (see [Hessian]), on all cores. Both
// stay as they are. Input features that were always 0 get the weight 0. It refuses weights and Hessians that are not finite,
// and a Hessian that is not positive definite after damping. It holds about 16·in² bytes besides its arguments and result.
// When ctx ends it returns ctx's error, after the panel of columns or the few rows that it was at.
// Source: AutoGPTQ 0.7.1 quantization/gptq.py, GPTQ.fasterquant.
func Solve(ctx context.Context, weights []float32, out, in int, hessian []float64, o Options) (*Weights, error) {
	if err := o.check(weights, out, in); err != nil {
		return nil, err
	}
	f, err := NewFactor(ctx, hessian, in, o)
	if err != nil {
		return nil, err
	}
	return f.Solve(ctx, weights, out)
}

// Nearest quantises the weights [out, in], which stay as they are, by rounding each to the nearest code of its group of
// neighbouring columns. ActOrder, StaticGroups and Damping do not matter to it.
func Nearest(weights []float32, out, in int, o Options) (*Weights, error) {
	if err := o.check(weights, out, in); err != nil {
		return nil, err
	}
	size := o.groupSize(in)
	result := newWeights(out, in, size)
	for k := range result.GIdx {
		result.GIdx[k] = int32(k / size)
	}
	product.Parallel(out, func(n int) {
		row := widen(weights[n*in : (n+1)*in])
		for g, grid := range contiguous(row, size, o) {
			result.put(n, g, grid)
			for k := g * size; k < min((g+1)*size, in); k++ {
				result.Codes[n*in+k], _ = grid.nearest(row[k])
			}
		}
	})
	return result, nil
}

func newWeights(out, in, groupSize int) *Weights {
	groups := (in + groupSize - 1) / groupSize
	return &Weights{
		Out: out, In: in, Groups: groups,
		Codes: make([]uint8, out*in), Scales: make([]float32, out*groups), Zeros: make([]uint8, out*groups), GIdx: make([]int32, in),
	}
}

func (w *Weights) put(n, group int, g grid) {
	w.Scales[n*w.Groups+group], w.Zeros[n*w.Groups+group] = float32(g.scale), uint8(g.zero)
}

func widen(row []float32) []float64 {
	wide := make([]float64, len(row))
	for i, w := range row {
		wide[i] = float64(w)
	}
	return wide
}

// contiguous returns the grids of a row's groups of neighbouring columns.
func contiguous(row []float64, size int, o Options) []grid {
	var grids []grid
	for group := range slices.Chunk(row, size) {
		grids = append(grids, findGrid(group, o))
	}
	return grids
}

// Factor is what the matrices of one input share: in which order their columns are quantised, and how the error of one column
// is made up for by those behind it. Columns are counted in that order: number i is column order[i].
type Factor struct {
	options   Options
	in, size  int
	order     []int
	gIdx      []int32   // [in], by column
	dead      []bool    // by column: the input was always 0
	fromStart bool      // all grids come from the weights as they were
	upper     []float64 // [in, in], upper triangular: U of the permuted Hessian's inverse UᵀU
}

// NewFactor prepares Solve for the matrices with the Hessian [in, in] of their common input, which stays as it is. It refuses
// what [Solve] refuses of a Hessian, and stops when ctx does.
func NewFactor(ctx context.Context, hessian []float64, in int, o Options) (*Factor, error) {
	if err := o.checkCodes(); err != nil {
		return nil, err
	}
	if in < 1 || len(hessian) != in*in {
		return nil, fmt.Errorf("quantize: a Hessian of %d values for %d input features; need %d", len(hessian), in, in*in)
	}
	for i, v := range hessian {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, fmt.Errorf("quantize: Hessian [%d, %d] is %v; its inputs were not finite", i/in, i%in, v)
		}
	}
	f := newFactor(in, hessian, o)
	var err error
	if f.upper, err = inverseFactor(ctx, f.damped(hessian), in); err != nil {
		return nil, err
	}
	return f, nil
}

// Solve quantises the weights [out, in], which stay as they are, on all cores, until ctx ends.
func (f *Factor) Solve(ctx context.Context, weights []float32, out int) (*Weights, error) {
	if err := f.options.check(weights, out, f.in); err != nil {
		return nil, err
	}
	s := &solver{Factor: f, result: newWeights(out, f.in, f.size)}
	copy(s.result.GIdx, f.gIdx)
	losses := make([]float64, out)
	product.Parallel((out+rowsPerTask-1)/rowsPerTask, func(task int) {
		if ctx.Err() != nil {
			return
		}
		begin := task * rowsPerTask
		end := min(begin+rowsPerTask, out)
		s.rows(weights[begin*f.in:end*f.in], begin, losses[begin:end])
	})
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for _, l := range losses {
		s.result.Loss += l
	}
	return s.result, nil
}

func newFactor(in int, hessian []float64, o Options) *Factor {
	f := &Factor{options: o, in: in, size: o.groupSize(in), order: make([]int, in), dead: make([]bool, in), gIdx: make([]int32, in)}
	f.fromStart = o.StaticGroups || o.GroupSize == -1
	diagonal := make([]float64, in)
	for k := range in {
		f.order[k], diagonal[k] = k, hessian[k*in+k]
		if f.dead[k] = diagonal[k] == 0; f.dead[k] {
			diagonal[k] = 1
		}
	}
	if o.ActOrder {
		slices.SortStableFunc(f.order, func(a, b int) int { return cmp.Compare(diagonal[b], diagonal[a]) })
	}
	for i, k := range f.order {
		f.gIdx[k] = int32(i / f.size)
		if f.fromStart {
			f.gIdx[k] = int32(k / f.size)
		}
	}
	return f
}

// damped returns the Hessian in the order of quantisation, with dead columns set to 1 and the damping added.
func (f *Factor) damped(hessian []float64) []float64 {
	h := make([]float64, f.in*f.in)
	product.Parallel(f.in, func(i int) {
		from, to := hessian[f.order[i]*f.in:], h[i*f.in:(i+1)*f.in]
		for j, b := range f.order {
			to[j] = from[b]
		}
		if f.dead[f.order[i]] {
			to[i] = 1
		}
	})
	var trace float64
	for i := range f.in {
		trace += h[i*f.in+i]
	}
	for i := range f.in {
		h[i*f.in+i] += f.options.damping() * trace / float64(f.in)
	}
	return h
}

// solver is the work on one matrix.
type solver struct {
	*Factor
	result *Weights
}

// row is the work on one row of weights.
type row struct {
	n       int
	left    []float64 // [in], in order: the weights with the corrections of earlier blocks
	errors  []float64 // [blockSize], of the current block's columns
	grids   []grid    // by group, when all come from the start
	current grid
}

// rows quantises neighbouring rows, the first of which is row number first, and writes their losses.
func (s *solver) rows(weights []float32, first int, losses []float64) {
	rows := make([]row, len(losses))
	left, errors := make([]float64, len(weights)), make([]float64, len(rows)*blockSize)
	for r := range rows {
		rows[r] = s.start(first+r, weights[r*s.in:(r+1)*s.in], left[r*s.in:(r+1)*s.in])
	}
	for begin := 0; begin < s.in; begin += blockSize {
		end := min(begin+blockSize, s.in)
		steps := end - begin
		for r := range rows {
			rows[r].errors = errors[r*steps : (r+1)*steps]
			losses[r] += s.block(&rows[r], begin, end)
		}
		if end < s.in {
			product.Correct(product.Rows{Values: left[end:], Stride: s.in}, product.Rows{Values: errors, Stride: steps},
				product.Rows{Values: s.upper[begin*s.in+end:], Stride: s.in}, len(rows), steps, s.in-end)
		}
	}
}

// start brings a row's weights into order. Without groups the grid still sees the weights of dead columns; static groups do
// not: so AutoGPTQ.
func (s *solver) start(n int, weights []float32, left []float64) row {
	r := row{n: n, left: left}
	wide := widen(weights)
	if s.options.GroupSize == -1 {
		r.grids = []grid{findGrid(wide, s.options)}
	}
	for k, dead := range s.dead {
		if dead {
			wide[k] = 0
		}
	}
	if s.fromStart && r.grids == nil {
		r.grids = contiguous(wide, s.size, s.options)
	}
	for g, grid := range r.grids {
		s.result.put(n, g, grid)
	}
	for i, k := range s.order {
		r.left[i] = wide[k]
	}
	return r
}

// block chooses the codes of the columns begin … end−1 of a row, keeps their errors for the columns behind, and returns their
// loss.
func (s *solver) block(r *row, begin, end int) (loss float64) {
	var copied [blockSize]float64
	block := copied[:end-begin]
	copy(block, r.left[begin:end])
	for i := range block {
		at := begin + i
		k := s.order[at]
		group := s.result.GIdx[k]
		switch {
		case s.fromStart:
			r.current = r.grids[group]
		case at%s.size == 0:
			r.current = findGrid(r.left[at:min(at+s.size, s.in)], s.options)
			s.result.put(r.n, int(group), r.current)
		}
		u := s.upper[at*s.in+at : at*s.in+end]
		code, value := r.current.nearest(block[i])
		s.result.Codes[r.n*s.in+k] = code
		e := (block[i] - value) / u[0]
		subtract(block[i:], e, u)
		r.errors[i] = e
		loss += e * e / 2
	}
	return loss
}

// subtract takes factor·u from y, element by element.
func subtract(y []float64, factor float64, u []float64) {
	u = u[:len(y)]
	for i := range y {
		y[i] -= factor * u[i]
	}
}
