package cuda

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"peregrine/model/quant"
	"peregrine/model/tensor"
)

// gptqWithGroups returns a GPTQ matrix of zeros, 4 bits, of 32 output features.
func gptqWithGroups(in, groupSize int, gIdx []int32) *quant.Matrix {
	groups := ceilDiv(in, groupSize)
	for _, g := range gIdx {
		groups = max(groups, int(g)+1)
	}
	return &quant.Matrix{Name: "w", Format: quant.GPTQFormat, Out: 32, In: in, GPTQ: &quant.GPTQ{
		Bits: 4, GroupSize: groupSize, Groups: groups, Stored: 32, GIdx: gIdx, QWeight: make([]byte, in/8*32*4),
		QZeros: make([]byte, groups*4*4), Scales: tensor.View{DType: tensor.F16, Data: make([]byte, 2*groups*32)},
	}}
}

func dense(out, in int) *quant.Matrix {
	return &quant.Matrix{Name: "d", Format: quant.F16, Out: out, In: in, Data: make([]byte, out*in*2)}
}

func TestPlanFeatures(t *testing.T) {
	actOrder := make([]int32, 128)
	uneven := make([]int32, 128)
	ragged := make([]int32, 1024)
	for k := range actOrder {
		actOrder[k] = int32(1 - k/2%2)
		if k%16 != 0 {
			uneven[k] = 1
		}
	}
	for k := range ragged {
		ragged[k] = max(0, int32(k)-1000)
	}
	for _, c := range []struct {
		name                       string
		m                          *quant.Matrix
		kTiles, groups, groupSteps int
		first                      []uint32 // of place; nil: as it is
		err                        string
	}{
		{"one group", gptqWithGroups(96, 96, nil), 2, 1, 8, nil, ""},
		{"short last group", gptqWithGroups(96, 64, nil), 2, 2, 4, nil, ""},
		{"groups of 24", gptqWithGroups(96, 24, nil), 2, 4, 2, []uint32{0, 1}, ""},
		{"act-order", gptqWithGroups(128, 64, actOrder), 2, 2, 4, []uint32{64, 65, 0, 1, 66}, ""},
		{"uneven groups", gptqWithGroups(128, 64, uneven), 4, 2, 8, []uint32{0, 128, 129}, ""},
		{"ragged groups", gptqWithGroups(1024, 64, ragged), 0, 0, 0, nil, "w: 24 groups of up to 1001 of 1024 input features"},
		{"groups of 2", gptqWithGroups(64, 2, nil), 0, 0, 0, nil, "more than 4 times"},
		{"dense", dense(16, 40), 2, 0, 0, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := planMatrix([]*quant.Matrix{c.m}, false)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("error %v, want one with %q", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if p.kTiles != c.kTiles || p.groups != c.groups || p.groupSteps != c.groupSteps {
				t.Errorf("%d tiles, %d groups of %d steps; want %d, %d, %d", p.kTiles, p.groups, p.groupSteps, c.kTiles, c.groups, c.groupSteps)
			}
			if (p.place == nil) != (c.first == nil) || !slices.Equal(p.place[:len(c.first)], c.first) {
				t.Errorf("place %v, want %v …", p.place, c.first)
			}
			if (p.place == nil) != (p.kTable == nil) {
				t.Fatalf("place %v, but k table %v", p.place, p.kTable)
			}
			seen := 0
			for at, k := range p.kTable {
				if k != padding {
					seen++
					if int(p.place[k]) != at {
						t.Errorf("feature %d is at %d, place says %d", k, at, p.place[k])
					}
					if group := at / stepFeatures / p.groupSteps; group != c.m.GPTQ.Group(int(k)) {
						t.Errorf("feature %d of group %d is in group %d", k, c.m.GPTQ.Group(int(k)), group)
					}
				}
			}
			if p.kTable != nil && seen != c.m.In {
				t.Errorf("%d features in the table of %d", seen, c.m.In)
			}
		})
	}
}

