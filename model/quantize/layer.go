package quantize

import (
	"context"
	"fmt"
	"time"

	"peregrine/model"
	"peregrine/model/quant"
	"peregrine/model/quantize/product"
	"peregrine/model/tensor"
)

// Loss is what quantising one module cost.
type Loss struct {
	Layer   int
	Module  string
	Loss    float64 // Weights.Loss for each calibration sequence; 0 with Nearest
	Damp    float64 // share of the Hessian's mean diagonal; 0 with Nearest
	Seconds float64 // that it took, its share of the Hessian left out
}

// calibration is the state of the forward pass between two layers.
type calibration struct {
	block   *block
	samples int
	x       []float32 // [samples, length, Hidden]: the input of the layer, in the end its output
	side    []float32 // [samples, length, max(Hidden, Heads·HeadDim)]: what attention gives
	free    chan *scratch
	batch   []float32 // inputs of a matrix, of as many sequences as there are cores
}

func newCalibration(c model.Config, samples, length int) *calibration {
	r := &calibration{
		block: newBlock(c, length), samples: samples,
		x:    make([]float32, samples*length*c.Hidden),
		side: make([]float32, samples*length*max(c.Hidden, c.Heads*c.HeadDim)),
		free: make(chan *scratch, product.Cores()),
	}
	for range cap(r.free) {
		r.free <- newScratch(c, length)
	}
	return r
}

// embed fills x with the rows of the embedding.
func (r *calibration) embed(e *quant.Matrix, windows [][]int32) {
	for i, window := range windows {
		for t, id := range window {
			to := r.x[(i*r.block.length+t)*e.In:][:e.In]
			e.Dequantize(to, int(id), int(id)+1)
			for k, v := range to {
				to[k] = tensor.FromF16(tensor.ToF16(v))
			}
		}
	}
}

// rows returns sequence i of x and of side.
func (r *calibration) rows(i int) (x, side []float32) {
	n, m := len(r.x)/r.samples, len(r.side)/r.samples
	return r.x[i*n : (i+1)*n], r.side[i*m : (i+1)*m]
}

// each calls f for every sequence, on all cores, until ctx ends.
func (r *calibration) each(ctx context.Context, f func(i int, s *scratch)) error {
	product.Parallel(r.samples, func(i int) {
		if ctx.Err() == nil {
			s := <-r.free
			f(i, s)
			r.free <- s
		}
	})
	return ctx.Err()
}

// hessian returns that of a matrix with in input features; inputs writes what it reads of sequence i.
func (r *calibration) hessian(ctx context.Context, in int, inputs func(dst []float32, i int, s *scratch)) ([]float64, error) {
	h := NewHessian(in)
	size := r.block.length * in
	if len(r.batch) < cap(r.free)*size {
		r.batch = make([]float32, cap(r.free)*size)
	}
	for begin := 0; begin < r.samples; begin += cap(r.free) {
		n := min(cap(r.free), r.samples-begin)
		product.Parallel(n, func(i int) {
			s := <-r.free
			inputs(r.batch[i*size:(i+1)*size], begin+i, s)
			r.free <- s
		})
		for i := range n {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if err := h.Add(r.batch[i*size : (i+1)*size]); err != nil {
				return nil, fmt.Errorf("calibration sequence %d: %w", begin+i, err)
			}
		}
	}
	return h.Take(), nil
}

// work quantises one layer.
type work struct {
	options Options
	layer   int
	from    *model.Layer
	names   model.StoredLayer
	tensors []tensor.View // of the finished layer
	losses  []Loss
	samples int
	observe func(Loss)
}

// linear quantises the modules of one linear and packs the result into to, unless that is nil. f is nil with Nearest.
func (w *work) linear(ctx context.Context, to *linear, from model.Linear, modules []model.Stored, f *Factor) error {
	in := from.In()
	var all []float32
	if to != nil {
		all = make([]float32, from.Out()*in)
		to.bias = halves(from.Bias)
	}
	for _, m := range modules {
		if err := ctx.Err(); err != nil {
			return err
		}
		begin := time.Now()
		weights, out := dequantize(from, m.Lo, m.Hi), m.Hi-m.Lo
		var q *Weights
		var err error
		if f == nil {
			q, err = Nearest(weights, out, in, w.options)
		} else {
			q, err = f.Solve(ctx, weights, out)
		}
		if err == nil {
			err = q.storeScales()
		}
		if err != nil {
			return fmt.Errorf("%s: %w", m.Module, err)
		}
		var bias []float32
		if from.Bias != nil {
			bias = from.Bias[m.Lo:m.Hi]
		}
		w.tensors = append(w.tensors, q.encode(m, w.options.Bits, bias)...)
		loss := Loss{Layer: w.layer, Module: m.Module, Seconds: time.Since(begin).Seconds()}
		if f != nil {
			loss.Loss, loss.Damp = q.Loss/float64(w.samples), w.options.damping()
		}
		w.losses = append(w.losses, loss)
		w.observe(loss)
		if to != nil {
			q.Dequantize(all[m.Lo*in : m.Hi*in])
		}
	}
	if to != nil {
		to.w.Pack(all, from.Out(), in)
	}
	return nil
}

