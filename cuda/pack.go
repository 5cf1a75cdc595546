package cuda

import (
	"bytes"
	"fmt"
	"math/bits"

	"peregrine/model/quant"
	"peregrine/model/tensor"
)

// What kernels/layout.cuh and args.h fix.
const (
	tileRows     = 16
	stepFeatures = 16 // input features of a step
	pairFeatures = 32 // of two steps, to which groups are padded
	vectorBytes  = 16
	laneCount    = 32
	mostParts    = 3
	partShift    = 30 // of a row table's entry: part << 30 | stored row
	padding      = ^uint32(0)
	// mostPadding bounds how many times larger groups of unequal size may make a matrix.
	mostPadding = 4
)

// layout is a format of kernels/layout.cuh.
type layout struct {
	name     string // of the modules: linear_<name>
	features int    // input features of a tile
	vectors  int    // of 16 bytes that a lane has in a tile
	half     bool   // a lane has 8 bytes of the last one
	// grain is the steps of a group in formats with super-blocks, whose scales are of two levels; 0 in others.
	grain int
	// expanded says that prompts multiply f16 made of the weights.
	expanded bool
}

// tileBytes is the size of a tile.
func (y layout) tileBytes() int {
	bytes := y.vectors * laneCount * vectorBytes
	if y.half {
		bytes -= laneCount * vectorBytes / 2
	}
	return bytes
}

var (
	layoutG2   = layout{name: "g2", features: 128, vectors: 1}
	layoutG3   = layout{name: "g3", features: 256, vectors: 3}
	layoutG4   = layout{name: "g4", features: 64, vectors: 1}
	layoutG5   = layout{name: "g5", features: 128, vectors: 3, half: true, expanded: true}
	layoutG8   = layout{name: "g8", features: 32, vectors: 1}
	layoutM4   = layout{name: "m4", features: 64, vectors: 1}
	layoutM5   = layout{name: "m5", features: 128, vectors: 3, half: true, expanded: true}
	layoutK2   = layout{name: "k2", features: 128, vectors: 1, grain: 1, expanded: true}
	layoutK3   = layout{name: "k3", features: 256, vectors: 3, grain: 1, expanded: true}
	layoutK4   = layout{name: "k4", features: 64, vectors: 1, grain: 2, expanded: true}
	layoutK5   = layout{name: "k5", features: 128, vectors: 3, half: true, grain: 2, expanded: true}
	layoutK6   = layout{name: "k6", features: 128, vectors: 3, grain: 1, expanded: true}
	layoutF16  = layout{name: "f16", features: 32, vectors: 2}
	layoutBF16 = layout{name: "bf16", features: 32, vectors: 2}
	layoutF32  = layout{name: "f32", features: 32, vectors: 4}
)

// packing says how matrices that share their input become one repacked matrix (pg_matrix).
type packing struct {
	layout
	format   quant.Format // of the source
	in       int          // input features of the source
	rows     int          // output features, padding not counted
	rowTiles int
	kTiles   int
	groups   int // 0: a dense matrix
	// groupSteps is the steps of 16 features that a group has; an even number where there are no super-blocks. Steps behind the last
	// group hold padding only.
	groupSteps int
	scaleF32   bool
	// zero is every zero point, unless offsets says that there is an array of them (or of minima, in formats m4 and m5).
	zero    uint32
	offsets bool
	// rowTable says what each of the 16·rowTiles rows is: part << 30 | stored row of that part, or padding. Of the row formats
	// (all but GPTQ) the host copies rows to the device in this order, zeros where there is padding.
	rowTable []uint32
	// kTable says which input feature of the source each padded feature is, or padding; place is its inverse: where a feature
	// of the source stands. Both are nil when feature k stays feature k, and padding follows the last one.
	kTable []uint32
	place  []uint32

	codeBytes, scaleBytes, offsetBytes, superBytes int64
}

// superSteps is how many steps of 16 features a K-quant's super-block has.
const superSteps = 16

// xFeatures returns how many input features the packed matrix expects, padding included.
func (p *packing) xFeatures() int { return p.kTiles * p.features }

// planMatrix works out how parts, whose output features follow one another, become one matrix. With gated set, parts are
// [gate, up], or one matrix that holds both one after the other, and their rows alternate in tiles of 8 gate rows and 8 up
// rows. Parts must be valid. An error names what cannot be one matrix; each part may still be one alone.
func planMatrix(parts []*quant.Matrix, gated bool) (packing, error) {
	p := packing{}
	if len(parts) == 0 || len(parts) > mostParts {
		return p, fmt.Errorf("%d matrices in one; can do 1 to %d", len(parts), mostParts)
	}
	for _, part := range parts[1:] {
		if err := together(parts[0], part); err != nil {
			return p, fmt.Errorf("%s and %s cannot be one matrix: %w", parts[0].Name, part.Name, err)
		}
	}
	var err error
	if p.layout, err = layoutOf(parts[0]); err != nil {
		return p, err
	}
	p.format, p.in = parts[0].Format, parts[0].In
	if err := p.planRows(parts, gated); err != nil {
		return p, err
	}
	if err := p.planFeatures(parts[0]); err != nil {
		return p, err
	}
	p.planGrid(parts)
	return p, nil
}

