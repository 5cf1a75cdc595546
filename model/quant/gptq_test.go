package quant

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"peregrine/model/tensor"
)

// layouts are all bit widths, zero-point rules, scale types and groupings, a group that divides neither 32 nor In among them.
func layouts(in int) []layout {
	var all []layout
	for _, bits := range []int{2, 3, 4, 8} {
		for _, rule := range []ZeroRule{ZeroMinusOne, ZeroAsStored, ZeroWholeWords} {
			all = append(all,
				layout{bits, in, false, rule, tensor.F16},
				layout{bits, 32, false, rule, tensor.BF16},
				layout{bits, 40, false, rule, tensor.F32},
				layout{bits, 64, true, rule, tensor.F16})
		}
	}
	return all
}

func (l layout) String() string {
	return fmt.Sprintf("%d bits group %d act %v zeros %d %v", l.bits, l.groupSize, l.act, l.zeros, l.scales)
}

func eachLayout(t *testing.T, out, in int, test func(t *testing.T, m *Matrix, r *reference)) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, l := range layouts(in) {
		t.Run(l.String(), func(t *testing.T) {
			m, r := random(rng, out, in, l)
			if err := m.Validate(); err != nil {
				t.Fatal(err)
			}
			test(t, m, r)
		})
	}
}

func TestDequantizeGPTQIsTheDefinition(t *testing.T) {
	const out, in = 160, 96 // many tiles of columns
	eachLayout(t, out, in, func(t *testing.T, m *Matrix, r *reference) {
		for _, c := range [][2]int{{0, out}, {0, 1}, {63, 65}, {out - 1, out}, {17, 150}, {5, 5}} {
			lo, hi := c[0], c[1]
			got := make([]float32, (hi-lo)*in)
			m.Dequantize(got, lo, hi)
			for i, w := range got {
				if want := r.weight(lo+i/in, i%in); math.Float32bits(w) != math.Float32bits(want) {
					t.Fatalf("rows %d to %d: weight [%d, %d]: got %v, want %v", lo, hi, lo+i/in, i%in, w, want)
				}
			}
		}
	})
}

func TestCodeZeroScaleAndGroupAreTheDefinition(t *testing.T) {
	const out, in = 64, 64
	eachLayout(t, out, in, func(t *testing.T, m *Matrix, r *reference) {
		g := m.GPTQ
		if g.In() != in {
			t.Fatalf("In: got %d, want %d", g.In(), in)
		}
		for n := range out {
			for k := range in {
				if got := g.Code(k, n); got != r.codes[n][k] {
					t.Fatalf("code [%d, %d]: got %d, want %d", k, n, got, r.codes[n][k])
				}
				if got := g.Group(k); got != r.group[k] {
					t.Fatalf("group of %d: got %d, want %d", k, got, r.group[k])
				}
			}
			for group := range r.groups {
				if got := g.Zero(group, n); got != r.zeros[group][n] {
					t.Fatalf("zero [%d, %d]: got %d, want %d", group, n, got, r.zeros[group][n])
				}
				if got := g.Scale(group, n); got != r.scales[group][n] {
					t.Fatalf("scale [%d, %d]: got %v, want %v", group, n, got, r.scales[group][n])
				}
			}
		}
	})
}

func TestCodesAndGridGiveTheWeights(t *testing.T) {
	const out, in = 96, 64
	eachLayout(t, out, in, func(t *testing.T, m *Matrix, _ *reference) {
		m = m.Reorder(permutation(out))
		const lo, hi = 10, 90
		codes := make([]uint8, (hi-lo)*in)
		m.Codes(codes, lo, hi)
		groups := m.GPTQ.Groups
		scales, zeros := make([]float32, (hi-lo)*groups), make([]uint8, (hi-lo)*groups)
		m.Grid(scales, zeros, lo, hi)
		want := make([]float32, (hi-lo)*in)
		m.Dequantize(want, lo, hi)
		for i, c := range codes {
			g := i/in*groups + m.GPTQ.Group(i%in)
			if got := scales[g] * (float32(c) - float32(zeros[g])); got != want[i] {
				t.Fatalf("weight [%d, %d]: got %v, want %v", i/in, i%in, got, want[i])
			}
		}
	})
}

// The 3-bit test vector of the format's description: v_i = i mod 8.
func TestThreeBitCodesCrossWords(t *testing.T) {
	g := &GPTQ{Bits: 3, Stored: 1}
	for _, w := range []uint32{0x88FAC688, 0xC688FAC6, 0xFAC688FA} {
		g.QWeight = append(g.QWeight, byte(w), byte(w>>8), byte(w>>16), byte(w>>24))
	}
	for k := range 32 {
		if got := g.Code(k, 0); got != uint32(k%8) {
			t.Errorf("code %d: got %d, want %d", k, got, k%8)
		}
	}
}

func TestOrderMakesGroupsContiguous(t *testing.T) {
	g := &GPTQ{Groups: 3, GroupSize: 4, GIdx: []int32{2, 0, 1, 0, 0, 1, 2, 0, 1, 1}}
	order, begin := g.Order(len(g.GIdx))
	if want := []int32{1, 3, 4, 7, 2, 5, 8, 9, 0, 6}; !slices.Equal(order, want) {
		t.Errorf("order: got %v, want %v", order, want)
	}
	if want := []int{0, 4, 8, 10}; !slices.Equal(begin, want) {
		t.Errorf("begin: got %v, want %v", begin, want)
	}
}

func TestOrderOfContiguousGroupsIsNil(t *testing.T) {
	order, begin := (&GPTQ{Groups: 3, GroupSize: 4}).Order(10)
	if want := []int{0, 4, 8, 10}; order != nil || !slices.Equal(begin, want) {
		t.Errorf("got %v, %v, want nil, %v", order, begin, want)
	}
}

func permutation(n int) []int32 {
	rows := make([]int32, n)
	for i, r := range rand.New(rand.NewPCG(3, 4)).Perm(n) {
		rows[i] = int32(r)
	}
	return rows
}

func BenchmarkDequantizeGPTQ(b *testing.B) {
	for _, bits := range []int{2, 3, 4, 8} {
		for _, act := range []bool{false, true} {
			b.Run(fmt.Sprintf("%dbit/act=%v", bits, act), func(b *testing.B) {
				m, _ := random(rand.New(rand.NewPCG(1, 2)), 1024, 4096, layout{bits, 128, act, ZeroMinusOne, tensor.F16})
				dst := make([]float32, m.Out*m.In)
				b.SetBytes(int64(4 * len(dst)))
				for b.Loop() {
					m.Dequantize(dst, 0, m.Out)
				}
			})
		}
	}
}

func BenchmarkCodes(b *testing.B) {
	for _, bits := range []int{2, 3, 4, 8} {
		b.Run(fmt.Sprintf("%dbit", bits), func(b *testing.B) {
			m, _ := random(rand.New(rand.NewPCG(1, 2)), 1024, 4096, layout{bits, 128, false, ZeroMinusOne, tensor.F16})
			dst := make([]uint8, m.Out*m.In)
			b.SetBytes(int64(len(dst)))
			for b.Loop() {
				m.Codes(dst, 0, m.Out)
			}
		})
	}
}
