package quant

import (
	"fmt"
	"slices"

	"peregrine/model/tensor"
)

var formatNames = [...]string{
	InvalidFormat: "invalid", F32: "F32", F16: "F16", BF16: "BF16",
	Q4_0: "Q4_0", Q4_1: "Q4_1", Q5_0: "Q5_0", Q5_1: "Q5_1", Q8_0: "Q8_0",
	Q2_K: "Q2_K", Q3_K: "Q3_K", Q4_K: "Q4_K", Q5_K: "Q5_K", Q6_K: "Q6_K",
	GPTQFormat: "GPTQ",
}

// String returns the format's name, such as "Q4_1".
func (f Format) String() string {
	if int(f) < len(formatNames) {
		return formatNames[f]
	}
	return fmt.Sprintf("format %d", uint8(f))
}

// blockSizes has nothing for GPTQ, whose columns are packed.
var blockSizes = [...]struct{ weights, bytes int }{
	F32: {1, 4}, F16: {1, 2}, BF16: {1, 2},
	Q4_0: {32, 18}, Q4_1: {32, 20}, Q5_0: {32, 22}, Q5_1: {32, 24}, Q8_0: {32, 34},
	Q2_K: {superBlock, 84}, Q3_K: {superBlock, 110}, Q4_K: {superBlock, 144}, Q5_K: {superBlock, 176}, Q6_K: {superBlock, 210},
}

// Block returns how many weights are stored together, and in how many bytes; 0, 0 for GPTQ, whose columns are packed.
func (f Format) Block() (weights, bytes int) {
	if int(f) < len(blockSizes) {
		return blockSizes[f].weights, blockSizes[f].bytes
	}
	return 0, 0
}

// RowBytes returns the bytes of one row of in weights, which must be whole blocks; 0 for GPTQ.
func (f Format) RowBytes(in int) int {
	weights, bytes := f.Block()
	if weights == 0 {
		return 0
	}
	return in / weights * bytes
}

// Validate checks that the sizes agree, so that no method of the Matrix can read past its data, and returns an error with
// the values otherwise. Makers of a Matrix call it once.
func (m *Matrix) Validate() error {
	if m.Out <= 0 || m.In <= 0 {
		return fmt.Errorf("quant: %s: shape [%d, %d] is empty", m.Name, m.Out, m.In)
	}
	stored, err := m.stored()
	if err != nil {
		return err
	}
	if m.Rows == nil {
		if stored != m.Out {
			return fmt.Errorf("quant: %s: has %d rows, stored are %d", m.Name, m.Out, stored)
		}
		return nil
	}
	if len(m.Rows) != m.Out {
		return fmt.Errorf("quant: %s: has %d rows, but a row order of %d", m.Name, m.Out, len(m.Rows))
	}
	for n, r := range m.Rows {
		if r < 0 || int(r) >= stored {
			return fmt.Errorf("quant: %s: row %d is stored row %d of %d", m.Name, n, r, stored)
		}
	}
	return nil
}

// stored returns the rows that the data holds, after checking that it is whole.
func (m *Matrix) stored() (int, error) {
	if m.Format == GPTQFormat {
		if m.GPTQ == nil {
			return 0, fmt.Errorf("quant: %s: format GPTQ without its tensors", m.Name)
		}
		if err := m.GPTQ.validate(m.In); err != nil {
			return 0, fmt.Errorf("quant: %s: %w", m.Name, err)
		}
		return m.GPTQ.Stored, nil
	}
	weights, bytes := m.Format.Block()
	switch {
	case weights == 0:
		return 0, fmt.Errorf("quant: %s: unknown %v", m.Name, m.Format)
	case m.In%weights != 0:
		return 0, fmt.Errorf("quant: %s: rows of %d weights are not whole %v blocks of %d", m.Name, m.In, m.Format, weights)
	case m.In/weights > len(m.Data)/bytes || len(m.Data)%(m.In/weights*bytes) != 0:
		return 0, fmt.Errorf("quant: %s: %d bytes are not whole %v rows of %d weights", m.Name, len(m.Data), m.Format, m.In)
	}
	return len(m.Data) / m.Format.RowBytes(m.In), nil
}

