package quantize

import "math"

// grid is the codes' scale and zero point for one row of one group.
type grid struct{ scale, zero, maxCode float64 }

// findGrid lays a grid over the values of one row so that it holds their extremes and 0. A symmetric row without negative
// values keeps 0 as its lower end, so that it uses half of the codes: checkpoints of AutoGPTQ are made like this.
// Source: AutoGPTQ quantization/quantizer.py, Quantizer.find_params.
func findGrid(values []float64, o Options) grid {
	var low, high float64
	for _, v := range values {
		low, high = min(low, v), max(high, v)
	}
	if o.Symmetric {
		high = max(-low, high)
		if low < 0 {
			low = -high
		}
	}
	if low == 0 && high == 0 {
		low, high = -1, 1
	}
	levels := 1 << o.Bits
	g := grid{maxCode: float64(levels - 1)}
	g.scale = (high - low) / g.maxCode
	g.zero = float64(levels / 2)
	if !o.Symmetric {
		g.zero = math.RoundToEven(-low / g.scale)
		if g.zero == 0 && o.Storable {
			g.zero, g.scale = 1, high/(g.maxCode-1) // low is within half a step of 0
		}
	}
	return g
}

// nearest returns the code nearest to v, and the value for which it stands. Halves go to the even integer, as in torch.
func (g grid) nearest(v float64) (code uint8, value float64) {
	c := min(max(math.RoundToEven(v/g.scale)+g.zero, 0), g.maxCode)
	return uint8(c), g.scale * (c - g.zero)
}
