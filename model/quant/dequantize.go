package quant

import (
	"encoding/binary"
	"fmt"
	"math"

	"peregrine/model/tensor"
)

// Dequantize writes rows lo to hi of the matrix, in its own order (that of Rows), as float32 into dst, [hi−lo, In]
// row-major. It is the definition of what every format means: dense values are widened exactly; of the quantised ones
//
//	GPTQ  w = scale · (q − zero)    the difference is exact, the product rounded once
//	Q4_0  w = d · (q − 8)           exact
//	Q4_1  w = d · q + m             the product is exact, the sum rounded once
//	Q5_0  w = d · (q − 16)          exact
//	Q5_1  w = d · q + m             the product is exact, the sum rounded once
//	Q8_0  w = d · q                 exact
//	Q3_K, Q6_K        w = d · s · (q − zero)        exact; zero is 4 and 32
//	Q2_K, Q4_K, Q5_K  w = d · s · q − dmin · m      the products are exact, the difference rounded once
//
// with scale, zero, d and m widened to float32 first. The Matrix must be valid (see Validate), 0 ≤ lo ≤ hi ≤ Out, and dst at
// least (hi−lo)·In long. It may run at the same time as other calls. Source: AutoGPTQ qlinear_cuda.py forward; ggml-quants.c
// dequantize_row_*.
func (m *Matrix) Dequantize(dst []float32, lo, hi int) {
	m.checkRows(lo, hi)
	if m.Format == GPTQFormat {
		m.dequantizeGPTQ(dst, lo, hi)
		return
	}
	for i := lo; i < hi; i++ {
		dequantizeRow(dst[(i-lo)*m.In:][:m.In], m.Format, m.Row(i))
	}
}

// Row returns the stored bytes of row n of a dense or block matrix, n in the matrix's own order. Formats and block layouts
// are those that Format documents.
func (m *Matrix) Row(n int) []byte {
	size := m.Format.RowBytes(m.In)
	at := m.StoredRow(n) * size
	return m.Data[at : at+size : at+size]
}

// StoredRow returns which row (column, for GPTQ) of the source row n of this matrix is.
func (m *Matrix) StoredRow(n int) int {
	if m.Rows != nil {
		return int(m.Rows[n])
	}
	return n
}

func (m *Matrix) checkRows(lo, hi int) {
	if lo < 0 || hi < lo || hi > m.Out {
		panic(fmt.Sprintf("quant: %s: rows %d to %d of a matrix of %d", m.Name, lo, hi, m.Out))
	}
}

func dequantizeRow(dst []float32, f Format, row []byte) {
	switch f {
	case F32:
		for k := range dst {
			dst[k] = math.Float32frombits(binary.LittleEndian.Uint32(row[4*k:]))
		}
	case F16:
		for k := range dst {
			dst[k] = tensor.FromF16(binary.LittleEndian.Uint16(row[2*k:]))
		}
	case BF16:
		for k := range dst {
			dst[k] = tensor.FromBF16(binary.LittleEndian.Uint16(row[2*k:]))
		}
	case Q4_0:
		for ; len(dst) > 0; dst, row = dst[32:], row[18:] {
			d := half(row)
			for j, b := range row[2:18] {
				dst[j] = d * float32(int(b&15)-8)
				dst[j+16] = d * float32(int(b>>4)-8)
			}
		}
	case Q4_1:
		for ; len(dst) > 0; dst, row = dst[32:], row[20:] {
			d, m := half(row), half(row[2:])
			for j, b := range row[4:20] {
				dst[j] = d*float32(b&15) + m
				dst[j+16] = d*float32(b>>4) + m
			}
		}
	case Q5_0, Q5_1:
		dequantizeFives(dst, f, row)
	case Q2_K, Q3_K, Q4_K, Q5_K, Q6_K:
		_, bytes := f.Block()
		for ; len(dst) > 0; dst, row = dst[superBlock:], row[bytes:] {
			dequantizeSuper((*[superBlock]float32)(dst), f, row[:bytes])
		}
	case Q8_0:
		for ; len(dst) > 0; dst, row = dst[32:], row[34:] {
			d := half(row)
			for j, b := range row[2:34] {
				dst[j] = d * float32(int8(b))
			}
		}
	case InvalidFormat, GPTQFormat:
		panic("quant: a row of format " + f.String())
	}
}

// dequantizeFives is dequantizeRow for blocks whose codes have five bits.
func dequantizeFives(dst []float32, f Format, row []byte) {
	var codes [32]uint8
	for _, bytes := f.Block(); len(dst) > 0; dst, row = dst[32:], row[bytes:] {
		d := half(row)
		if f == Q5_0 {
			fives(&codes, binary.LittleEndian.Uint32(row[2:]), row[6:])
			for j, q := range codes {
				dst[j] = d * float32(int(q)-16)
			}
			continue
		}
		m := half(row[2:])
		fives(&codes, binary.LittleEndian.Uint32(row[4:]), row[8:])
		for j, q := range codes {
			dst[j] = d*float32(q) + m
		}
	}
}
