// Package testkernels holds kernels that prove the emulator: some compute what is easy to check, the others do what a kernel
// must not do. Only tests import it.
package testkernels

/*
#cgo CXXFLAGS: -std=c++17 -O2 -Wall -Wextra -fno-strict-aliasing -fno-exceptions -fno-rtti -I${SRCDIR}/../.. -I${SRCDIR}/..
#include "test_args.h"
const void *peregrine_testkernels(void);
*/
import "C"

import "unsafe"

// Module returns the kernels, for emulator.Options.Modules.
func Module() unsafe.Pointer { return unsafe.Pointer(C.peregrine_testkernels()) }

// Arguments are those of every kernel here.
type Arguments = C.pg_test_args

// Size is theirs in bytes.
const Size = C.sizeof_pg_test_args

// Args returns arguments: the addresses in and out, and two numbers whose meaning is the kernel's.
func Args[P ~uint64](in, out P, n uint64, at int64) Arguments {
	return Arguments{in: C.uint64_t(in), out: C.uint64_t(out), n: C.uint64_t(n), at: C.int64_t(at)}
}