// storedLayouts is what each format that is stored in rows is repacked to.
var storedLayouts = map[quant.Format]layout{
	quant.F32: layoutF32, quant.F16: layoutF16, quant.BF16: layoutBF16,
	quant.Q4_0: layoutG4, quant.Q4_1: layoutM4, quant.Q5_0: layoutG5, quant.Q5_1: layoutM5, quant.Q8_0: layoutG8,
	quant.Q2_K: layoutK2, quant.Q3_K: layoutK3, quant.Q4_K: layoutK4, quant.Q5_K: layoutK5, quant.Q6_K: layoutK6,
}

func layoutOf(m *quant.Matrix) (layout, error) {
	y, ok := storedLayouts[m.Format]
	if m.Format == quant.GPTQFormat {
		y, ok = map[int]layout{2: layoutG2, 3: layoutG3, 4: layoutG4, 8: layoutG8}[m.GPTQ.Bits]
	}
	if !ok {
		return y, fmt.Errorf("%s: no kernel multiplies weights of type %v", m.Name, m.Format)
	}
	return y, nil
}

// together reports why a and b cannot be one matrix.
func together(a, b *quant.Matrix) error {
	switch {
	case a.In != b.In:
		return fmt.Errorf("%d and %d input features", a.In, b.In)
	case a.Format != b.Format:
		return fmt.Errorf("formats %v and %v", a.Format, b.Format)
	case a.Format != quant.GPTQFormat:
		return nil
	}
	g, h := a.GPTQ, b.GPTQ
	switch {
	case g.Bits != h.Bits:
		return fmt.Errorf("%d and %d bits", g.Bits, h.Bits)
	case g.Zeros != h.Zeros:
		return fmt.Errorf("zero-point rules %d and %d", g.Zeros, h.Zeros)
	case g.Scales.DType != h.Scales.DType:
		return fmt.Errorf("scales of type %v and %v", g.Scales.DType, h.Scales.DType)
	}
	for k := range a.In {
		if g.Group(k) != h.Group(k) {
			return fmt.Errorf("input feature %d is in group %d and %d", k, g.Group(k), h.Group(k))
		}
	}
	return nil
}

// planRows fills the row table.
func (p *packing) planRows(parts []*quant.Matrix, gated bool) error {
	var rows []uint32
	for i, part := range parts {
		if part.Out > 1<<partShift-len(rows) {
			return fmt.Errorf("%s: more than %d output features", part.Name, 1<<partShift)
		}
		for n := range part.Out {
			stored := part.StoredRow(n)
			if stored >= 1<<partShift {
				return fmt.Errorf("%s: stored row %d; need less than %d", part.Name, stored, 1<<partShift)
			}
			rows = append(rows, uint32(i)<<partShift|uint32(stored))
		}
	}
	p.rows = len(rows)
	if !gated {
		p.rowTiles = ceilDiv(p.rows, tileRows)
		p.rowTable = rows
		for len(p.rowTable) < p.rowTiles*tileRows {
			p.rowTable = append(p.rowTable, padding)
		}
		return nil
	}
	if len(parts) > 2 || p.rows%2 != 0 || parts[0].Out != p.rows/2 && len(parts) == 2 {
		return fmt.Errorf("%s: %d output features in %d matrices are not as many gates as values", parts[0].Name, p.rows, len(parts))
	}
	const half = tileRows / 2
	gate, up := rows[:p.rows/2], rows[p.rows/2:]
	p.rowTiles = ceilDiv(len(gate), half)
	p.rowTable = make([]uint32, 0, p.rowTiles*tileRows)
	for tile := range p.rowTiles {
		for _, source := range [][]uint32{gate, up} {
			for n := tile * half; n < (tile+1)*half; n++ {
				if n < len(source) {
					p.rowTable = append(p.rowTable, source[n])
				} else {
					p.rowTable = append(p.rowTable, padding)
				}
			}
		}
	}
	return nil
}

// planFeatures sorts the input features by group, pads groups to one size and the matrix to whole tiles.
func (p *packing) planFeatures(m *quant.Matrix) error {
	switch {
	case m.Format == quant.GPTQFormat:
		return p.planGroups(m)
	case p.layout == layoutF16 || p.layout == layoutBF16 || p.layout == layoutF32:
	case p.grain > 0:
		p.groups, p.groupSteps = p.in/(p.grain*stepFeatures), p.grain
	default:
		block, _ := m.Format.Block()
		p.groups, p.groupSteps = p.in/block, block/stepFeatures
	}
	p.kTiles = ceilDiv(p.in, p.features)
	return nil
}

