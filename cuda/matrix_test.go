package cuda

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"

	"peregrine/model/quant"
	"peregrine/model/tensor"
)

// weights says how a matrix is stored.
type weights struct {
	format quant.Format
	bits   int
	group  int // 0: one group
	act    bool
	zeros  quant.ZeroRule
	middle bool // every zero point the middle one, as symmetric quantisation has it
	scales tensor.DType
}

func (w weights) String() string {
	if w.format != quant.GPTQFormat {
		return w.format.String()
	}
	return fmt.Sprintf("GPTQ %d bits, group %d, act-order %v, zeros %d, all the middle %v, scales %v", w.bits, w.group, w.act, w.zeros, w.middle, w.scales)
}

// storedFormats is every layout, in the ways of storing that its kernels tell apart.
func storedFormats() []weights {
	gptq := quant.GPTQFormat
	return []weights{
		{format: quant.F32},
		{format: quant.F16},
		{format: quant.BF16},
		{format: quant.Q4_0},
		{format: quant.Q4_1},
		{format: quant.Q8_0},
		{format: quant.Q5_0},
		{format: quant.Q5_1},
		{format: quant.Q2_K},
		{format: quant.Q3_K},
		{format: quant.Q4_K},
		{format: quant.Q5_K},
		{format: quant.Q6_K},
		{format: gptq, bits: 2, middle: true, scales: tensor.F16},
		{format: gptq, bits: 2, group: 32, act: true, zeros: quant.ZeroAsStored, scales: tensor.F32},
		{format: gptq, bits: 2, group: 128, zeros: quant.ZeroWholeWords, scales: tensor.F16},
		{format: gptq, bits: 3, scales: tensor.BF16},
		{format: gptq, bits: 3, group: 64, zeros: quant.ZeroWholeWords, scales: tensor.F16},
		{format: gptq, bits: 3, group: 128, act: true, scales: tensor.F16},
		{format: gptq, bits: 4, middle: true, scales: tensor.F16},
		{format: gptq, bits: 4, group: 48, zeros: quant.ZeroWholeWords, scales: tensor.F16},
		{format: gptq, bits: 4, group: 128, act: true, scales: tensor.BF16},
		{format: gptq, bits: 8, zeros: quant.ZeroAsStored, scales: tensor.F16},
		{format: gptq, bits: 8, group: 64, act: true, middle: true, scales: tensor.F16},
		{format: gptq, bits: 8, group: 32, scales: tensor.F32},
	}
}

// features rounds input features up to whole blocks.
func (w weights) features(in int) int {
	block, _ := w.format.Block()
	return ceilDiv(in, max(1, block)) * max(1, block)
}

// matrix makes [out, in] weights around 1: random codes and zero points, all of which the formats allow.
func (w weights) matrix(rng *rand.Rand, name string, out, in int) *quant.Matrix {
	m := &quant.Matrix{Name: name, Format: w.format, Out: out, In: in}
	if w.format == quant.GPTQFormat {
		stored := (out + 31) / 32 * 32
		m.GPTQ, m.Out = w.gptq(rng, stored, in), stored
		rows := make([]int32, out)
		for i, r := range rng.Perm(stored)[:out] {
			rows[i] = int32(r)
		}
		return m.Reorder(rows)
	}
	m.Data = randomBytes(rng, out*w.format.RowBytes(in))
	half := func(at int, v float64) { binary.LittleEndian.PutUint16(m.Data[at:], tensor.ToF16(float32(v))) }
	_, block := w.format.Block()
	for at := 0; at < len(m.Data); at += block {
		switch v := rng.NormFloat64(); w.format {
		case quant.F32:
			binary.LittleEndian.PutUint32(m.Data[at:], math.Float32bits(float32(v)))
		case quant.BF16:
			binary.LittleEndian.PutUint16(m.Data[at:], tensor.ToBF16(float32(v)))
		case quant.F16:
			half(at, v)
		case quant.Q4_1, quant.Q5_1:
			half(at, 0.1+rng.Float64()/10)
			half(at+2, -rng.Float64())
		case quant.Q2_K:
			half(at+80, 0.05+rng.Float64()/20)
			half(at+82, 0.05+rng.Float64()/20)
		case quant.Q3_K:
			half(at+108, 0.02*rng.NormFloat64())
		case quant.Q4_K, quant.Q5_K:
			half(at, 0.003+rng.Float64()/300)
			half(at+2, 0.03*rng.NormFloat64())
		case quant.Q6_K:
			half(at+208, 0.0005*rng.NormFloat64())
		case quant.Q8_0:
			half(at, 0.01+rng.Float64()/100)
		default:
			half(at, 0.1+rng.Float64()/10)
		}
	}
	return m
}

func (w weights) gptq(rng *rand.Rand, stored, in int) *quant.GPTQ {
	size := w.group
	if size == 0 {
		size = in
	}
	g := &quant.GPTQ{Bits: w.bits, GroupSize: size, Groups: ceilDiv(in, size), Stored: stored, Zeros: w.zeros}
	g.QWeight = randomBytes(rng, in/32*w.bits*stored*4)
	g.QZeros = randomBytes(rng, g.Groups*stored/32*w.bits*4)
	if w.middle {
		for at := range len(g.QZeros) * 8 / w.bits { // stored as one less than 2^(bits-1)
			for b := range w.bits {
				bit := at*w.bits + b
				g.QZeros[bit/8] &^= 1 << (bit % 8)
				if b < w.bits-1 {
					g.QZeros[bit/8] |= 1 << (bit % 8)
				}
			}
		}
	}
	g.Scales.DType = w.scales
	for range g.Groups * stored {
		v := float32((1 + rng.Float64()) / math.Exp2(float64(w.bits)))
		switch w.scales {
		case tensor.F16:
			g.Scales.Data = binary.LittleEndian.AppendUint16(g.Scales.Data, tensor.ToF16(v))
		case tensor.BF16:
			g.Scales.Data = binary.LittleEndian.AppendUint16(g.Scales.Data, tensor.ToBF16(v))
		default:
			g.Scales.Data = binary.LittleEndian.AppendUint32(g.Scales.Data, math.Float32bits(v))
		}
	}
	if w.act {
		g.GIdx = make([]int32, in)
		for rank, k := range rng.Perm(in) {
			g.GIdx[k] = int32(rank / size)
		}
	}
	return g
}

