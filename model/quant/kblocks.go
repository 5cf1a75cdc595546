package quant

import (
	"encoding/binary"

	"peregrine/model/tensor"
)

// superBlock is how many weights a K-quant stores together. Its parts of 16 or 32 weights have small integer scales, which
// multiply the block's own.
const superBlock = 256

func half(b []byte) float32 { return tensor.FromF16(binary.LittleEndian.Uint16(b)) }

// fives writes the 32 codes of Q5_0 or Q5_1: 16 bytes of nibbles with their fifth bits.
func fives(codes *[32]uint8, high uint32, nibbles []byte) {
	for j, b := range nibbles[:16] {
		codes[j] = b&15 | uint8(high>>j&1<<4)
		codes[j+16] = b>>4 | uint8(high>>(j+16)&1<<4)
	}
}

// sixBits returns scale and minimum of part j of the eight that a Q4_K or Q5_K block has, from its 12 bytes: the low six bits
// of bytes 0–3 and 4–7 are those of the first four parts, whose high two bits complete the nibbles of bytes 8–11 to those of
// the others. Source: ggml-quants.c get_scale_min_k4.
func sixBits(packed []byte, j int) (scale, minimum uint8) {
	if j < 4 {
		return packed[j] & 63, packed[j+4] & 63
	}
	return packed[j+4]&15 | packed[j-4]>>6<<4, packed[j+4]>>4 | packed[j]>>6<<4
}

// sixBitsSigned returns the scale of part j of the sixteen that a Q3_K block has, from its 12 bytes: a nibble of bytes 0–7 and
// two bits of bytes 8–11, less 32. Source: ggml-quants.c dequantize_row_q3_K.
func sixBitsSigned(packed []byte, j int) int {
	low, high := packed[j%8]>>(j/8*4)&15, packed[8+j%4]>>(j/4*2)&3
	return int(low|high<<4) - 32
}

// dequantizeSuper writes the weights of one K-quant block, part by part. Products of d, scale and code have at most 23
// significant bits, so that they are exact in float32, in any order; only taking the minimum away rounds.
func dequantizeSuper(dst *[superBlock]float32, f Format, block []byte) {
	switch f {
	case Q2_K: // scales and minima [16], codes [64], d, dmin
		d, least := half(block[80:]), half(block[82:])
		for j := range 16 {
			s, m, shift := d*float32(block[j]&15), least*float32(block[j]>>4), j/2%4*2
			for i, b := range block[16+j/8*32+j%2*16:][:16] {
				dst[16*j+i] = s*float32(b>>shift&3) - m
			}
		}
	case Q3_K: // third bits [32], codes [64], scales [12], d
		d := half(block[108:])
		for j := range 16 {
			s, high, shift := d*float32(sixBitsSigned(block[96:], j)), block[j%2*16:][:16], j/2%4*2
			for i, b := range block[32+j/8*32+j%2*16:][:16] {
				dst[16*j+i] = s * float32(int(b>>shift&3|high[i]>>(j/2)&1<<2)-4)
			}
		}
	case Q4_K: // d, dmin, scales and minima [12], codes [128]
		d, least := half(block), half(block[2:])
		for j := range 8 {
			scale, minimum := sixBits(block[4:], j)
			s, m, shift := d*float32(scale), least*float32(minimum), j%2*4
			for i, b := range block[16+j/2*32:][:32] {
				dst[32*j+i] = s*float32(b>>shift&15) - m
			}
		}
	case Q5_K: // d, dmin, scales and minima [12], fifth bits [32], codes [128]
		d, least := half(block), half(block[2:])
		for j := range 8 {
			scale, minimum := sixBits(block[4:], j)
			s, m, high, shift := d*float32(scale), least*float32(minimum), block[16:48], j%2*4
			for i, b := range block[48+j/2*32:][:32] {
				dst[32*j+i] = s*float32(b>>shift&15|high[i]>>j&1<<4) - m
			}
		}
	default: // Q6_K: low four bits [128], high two bits [64], scales int8 [16], d
		d := half(block[208:])
		for j := range 16 {
			s, high := d*float32(int8(block[192+j])), block[128+j/8*32+j%2*16:][:16]
			for i, b := range block[j/8*64+j%4*16:][:16] {
				dst[16*j+i] = s * float32(int(b>>(j/4%2*4)&15|high[i]>>(j/2%4*2)&3<<4)-32)
			}
		}
	}
}
