package cpu

/*
#include "model.h"
*/
import "C"

import (
	"fmt"
	"slices"
	"unsafe"

	"peregrine/model/quant"
	"peregrine/model/tensor"
)

const (
	octet     = C.PG_OCTET
	block     = C.PG_BLOCK
	super     = C.PG_SUPER
	cacheLine = 64
)

// shape is how a source matrix is going to lie in the arena; pack.go fills it. See layout.h.
type shape struct {
	src    *quant.Matrix
	w      *C.pg_matrix // in C memory, its pointers set by place
	starts []uint32     // first block of each group
	perm   []int32      // input feature at each place, −1 where padded; nil: as they are
	zeros  []int8       // GPTQ: [groups, stored]; nil when all are the same
}

// plan works out the layout of m and writes everything but the pointers into w.
func plan(m *quant.Matrix, w *C.pg_matrix) (*shape, error) {
	s := &shape{src: m, w: w}
	w.out, w.in, w.padded = C.size_t(m.Out), C.size_t(m.In), C.size_t(m.In)
	w.octets = C.size_t((m.Out + octet - 1) / octet)
	switch m.Format {
	case quant.F32:
		w._type = C.PG_F32
	case quant.F16:
		w._type = C.PG_F16
	case quant.BF16:
		w._type = C.PG_BF16
	case quant.GPTQFormat:
		if err := s.planGPTQ(m); err != nil {
			return nil, err
		}
	default:
		f, ok := blockFormats[m.Format]
		if !ok {
			return nil, fmt.Errorf("cpu: %s: no kernels for weights of format %v", m.Name, m.Format)
		}
		s.planBlocks(m, f)
	}
	w.groups = C.size_t(max(len(s.starts)-1, 0))
	w.single = 1
	for i, start := range s.starts {
		if start != uint32(i) { // as many groups as blocks is not enough: act-order may leave one empty beside one of two blocks
			w.single = 0
		}
	}
	return s, nil
}

// blockFormat is what a GGUF format becomes.
type blockFormat struct {
	pack               C.int // pg_format
	bits, offset, zero C.int
	parts              C.int // pg_parts
}

var blockFormats = map[quant.Format]blockFormat{
	quant.Q4_0: {pack: C.PG_Q4_0, bits: 4, zero: 8},
	quant.Q4_1: {pack: C.PG_Q4_1, bits: 4, offset: C.PG_OFFSET_MIN},
	quant.Q5_0: {pack: C.PG_Q5_0, bits: 5, zero: 16},
	quant.Q5_1: {pack: C.PG_Q5_1, bits: 5, offset: C.PG_OFFSET_MIN},
	quant.Q8_0: {pack: C.PG_Q8_0, bits: 8},
	quant.Q2_K: {pack: C.PG_Q2_K, bits: 2, offset: C.PG_OFFSET_MIN, parts: C.PG_PARTS_MINS},
	quant.Q3_K: {pack: C.PG_Q3_K, bits: 3, zero: 4, parts: C.PG_PARTS_ZERO},
	quant.Q4_K: {pack: C.PG_Q4_K, bits: 4, offset: C.PG_OFFSET_MIN, parts: C.PG_PARTS_MIN},
	quant.Q5_K: {pack: C.PG_Q5_K, bits: 5, offset: C.PG_OFFSET_MIN, parts: C.PG_PARTS_MIN},
	quant.Q6_K: {pack: C.PG_Q6_K, bits: 6, zero: 32, parts: C.PG_PARTS_ZERO},
}

// planBlocks makes a group of each GGUF block.
func (s *shape) planBlocks(m *quant.Matrix, f blockFormat) {
	w := s.w
	w.bits, w._type, w.offset, w.zero, w.parts = f.bits, C.PG_F16, f.offset, f.zero, f.parts
	weights, _ := m.Format.Block()
	s.starts = make([]uint32, m.In/weights+1)
	for i := range s.starts {
		s.starts[i] = uint32(i * weights / block)
	}
}

func (s *shape) planGPTQ(m *quant.Matrix) error {
	g := m.GPTQ
	s.w.bits = C.int(g.Bits)
	switch g.Scales.DType {
	case tensor.F16:
		s.w._type = C.PG_F16
	case tensor.BF16:
		s.w._type = C.PG_BF16
	case tensor.F32:
		s.w._type = C.PG_F32
	default:
		return fmt.Errorf("cpu: %s: no kernels for scales of type %v", m.Name, g.Scales.DType)
	}
	s.groupFeatures(g, m.In)
	s.w.padded = C.size_t(s.starts[len(s.starts)-1]) * block
	shift := 0
	if g.Bits == 8 { // codes are stored signed
		shift = 128
	}
	if zero, same := sameZero(g); same {
		s.w.zero = C.int(zero - shift)
		return nil
	}
	s.w.offset = C.PG_OFFSET_ZEROS
	s.zeros = make([]int8, g.Groups*g.Stored)
	for group := range g.Groups {
		for n := range g.Stored {
			s.zeros[group*g.Stored+n] = int8(int(g.Zero(group, n)) - shift)
		}
	}
	return nil
}