// TestPlanBlocks checks what GGUF's formats take: K tiles, groups, and the bytes of codes, scales, offsets and super-blocks of 40
// output features, which are three row tiles.
func TestPlanBlocks(t *testing.T) {
	for _, c := range []struct {
		format                         quant.Format
		in, kTiles, groups, groupSteps int
		codes, scales, offsets, supers int64
		zero                           uint32
	}{
		{quant.Q5_0, 96, 1, 3, 2, 3 * 1 * 1280, 3 * 3 * 16 * 2, 0, 0, 16},
		{quant.Q5_1, 160, 2, 5, 2, 3 * 2 * 1280, 3 * 5 * 16 * 2, 3 * 5 * 16 * 2, 0, 0},
		{quant.Q2_K, 512, 4, 32, 1, 3 * 4 * 512, 3 * 32 * 16, 0, 3 * 2 * 16 * 4, 0},
		{quant.Q3_K, 512, 2, 32, 1, 3 * 2 * 1536, 3 * 32 * 16, 0, 3 * 2 * 16 * 2, 4},
		{quant.Q4_K, 256, 4, 8, 2, 3 * 4 * 512, 3 * 8 * 16 * 2, 0, 3 * 16 * 4, 0},
		{quant.Q5_K, 768, 6, 24, 2, 3 * 6 * 1280, 3 * 24 * 16 * 2, 0, 3 * 3 * 16 * 4, 0},
		{quant.Q6_K, 256, 2, 16, 1, 3 * 2 * 1536, 3 * 16 * 16, 0, 3 * 16 * 2, 32},
	} {
		m := &quant.Matrix{Name: "w", Format: c.format, Out: 40, In: c.in, Data: make([]byte, 40*c.format.RowBytes(c.in))}
		p, err := planMatrix([]*quant.Matrix{m}, false)
		if err != nil {
			t.Fatal(err)
		}
		if p.kTiles != c.kTiles || p.groups != c.groups || p.groupSteps != c.groupSteps || p.zero != c.zero || p.place != nil {
			t.Errorf("%v: %d tiles, %d groups of %d steps, zero %d; want %d, %d, %d, %d", c.format, p.kTiles, p.groups, p.groupSteps, p.zero,
				c.kTiles, c.groups, c.groupSteps, c.zero)
		}
		if p.codeBytes != c.codes || p.scaleBytes != c.scales || p.offsetBytes != c.offsets || p.superBytes != c.supers {
			t.Errorf("%v: %d, %d, %d, %d bytes; want %d, %d, %d, %d", c.format, p.codeBytes, p.scaleBytes, p.offsetBytes, p.superBytes,
				c.codes, c.scales, c.offsets, c.supers)
		}
		if want := int64(3 * 16 * c.kTiles * p.features * 2); p.expandedBytes() != want || !p.expanded {
			t.Errorf("%v: %d bytes expanded (%v), want %d", c.format, p.expandedBytes(), p.expanded, want)
		}
	}
}

func TestPlanRows(t *testing.T) {
	const no = padding
	for _, c := range []struct {
		name  string
		parts []*quant.Matrix
		gated bool
		want  []uint32
		rows  int
	}{
		{"one", []*quant.Matrix{dense(3, 32)}, false, []uint32{0, 1, 2, no, no, no, no, no, no, no, no, no, no, no, no, no}, 3},
		{
			"three",
			[]*quant.Matrix{dense(2, 32), dense(3, 32).Reorder([]int32{2, 0}), dense(1, 32)},
			false,
			[]uint32{0, 1, 1<<30 | 2, 1 << 30, 2 << 30, no, no, no, no, no, no, no, no, no, no, no},
			5,
		},
		{"gate and up", []*quant.Matrix{dense(9, 32), dense(9, 32)}, true, []uint32{
			0, 1, 2, 3, 4, 5, 6, 7, 1 << 30, 1<<30 | 1, 1<<30 | 2, 1<<30 | 3, 1<<30 | 4, 1<<30 | 5, 1<<30 | 6, 1<<30 | 7,
			8, no, no, no, no, no, no, no, 1<<30 | 8, no, no, no, no, no, no, no,
		}, 18},
		{"fused", []*quant.Matrix{dense(4, 32)}, true, []uint32{0, 1, no, no, no, no, no, no, 2, 3, no, no, no, no, no, no}, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := planMatrix(c.parts, c.gated)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(p.rowTable, c.want) || p.rows != c.rows || p.rowTiles*tileRows != len(c.want) {
				t.Errorf("%d rows in %d tiles: %v; want %v", p.rows, p.rowTiles, p.rowTable, c.want)
			}
			if want := int64(p.rowTiles * 1 * 2 * 512); p.codeBytes != want {
				t.Errorf("%d bytes of codes, want %d", p.codeBytes, want)
			}
		})
	}
}

