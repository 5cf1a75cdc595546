package quantize

import (
	"fmt"
	"math"

	"peregrine/model/quantize/product"
)

// Hessian gathers H = 2/n · Σ XᵀX over n sequences of a matrix's calibration inputs X [tokens, In]. Products are summed in
// float32 over 128 tokens, these sums in float64. The matrices that share an input share its Hessian.
type Hessian struct {
	in        int
	sequences int
	sum       []float64 // [in, in], Σ XᵀX: the lower triangle alone
}

// NewHessian returns the empty Hessian of a matrix with in input features. It holds 8·in² bytes.
func NewHessian(in int) *Hessian { return &Hessian{in: in, sum: make([]float64, in*in)} }

// Add counts one sequence of inputs, [tokens, In] row-major, which stay the caller's. It refuses a length that is not whole
// tokens, and values that are not finite, and then leaves the Hessian as it was.
func (h *Hessian) Add(inputs []float32) error {
	if len(inputs) == 0 || len(inputs)%h.in != 0 {
		return fmt.Errorf("quantize: %d inputs are not whole tokens of %d", len(inputs), h.in)
	}
	for i, x := range inputs {
		if v := float64(x); math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("quantize: input %d of token %d is %v; the model's activations leave float32", i%h.in, i/h.in, x)
		}
	}
	h.sequences++
	product.Gram(h.sum, inputs, len(inputs)/h.in, h.in)
	return nil
}

// Take returns H, [In, In] row-major and the caller's, which ends the Hessian. Before the first Add it is all zero.
func (h *Hessian) Take() []float64 {
	m := h.sum
	factor := 2 / float64(max(h.sequences, 1))
	for i := range h.in {
		for j := range i + 1 {
			m[i*h.in+j] *= factor
			m[j*h.in+i] = m[i*h.in+j]
		}
	}
	h.sum = nil
	return m
}
