package quantize

import (
	"fmt"
	"math"
)

// Hessian gathers H = 2/n · Σ XᵀX over n sequences of a matrix's calibration inputs X [tokens, In], in float64. The matrices
// that share an input share its Hessian.
type Hessian struct {
	in        int
	sequences int
	sum       []float64 // [in, in], Σ XᵀX: the lower triangle alone
	columns   []float64 // [in, tokens] of the sequence that is added, reused
}

// NewHessian returns the empty Hessian of a matrix with in input features. It holds 8·in² bytes.
func NewHessian(in int) *Hessian { return &Hessian{in: in, sum: make([]float64, in*in)} }

// Add counts one sequence of inputs, [tokens, In] row-major, which stay the caller's. It refuses a length that is not whole
// tokens, and values that are not finite, and then leaves the Hessian as it was.
func (h *Hessian) Add(inputs []float32) error {
	if len(inputs) == 0 || len(inputs)%h.in != 0 {
		return fmt.Errorf("quantize: %d inputs are not whole tokens of %d", len(inputs), h.in)
	}
	tokens := len(inputs) / h.in
	if cap(h.columns) < len(inputs) {
		h.columns = make([]float64, len(inputs))
	}
	h.columns = h.columns[:len(inputs)]
	for i, x := range inputs {
		v := float64(x)
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("quantize: input %d of token %d is %v; the model's activations leave float32", i%h.in, i/h.in, x)
		}
		h.columns[i%h.in*tokens+i/h.in] = v
	}
	h.sequences++
	parallel(h.in, func(i int) {
		a := h.columns[i*tokens : (i+1)*tokens]
		for j := range i + 1 {
			h.sum[i*h.in+j] += dot(a, h.columns[j*tokens:(j+1)*tokens])
		}
	})
	return nil
}

// Matrix returns H, [In, In] row-major and the caller's. Before the first Add it is all zero.
func (h *Hessian) Matrix() []float64 {
	m := make([]float64, len(h.sum))
	factor := 2 / float64(max(h.sequences, 1))
	for i := range h.in {
		for j := range i + 1 {
			v := factor * h.sum[i*h.in+j]
			m[i*h.in+j], m[j*h.in+i] = v, v
		}
	}
	return m
}
