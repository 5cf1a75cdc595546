package quant

import (
	"encoding/binary"
	"math"

	"peregrine/model/tensor"
)

// blockK is the input features that one column's group of Bits words holds, for every bit width: 32·Bits bits.
const blockK = 32

// tileColumns is how many columns are decoded together: neighbours lie side by side in qweight, and 16 words are one cache
// line of each word row. More are slower, since the output rows that are written in turn then crowd one another out of the
// first-level cache (4096 inputs, 4 bits: 16 columns 1.1 GB/s of float32, 64 columns 0.6).
const tileColumns = 16

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
// row-major. Input features stay as stored: with a GIdx the caller permutes them (see GPTQ.Order). Ask for 16 rows or more
// at a time: neighbouring rows share their cache lines in qweight.
func (m *Matrix) Codes(dst []uint8, lo, hi int) {
	m.checkRows(lo, hi)
	for at := lo; at < hi; at += tileColumns {
		end := min(at+tileColumns, hi)
		for k := 0; k < m.In; k += blockK {
			block := m.GPTQ.block(k)
			for i := at; i < end; i++ {
				block.decode((*[blockK]uint8)(dst[(i-lo)*m.In+k:]), m.StoredRow(i))
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

// block is the Bits word rows that hold 32 input features of every column.
type block struct {
	words        []byte
	bits, stride int // stride: bytes of a word row
}

func (g *GPTQ) block(k int) block {
	stride := 4 * g.Stored
	at := k / blockK * g.Bits * stride
	return block{g.QWeight[at : at+g.Bits*stride], g.Bits, stride}
}

// decode unpacks the 32 codes of stored column n. Eight codes at a time are spread from adjacent bits to adjacent bytes by
// moving halves apart: 3 bits are 8 codes in 24 bits, whatever words those lie in.
func (b block) decode(codes *[blockK]uint8, n int) {
	at := 4 * n
	switch b.bits {
	case 2:
		for w := range 2 {
			x := uint64(binary.LittleEndian.Uint32(b.words[at+w*b.stride:]))
			binary.LittleEndian.PutUint64(codes[16*w:], spread2(x&0xffff))
			binary.LittleEndian.PutUint64(codes[16*w+8:], spread2(x>>16))
		}
	case 3:
		x0 := uint64(binary.LittleEndian.Uint32(b.words[at:]))
		x1 := uint64(binary.LittleEndian.Uint32(b.words[at+b.stride:]))
		x2 := uint64(binary.LittleEndian.Uint32(b.words[at+2*b.stride:]))
		binary.LittleEndian.PutUint64(codes[0:], spread3(x0&0xffffff))
		binary.LittleEndian.PutUint64(codes[8:], spread3(x0>>24|x1&0xffff<<8))
		binary.LittleEndian.PutUint64(codes[16:], spread3(x1>>16|x2&0xff<<16))
		binary.LittleEndian.PutUint64(codes[24:], spread3(x2>>8))
	case 4:
		for w := range 4 {
			x := uint64(binary.LittleEndian.Uint32(b.words[at+w*b.stride:]))
			binary.LittleEndian.PutUint64(codes[8*w:], spread4(x))
		}
	default:
		for w := range 8 {
			x := binary.LittleEndian.Uint32(b.words[at+w*b.stride:])
			binary.LittleEndian.PutUint32(codes[4*w:], x)
		}
	}
}

func spread2(x uint64) uint64 {
	x = (x | x<<24) & 0x000000ff000000ff
	x = (x | x<<12) & 0x000f000f000f000f
	return (x | x<<6) & 0x0303030303030303
}

func spread3(x uint64) uint64 {
	x = (x | x<<20) & 0x00000fff00000fff
	x = (x | x<<10) & 0x003f003f003f003f
	return (x | x<<5) & 0x0707070707070707
}

func spread4(x uint64) uint64 {
	x = (x | x<<16) & 0x0000ffff0000ffff
	x = (x | x<<8) & 0x00ff00ff00ff00ff
	return (x | x<<4) & 0x0f0f0f0f0f0f0f0f
}

func (m *Matrix) dequantizeGPTQ(dst []float32, lo, hi int) {
	g := m.GPTQ
	tile := min(tileColumns, hi-lo)
	scales, zeros := make([]float32, tile*g.Groups), make([]uint8, tile*g.Groups)
	var codes [blockK]uint8
	for at := lo; at < hi; at += tileColumns {
		end := min(at+tileColumns, hi)
		m.Grid(scales, zeros, at, end)
		for k := 0; k < m.In; k += blockK {
			block := g.block(k)
			first := g.Group(k)
			oneGroup := g.GIdx == nil && first == g.Group(k+blockK-1)
			for i := at; i < end; i++ {
				block.decode(&codes, m.StoredRow(i))
				out := (*[blockK]float32)(dst[(i-lo)*m.In+k:])
				s, z := scales[(i-at)*g.Groups:][:g.Groups], zeros[(i-at)*g.Groups:][:g.Groups]
				if oneGroup {
					scale, zero := s[first], int32(z[first])
					for j, c := range codes {
						out[j] = scale * float32(int32(c)-zero)
					}
					continue
				}
				for j, c := range codes {
					group := g.Group(k + j)
					out[j] = s[group] * float32(int32(c)-int32(z[group]))
				}
			}
		}
	}
}
