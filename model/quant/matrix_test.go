package quant

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"peregrine/model/tensor"
)

// blocks makes rows of a dense or block format from random bytes whose 16-bit floats are finite, and the weights that they
// mean by each format's definition, computed exactly and rounded once.
func blocks(rng *rand.Rand, f Format, out, in int) (*Matrix, []float32) {
	m := &Matrix{Name: "random", Format: f, Out: out, In: in}
	var want []float32
	half := func() float64 {
		h := tensor.ToF16(rng.Float32()*0.2 - 0.1)
		m.Data = binary.LittleEndian.AppendUint16(m.Data, h)
		return float64(tensor.FromF16(h))
	}
	nibbles := func(weight func(q int) float64) {
		bytes := make([]byte, 16)
		first := len(want)
		want = append(want, make([]float32, 32)...)
		for i := range 32 { // weights 0–15 are the low nibbles, 16–31 the high ones
			q := rng.IntN(16)
			bytes[i%16] |= byte(q << (i / 16 * 4))
			want[first+i] = float32(weight(q))
		}
		m.Data = append(m.Data, bytes...)
	}
	fifths := func(weight func(q int) float64) {
		high, bytes := uint32(0), make([]byte, 16)
		for i := range 32 {
			q := rng.IntN(32)
			bytes[i%16] |= byte(q & 15 << (i / 16 * 4))
			high |= uint32(q >> 4 << i)
			want = append(want, float32(weight(q)))
		}
		m.Data = append(binary.LittleEndian.AppendUint32(m.Data, high), bytes...)
	}
	weights, _ := f.Block()
	for range out * in / weights {
		switch f {
		case F32:
			x := rng.Float32() - 0.5
			m.Data = binary.LittleEndian.AppendUint32(m.Data, math.Float32bits(x))
			want = append(want, x)
		case F16:
			want = append(want, float32(half()))
		case BF16:
			h := tensor.ToBF16(rng.Float32() - 0.5)
			m.Data = binary.LittleEndian.AppendUint16(m.Data, h)
			want = append(want, tensor.FromBF16(h))
		case Q4_0:
			d := half()
			nibbles(func(q int) float64 { return d * float64(q-8) })
		case Q4_1:
			d, low := half(), half()
			nibbles(func(q int) float64 { return d*float64(q) + low })
		case Q5_0:
			d := half()
			fifths(func(q int) float64 { return d * float64(q-16) })
		case Q5_1:
			d, low := half(), half()
			fifths(func(q int) float64 { return d*float64(q) + low })
		default:
			d := half()
			for range 32 {
				q := rng.IntN(256) - 128
				m.Data = append(m.Data, byte(int8(q)))
				want = append(want, float32(d*float64(q)))
			}
		}
	}
	return m, want
}

// superBlocks makes rows of a K-quant from random bytes with the given floats, near 1/100. What they mean is tested against the
// gguf package, in package model.
func superBlocks(rng *rand.Rand, f Format, out, in int) *Matrix {
	m := &Matrix{Name: "random", Format: f, Out: out, In: in}
	_, size := f.Block()
	halves := map[Format][]int{Q2_K: {80, 82}, Q3_K: {108}, Q4_K: {0, 2}, Q5_K: {0, 2}, Q6_K: {208}}[f]
	for range out * in / superBlock {
		block := make([]byte, size)
		for i := range block {
			block[i] = byte(rng.Uint32())
		}
		for _, at := range halves {
			binary.LittleEndian.PutUint16(block[at:], tensor.ToF16(rng.Float32()*0.02-0.01))
		}
		m.Data = append(m.Data, block...)
	}
	return m
}

var (
	rowFormats   = []Format{F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0}
	superFormats = []Format{Q2_K, Q3_K, Q4_K, Q5_K, Q6_K}
)

func TestDequantizeRowsIsTheDefinition(t *testing.T) {
	const out, in = 7, 96
	for _, f := range rowFormats {
		t.Run(f.String(), func(t *testing.T) {
			m, want := blocks(rand.New(rand.NewPCG(5, 6)), f, out, in)
			if err := m.Validate(); err != nil {
				t.Fatal(err)
			}
			got := make([]float32, 4*in)
			m.Dequantize(got, 2, 6)
			for i, w := range got {
				if math.Float32bits(w) != math.Float32bits(want[2*in+i]) {
					t.Fatalf("weight [%d, %d]: got %v, want %v", 2+i/in, i%in, w, want[2*in+i])
				}
			}
		})
	}
}