// groupFeatures sorts the input features by group and pads every group to whole blocks.
func (s *shape) groupFeatures(g *quant.GPTQ, in int) {
	order, begin := g.Order(in)
	s.starts = make([]uint32, g.Groups+1)
	moved := false
	for i := range g.Groups {
		n := begin[i+1] - begin[i]
		moved = moved || n%block != 0
		s.starts[i+1] = s.starts[i] + uint32((n+block-1)/block)
	}
	for i, k := range order {
		moved = moved || int(k) != i
	}
	if !moved {
		return
	}
	s.perm = slices.Repeat([]int32{-1}, int(s.starts[g.Groups])*block)
	for i := range g.Groups {
		at := s.perm[int(s.starts[i])*block:]
		for j := range begin[i+1] - begin[i] {
			at[j] = int32(begin[i] + j)
			if order != nil {
				at[j] = order[begin[i]+j]
			}
		}
	}
}

// sameZero reports whether all zero points are one value, as in symmetric files: every unit of 32 columns has the same words,
// and the first has one value.
func sameZero(g *quant.GPTQ) (zero int, same bool) {
	unit := 4 * g.Bits
	for at := unit; at+unit <= len(g.QZeros); at += unit {
		if !slices.Equal(g.QZeros[at:at+unit], g.QZeros[:unit]) {
			return 0, false
		}
	}
	first := g.Zero(0, 0)
	for n := range min(block, g.Stored) {
		if g.Zero(0, n) != first {
			return 0, false
		}
	}
	return int(first), true
}

// arena is one run of memory for a model: first measured, then mapped and cut. The weights have one, which is written by all
// threads; what is known before they are read (norms, biases, orders) has another, since writing into each matrix's place
// would have one thread touch, and the kernel clear, all huge pages of a small model.
type arena struct {
	size   int // bytes taken so far
	base   unsafe.Pointer
	mapped bool // from a file, read only
}

// open maps what has been taken.
func (a *arena) open() error {
	a.base = C.pg_map(C.size_t(max(a.size, 1)))
	if a.base == nil {
		return fmt.Errorf("%w for %d MB of weights", errNoMemory, a.size>>20)
	}
	return nil
}

func (a *arena) close() {
	C.pg_unmap(a.base, C.size_t(max(a.size, 1)))
	a.base, a.mapped = nil, false
}

// take reserves n bytes and returns their place.
func (a *arena) take(n int) int {
	at := a.size
	a.size = (at + n + cacheLine - 1) / cacheLine * cacheLine
	return at
}

func (a *arena) at(place int) unsafe.Pointer { return unsafe.Add(a.base, place) }

// places are the parts of one matrix in the arenas.
type places struct{ codes, scales, offsets, parts, starts, perm int }

// measure takes the matrix's places in the arena a, those of its order and groups in side. perms holds the orders that are there
// already: matrices that share one share the gathered activations too.
func (s *shape) measure(a, side *arena, perms map[string]int) places {
	w := s.w
	p := places{perm: -1}
	p.codes = a.take(int(w.octets * C.pg_octet_bytes(w)))
	if w.bits == 0 {
		return p
	}
	groups := int(w.octets*w.groups) * octet
	p.scales = a.take(groups * int(C.pg_type_size(w._type)))
	p.offsets = a.take(groups * int(C.pg_offset_size(w)))
	p.parts = a.take(int(w.octets * C.pg_octet_parts(w)))
	p.starts = side.take(4 * len(s.starts))
	if s.perm != nil {
		key := string(raw(s.perm))
		at, ok := perms[key]
		if !ok {
			at = side.take(len(key))
			perms[key] = at
		}
		p.perm = at
	}
	return p
}

// place points the matrix into the mapped arenas and writes its order and groups.
func (s *shape) place(a, side *arena, p places) {
	s.w.codes = (*C.uint8_t)(a.at(p.codes))
	if s.w.bits == 0 {
		return
	}
	s.w.scales = (*C.uint8_t)(a.at(p.scales))
	s.w.offsets = (*C.uint8_t)(a.at(p.offsets))
	if s.w.parts != C.PG_PARTS_NONE {
		s.w.part_bytes = (*C.uint8_t)(a.at(p.parts))
	}
	s.w.group_start = (*C.uint32_t)(side.at(p.starts))
	copy(unsafe.Slice((*uint32)(side.at(p.starts)), len(s.starts)), s.starts)
	if s.perm != nil {
		s.w.perm = (*C.int32_t)(side.at(p.perm))
		copy(unsafe.Slice((*int32)(side.at(p.perm)), len(s.perm)), s.perm)
	}
}

// raw returns the memory of v.
func raw[T any](v []T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(v))), len(v)*int(unsafe.Sizeof(*new(T))))
}
