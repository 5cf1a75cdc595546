package cpu

/*
#include "model.h"
*/
import "C"

import (
	"runtime"
	"unsafe"

	"peregrine/model/quant"
	"peregrine/model/tensor"
)

// packStep is how many bytes of source are repacked between two looks at the context, two reports of progress and two returns
// of pages: some milliseconds of work. Tests lower it.
var packStep = 16 << 20

// pack repacks the matrix on all threads of the pool. step is called with the source bytes of each part once it is done; it
// stops the work by returning an error, and pack can be called again for the rest. The source's pages are given back part by part, so
// that memory never holds a matrix twice (but for act-order, whose gather needs the whole of one).
func (s *shape) pack(pool *C.pg_pool, step func(bytes int64) error) error {
	var pin runtime.Pinner
	defer pin.Unpin()
	p := s.source(&pin)
	if s.src.Format == quant.GPTQFormat {
		return s.packGPTQ(pool, p, step)
	}
	m := s.src
	row := m.Format.RowBytes(m.In)
	octets := max(1, packStep/(octet*row))
	for all := int(s.w.octets); int(s.w.repacked) < all; {
		lo := int(s.w.repacked)
		hi := min(lo+octets, all)
		C.pg_pack_run(pool, &p, C.size_t(lo), C.size_t(hi))
		s.w.repacked = C.size_t(hi)
		first, last := lo*octet, min(hi*octet, m.Out)
		if hi == all {
			tensor.Release(m.Data)
		} else if m.Rows == nil {
			tensor.Release(m.Data[first*row : last*row])
		}
		if err := step(int64((last - first) * row)); err != nil {
			return err
		}
	}
	return nil
}

// source describes the matrix's source for C, in memory that stays where it is until pin is released.
func (s *shape) source(pin *runtime.Pinner) C.pg_pack {
	p := C.pg_pack{dst: s.w}
	if s.src.Rows != nil {
		p.rows = (*C.int32_t)(pinned(pin, s.src.Rows))
	}
	if g := s.src.GPTQ; s.src.Format == quant.GPTQFormat {
		p.format = C.PG_GPTQ
		p.src = (*C.uint8_t)(pinned(pin, g.QWeight))
		p.stored = C.size_t(g.Stored)
		p.scales = (*C.uint8_t)(pinned(pin, g.Scales.Data))
		if s.zeros != nil {
			p.zeros = (*C.int8_t)(pinned(pin, s.zeros))
		}
		return p
	}
	if f, ok := blockFormats[s.src.Format]; ok {
		_, bytes := s.src.Format.Block()
		p.format, p.block = f.pack, C.size_t(bytes)
	}
	p.src = (*C.uint8_t)(pinned(pin, s.src.Data))
	return p
}

func (s *shape) packGPTQ(pool *C.pg_pool, p C.pg_pack, step func(bytes int64) error) error {
	g := s.src.GPTQ
	all := int(s.w.padded) / block
	blockBytes := 4 * g.Bits * g.Stored // of qweight, for 32 features of every column
	blocks := all
	if s.perm == nil {
		blocks = max(1, packStep/blockBytes)
	}
	for lo := 0; lo < all; lo += blocks {
		hi := min(lo+blocks, all)
		p.blo, p.bhi = C.size_t(lo), C.size_t(hi)
		C.pg_pack_run(pool, &p, 0, s.w.octets)
		part := g.QWeight
		if s.perm == nil {
			part = part[lo*blockBytes : hi*blockBytes]
		}
		tensor.Release(part)
		if err := step(int64(len(part))); err != nil {
			return err
		}
	}
	tensor.Release(g.QZeros)
	tensor.Release(g.Scales.Data)
	return nil
}

// pinned returns the address of v's first element, which stays where it is until pin is released; C reads it meanwhile. Memory
// of a mapping needs no pin, and pinning it does nothing.
func pinned[T any](pin *runtime.Pinner, v []T) unsafe.Pointer {
	p := unsafe.SliceData(v)
	if p != nil {
		pin.Pin(p)
	}
	return unsafe.Pointer(p)
}

// sourceBytes is what pack reports in all.
func sourceBytes(m *quant.Matrix) int64 {
	if m.Format == quant.GPTQFormat {
		return int64(len(m.GPTQ.QWeight))
	}
	return int64(m.Out) * int64(m.Format.RowBytes(m.In))
}
