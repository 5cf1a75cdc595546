package tensor

import (
	"encoding/binary"
	"fmt"
	"math"
)

// FromF16 widens an IEEE 754 half to float32, exactly; subnormals, infinities and NaN payloads included.
func FromF16(h uint16) float32 {
	sign := uint32(h&0x8000) << 16
	magnitude := uint32(h & 0x7fff)
	switch {
	case magnitude >= 0x7c00: // infinity or NaN: the exponent field becomes all ones
		return math.Float32frombits(sign | 0x7f800000 | magnitude<<13)
	case magnitude >= 0x0400: // normal: rebias the exponent from 15 to 127
		return math.Float32frombits(sign | (magnitude<<13 + (127-15)<<23))
	}
	// Subnormal or zero: magnitude · 2⁻²⁴ is exact in float32.
	return math.Float32frombits(sign | math.Float32bits(float32(magnitude)*0x1p-24))
}

// ToF16 rounds to the nearest half, ties to even. Values of 65520 and above become infinity; a NaN stays a quiet NaN with
// the upper bits of its payload.
func ToF16(f float32) uint16 {
	bits := math.Float32bits(f)
	sign := uint16(bits>>16) & 0x8000
	magnitude := bits & 0x7fffffff
	switch {
	case magnitude > 0x7f800000:
		return sign | 0x7e00 | uint16(magnitude>>13)&0x1ff
	case magnitude >= 0x477ff000: // 65520 rounds up past the largest half, 65504
		return sign | 0x7c00
	case magnitude < 0x38800000: // below 2⁻¹⁴: a multiple of 2⁻²⁴, which is what adding 0.5 = 2²³·2⁻²⁴ rounds to
		return sign | uint16(math.Float32bits(math.Float32frombits(magnitude)+0.5)-math.Float32bits(0.5))
	}
	odd := magnitude >> 13 & 1
	return sign | uint16((magnitude-(127-15)<<23+0xfff+odd)>>13)
}

// FromBF16 widens a bfloat16 to float32, exactly.
func FromBF16(b uint16) float32 { return math.Float32frombits(uint32(b) << 16) }

// ToBF16 rounds to the nearest bfloat16, ties to even; a NaN stays a quiet NaN.
func ToBF16(f float32) uint16 {
	bits := math.Float32bits(f)
	if bits&0x7fffffff > 0x7f800000 {
		return uint16(bits>>16) | 0x40
	}
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}

// Float32 widens all elements of an F16, BF16 or F32 tensor into dst and returns dst with exactly that length. A dst that is
// too small is replaced, so that nil is a fine first argument. Other types are refused by name.
func (v View) Float32(dst []float32) ([]float32, error) {
	switch v.DType {
	case F16, BF16, F32:
	default:
		return nil, fmt.Errorf("tensor %q: type %v cannot be read as floats; need F16, BF16 or F32", v.Name, v.DType)
	}
	n := len(v.Data) / v.DType.Size()
	if cap(dst) < n {
		dst = make([]float32, n)
	}
	dst = dst[:n]
	switch v.DType {
	case F16:
		for i := range dst {
			dst[i] = FromF16(binary.LittleEndian.Uint16(v.Data[2*i:]))
		}
	case BF16:
		for i := range dst {
			dst[i] = FromBF16(binary.LittleEndian.Uint16(v.Data[2*i:]))
		}
	default:
		for i := range dst {
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(v.Data[4*i:]))
		}
	}
	return dst, nil
}