func (p *packing) planGroups(m *quant.Matrix) error {
	order, begin := m.GPTQ.Order(p.in)
	largest := 0
	for g := range m.GPTQ.Groups {
		if size := begin[g+1] - begin[g]; size > 0 {
			p.groups = g + 1 // groups behind the last feature are left out
			largest = max(largest, size)
		}
	}
	size := ceilDiv(largest, pairFeatures) * pairFeatures
	p.groupSteps = size / stepFeatures
	hi, padded := bits.Mul64(uint64(p.groups), uint64(size))
	if hi != 0 || padded > mostPadding*uint64(p.in) {
		return fmt.Errorf("%s: %d groups of up to %d of %d input features would take more than %d times their memory; "+
			"quantise with groups of equal size, a multiple of %d, or use the CPU", m.Name, p.groups, largest, p.in, mostPadding, pairFeatures)
	}
	p.kTiles = ceilDiv(int(padded), p.features)
	p.place = make([]uint32, p.in)
	same := true
	for g := range p.groups {
		for i := begin[g]; i < begin[g+1]; i++ {
			k := i
			if order != nil {
				k = int(order[i])
			}
			at := g*size + i - begin[g]
			p.place[k] = uint32(at)
			same = same && k == at
		}
	}
	if same {
		p.place = nil
		// The padding of a short last group needs no room of its own.
		p.kTiles = ceilDiv(p.in, p.features)
		return nil
	}
	p.kTable = make([]uint32, p.xFeatures())
	for i := range p.kTable {
		p.kTable[i] = padding
	}
	for k, at := range p.place {
		p.kTable[at] = uint32(k)
	}
	return nil
}

// planGrid decides what scales and zero points look like, and the sizes.
func (p *packing) planGrid(parts []*quant.Matrix) {
	if p.groups == 1 { // one group reaches to the end of the last tile, so that kernels never look for its end inside one
		p.groupSteps = p.xFeatures() / stepFeatures
	}
	p.codeBytes = int64(p.rowTiles) * int64(p.kTiles) * int64(p.tileBytes())
	if p.groups == 0 {
		return
	}
	entries := int64(p.rowTiles) * int64(p.groups) * tileRows
	scaleSize, offsetSize, superSize := int64(2), int64(0), int64(0)
	switch m := parts[0]; m.Format {
	case quant.Q4_0:
		p.zero = 8
	case quant.Q5_0:
		p.zero = 16
	case quant.Q8_0:
		p.zero = 128
	case quant.Q4_1, quant.Q5_1:
		p.offsets, offsetSize = true, 2
	case quant.Q2_K: // minima are in the same bytes as scales
		scaleSize, superSize = 1, 4
	case quant.Q3_K:
		scaleSize, superSize, p.zero = 1, 2, 4
	case quant.Q4_K, quant.Q5_K: // minima are beside the scales
		scaleSize, superSize = 2, 4
	case quant.Q6_K:
		scaleSize, superSize, p.zero = 1, 2, 32
	default:
		if m.GPTQ.Scales.DType != tensor.F16 { // bfloat16 reaches further than f16
			p.scaleF32, scaleSize = true, 4
		}
		if p.zero, p.offsets = commonZero(parts); p.offsets {
			offsetSize = 1
		}
	}
	if p.grain > 0 {
		p.scaleF32 = true // as kernels take them: a group's scale times its super-block's
		p.superBytes = entries / int64(superSteps/p.grain) * superSize
	}
	p.scaleBytes, p.offsetBytes = entries*scaleSize, entries*offsetSize
}

// bytes is what the matrix takes, and what a token reads of it.
func (p *packing) bytes() int64 { return p.codeBytes + p.scaleBytes + p.offsetBytes + p.superBytes }

// expandedBytes is the size of the matrix as format f16.
func (p *packing) expandedBytes() int64 {
	return int64(p.rowTiles) * tileRows * int64(p.xFeatures()) * 2
}

// commonZero returns the zero point that all output features have in all groups, or that they differ. It looks at whole words,
// which hold 32 zero points in 32·Bits bits: all are equal if all words repeat those of the first 32, and these are equal.
func commonZero(parts []*quant.Matrix) (zero uint32, differ bool) {
	zero = parts[0].GPTQ.Zero(0, 0)
	for _, part := range parts {
		g := part.GPTQ
		for n := range 32 {
			if g.Zero(0, n) != zero {
				return 0, true
			}
		}
		first := g.QZeros[:4*g.Bits]
		for at := 0; at < len(g.QZeros); at += len(first) {
			if !bytes.Equal(g.QZeros[at:at+len(first)], first) {
				return 0, true
			}
		}
	}
	return zero, false
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }
