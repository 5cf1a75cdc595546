package quant

import (
	"encoding/binary"
	"math"

	"peregrine/model/tensor"
)

// blockK is the input features that one column's group of Bits words holds, for every bit width: 32·Bits bits.
const blockK = 32

// tileColumns is how many columns are decoded together. Neighbouring columns lie side by side in qweight: 64 of them use
// four whole cache lines of every word row, and their 64 output rows still fit the first-level cache line by line.
const tileColumns = 64

// In returns the input features K, from the size of QWeight.
func (g *GPTQ) In() int { return len(g.QWeight) / 4 / g.Stored / g.Bits * blockK }

// Group returns the group of input feature k.
func (g *GPTQ) Group(k int) int {
	if g.GIdx != nil {
		return int(g.GIdx[k])
	}
	return k / g.GroupSize
}

// Code returns the code of input feature k in stored column n: Bits bits at bit Bits·(k mod 32) of the little-endian stream
// of the Bits words in rows k/32·Bits … of that column. For 2, 4 and 8 bits no code crosses a word; for 3 bits two do.
func (g *GPTQ) Code(k, n int) uint32 {
	return field(k%blockK, g.Bits, func(w int) uint32 {
		return word(g.QWeight, (k/blockK*g.Bits+w)*g.Stored+n)
	})
}

// Zero returns the zero point that is subtracted from the codes of stored column n in the group, after the rule in Zeros.
func (g *GPTQ) Zero(group, n int) uint32 {
	row := group * (g.Stored / blockK * g.Bits)
	z := field(n%blockK, g.Bits, func(w int) uint32 {
		x := word(g.QZeros, row+n/blockK*g.Bits+w)
		if g.Zeros == ZeroWholeWords {
			x += wholeWords(g.Bits, w)
		}
		return x
	})
	if g.Zeros != ZeroMinusOne {
		return z
	}
	z++
	if g.Bits != 3 { // AutoGPTQ's 3-bit path does not mask: a stored 7 is the zero point 8
		z &= 1<<g.Bits - 1
	}
	return z
}

// wholeWords is what GPTQModel subtracts from word w of the Bits words that hold 32 zero points. At 3 bits it is not one in
// every field. Measured on files of GPTQModel 2.2.0.
func wholeWords(bits, w int) uint32 {
	switch bits {
	case 2:
		return 0x55555555
	case 3:
		return [3]uint32{0x24924924, 0x92492492, 0x49249249}[w]
	case 4:
		return 0x11111111
	default:
		return 0x01010101
	}
}

// Scale returns the scale of the group in stored column n, widened to float32.
func (g *GPTQ) Scale(group, n int) float32 {
	i := group*g.Stored + n
	switch g.Scales.DType {
	case tensor.F16:
		return tensor.FromF16(binary.LittleEndian.Uint16(g.Scales.Data[2*i:]))
	case tensor.BF16:
		return tensor.FromBF16(binary.LittleEndian.Uint16(g.Scales.Data[2*i:]))
	default:
		return math.Float32frombits(binary.LittleEndian.Uint32(g.Scales.Data[4*i:]))
	}
}

// field returns value i of the 32 that the given words hold.
func field(i, bits int, word func(w int) uint32) uint32 {
	at := i * bits
	v := word(at/32) >> (at % 32)
	if over := at%32 + bits - 32; over > 0 {
		v |= word(at/32+1) << (bits - over)
	}
	return v & (1<<bits - 1)
}

func word(b []byte, i int) uint32 { return binary.LittleEndian.Uint32(b[4*i:]) }

// Codes writes the codes of rows lo to hi of a GPTQ matrix, in its own order, one byte each, into dst, [hi−lo, In]
// row-major. Input features stay as stored: with a GIdx the caller permutes them (see GPTQ.Order). Ask for 64 rows or more
// at a time: neighbouring rows share their cache lines in qweight.
func (m *Matrix) Codes(dst []uint8, lo, hi int) {
	m.checkRows(lo, hi)
	var codes [tileColumns * blockK]uint8
	for at := lo; at < hi; at += tileColumns {
		rows := min(tileColumns, hi-at)
		for k := 0; k < m.In; k += blockK {
			m.decode(&codes, k, at, rows)
			for j := range rows {
				copy(dst[(at-lo+j)*m.In+k:], codes[j*blockK:(j+1)*blockK])
			}
		}
	}
}

// Grid writes scales and zero points of rows lo to hi of a GPTQ matrix, in its own order, [hi−lo, Groups] row-major:
// w[n][k] = scales[n][g] · (code[n][k] − zeros[n][g]) with g = GPTQ.Group(k). Zero points reach 255 (8 at 3 bits).
func (m *Matrix) Grid(scales []float32, zeros []uint8, lo, hi int) {
	m.checkRows(lo, hi)
	g := m.GPTQ
	for i := lo; i < hi; i++ {
		n := m.StoredRow(i)
		for group := range g.Groups {
			scales[(i-lo)*g.Groups+group] = g.Scale(group, n)
			zeros[(i-lo)*g.Groups+group] = uint8(g.Zero(group, n))
		}
	}
}

// Order returns the input features sorted by group, stable, and where each group begins in that order (Groups+1 entries).
// A kernel that wants contiguous groups stores feature order[i] at i and gathers its input the same way. order is nil when
// the groups are contiguous already.
func (g *GPTQ) Order(in int) (order []int32, begin []int) {
	begin = make([]int, g.Groups+1)
	for k := range in {
		begin[g.Group(k)+1]++
	}
	for i := range g.Groups {
		begin[i+1] += begin[i]
	}
	if g.GIdx == nil {
		return nil, begin
	}
	order = make([]int32, in)
	next := append([]int(nil), begin[:g.Groups]...)
	for k, group := range g.GIdx {
		order[next[group]] = int32(k)
		next[group]++
	}
	return order, begin
}

// decode unpacks features k … k+31 of the given rows (in the matrix's order) into codes, 32 bytes a row. k is a multiple of
// 32.
func (m *Matrix) decode(codes *[tileColumns * blockK]uint8, k, row, rows int) {
	g := m.GPTQ
	stride := 4 * g.Stored
	block := g.QWeight[k/blockK*g.Bits*stride:]
	for w := range g.Bits {
		words := block[w*stride : (w+1)*stride]
		for j := range rows {
			x := binary.LittleEndian.Uint32(words[4*m.StoredRow(row+j):])
			out := codes[j*blockK : (j+1)*blockK]
			switch g.Bits {
			case 2:
				unpack2(out[16*w:16*w+16], x)
			case 3:
				unpack3(out, x, w)
			case 4:
				unpack4(out[8*w:8*w+8], x)
			default:
				binary.LittleEndian.PutUint32(out[4*w:], x)
			}
		}
	}
}

func unpack2(out []uint8, x uint32) {
	for i := range out {
		out[i] = uint8(x>>(2*i)) & 3
	}
}

func unpack4(out []uint8, x uint32) {
	_ = out[7]
	out[0], out[1], out[2], out[3] = uint8(x)&15, uint8(x>>4)&15, uint8(x>>8)&15, uint8(x>>12)&15
	out[4], out[5], out[6], out[7] = uint8(x>>16)&15, uint8(x>>20)&15, uint8(x>>24)&15, uint8(x>>28)
}

// unpack3 takes word w of the three that hold 32 codes; codes 10 and 21 cross from one word to the next, and words come in
// order.
func unpack3(out []uint8, x uint32, w int) {
	switch w {
	case 0: // v0…v9, low two bits of v10
		for i := range 10 {
			out[i] = uint8(x>>(3*i)) & 7
		}
		out[10] = uint8(x >> 30)
	case 1: // high bit of v10, v11…v20, low bit of v21
		out[10] |= uint8(x&1) << 2
		for i := range 10 {
			out[11+i] = uint8(x>>(3*i+1)) & 7
		}
		out[21] = uint8(x >> 31)
	default: // high two bits of v21, v22…v31
		out[21] |= uint8(x&3) << 1
		for i := range 10 {
			out[22+i] = uint8(x>>(3*i+2)) & 7
		}
	}
}

func (m *Matrix) dequantizeGPTQ(dst []float32, lo, hi int) {
	g := m.GPTQ
	var codes [tileColumns * blockK]uint8
	tile := min(tileColumns, hi-lo)
	scales, zeros := make([]float32, tile*g.Groups), make([]uint8, tile*g.Groups)
	for at := lo; at < hi; at += tileColumns {
		rows := min(tileColumns, hi-at)
		m.Grid(scales, zeros, at, at+rows)
		for k := 0; k < m.In; k += blockK {
			m.decode(&codes, k, at, rows)
			oneGroup := g.GIdx == nil && g.Group(k) == g.Group(k+blockK-1)
			for j := range rows {
				out, q := dst[(at-lo+j)*m.In+k:][:blockK], codes[j*blockK:(j+1)*blockK]
				s, z := scales[j*g.Groups:(j+1)*g.Groups], zeros[j*g.Groups:(j+1)*g.Groups]
				if oneGroup {
					scale, zero := s[g.Group(k)], int(z[g.Group(k)])
					for i, c := range q {
						out[i] = scale * float32(int(c)-zero)
					}
					continue
				}
				for i, c := range q {
					group := g.Group(k + i)
					out[i] = s[group] * float32(int(c)-int(z[group]))
				}
			}
		}
	}
}
