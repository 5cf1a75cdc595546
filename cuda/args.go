package cuda

/*
#include "args.h"
*/
import "C"

import (
	"unsafe"

	"peregrine/cuda/driver"
)

// The arguments of the kernels, as args.h defines them.
type (
	matrixArgs    = C.pg_matrix
	segmentArgs   = C.pg_segment
	linearArgs    = C.pg_linear_args
	embedArgs     = C.pg_embed_args
	normArgs      = C.pg_norm_args
	normOutput    = C.pg_norm_output
	attentionArgs = C.pg_attention_args
	topArgs       = C.pg_top_args
	activateArgs  = C.pg_activate_args
	repackArgs    = C.pg_repack_args
	expandArgs    = C.pg_expand_args
	readArgs      = C.pg_read_args
	candidate     = C.pg_candidate
)

// Sizes on which kernels and plan agree.
const (
	maxSegments    = C.PG_SEGMENTS
	maxNormOutputs = C.PG_NORM_OUTPUTS
	decodeTokens   = C.PG_DECODE_TOKENS
	decodeTiles    = C.PG_DECODE_TILES
	fewTokens      = C.PG_FEW_TOKENS
	splitKeys      = C.PG_SPLIT_KEYS
	valueKeys      = C.PG_VALUE_KEYS
	decodeShared   = C.PG_DECODE_SHARED
	decodeBlocks   = C.PG_DECODE_BLOCKS
	prefillTiles   = C.PG_PREFILL_TILES
	prefillTokens  = C.PG_PREFILL_TOKENS
	hopperTokens   = C.PG_HOPPER_TOKENS
	hopperThreads  = C.PG_HOPPER_THREADS
	hopperShared   = C.PG_HOPPER_SHARED
	maxTokens      = C.PG_TOKENS
	topMost        = C.PG_TOP
	topChunk       = C.PG_TOP_CHUNK
)

// A block of compute capability 8.6 and 8.9 may have 99 KiB of shared memory: this does not compile if one asks for more.
var _ [99<<10 - decodeShared]struct{}

// How an activation is stored; kernels/layout.cuh.
const (
	formFragments = C.PG_FRAGMENTS
	formFloats    = C.PG_FLOATS
	formCores     = C.PG_CORES
)

// Epilogues of a matrix product.
const (
	epilogueStore = C.PG_STORE
	epilogueAdd   = C.PG_ADD
	epilogueGELU  = C.PG_GELU
	epilogueGated = C.PG_GATED
)

func address(p driver.Ptr) C.pg_ptr { return C.pg_ptr(p) }

func size(n int) C.uint32_t { return C.uint32_t(n) }

func wide(n int64) C.uint64_t { return C.uint64_t(n) }

func word(n uint32) C.uint32_t { return C.uint32_t(n) }

func float(x float32) C.float { return C.float(x) }

func truth(b bool) C.uint32_t {
	if b {
		return 1
	}
	return 0
}

// kernelLaunch is one kernel with its arguments.
type kernelLaunch struct {
	name        string
	bytes       int64 // of weights that it reads
	function    driver.Function
	grid, block driver.Dim
	shared      int
	early       bool // the kernel waits by itself for those ahead
	args        unsafe.Pointer
	size        uintptr
}

// newLaunch copies args, which must be one of the structs above.
func newLaunch[T any](f driver.Function, grid driver.Dim, threads uint32, shared int, args T) kernelLaunch {
	return kernelLaunch{
		function: f, grid: grid, block: driver.Dim{X: threads, Y: 1, Z: 1}, shared: shared,
		args: unsafe.Pointer(&args), size: unsafe.Sizeof(args),
	}
}

// on puts the launch in a stream.
func (l kernelLaunch) on(s driver.Stream) error {
	if l.early {
		return s.LaunchEarly(l.function, l.grid, l.block, l.shared, l.args, l.size)
	}
	return s.Launch(l.function, l.grid, l.block, l.shared, l.args, l.size)
}