// every returns a matrix of each format with 64 rows.
func every(t *testing.T) []*Matrix {
	t.Helper()
	rng := rand.New(rand.NewPCG(7, 8))
	var all []*Matrix
	for _, f := range rowFormats {
		m, _ := blocks(rng, f, 64, 64)
		all = append(all, m)
	}
	for _, f := range superFormats {
		all = append(all, superBlocks(rng, f, 64, 512))
	}
	m, _ := random(rng, 64, 64, layout{4, 32, true, ZeroAsStored, tensor.F16})
	return append(all, m)
}

func dequantize(m *Matrix) []float32 {
	dst := make([]float32, m.Out*m.In)
	m.Dequantize(dst, 0, m.Out)
	return dst
}

func TestReorderAndSliceSelectRows(t *testing.T) {
	for _, m := range every(t) {
		t.Run(m.Format.String(), func(t *testing.T) {
			whole := dequantize(m)
			rows := []int32{63, 0, 5, 5, 17, 40}
			for name, c := range map[string]struct {
				m    *Matrix
				rows []int32
			}{
				"reorder":                  {m.Reorder(rows), rows},
				"slice":                    {m.Slice(5, 8), []int32{5, 6, 7}},
				"slice of reorder":         {m.Reorder(rows).Slice(1, 4), []int32{0, 5, 5}},
				"reorder of slice":         {m.Slice(10, 20).Reorder([]int32{9, 0}), []int32{19, 10}},
				"reorder of reorder":       {m.Reorder(rows).Reorder([]int32{5, 0}), []int32{40, 63}},
				"slice of slice":           {m.Slice(10, 60).Slice(3, 5), []int32{13, 14}},
				"reorder of slice of same": {m.Reorder(rows).Slice(2, 6).Reorder([]int32{3}), []int32{40}},
			} {
				if err := c.m.Validate(); err != nil {
					t.Errorf("%s: %v", name, err)
					continue
				}
				if c.m.Out != len(c.rows) {
					t.Errorf("%s: got %d rows, want %d", name, c.m.Out, len(c.rows))
				}
				got := dequantize(c.m)
				for i, w := range got {
					if want := whole[int(c.rows[i/m.In])*m.In+i%m.In]; w != want {
						t.Fatalf("%s: weight [%d, %d]: got %v, want %v", name, i/m.In, i%m.In, w, want)
					}
				}
			}
		})
	}
}

func TestBytesAndBitsCountWhatATokenReads(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	for _, c := range []struct {
		name  string
		m     func() *Matrix
		bytes int64
		bits  float64
	}{
		{"Q4_1", func() *Matrix { m, _ := blocks(rng, Q4_1, 64, 64); return m }, 64 * 2 * 20, 5},
		{"Q8_0 slice", func() *Matrix { m, _ := blocks(rng, Q8_0, 64, 64); return m.Slice(0, 16) }, 16 * 2 * 34, 8.5},
		{"Q4_K", func() *Matrix { return superBlocks(rng, Q4_K, 64, 512) }, 64 * 2 * 144, 4.5},
		{"Q6_K slice", func() *Matrix { return superBlocks(rng, Q6_K, 64, 512).Slice(0, 16) }, 16 * 2 * 210, 6.5625},
		{"BF16", func() *Matrix { m, _ := blocks(rng, BF16, 64, 64); return m }, 64 * 64 * 2, 16},
		{
			"4 bits, one group",
			func() *Matrix { m, _ := random(rng, 64, 64, layout{4, 64, false, ZeroMinusOne, tensor.F16}); return m },
			64*64/2 + 64*2 + 64/2, 4 + 20.0/64,
		},
		{
			"3 bits, groups of 32, g_idx not counted, half of the rows",
			func() *Matrix {
				m, _ := random(rng, 64, 64, layout{3, 32, true, ZeroMinusOne, tensor.F32})
				return m.Slice(32, 64)
			},
			(64*64*3/8 + 2*64*4 + 2*64*3/8) / 2, 3 + 35.0/32,
		},
	} {
		m := c.m()
		if got := m.Bytes(); got != c.bytes {
			t.Errorf("%s: got %d bytes, want %d", c.name, got, c.bytes)
		}
		if got := m.Bits(); got != c.bits {
			t.Errorf("%s: got %v bits, want %v", c.name, got, c.bits)
		}
	}
}

