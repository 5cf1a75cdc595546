package product

// The kernels in Go: what is used without cgo, and what the C ones are tested against.

func mulPlain(y, x, panels []float32, rows, in, out int) {
	for p := 0; p*lanes < out; p++ {
		panel, width := panels[p*in*lanes:(p+1)*in*lanes], min(lanes, out-p*lanes)
		for r := range rows {
			var sums [lanes]float32
			for k, v := range x[r*in : (r+1)*in] {
				for lane, w := range panel[k*lanes : (k+1)*lanes] {
					sums[lane] += v * w
				}
			}
			copy(y[r*out+p*lanes:], sums[:width])
		}
	}
}

// gramTokens is how many tokens are summed in float32, in C as PG_GRAM_TOKENS.
const gramTokens = 128

func gramPlain(sum []float64, x []float32, tokens, in, lo, hi int) {
	for begin := 0; begin < tokens; begin += gramTokens {
		end := min(begin+gramTokens, tokens)
		for i := lo; i < hi; i++ {
			for j := range i + 1 {
				var s float32
				for t := begin; t < end; t++ {
					s += x[t*in+i] * x[t*in+j]
				}
				sum[i*in+j] += float64(s)
			}
		}
	}
}

func correctPlain(left []float64, leftStride int, errors []float64, errorsStride int, u []float64, stride, rows, steps, columns int) {
	for r := range rows {
		row := left[r*leftStride : r*leftStride+columns]
		for i := range steps {
			e := errors[r*errorsStride+i]
			for j, v := range u[i*stride : i*stride+columns] {
				row[j] -= e * v
			}
		}
	}
}