// TestPlanApart checks what cannot be one matrix, each by its reason.
func TestPlanApart(t *testing.T) {
	swapped := make([]int32, 128)
	for k := range 64 {
		swapped[k] = 1
	}
	bits, rule, scales := gptqWithGroups(128, 64, nil), gptqWithGroups(128, 64, nil), gptqWithGroups(128, 64, nil)
	bits.GPTQ.Bits, rule.GPTQ.Zeros, scales.GPTQ.Scales.DType = 8, quant.ZeroAsStored, tensor.BF16
	base := gptqWithGroups(128, 64, nil)
	for _, c := range []struct {
		parts []*quant.Matrix
		gated bool
		want  string
	}{
		{nil, false, "0 matrices"},
		{[]*quant.Matrix{base, base, base, base}, false, "4 matrices"},
		{[]*quant.Matrix{base, dense(16, 128)}, false, "formats GPTQ and F16"},
		{[]*quant.Matrix{dense(16, 64), dense(16, 128)}, false, "64 and 128 input features"},
		{[]*quant.Matrix{base, bits}, false, "4 and 8 bits"},
		{[]*quant.Matrix{base, rule}, false, "zero-point rules 0 and 1"},
		{[]*quant.Matrix{base, scales}, false, "scales of type F16 and BF16"},
		{[]*quant.Matrix{base, gptqWithGroups(128, 64, swapped)}, false, "input feature 0 is in group 0 and 1"},
		{[]*quant.Matrix{dense(16, 64), dense(8, 64)}, true, "24 output features in 2 matrices"},
		{[]*quant.Matrix{dense(15, 64)}, true, "15 output features in 1 matrices"},
	} {
		if _, err := planMatrix(c.parts, c.gated); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want one with %q", err, c.want)
		}
	}
}

// TestPlanZero checks that one zero point is recognised, at every width, and one that differs anywhere too.
func TestPlanZero(t *testing.T) {
	for _, width := range []int{2, 3, 4, 8} {
		m := gptqWithGroups(64, 32, nil)
		g := m.GPTQ
		g.Bits, g.QWeight = width, make([]byte, 64/32*width*32*4)
		g.QZeros = make([]byte, 2*width*4)
		for i := range 2 * 32 { // every field 2^(width-1) - 1
			for b := range width - 1 {
				at := i*width + b
				g.QZeros[at/8] |= 1 << (at % 8)
			}
		}
		p, err := planMatrix([]*quant.Matrix{m}, false)
		if err != nil {
			t.Fatal(err)
		}
		if p.offsets || p.zero != 1<<(width-1) || p.offsetBytes != 0 || p.scaleBytes != 2*2*16*2 {
			t.Errorf("%d bits: zero %d, array %v, %d bytes of scales", width, p.zero, p.offsets, p.scaleBytes)
		}
		for _, at := range []int{0, 33 * width, 64*width - 1} {
			word := g.QZeros[at/32*4:]
			binary.LittleEndian.PutUint32(word, binary.LittleEndian.Uint32(word)^1<<(at%32))
			if p, err := planMatrix([]*quant.Matrix{m}, false); err != nil || !p.offsets || p.offsetBytes != 2*2*16 {
				t.Errorf("%d bits, bit %d flipped: zero %d, array %v, error %v", width, at, p.zero, p.offsets, err)
			}
			binary.LittleEndian.PutUint32(word, binary.LittleEndian.Uint32(word)^1<<(at%32))
		}
	}
}
