package model

import "math"

// InvFreq returns the headDim/2 rotary frequencies: the angle of pair i at position p is p·InvFreq[i], and the pair is the
// elements i and i+headDim/2 of a head (NeoX halves). length is the number of positions in the sequence once the forward
// pass is done, pos+len(tokens); only RopeDynamic looks at it. Backends compute in float64 and round the sine and cosine.
//
// Without scaling it is Base^(−2i/headDim). The scalings, after transformers modeling_rope_utils.py:
//
//   - RopeLinear divides every frequency by Factor, which is the same as dividing positions.
//   - RopeLlama3 leaves wavelengths below OriginalContext/HighFreqFactor, divides those above OriginalContext/LowFreqFactor by
//     Factor, and blends between.
//   - RopeDynamic leaves them up to OriginalContext; past it the base becomes Base·(Factor·length/OriginalContext −
//     (Factor−1))^(headDim/(headDim−2)).
//
// RopeDynamic follows transformers to the letter: the frequencies of one forward pass are those of the length that it
// reaches, and keys that are already in the cache keep the frequencies they were written with. Past OriginalContext the
// result therefore depends on how a prompt was cut into passes, as it does there; up to OriginalContext it does not.
func (r Rope) InvFreq(headDim, length int) []float64 {
	base := r.Base
	if r.Scaling == RopeDynamic && length > r.OriginalContext {
		d := float64(headDim)
		stretch := r.Factor*float64(length)/float64(r.OriginalContext) - (r.Factor - 1)
		base *= math.Pow(stretch, d/(d-2))
	}
	freq := make([]float64, headDim/2)
	for i := range freq {
		f := math.Pow(base, -2*float64(i)/float64(headDim))
		switch r.Scaling {
		case RopeLinear:
			f /= r.Factor
		case RopeLlama3:
			f = r.llama3(f)
		case RopeDefault, RopeDynamic:
		}
		if r.FreqFactors != nil {
			f /= float64(r.FreqFactors[i])
		}
		freq[i] = f
	}
	return freq
}

// llama3 stretches one frequency by its wavelength.
func (r Rope) llama3(f float64) float64 {
	turns := float64(r.OriginalContext) * f / (2 * math.Pi) // turns over the trained context
	switch {
	case turns > r.HighFreqFactor:
		return f
	case turns < r.LowFreqFactor:
		return f / r.Factor
	}
	smooth := (turns - r.LowFreqFactor) / (r.HighFreqFactor - r.LowFreqFactor)
	return (1-smooth)*f/r.Factor + smooth*f
}

// ALiBiSlopes returns one slope per head, unrounded: with n the largest power of two up to heads, slope_h = 2^(−8h/n) for
// h = 1…n, and heads beyond n take the odd powers of the series for 2n. The bias slope·j is added to q·k before the division
// by sqrt(HeadDim). Source: transformers modeling_falcon.py build_alibi_tensor, without its rounding to bfloat16.
func ALiBiSlopes(heads int) []float32 {
	slopes := make([]float32, heads)
	n := 1
	for 2*n <= heads {
		n *= 2
	}
	for h := range slopes {
		power := -8 * float64(h+1) / float64(n)
		if h >= n {
			power = -8 * float64(2*(h-n)+1) / float64(2*n)
		}
		slopes[h] = float32(math.Exp2(power))
	}
	return slopes
}
