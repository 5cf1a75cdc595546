package cuda

import "math"

// bounded is a number and how far a kernel may be from it.
type bounded struct{ value, error float64 }

// weightError bounds how far, relative to itself, a kernel's weight is from what Dequantize says. Precise kernels use the very
// value, as do those that multiply exact codes and scale the sums. A rounding to f16 is 2^-11: of dense weights that are not f16,
// of scale·code + minimum, of Q6_K's scale·code, and while prefilling, or where scales multiply weights (decode_folded.cuh), of
// scale·(code − zero), before which a scale that is not f16 is rounded too.
func weightError(p *packing, kernel string, folded bool) float64 {
	const half = 0x1p-11
	switch {
	case kernel == "precise" || p.name == "f16":
		return 0
	case kernel == "decode" && p.name == "k6":
		return half
	case kernel == "decode" && p.groups > 0 && (p.grain > 0 || !folded):
		return 0
	case p.groups == 0 || p.name == "m4" || p.name == "m5" || p.expanded:
		return half
	case p.scaleF32:
		return 2*half + half*half
	}
	return half
}

// folded reports whether linear_decode multiplies weights of a format with their scales, as it goes by all matrices of a launch:
// where groups are short, or not all multiples of what the format works in. a has been through shareItems.
func folded(format string, a *linearArgs) bool {
	grains := map[string]int{"g8": 2, "g4": 4, "m4": 4, "g2": 8, "g3": 8}
	switch grain, ends := grains[format], int(a.ends); {
	case format == "f16" || format == "bf16" || format == "f32":
		return false
	case grain == 0: // those of GGUF alone
		return true
	default:
		return ends == 2 || ends%grain != 0 // 0: one group everywhere
	}
}

// roundings is how many additions a kernel's longest chain has, and how much each is off, of the sum of absolute products.
// Decode and precise kernels share the tiles of each source among 8 warps, whose sums are added; a precise lane adds a quarter of
// a tile, then the four lanes of a row. Tensor cores may cut off, 2^-23, where f32 arithmetic rounds, 2^-24. Biases and
// scales of sources are a few more.
func (s *testSegment) roundings(kernel string) float64 {
	tiles, features := 0, s.products[0].features
	for _, p := range s.products {
		tiles += p.kTiles
	}
	switch kernel {
	case "precise":
		return float64(ceilDiv(tiles, 8)*features/4+16) * 0x1p-24
	case "decode":
		return float64(ceilDiv(tiles, 8)*features+16) * 0x1p-23
	}
	return float64(tiles*features+16) * 0x1p-23
}

// sum is Σ over products of w·x + bias for one token and row, in float64, with what the weights' errors and the roundings of
// the sums may amount to.
func (s *testSegment) sum(x [][][]float32, kernel string, token, row int) bounded {
	var y bounded
	roundings := s.roundings(kernel)
	for i, p := range s.products {
		y.value += float64(p.bias[row])
		y.error += math.Abs(float64(p.bias[row])) * roundings
		raw := s.raw(kernel, i, row)
		for k, w := range p.want[row] {
			v := float64(w) * float64(x[i][token][k])
			y.value += v
			y.error += math.Abs(v)*(weightError(&p.packing, kernel, s.folded)+roundings) + raw*math.Abs(float64(x[i][token][k]))*roundings
		}
	}
	return y
}

// raw is how large the terms are that a kernel adds up instead of a row's weights: decode kernels sum codes and take zero points
// off, or K-quants' minima, both of which may be that much larger than their difference. Whole weights have no such terms.
func (s *testSegment) raw(kernel string, product, row int) float64 {
	p := &s.products[product]
	if minima := p.name == "k2" || p.name == "k4" || p.name == "k5"; kernel != "decode" || p.groups == 0 || s.folded && !minima {
		return 0
	}
	largest := 0.0
	for _, w := range p.want[row] {
		largest = max(largest, math.Abs(float64(w)))
	}
	return 4 * largest
}

// stored adds the rounding of a value to the next x: f16, or f32 for the precise kernels.
func (b bounded) stored(kernel string) bounded {
	if kernel == "precise" {
		b.error += 0x1p-24 * math.Abs(b.value)
	} else {
		b.error += 0x1p-11*(math.Abs(b.value)+b.error) + 0x1p-25 // the second: subnormal
	}
	return b
}

// gelu: its slope is at most 1.13, math.cuh's error 2.1e-7 of |x|/2, finish_hopper.cuh's 3.8e-7.
func (b bounded) gelu() bounded {
	return bounded{b.value / 2 * (1 + math.Erf(b.value/math.Sqrt2)), 1.13*b.error + 2.1e-7*(math.Abs(b.value)+b.error)}
}

// gated is silu(b)·up: silu's slope is at most 1.1, math.cuh's error 1.7e-7 of it, finish_hopper.cuh's a little more; the product
// rounds once.
func (b bounded) gated(up bounded, form int) bounded {
	function := 1.7e-7
	if form == formCores {
		function = 4.1e-7 + 7.5e-8*math.Abs(b.value)
	}
	silu := b.value / (1 + math.Exp(-b.value))
	value := silu * up.value
	gateError := 1.1*b.error + function*math.Abs(silu)
	return bounded{value, gateError*(math.Abs(up.value)+up.error) + math.Abs(silu)*up.error + 0x1p-24*math.Abs(value)}
}
