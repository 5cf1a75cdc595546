package quant

import (
	"encoding/binary"
	"math"
	"math/rand/v2"

	"peregrine/model/tensor"
)

// stream packs values of the given bits one after the other, bit by bit: what 32 values in bits words are for every width.
func stream(values []uint32, bits int) []uint32 {
	words := make([]uint32, len(values)*bits/32)
	for i, v := range values {
		for b := range bits {
			at := i*bits + b
			words[at/32] |= v >> b & 1 << (at % 32)
		}
	}
	return words
}

// reference is a GPTQ matrix as plain numbers.
type reference struct {
	out, in, groups int
	codes           [][]uint32 // [out][in]
	zeros           [][]uint32 // [groups][out]
	scales          [][]float32
	group           []int // [in]
}

func (r *reference) weight(n, k int) float32 {
	g := r.group[k]
	difference := float64(r.codes[n][k]) - float64(r.zeros[g][n])
	return float32(float64(r.scales[g][n]) * difference) // exact in float64: 24 and 9 bits
}

// layout is what varies from file to file.
type layout struct {
	bits, groupSize int
	act             bool
	zeros           ZeroRule
	scales          tensor.DType
}

// random makes a matrix in the given layout and the numbers that went into it.
func random(rng *rand.Rand, out, in int, l layout) (*Matrix, *reference) {
	groups := (in + l.groupSize - 1) / l.groupSize
	r := &reference{out: out, in: in, groups: groups, group: make([]int, in)}
	for k := range r.group {
		r.group[k] = k / l.groupSize
	}
	g := &GPTQ{Bits: l.bits, GroupSize: l.groupSize, Groups: groups, Stored: out, Zeros: l.zeros}
	if l.act {
		rng.Shuffle(in, func(i, j int) { r.group[i], r.group[j] = r.group[j], r.group[i] })
		for _, group := range r.group {
			g.GIdx = append(g.GIdx, int32(group))
		}
	}
	r.codes = numbers(rng, out, in, 0, 1<<l.bits)
	low, high := 0, 1<<l.bits
	if l.zeros == ZeroMinusOne { // AutoGPTQ cannot write 0, and at 3 bits reads a stored 7 as 8
		low = 1
		if l.bits == 3 {
			high++
		}
	}
	r.zeros = numbers(rng, groups, out, low, high)
	g.QWeight = packColumns(r.codes, l.bits)
	g.QZeros = packZeros(r.zeros, l.bits, l.zeros)
	g.Scales, r.scales = randomScales(rng, groups, out, l.scales)
	return &Matrix{Name: "random", Format: GPTQFormat, Out: out, In: in, GPTQ: g}, r
}

func numbers(rng *rand.Rand, rows, columns, low, high int) [][]uint32 {
	m := make([][]uint32, rows)
	for i := range m {
		m[i] = make([]uint32, columns)
		for j := range m[i] {
			m[i][j] = uint32(low + rng.IntN(high-low))
		}
	}
	return m
}

// packColumns packs [out][in] codes along in: word row w of column n.
func packColumns(codes [][]uint32, bits int) []byte {
	out := len(codes)
	rows := len(codes[0]) * bits / 32
	b := make([]byte, 4*rows*out)
	for n, row := range codes {
		for w, x := range stream(row, bits) {
			binary.LittleEndian.PutUint32(b[4*(w*out+n):], x)
		}
	}
	return b
}

// packZeros packs [groups][out] zero points along out, after the rule.
func packZeros(zeros [][]uint32, bits int, rule ZeroRule) []byte {
	subtract := map[int][]uint32{
		2: {0x55555555}, 3: {0x24924924, 0x92492492, 0x49249249}, 4: {0x11111111}, 8: {0x01010101},
	}[bits]
	var b []byte
	for _, row := range zeros {
		stored := make([]uint32, len(row))
		for n, z := range row {
			stored[n] = z
			if rule == ZeroMinusOne {
				stored[n] = z - 1
			}
		}
		for w, x := range stream(stored, bits) {
			if rule == ZeroWholeWords {
				x -= subtract[w%len(subtract)]
			}
			b = binary.LittleEndian.AppendUint32(b, x)
		}
	}
	return b
}

func randomScales(rng *rand.Rand, groups, out int, d tensor.DType) (tensor.View, [][]float32) {
	v := tensor.View{Name: "scales", DType: d, Shape: []int{groups, out}}
	scales := make([][]float32, groups)
	for g := range scales {
		scales[g] = make([]float32, out)
		for n := range scales[g] {
			s := rng.Float32()*0.1 + 1e-4
			switch d {
			case tensor.F16:
				v.Data = binary.LittleEndian.AppendUint16(v.Data, tensor.ToF16(s))
				s = tensor.FromF16(tensor.ToF16(s))
			case tensor.BF16:
				v.Data = binary.LittleEndian.AppendUint16(v.Data, tensor.ToBF16(s))
				s = tensor.FromBF16(tensor.ToBF16(s))
			default:
				v.Data = binary.LittleEndian.AppendUint32(v.Data, math.Float32bits(s))
			}
			scales[g][n] = s
		}
	}
	return v, scales
}
