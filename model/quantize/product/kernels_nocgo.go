//go:build !cgo

package product

func mul(y, x, panels []float32, rows, in, out int) { mulPlain(y, x, panels, rows, in, out) }

func gram(sum []float64, x []float32, tokens, in, lo, hi int) { gramPlain(sum, x, tokens, in, lo, hi) }

func correct(left []float64, leftStride int, errors []float64, errorsStride int, u []float64, stride, rows, steps, columns int) {
	correctPlain(left, leftStride, errors, errorsStride, u, stride, rows, steps, columns)
}

// useSet chooses other kernels, for tests; false: there are no more.
func useSet(i int) bool { return i == 0 }
