package synthetic

import (
	"encoding/binary"
	"math"
	"math/rand/v2"

	"peregrine/model/quant"
	"peregrine/model/tensor"
)

// content is one kind of random bytes: a format, and for the formats that hold their scales the input features, after which
// the weights' size goes.
type content struct {
	format quant.Format
	bits   int // GPTQ
	in     int // of the other formats
}

// unit returns the bytes at whose multiples a tensor may begin.
func (c content) unit() int {
	if c.format == quant.GPTQFormat {
		return 4
	}
	_, size := c.format.Block()
	return size
}

// fill fills b, whole units, with such bytes. Weights have about the deviation 1/√in, so that a product of values near
// one has values near one.
func (c content) fill(r *rand.PCG, b []byte) {
	deviation := 1 / math.Sqrt(float64(c.in))
	switch c.format {
	case quant.GPTQFormat:
		words(b, func() uint64 { return balanced(r, c.bits) })
	case quant.F16:
		words(b, floats(r, deviation, 10, 15, 0x0001_0001_0001_0001))
	case quant.BF16:
		words(b, floats(r, deviation, 7, 127, 0x0001_0001_0001_0001))
	case quant.F32:
		words(b, floats(r, deviation, 23, 127, 0x0000_0001_0000_0001))
	case quant.Q4_0:
		words(b, func() uint64 { return balanced(r, 4) })
		scales(b, r, 18, 0, deviation/codeDeviation[4], 0)
	case quant.Q4_1: // codes 0 to 15 have deviation 4.6
		words(b, r.Uint64)
		scales(b, r, 20, 0, deviation/4.6, -7.5)
	case quant.Q5_0: // codes 0 to 31 have deviation 9.2
		words(b, r.Uint64)
		scales(b, r, 22, 0, deviation/9.2, 0)
		flip(b, r, 22)
	case quant.Q5_1:
		words(b, r.Uint64)
		scales(b, r, 24, 0, deviation/9.2, -15.5)
	case quant.Q8_0: // codes −128 to 127 have deviation 74
		words(b, r.Uint64)
		scales(b, r, 34, 0, deviation/74, 0)
	case quant.Q2_K, quant.Q3_K, quant.Q4_K, quant.Q5_K, quant.Q6_K:
		words(b, r.Uint64)
		supers(b, r, c.format, deviation)
	default:
		panic("synthetic: no content of format " + c.format.String())
	}
}

// words fills b with next's bytes.
func words(b []byte, next func() uint64) {
	for ; len(b) >= 8; b = b[8:] {
		binary.LittleEndian.PutUint64(b, next())
	}
	var rest [8]byte
	binary.LittleEndian.PutUint64(rest[:], next())
	copy(b, rest[:])
}

// codeDeviation is that of the codes that balanced makes, by bits.
var codeDeviation = map[int]float64{2: 0.71, 3: 2.27, 4: 4.18, 8: 73.9}

// balanced returns 64 bits of codes whose mean is the symmetric zero point 2^(bits−1). Plain random codes lie half a code
// below it on average: with activations that are positive on average, as GELU's are, that would add the same large vector to
// every token's state, and all tokens would look alike. At 2, 4 and 8 bits the code 0 becomes the zero point. Codes of 3 bits
// cross words, so there each bit is one with a probability near 4/7 (0.5703) instead.
func balanced(r *rand.PCG, bits int) uint64 {
	x := r.Uint64()
	switch bits {
	case 2:
		return x | (^(x|x>>1)&0x5555_5555_5555_5555)<<1
	case 4:
		ones := x | x>>1
		ones |= ones >> 2
		return x | (^ones&0x1111_1111_1111_1111)<<3
	case 8:
		ones := x | x>>1
		ones |= ones >> 2
		ones |= ones >> 4
		return x | (^ones&0x0101_0101_0101_0101)<<7
	default:
		rare := r.Uint64()
		rare &= r.Uint64()
		rare &= r.Uint64() // 1/8
		rare |= r.Uint64() // 9/16
		rare &= r.Uint64()
		rare &= r.Uint64() // 9/64
		return x | rare
	}
}

// floats returns a source of numbers ±m·2^(e−i) with m uniform in [1, 2) and i in 0…3, several in 64 bits: lanes has a one at
// the lowest bit of each, and the type has that many mantissa bits and that exponent bias. Their deviation is
// 2^e·√(7/3 · (1+1/4+1/16+1/64)/4) = 0.88·2^e; e is chosen nearest to the one wanted.
func floats(r *rand.PCG, deviation float64, mantissa, bias int, lanes uint64) func() uint64 {
	exponent := uint64(math.Round(math.Log2(deviation/0.88))) + uint64(bias)
	width := 16
	if mantissa == 23 {
		width = 32
	}
	keep := lanes * (1<<(width-1) | (1<<mantissa - 1)) // sign and mantissa
	down := lanes * (3 << mantissa)
	high := lanes * (exponent << mantissa)
	return func() uint64 {
		x := r.Uint64()
		return x&keep | (high - x&down)
	}
}

// scales puts a scale near the given one at a byte of each block of size bytes, and behind it its product with minimum where
// that is not 0.
func scales(b []byte, r *rand.PCG, size, at int, scale, minimum float64) {
	type head struct{ d, m uint16 }
	var heads [1 << 10]head // enough that blocks differ
	for i := range heads {
		d := scale * (0.5 + float64(r.Uint64()>>11)/(1<<53))
		heads[i] = head{tensor.ToF16(float32(d)), tensor.ToF16(float32(d * minimum))}
	}
	for ; len(b) > 0; b = b[size:] {
		h := heads[r.Uint64()%uint64(len(heads))]
		binary.LittleEndian.PutUint16(b[at:], h.d)
		if minimum != 0 {
			binary.LittleEndian.PutUint16(b[at+2:], h.m)
		}
	}
}

// flip makes about half of the scales at the start of each block negative: codes that lie half of one below the zero point on
// average then add nothing that all rows have (see balanced).
func flip(b []byte, r *rand.PCG, size int) {
	for ; len(b) > 0; b = b[size:] {
		b[1] ^= byte(r.Uint64() & 0x80)
	}
}

// supers makes random bytes K-quants: the super-block's scales, and minima equal to the groups' scales, whose common factor is the
// mean code, so that weights have mean 0. Comments give the deviation of codes, and the root mean square of random scales.
func supers(b []byte, r *rand.PCG, f quant.Format, deviation float64) {
	_, size := f.Block()
	sixBits := func(at int) {
		for b := b; len(b) > 0; b = b[size:] {
			packed := b[at : at+12] // see quant.sixBits
			copy(packed[4:8], packed[:4])
			for i := 8; i < 12; i++ {
				packed[i] = packed[i] & 15 * 17
			}
		}
	}
	switch f {
	case quant.Q2_K: // 1.12, 8.8
		for b := b; len(b) > 0; b = b[size:] {
			for i := range 16 {
				b[i] = b[i] & 15 * 17
			}
		}
		scales(b, r, size, 80, deviation/(1.12*8.8), 1.5)
	case quant.Q3_K: // 2.3, 18.5
		scales(b, r, size, 108, deviation/(2.3*18.5), 0)
	case quant.Q4_K: // 4.6, 36.4
		sixBits(4)
		scales(b, r, size, 0, deviation/(4.6*36.4), 7.5)
	case quant.Q5_K: // 9.2, 36.4
		sixBits(4)
		scales(b, r, size, 0, deviation/(9.2*36.4), 15.5)
	default: // Q6_K: 18.5, 73.9
		scales(b, r, size, 208, deviation/(18.5*73.9), 0)
	}
}
