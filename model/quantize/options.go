package quantize

import (
	"fmt"
	"math"
)

// DefaultDamping is the share of the Hessian's mean diagonal that is added to it, AutoGPTQ's default.
const DefaultDamping = 0.01

// Options says what the codes look like and in which order they are chosen.
type Options struct {
	Bits      int  // 2, 3, 4 or 8
	GroupSize int  // input features that share a scale and a zero point; -1: all
	ActOrder  bool // quantise the columns with the largest inputs first (desc_act)
	Symmetric bool // one zero point for all, in the middle of the codes
	// StaticGroups takes every grid from the weights as they were, in groups of neighbouring columns, also with ActOrder.
	StaticGroups bool
	Damping      float64 // share of the Hessian's mean diagonal; 0: DefaultDamping
	// Storable avoids the zero point 0. Files of AutoGPTQ's format store zero points less one, and readers disagree on what a
	// stored -1 means. A row whose zero point would be 0 gets 1, and a scale that holds its largest value all the same.
	Storable bool
}

// Weights is a quantised matrix: w[n, k] = Scales[n, g] · (Codes[n, k] − Zeros[n, g]) with g = GIdx[k].
type Weights struct {
	Out, In, Groups int
	Codes           []uint8   // [Out, In], columns in their original order
	Scales          []float32 // [Out, Groups]
	Zeros           []uint8   // [Out, Groups], as they are subtracted (not minus one)
	GIdx            []int32   // [In]
	// Loss is the sum of the squared errors that Solve could not avoid, (w − q)² / 2d², comparable between settings of one
	// matrix and one Hessian. Nearest leaves it 0: it has no Hessian.
	Loss float64
}

// Dequantize writes the weights into dst and returns it: float32 [Out, In] row-major. A dst that is too small is replaced.
func (w *Weights) Dequantize(dst []float32) []float32 {
	if cap(dst) < len(w.Codes) {
		dst = make([]float32, len(w.Codes))
	}
	dst = dst[:len(w.Codes)]
	for n := range w.Out {
		scales, zeros := w.Scales[n*w.Groups:], w.Zeros[n*w.Groups:]
		for k, g := range w.GIdx {
			at := n*w.In + k
			dst[at] = scales[g] * float32(int(w.Codes[at])-int(zeros[g]))
		}
	}
	return dst
}

// groupSize returns the columns of one group of a matrix with in input features.
func (o Options) groupSize(in int) int {
	if o.GroupSize == -1 {
		return in
	}
	return min(o.GroupSize, in)
}

// damping returns the share of the Hessian's mean diagonal that is added to it.
func (o Options) damping() float64 {
	if o.Damping == 0 {
		return DefaultDamping
	}
	return o.Damping
}

// checkCodes refuses options that no checkpoint can hold.
func (o Options) checkCodes() error {
	switch o.Bits {
	case 2, 3, 4, 8:
	default:
		return fmt.Errorf("quantize: %d bits; need 2, 3, 4 or 8", o.Bits)
	}
	if o.GroupSize != -1 && o.GroupSize < 1 {
		return fmt.Errorf("quantize: group size %d; need a positive number, or -1 for one group", o.GroupSize)
	}
	if !(o.Damping >= 0 && o.Damping <= 1) {
		return fmt.Errorf("quantize: damping %v; need a share from 0 to 1", o.Damping)
	}
	return nil
}

// check is checkCodes, and refuses weights that are not a finite [out, in] matrix.
func (o Options) check(weights []float32, out, in int) error {
	if err := o.checkCodes(); err != nil {
		return err
	}
	if out < 1 || in < 1 || len(weights)/in != out || len(weights)%in != 0 {
		return fmt.Errorf("quantize: %d weights are not a matrix of %d × %d", len(weights), out, in)
	}
	for i, w := range weights {
		if f := float64(w); math.IsNaN(f) || math.IsInf(f, 0) {
			return fmt.Errorf("quantize: weight [%d, %d] is %v; only finite weights can be quantised", i/in, i%in, w)
		}
	}
	return nil
}