func TestValidateRefusesSizesThatDisagree(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	gptq := func(change func(m *Matrix)) *Matrix {
		m, _ := random(rng, 64, 64, layout{4, 32, true, ZeroMinusOne, tensor.F16})
		change(m)
		return m
	}
	rows := func(f Format, change func(m *Matrix)) *Matrix {
		m, _ := blocks(rng, f, 64, 64)
		change(m)
		return m
	}
	for want, m := range map[string]*Matrix{
		"shape [0, 64] is empty":         rows(F16, func(m *Matrix) { m.Out = 0 }),
		"shape [64, -1] is empty":        rows(F16, func(m *Matrix) { m.In = -1 }),
		"has 65 rows, stored are 64":     rows(F16, func(m *Matrix) { m.Out = 65 }),
		"not whole Q8_0 blocks of 32":    rows(Q8_0, func(m *Matrix) { m.In = 48 }),
		"not whole Q6_K blocks of 256":   {Name: "x", Format: Q6_K, Out: 1, In: 128, Data: make([]byte, 105)},
		"8191 bytes are not whole F16":   rows(F16, func(m *Matrix) { m.Data = m.Data[1:] }),
		"0 bytes are not whole F32":      rows(F32, func(m *Matrix) { m.Data = nil }),
		"row order of 1":                 rows(F32, func(m *Matrix) { m.Rows = []int32{0} }),
		"row 1 is stored row 64 of 64":   rows(F32, func(m *Matrix) { m.Out, m.Rows = 2, []int32{0, 64} }),
		"row 0 is stored row -1 of 64":   rows(F32, func(m *Matrix) { m.Out, m.Rows = 1, []int32{-1} }),
		"unknown format 99":              rows(F32, func(m *Matrix) { m.Format = 99 }),
		"unknown invalid":                rows(F32, func(m *Matrix) { m.Format = InvalidFormat }),
		"without its tensors":            gptq(func(m *Matrix) { m.GPTQ = nil }),
		"5 bits; need 2, 3, 4 or 8":      gptq(func(m *Matrix) { m.GPTQ.Bits = 5 }),
		"65 input features":              gptq(func(m *Matrix) { m.In = 65 }),
		"48 output features":             gptq(func(m *Matrix) { m.GPTQ.Stored = 48 }),
		"0 groups of 32":                 gptq(func(m *Matrix) { m.GPTQ.Groups = 0 }),
		"unknown zero-point rule 3":      gptq(func(m *Matrix) { m.GPTQ.Zeros = 3 }),
		"qweight of 2044 bytes":          gptq(func(m *Matrix) { m.GPTQ.QWeight = m.GPTQ.QWeight[4:] }),
		"qzeros of 60 bytes":             gptq(func(m *Matrix) { m.GPTQ.QZeros = m.GPTQ.QZeros[4:] }),
		"scales are I32":                 gptq(func(m *Matrix) { m.GPTQ.Scales.DType = tensor.I32 }),
		"scales of 254 bytes":            gptq(func(m *Matrix) { m.GPTQ.Scales.Data = m.GPTQ.Scales.Data[2:] }),
		"g_idx has 63 entries":           gptq(func(m *Matrix) { m.GPTQ.GIdx = m.GPTQ.GIdx[1:] }),
		"g_idx[3] is 2; need 0 to 1":     gptq(func(m *Matrix) { m.GPTQ.GIdx[3] = 2 }),
		"g_idx[4] is -1; need 0 to 1":    gptq(func(m *Matrix) { m.GPTQ.GIdx[4] = -1 }),
		"2 groups of 16 do not cover 64": gptq(func(m *Matrix) { m.GPTQ.GIdx, m.GPTQ.GroupSize = nil, 16 }),
		"need 4 bits for":                gptq(func(m *Matrix) { m.In = math.MaxInt64 - 31 }),
	} {
		err := m.Validate()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
}

func TestDequantizePanicsOutsideTheMatrix(t *testing.T) {
	for _, m := range every(t) {
		for _, c := range [][2]int{{-1, 1}, {2, 1}, {0, 65}} {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%v: rows %v: no panic", m.Format, c)
					}
				}()
				m.Dequantize(make([]float32, 100*64), c[0], c[1])
			}()
		}
	}
}

func TestFormatNames(t *testing.T) {
	got := fmt.Sprintf("%v %v %v %v", rowFormats, superFormats, GPTQFormat, Format(200))
	if want := "[F32 F16 BF16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0] [Q2_K Q3_K Q4_K Q5_K Q6_K] GPTQ format 200"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func BenchmarkDequantizeRows(b *testing.B) {
	for _, f := range slices.Concat(rowFormats, superFormats) {
		b.Run(f.String(), func(b *testing.B) {
			rng := rand.New(rand.NewPCG(5, 6))
			m := superBlocks(rng, f, 256, 4096)
			if slices.Contains(rowFormats, f) {
				m, _ = blocks(rng, f, 256, 4096)
			}
			dst := make([]float32, m.Out*m.In)
			b.SetBytes(int64(4 * len(dst)))
			for b.Loop() {
				m.Dequantize(dst, 0, m.Out)
			}
		})
	}
}
