package cpu

/*
#include <stdlib.h>
#include "model.h"
*/
import "C"

import (
	"errors"
	"unsafe"

	"peregrine/model/quant"
)

// The functions in this file reach single kernels, for tests and benchmarks: test files cannot call C.

// packed is one repacked matrix outside of a model.
type packed struct {
	*shape
	weights, side arena
	w             *C.pg_matrix // the shape's
	bytes         int          // that a product reads
}

// packOne repacks m into memory of its own.
func packOne(b *backend, m *quant.Matrix) (*packed, error) {
	p := &packed{w: (*C.pg_matrix)(C.calloc(1, C.sizeof_pg_matrix))}
	s, err := plan(m, p.w)
	if err == nil {
		p.shape = s
		at := s.measure(&p.weights, &p.side, map[string]int{})
		if err = errors.Join(p.weights.open(), p.side.open()); err == nil {
			s.place(&p.weights, &p.side, at)
			err = p.repack(b)
		}
	}
	if err != nil {
		p.close()
		return nil, err
	}
	p.bytes = int(p.w.octets * C.pg_octet_cost(p.w))
	return p, nil
}

// repack does it again, in the same memory.
func (p *packed) repack(b *backend) error {
	p.w.repacked = 0
	return p.pack(b.pool, func(int64) error { return nil })
}

func (p *packed) close() {
	p.weights.close()
	p.side.close()
	C.free(unsafe.Pointer(p.w))
}

// row returns row n as float32, read from the layout weight by weight.
func (p *packed) row(n int) []float32 {
	v := make([]float32, p.w.in)
	C.pg_unpack_row((*C.float)(&v[0]), p.w, C.size_t(n))
	return v
}

// multiply writes x[rows, in]·Wᵀ to y[rows, out] as a forward pass does.
func (p *packed) multiply(b *backend, y, x []float32, rows int, in inputs) bool {
	precise, fine := truth(in == unrounded), truth(in == roundedTwice)
	return C.pg_probe_multiply(b.pool, b.isa, precise, fine, p.w, (*C.float)(&y[0]), (*C.float)(&x[0]), C.size_t(rows)) == C.PG_OK
}

// inputs say what a product makes of its inputs, where the matrix is quantised.
type inputs int

const (
	rounded inputs = iota
	roundedTwice
	unrounded
)

// bf16Rows is from how many rows on a set that has products of bfloat16 takes these.
const bf16Rows = C.PG_BF16_ROWS

// hasBF16 tells whether the set has them. The bits of its products then depend on which side of bf16Rows a pass is.
func hasBF16(b *backend) bool { return b.isa.mul_bf16 != nil }

// chunk is the most tokens of a chunk of a prompt, where there are few threads.
const chunk = C.PG_CHUNK

// The functions that mapAll applies.
const (
	mapGELU = iota
	mapSiLU
	mapExp
	mapHalf
)

func mapAll(b *backend, function int, x []float32) {
	C.pg_probe_map(b.isa, C.int(function), (*C.float)(&x[0]), C.size_t(len(x)))
}

// quantise rounds x, whole blocks, to int8 with a scale, a sum and the sums of both halves for each.
func quantise(b *backend, x []float32) (q []int8, d, s []float32, h []int16) {
	n := len(x) / block
	q, d, s = make([]int8, len(x)), make([]float32, n), make([]float32, n)
	h = make([]int16, 2*n)
	C.pg_probe_quantise(b.isa, (*C.int8_t)(&q[0]), (*C.float)(&d[0]), (*C.float)(&s[0]), (*C.int16_t)(&h[0]),
		(*C.float)(&x[0]), C.size_t(n))
	return q, d, s, h
}

func norm(b *backend, x, weight, bias []float32, eps float32) []float32 {
	y := make([]float32, len(x))
	C.pg_probe_norm(b.isa, (*C.float)(&y[0]), (*C.float)(&x[0]), (*C.float)(&weight[0]), (*C.float)(unsafe.SliceData(bias)),
		C.size_t(len(x)), C.float(eps))
	return y
}

// barriers runs n barriers on all threads and returns how many threads have passed them.
func barriers(b *backend, n int) int { return int(C.pg_probe_barriers(b.pool, C.size_t(n))) }

// active returns how many threads the pool used last.
func active(b *backend) int { return int(C.pg_pool_active(b.pool)) }

// tried returns which of the sets "new", which is untried, and "old" would be the default where both run.
func tried() string { return C.GoString(C.pg_probe_tried()) }
