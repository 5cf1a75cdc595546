package cpu

/*
#include <stdlib.h>
#include "model.h"
*/
import "C"

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unsafe"

	"peregrine/model"
	"peregrine/model/quant"
)

// errNoMemory is what the system answered.
var errNoMemory = errors.New("not enough memory")

// Load repacks p's matrices into the backend's own layout, or maps the file that holds them so, or with Early has them repacked later;
// only then does the executor refer to p's memory afterwards. Pages of mapped files are given back as they are done.
func (b *backend) Load(ctx context.Context, p *model.Params, opt model.LoadOptions) (model.Executor, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := p.Validate(); err != nil {
		return nil, fmt.Errorf("cpu: load: %w", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.pool == nil {
		return nil, errors.New("cpu: load: the backend is closed")
	}
	e := &executor{b: b, config: p.Config, limit: opt.Context}
	if e.limit <= 0 {
		e.limit = p.Config.MaxContext
	}
	l := &loader{e: e, p: p, index: map[*quant.Matrix]*C.pg_matrix{}, perms: map[string]int{}}
	if err := l.load(ctx, opt); err != nil {
		e.free()
		if ctx.Err() != nil {
			return nil, err
		}
		return nil, fmt.Errorf("cpu: load: %w", err)
	}
	b.ended = time.Now() // so that who loads has a moment to begin
	e.start()
	return e, nil
}

// loader turns Params into a pg_model.
type loader struct {
	e      *executor
	p      *model.Params
	layers []layer
	shapes []*shape
	index  map[*quant.Matrix]*C.pg_matrix
	perms  map[string]int // places of feature orders
	floats []floats
}

// layer lists the matrices of a block as the backend wants them: a fused gate and up projection cut in two.
type layer struct{ qkv, attnOut, up, down []*quant.Matrix }

// floats is a vector that goes into the side arena, and where its address belongs.
type floats struct {
	v     []float32
	place int
	to    **C.float
}

func (l *loader) load(ctx context.Context, opt model.LoadOptions) error {
	count, err := l.cut()
	if err != nil {
		return err
	}
	mats, err := allocate[C.pg_matrix](l.e, count)
	if err != nil {
		return err
	}
	layers, err := allocate[C.pg_layer](l.e, len(l.layers))
	if err != nil {
		return err
	}
	models, err := allocate[C.pg_model](l.e, 1)
	if err != nil {
		return err
	}
	if err := l.shape(mats); err != nil {
		return err
	}
	m := &models[0]
	l.describe(m, opt.Precision)
	m.layer = &layers[0]
	for i := range layers {
		l.describeLayer(&layers[i], &l.p.Layers[i], l.layers[i])
		l.refine(&layers[i], i == len(layers)-1)
	}
	if err := l.mapArenas(ctx, opt); err != nil {
		return err
	}
	switch {
	case l.e.weights.mapped:
	case opt.Early:
		err = l.loadEarly(ctx, m, opt.Progress)
	default:
		err = l.repack(ctx, opt.Progress)
	}
	if err != nil {
		return err
	}
	l.e.m = m
	if C.pg_model_init(m) != C.PG_OK {
		return fmt.Errorf("%w for a context of %d tokens (%d MB of KV cache); use a smaller one",
			errNoMemory, l.e.limit, C.pg_kv_bytes(m)>>20)
	}
	return nil
}

// allocate returns n zeroed values in C memory, which the executor owns.
func allocate[T any](e *executor, n int) ([]T, error) {
	var zero T
	p := C.calloc(C.size_t(n), C.size_t(unsafe.Sizeof(zero)))
	if p == nil {
		return nil, errNoMemory
	}
	e.memory = append(e.memory, p)
	return unsafe.Slice((*T)(p), n), nil
}

// cut fills l.layers and returns how many matrices there are at most.
func (l *loader) cut() (count int, err error) {
	c := l.p.Config
	count = 2
	for i := range l.p.Layers {
		from := &l.p.Layers[i]
		to := layer{from.QKV.W, from.AttnOut.W, from.Up.W, from.Down.W}
		if c.MLP == model.GatedSiLU {
			if len(to.up) == 1 {
				to.up = []*quant.Matrix{to.up[0].Slice(0, c.FFN), to.up[0].Slice(c.FFN, 2*c.FFN)}
			}
			if len(to.up) != 2 || to.up[0].Out != c.FFN {
				return 0, fmt.Errorf("layer %d: gate and up projection in %d matrices; want one, or two of %d rows", i, len(to.up), c.FFN)
			}
		}
		if c.Parallel && (len(to.attnOut) != 1 || len(to.down) != 1) {
			return 0, fmt.Errorf("layer %d: the outputs of a parallel block in %d and %d matrices; want one each",
				i, len(to.attnOut), len(to.down))
		}
		for _, list := range [][]*quant.Matrix{to.qkv, to.attnOut, to.up, to.down} {
			if len(list) > C.PG_MATRICES {
				return 0, fmt.Errorf("layer %d: a linear layer of %d matrices; at most %d", i, len(list), C.PG_MATRICES)
			}
			count += len(list)
		}
		l.layers = append(l.layers, to)
	}
	return count, nil
}

// shape plans the layout of every matrix, each once, in the order in which a token reads them.
func (l *loader) shape(mats []C.pg_matrix) error {
	add := func(list ...*quant.Matrix) error {
		for _, m := range list {
			if l.index[m] != nil {
				continue
			}
			w := &mats[len(l.shapes)]
			s, err := plan(m, w)
			if err != nil {
				return err
			}
			l.shapes = append(l.shapes, s)
			l.index[m] = w
		}
		return nil
	}
	if err := add(l.p.Embed); err != nil {
		return err
	}
	for _, y := range l.layers {
		for _, list := range [][]*quant.Matrix{y.qkv, y.attnOut, y.up, y.down} {
			if err := add(list...); err != nil {
				return err
			}
		}
	}
	return add(l.p.Head)
}

func (l *loader) describe(m *C.pg_model, precision model.Precision) {
	c, b := l.p.Config, l.e.b
	m.hidden, m.layers, m.heads, m.kv_heads = C.size_t(c.Hidden), C.size_t(c.Layers), C.size_t(c.Heads), C.size_t(c.KVHeads)
	m.head_dim, m.ffn, m.vocab, m.context = C.size_t(c.HeadDim), C.size_t(c.FFN), C.size_t(c.Vocab), C.size_t(l.e.limit)
	m.eps = C.float(c.NormEps)
	m.parallel, m.gated, m.precise = truth(c.Parallel), truth(c.MLP == model.GatedSiLU), truth(precision == model.Precise)
	m.isa, m.pool = b.isa, b.pool
	m.embed, m.head = l.index[l.p.Embed], l.index[l.p.Head]
	l.norm(&m.final_norm, l.p.FinalNorm)
	if c.Positions == model.ALiBi {
		l.vector(&m.slopes, model.ALiBiSlopes(c.Heads))
	}
}

func truth(b bool) C.int {
	if b {
		return 1
	}
	return 0
}

func (l *loader) describeLayer(to *C.pg_layer, from *model.Layer, y layer) {
	l.norm(&to.attn_norm, from.AttnNorm)
	l.norm(&to.mlp_norm, from.MLPNorm)
	l.linear(&to.qkv, y.qkv, from.QKV.Bias)
	l.linear(&to.attn_out, y.attnOut, from.AttnOut.Bias)
	l.linear(&to.up, y.up, from.Up.Bias)
	l.linear(&to.down, y.down, from.Down.Bias)
}

// refine chooses the matrices of a layer whose int8 inputs are rounded twice: those where rounding once costs the most for the work that
// twice takes (README.md, "Modes"). The head's always are (output.c).
func (l *loader) refine(to *C.pg_layer, last bool) {
	if last {
		for _, linear := range []*C.pg_linear{&to.qkv, &to.attn_out, &to.up, &to.down} {
			linear.fine = 1<<C.PG_MATRICES - 1
		}
	} else if to.qkv.n == 3 {
		const key, value = 1, 2
		to.qkv.fine = 1<<key | 1<<value
	}
}

func (l *loader) linear(to *C.pg_linear, list []*quant.Matrix, bias []float32) {
	to.n = C.size_t(len(list))
	for i, m := range list {
		to.w[i] = l.index[m]
	}
	l.vector(&to.bias, bias)
}

func (l *loader) norm(to *C.pg_norm, n model.Norm) {
	l.vector(&to.weight, n.Weight)
	l.vector(&to.bias, n.Bias)
}

// vector remembers that v's copy belongs at *to; nil stays NULL.
func (l *loader) vector(to **C.float, v []float32) {
	if v != nil {
		l.floats = append(l.floats, floats{v: v, to: to})
	}
}

// mapArenas measures everything, maps the arenas and points into them. Weights that a file has ready made are mapped from it.
func (l *loader) mapArenas(ctx context.Context, opt model.LoadOptions) error {
	weights, side := &l.e.weights, &l.e.side
	for i := range l.floats {
		l.floats[i].place = side.take(4 * len(l.floats[i].v))
	}
	at := make([]places, len(l.shapes))
	for i, s := range l.shapes {
		at[i] = s.measure(weights, side, l.perms)
	}
	if opt.Repacked != nil {
		l.e.kept = &kept{*opt.Repacked, header(opt.Repacked, l.shapes, at, weights.size)}
		if err := l.e.kept.load(ctx, l.e.b.pool, weights, opt.Progress); err != nil {
			return err
		}
	}
	if !weights.mapped {
		if err := weights.open(); err != nil {
			return err
		}
	}
	if err := side.open(); err != nil {
		return err
	}
	for _, f := range l.floats {
		p := side.at(f.place)
		copy(unsafe.Slice((*float32)(p), len(f.v)), f.v)
		*f.to = (*C.float)(p)
	}
	for i, s := range l.shapes {
		s.place(weights, side, at[i])
	}
	return nil
}

// repack fills the arena of weights, matrix by matrix.
func (l *loader) repack(ctx context.Context, progress func(done, total int64)) error {
	step := l.steps(ctx, progress)
	for _, s := range l.shapes {
		if err := s.pack(l.e.b.pool, step); err != nil {
			return err
		}
	}
	return nil
}

// steps returns what adds up source bytes for progress, which may be nil, and ends with ctx.
func (l *loader) steps(ctx context.Context, progress func(done, total int64)) func(bytes int64) error {
	var done, told, total int64
	for _, s := range l.shapes {
		total += sourceBytes(s.src)
	}
	return func(bytes int64) error {
		done += bytes
		if progress != nil && bytes > 0 && (done == total || done-told > total/100) {
			told = done
			progress(done, total)
		}
		return ctx.Err()
	}
}
