package backendtest

import (
	"encoding/binary"

	"peregrine/model/quant"
	"peregrine/model/tensor"
)

// super makes a K-quant block of random bytes one whose weights have about the given deviation, and a mean near zero where the
// format has minima.
func (r *random) super(f quant.Format, b []byte, deviation float64) {
	put := func(at int, x float64) { binary.LittleEndian.PutUint16(b[at:], tensor.ToF16(float32(x))) }
	var scales, minima [16]uint8
	// part draws scales up to top and minima that differ from them by one at most: dmin is d times the mean code.
	part := func(n, top int) {
		for j := range n {
			scales[j] = uint8(1 + r.IntN(top-1))
			minima[j] = scales[j] + uint8(r.IntN(3)) - 1
		}
	}
	switch f {
	case quant.Q2_K: // codes 0…3 have deviation 1.1, scales 1…14 root mean square 8.5
		part(16, 15)
		for j := range 16 {
			b[j] = scales[j] | minima[j]<<4
		}
		d := deviation / (1.1 * 8.5)
		put(80, d)
		put(82, 1.5*d)
	case quant.Q3_K: // codes −4…3 have deviation 2.3, scales −32…31 root mean square 18.5
		put(108, deviation/(2.3*18.5))
	case quant.Q4_K, quant.Q5_K: // codes 0…15 have deviation 4.6, 0…31 9.2; scales 1…62 root mean square 36
		part(8, 63)
		packSixBits(b[4:16], scales[:8], minima[:8])
		d, mean := deviation/(4.6*36), 7.5
		if f == quant.Q5_K {
			d, mean = deviation/(9.2*36), 15.5
		}
		put(0, d)
		put(2, mean*d)
	default: // Q6_K: codes −32…31 have deviation 18.5, scales −128…127 root mean square 74
		put(208, deviation/(18.5*74))
	}
}

// packSixBits packs eight scales and minima of six bits into 12 bytes, as Q4_K and Q5_K have them.
func packSixBits(b, scales, minima []uint8) {
	for j := range 4 {
		b[j] = scales[j] | scales[j+4]>>4<<6
		b[j+4] = minima[j] | minima[j+4]>>4<<6
		b[j+8] = scales[j+4]&15 | minima[j+4]&15<<4
	}
}