func randomBytes(rng *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// dequantized returns the weights [rows][in] of parts, one after the other.
func dequantized(parts []*quant.Matrix) [][]float32 {
	var rows [][]float32
	for _, m := range parts {
		w := make([]float32, m.Out*m.In)
		m.Dequantize(w, 0, m.Out)
		for n := range m.Out {
			rows = append(rows, w[n*m.In:][:m.In])
		}
	}
	return rows
}

// packedBytes is a repacked matrix as it lies on the device.
type packedBytes struct {
	packing
	codes, scales, offsets, supers []byte
}

// code reads what layout.cuh says is stored of feature k (padding counted) of a row.
func (p *packedBytes) code(row, k int) uint32 {
	step, f := k%p.features/16, k%16
	lane, j := row%8*4+f%8/2, f/8*4+row%16/8*2+f%2
	at := (row/16*p.kTiles + k/p.features) * p.tileBytes()
	word := func(vector, i int) uint32 {
		words := 4 // of a lane
		if p.half && vector == p.vectors-1 {
			words = 2
		}
		return binary.LittleEndian.Uint32(p.codes[at+vector*512+(lane*words+i)*4:])
	}
	pair, high := uint32(j/2), uint32(j%2*16)
	switch p.name {
	case "g8":
		return word(0, 2*step+j/4) >> (8 * (j % 4)) & 255
	case "g4", "m4", "k4":
		return word(0, step) >> (4*pair + high) & 15
	case "g5", "m5", "k5":
		return word(step/4, step%4)>>(4*pair+high)&15 | word(2, step/4)>>(4*uint32(step%4)+pair+high)&1<<4
	case "k6":
		return word(step/4, step%4)>>(4*pair+high)&15 | word(2, step/2)>>(2*(4*uint32(step%2)+pair)+high)&3<<4
	case "g2", "k2":
		return word(0, step/2) >> (2*(4*uint32(step%2)+pair) + high) & 3
	case "g3", "k3":
		low := word(step/8, step%8/2) >> (2*(4*uint32(step%2)+pair) + high) & 3
		return low | word(2, step/4)>>(4*uint32(step%4)+pair+high)&1<<2
	case "f32":
		return word(2*step+j/4, j%4)
	default:
		return word(step, int(pair)) >> high & 0xffff
	}
}

// weight is the float32 that a packed weight means.
func (p *packedBytes) weight(row, k int) float32 {
	code := p.code(row, k)
	switch p.name {
	case "f32":
		return math.Float32frombits(code)
	case "f16":
		return tensor.FromF16(uint16(code))
	case "bf16":
		return tensor.FromBF16(uint16(code))
	}
	at := (row/16*p.groups+k/16/p.groupSteps)*16 + row%16
	var scale float32
	if p.grain > 0 {
		return p.super(code, row%16, at/16, (row/16*(p.groups*p.grain/16)+k/256)*16+row%16)
	}
	if p.scaleF32 {
		scale = math.Float32frombits(binary.LittleEndian.Uint32(p.scales[4*at:]))
	} else {
		scale = tensor.FromF16(binary.LittleEndian.Uint16(p.scales[2*at:]))
	}
	switch {
	case p.name == "m4" || p.name == "m5":
		return scale*float32(code) + tensor.FromF16(binary.LittleEndian.Uint16(p.offsets[2*at:]))
	case p.offsets != nil:
		return scale * float32(int(code)-int(p.offsets[at]))
	}
	return scale * float32(int(code)-int(p.zero))
}

// super is weight for a code of a row of 16 of a K-quant's group, which has the entry of that number.
func (p *packedBytes) super(code uint32, row, entry, super int) float32 {
	half := func(at int) float32 { return tensor.FromF16(binary.LittleEndian.Uint16(p.supers[at:])) }
	bytes := p.scales[16*entry:][:16]
	if p.name == "k4" || p.name == "k5" {
		bytes = p.scales[32*entry:][:32]
	}
	of := bytes[row%8*(len(bytes)/8)+row/8:] // of rows lane/4, then lane/4 + 8
	switch p.name {
	case "k2":
		return half(4*super)*float32(of[0]&15)*float32(code) - half(4*super+2)*float32(of[0]>>4)
	case "k4", "k5":
		return half(4*super)*float32(of[0])*float32(code) - half(4*super+2)*float32(of[2])
	default:
		return half(2*super) * float32(int(of[0])-128) * float32(int(code)-int(p.zero))
	}
}

// row returns where output row n of the parts stands in the packed matrix.
func (p *packing) row(n int, gated bool) int {
	switch half := p.rows / 2; {
	case !gated:
		return n
	case n < half:
		return n/8*16 + n%8
	default:
		return (n-half)/8*16 + 8 + (n-half)%8
	}
}

// at returns where input feature k stands.
func (p *packing) at(k int) int {
	if p.place == nil {
		return k
	}
	return int(p.place[k])
}