func (g *GPTQ) validate(in int) error {
	switch {
	case g.Bits != 2 && g.Bits != 3 && g.Bits != 4 && g.Bits != 8:
		return fmt.Errorf("%d bits; need 2, 3, 4 or 8", g.Bits)
	case in <= 0 || in%blockK != 0:
		return fmt.Errorf("%d input features; need a multiple of %d", in, blockK)
	case g.Stored <= 0 || g.Stored%blockK != 0:
		return fmt.Errorf("%d output features; need a multiple of %d", g.Stored, blockK)
	case g.GroupSize <= 0 || g.Groups <= 0:
		return fmt.Errorf("%d groups of %d input features", g.Groups, g.GroupSize)
	case g.Zeros > ZeroWholeWords:
		return fmt.Errorf("unknown zero-point rule %d", g.Zeros)
	}
	// Quotients on both sides, so that no product can overflow.
	if !holds(g.QWeight, 4*g.Bits, in/blockK, g.Stored) {
		return fmt.Errorf("qweight of %d bytes; need %d bits for %d × %d weights", len(g.QWeight), g.Bits, in, g.Stored)
	}
	if !holds(g.QZeros, 4*g.Bits, g.Groups, g.Stored/blockK) {
		return fmt.Errorf("qzeros of %d bytes; need %d bits for %d × %d zero points", len(g.QZeros), g.Bits, g.Groups, g.Stored)
	}
	switch g.Scales.DType {
	case tensor.F16, tensor.BF16, tensor.F32:
	default:
		return fmt.Errorf("scales are %v; need F16, BF16 or F32", g.Scales.DType)
	}
	if !holds(g.Scales.Data, g.Scales.DType.Size(), g.Groups, g.Stored) {
		return fmt.Errorf("scales of %d bytes; need %d × %d of type %v", len(g.Scales.Data), g.Groups, g.Stored, g.Scales.DType)
	}
	return g.validateGroups(in)
}

func (g *GPTQ) validateGroups(in int) error {
	if g.GIdx == nil {
		if (in-1)/g.GroupSize >= g.Groups {
			return fmt.Errorf("%d groups of %d do not cover %d input features", g.Groups, g.GroupSize, in)
		}
		return nil
	}
	if len(g.GIdx) != in {
		return fmt.Errorf("g_idx has %d entries, want one for each of %d input features", len(g.GIdx), in)
	}
	for k, group := range g.GIdx {
		if group < 0 || int(group) >= g.Groups {
			return fmt.Errorf("g_idx[%d] is %d; need 0 to %d", k, group, g.Groups-1)
		}
	}
	return nil
}

// holds reports whether b is exactly unit·rows·columns bytes, all positive.
func holds(b []byte, unit, rows, columns int) bool {
	return len(b)%unit == 0 && len(b)/unit%rows == 0 && len(b)/unit/rows == columns
}

// Bytes returns the weight bytes that one token reads, scales and zero points included. g_idx is left out: backends apply
// it once while repacking.
func (m *Matrix) Bytes() int64 {
	if m.Format != GPTQFormat {
		return int64(m.Out) * int64(m.Format.RowBytes(m.In))
	}
	g := m.GPTQ
	bits := int64(m.In*g.Bits + g.Groups*(g.Bits+8*g.Scales.DType.Size()))
	return (int64(m.Out)*bits + 7) / 8
}

// Bits returns the bits per weight, everything in Bytes included.
func (m *Matrix) Bits() float64 {
	return 8 * float64(m.Bytes()) / (float64(m.Out) * float64(m.In))
}

// Reorder returns a matrix whose row n is row rows[n] of m. It shares m's data; rows may repeat and leave out.
func (m *Matrix) Reorder(rows []int32) *Matrix {
	r := *m
	r.Out = len(rows)
	r.Rows = make([]int32, len(rows))
	for n, row := range rows {
		r.Rows[n] = int32(m.StoredRow(int(row)))
	}
	return &r
}

// Slice returns rows lo to hi of m as a matrix that shares m's data.
func (m *Matrix) Slice(lo, hi int) *Matrix {
	m.checkRows(lo, hi)
	r := *m
	r.Out = hi - lo
	switch {
	case m.Rows != nil:
		r.Rows = slices.Clone(m.Rows[lo:hi])
	case m.Format == GPTQFormat:
		r.Rows = make([]int32, hi-lo)
		for n := range r.Rows {
			r.Rows[n] = int32(lo + n)
		}
	default:
		size := m.Format.RowBytes(m.In)
		r.Data = m.Data[lo*size : hi*size : hi*size]
	}
	return &r
}
