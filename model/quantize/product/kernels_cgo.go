//go:build cgo

package product

/*
#cgo CFLAGS: -O3 -Wall -Wextra
#include "product.h"
*/
import "C"

import "unsafe"

// set is the kernels in use, the best that the machine runs.
var set = C.pg_product_at(0)

// useSet chooses other kernels, for tests; false: there are no more.
func useSet(i int) bool {
	other := C.pg_product_at(C.size_t(i))
	if other != nil {
		set = other
	}
	return other != nil
}

func floats(x []float32) *C.float   { return (*C.float)(unsafe.Pointer(unsafe.SliceData(x))) }
func doubles(x []float64) *C.double { return (*C.double)(unsafe.Pointer(unsafe.SliceData(x))) }

func mul(y, x, panels []float32, rows, in, out int) {
	C.pg_product_mul(set, floats(y), floats(x), floats(panels), C.size_t(rows), C.size_t(in), C.size_t(out))
}

func gram(sum []float64, x []float32, tokens, in, lo, hi int) {
	C.pg_product_gram(set, doubles(sum), floats(x), C.size_t(tokens), C.size_t(in), C.size_t(lo), C.size_t(hi))
}

func correct(left []float64, leftStride int, errors []float64, errorsStride int, u []float64, stride, rows, steps, columns int) {
	C.pg_product_correct(set, doubles(left), C.size_t(leftStride), doubles(errors), C.size_t(errorsStride), doubles(u), C.size_t(stride), C.size_t(rows),
		C.size_t(steps), C.size_t(columns))
}