// dequantize returns rows lo to hi of a linear as float32.
func dequantize(l model.Linear, lo, hi int) []float32 {
	in := l.In()
	w := make([]float32, (hi-lo)*in)
	first := 0
	for _, m := range l.W {
		begin, end := max(lo, first), min(hi, first+m.Out)
		const rows = 64 // a task
		product.Parallel((end-begin+rows-1)/rows, func(i int) {
			from := begin + i*rows
			to := min(from+rows, end)
			m.Dequantize(w[(from-lo)*in:(to-lo)*in], from-first, to-first)
		})
		first += m.Out
	}
	return w
}

// round quantises the layer by plain rounding, which needs no forward pass.
func (w *work) round(ctx context.Context) error {
	l := w.from
	for _, step := range []struct {
		linear  model.Linear
		modules []model.Stored
	}{{l.QKV, w.names.QKV}, {l.AttnOut, w.names.AttnOut}, {l.Up, w.names.Up}, {l.Down, w.names.Down}} {
		if err := w.linear(ctx, nil, step.linear, step.modules, nil); err != nil {
			return err
		}
	}
	return nil
}

// solve quantises the layer by GPTQ and takes r through it: query, key and value, then what attention gives, then what the
// feed-forward network reads, then what its second half reads, each with everything before it quantised. Only the boundaries
// of the layer are held for all sequences; what lies between is computed again where it is needed twice.
func (w *work) solve(ctx context.Context, r *calibration) error {
	b, l, c := r.block, w.from, r.block.c
	b.attnNorm, b.mlpNorm = halfNorm(l.AttnNorm), halfNorm(l.MLPNorm)
	factor := func(modules []model.Stored, in int, inputs func(dst []float32, i int, s *scratch)) (*Factor, error) {
		h, err := r.hessian(ctx, in, inputs)
		var f *Factor
		if err == nil {
			f, err = NewFactor(ctx, h, in, w.options)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", modules[0].Module, err)
		}
		return f, nil
	}
	f, err := factor(w.names.QKV, c.Hidden, func(dst []float32, i int, _ *scratch) {
		x, _ := r.rows(i)
		normalise(dst, x, b.attnNorm, c)
	})
	if err != nil {
		return err
	}
	if err := w.linear(ctx, &b.qkv, l.QKV, w.names.QKV, f); err != nil {
		return err
	}
	shared := f // a parallel block with one norm: Up reads what query, key and value read
	if !c.Parallel || l.MLPNorm.Weight != nil {
		shared = nil
	}
	if err := r.each(ctx, func(i int, s *scratch) {
		x, side := r.rows(i)
		b.attention(side, x, s)
	}); err != nil {
		return err
	}
	width := c.Heads * c.HeadDim
	if f, err = factor(w.names.AttnOut, width, func(dst []float32, i int, _ *scratch) {
		_, side := r.rows(i)
		copy(dst, side[:len(dst)])
	}); err != nil {
		return err
	}
	if err := w.linear(ctx, &b.out, l.AttnOut, w.names.AttnOut, f); err != nil {
		return err
	}
	if err := r.each(ctx, r.projectAttention); err != nil {
		return err
	}
	return w.mlp(ctx, r, shared, factor)
}

// projectAttention takes the heads' outputs of sequence i through AttnOut: into x, or in a parallel block, whose feed-forward
// network reads the layer's input too, into side.
func (r *calibration) projectAttention(i int, s *scratch) {
	x, side := r.rows(i)
	r.block.out.apply(s.narrow, side, r.block.length)
	if r.block.c.Parallel {
		copy(side, s.narrow[:len(x)])
		return
	}
	add(x, s.narrow)
}

// mlp is the second half of solve.
func (w *work) mlp(ctx context.Context, r *calibration, f *Factor,
	factor func(modules []model.Stored, in int, inputs func(dst []float32, i int, s *scratch)) (*Factor, error),
) (err error) {
	b, l, c := r.block, w.from, r.block.c
	if f == nil {
		if f, err = factor(w.names.Up, c.Hidden, func(dst []float32, i int, _ *scratch) {
			x, _ := r.rows(i)
			b.mlpInput(dst, x)
		}); err != nil {
			return err
		}
	}
	if err := w.linear(ctx, &b.up, l.Up, w.names.Up, f); err != nil {
		return err
	}
	if f, err = factor(w.names.Down, c.FFN, func(dst []float32, i int, s *scratch) {
		x, _ := r.rows(i)
		b.activations(dst, x, s)
	}); err != nil {
		return err
	}
	if err := w.linear(ctx, &b.down, l.Down, w.names.Down, f); err != nil {
		return err
	}
	return r.each(ctx, r.finish)
}

// finish adds the feed-forward network's output, and in a parallel block attention's, to sequence i.
func (r *calibration) finish(i int, s *scratch) {
	b := r.block
	x, side := r.rows(i)
	b.activations(s.acts, x, s)
	b.down.apply(s.narrow, s.acts, b.length)
	if b.c.Parallel {
		add(x, side)
	}
	add(x, s.narrow)
}
