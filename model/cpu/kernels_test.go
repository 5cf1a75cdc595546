package cpu

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"peregrine/model/quant"
	"peregrine/model/tensor"
)

// eachISA runs a test for every instruction set that the project has, and says which could not run.
func eachISA(t *testing.T, threads int, test func(t *testing.T, b *backend)) {
	t.Helper()
	for _, isa := range allISAs {
		t.Run(isa, func(t *testing.T) {
			if !slices.Contains(ISAs(), isa) {
				t.Skipf("NOT RUN: this machine has no %s; it has %v", isa, ISAs())
			}
			b, err := open(Options{Threads: threads, ISA: isa})
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			test(t, b)
		})
	}
}

func random(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 17)) }

func randomBytes(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func gaussian(r *rand.Rand, n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(r.NormFloat64())
	}
	return v
}

// halves are where a block's 16-bit floats are.
var halves = map[quant.Format][]int{
	quant.F16: {0}, quant.Q4_0: {0}, quant.Q4_1: {0, 2}, quant.Q5_0: {0}, quant.Q5_1: {0, 2}, quant.Q8_0: {0},
	quant.Q2_K: {80, 82}, quant.Q3_K: {108}, quant.Q4_K: {0, 2}, quant.Q5_K: {0, 2}, quant.Q6_K: {208},
}

// blocks returns a matrix of dense or block format with random codes and scales around 1/100.
func blocks(r *rand.Rand, f quant.Format, out, in int) *quant.Matrix {
	m := &quant.Matrix{Name: f.String(), Format: f, Out: out, In: in, Data: randomBytes(r, out*f.RowBytes(in))}
	half := func(b []byte) { binary.LittleEndian.PutUint16(b, tensor.ToF16(float32(r.NormFloat64()/100))) }
	weights, bytes := f.Block()
	for i := range out * in / weights {
		b := m.Data[i*bytes:]
		switch f {
		case quant.F32:
			binary.LittleEndian.PutUint32(b, math.Float32bits(float32(r.NormFloat64())))
		case quant.BF16:
			binary.LittleEndian.PutUint16(b, tensor.ToBF16(float32(r.NormFloat64())))
		default:
			for _, at := range halves[f] {
				half(b[at:])
			}
		}
	}
	return m
}

// gptqLayout is one way to store a GPTQ matrix.
type gptqLayout struct {
	bits, group int // group 0: one for all
	order       bool
	zeros       quant.ZeroRule
	symmetric   bool
	scales      tensor.DType
}

func (l gptqLayout) String() string {
	return fmt.Sprintf("GPTQ %d bit group %d order %v zeros %d symmetric %v %v", l.bits, l.group, l.order, l.zeros, l.symmetric, l.scales)
}

func (l gptqLayout) random(r *rand.Rand, out, in int) *quant.Matrix {
	g := &quant.GPTQ{Bits: l.bits, GroupSize: l.group, Stored: out, Zeros: l.zeros}
	if l.group == 0 {
		g.GroupSize = in
	}
	g.Groups = (in + g.GroupSize - 1) / g.GroupSize
	g.QWeight = randomBytes(r, in/32*l.bits*out*4)
	g.QZeros = randomBytes(r, g.Groups*out/32*l.bits*4)
	if l.symmetric {
		for i := range g.QZeros {
			g.QZeros[i] = map[int]byte{2: 0xaa, 3: 0, 4: 0x88, 8: 0x80}[l.bits]
		}
	}
	v := tensor.View{DType: l.scales, Shape: []int{g.Groups, out}}
	for range g.Groups * out {
		s := float32(r.NormFloat64() / 20)
		switch l.scales {
		case tensor.F16:
			v.Data = binary.LittleEndian.AppendUint16(v.Data, tensor.ToF16(s))
		case tensor.BF16:
			v.Data = binary.LittleEndian.AppendUint16(v.Data, tensor.ToBF16(s))
		default:
			v.Data = binary.LittleEndian.AppendUint32(v.Data, math.Float32bits(s))
		}
	}
	g.Scales = v
	if l.order {
		g.GIdx = make([]int32, in)
		for i, k := range r.Perm(in) {
			g.GIdx[k] = int32(i / g.GroupSize)
		}
	}
	return &quant.Matrix{Name: l.String(), Format: quant.GPTQFormat, Out: out, In: in, GPTQ: g}
}

// emptyGroup returns a matrix with a group that no feature belongs to.
func emptyGroup(r *rand.Rand, symmetric bool) *quant.Matrix {
	m := gptqLayout{4, 32, true, 0, symmetric, tensor.F16}.random(r, 64, 160)
	for k, g := range m.GPTQ.GIdx {
		if g == 1 {
			m.GPTQ.GIdx[k] = 2
		}
	}
	m.Name += ", empty group"
	return m
}

// every returns matrices of all formats; sizes fit no tile.
func every(seed uint64) []*quant.Matrix {
	r := random(seed)
	list := []*quant.Matrix{
		blocks(r, quant.F32, 13, 37), blocks(r, quant.F16, 9, 131), blocks(r, quant.BF16, 31, 258),
		blocks(r, quant.F32, 1, 1), blocks(r, quant.F16, 100, 64), blocks(r, quant.BF16, 7, 129),
		blocks(r, quant.Q4_0, 13, 96), blocks(r, quant.Q4_1, 1, 32), blocks(r, quant.Q4_1, 75, 288), blocks(r, quant.Q8_0, 23, 160),
		blocks(r, quant.Q5_0, 13, 96), blocks(r, quant.Q5_0, 75, 288), blocks(r, quant.Q5_1, 23, 160), blocks(r, quant.Q5_1, 1, 32),
		// More than one panel of amx_int.c.
		blocks(r, quant.Q4_1, 41, 1120), blocks(r, quant.Q8_0, 9, 2080), blocks(r, quant.Q4_0, 16, 1056), blocks(r, quant.Q5_1, 8, 1024),
		gptqLayout{4, 48, true, 0, true, tensor.F16}.random(r, 64, 1600), gptqLayout{3, 0, false, 0, false, tensor.F16}.random(r, 64, 1120),
		gptqLayout{8, 96, false, 0, false, tensor.BF16}.random(r, 64, 1152), emptyGroup(r, false), emptyGroup(r, true),
		blocks(r, quant.Q4_K, 9, 1280), blocks(r, quant.Q6_K, 17, 1280),
	}
	for _, f := range []quant.Format{quant.Q2_K, quant.Q3_K, quant.Q4_K, quant.Q5_K, quant.Q6_K} {
		list = append(list, blocks(r, f, 13, 256), blocks(r, f, 1, 512), blocks(r, f, 75, 768))
	}
	types := []tensor.DType{tensor.F16, tensor.BF16, tensor.F32}
	turn := 0
	for _, bits := range []int{2, 3, 4, 8} {
		for _, group := range []int{0, 32, 64, 100, 8} { // 100 and 8 are no whole blocks
			for _, order := range []bool{false, true} {
				l := gptqLayout{bits, group, order, quant.ZeroRule(turn % 3), turn%4 == 0, types[turn%3]}
				list = append(list, l.random(r, 64, 160))
				turn++
			}
		}
	}
	for i, m := range list { // every third with its rows reordered, some missing
		if i%3 == 2 {
			rows := make([]int32, m.Out-m.Out/5)
			for n, from := range r.Perm(m.Out)[:len(rows)] {
				rows[n] = int32(from)
			}
			list[i] = m.Reorder(rows)
		}
	}
	return list
}

func TestLayoutHoldsTheExactWeights(t *testing.T) {
	eachISA(t, 3, func(t *testing.T, b *backend) {
		for _, m := range every(1) {
			p, err := packOne(b, m)
			if err != nil {
				t.Fatal(err)
			}
			want := make([]float32, m.In)
			for n := range m.Out {
				m.Dequantize(want, n, n+1)
				if got := p.row(n); !slices.Equal(got, want) {
					t.Errorf("%s [%d, %d]: row %d is not its source's", m.Name, m.Out, m.In, n)
					break
				}
			}
			p.close()
		}
	})
}

// The layout may not grow: matrices of whole octets and blocks take the source's bits, but for zero points, and the scales and
// minima of K-quants, of a byte each.
func TestLayoutKeepsTheSourcesBits(t *testing.T) {
	b, err := open(Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	r := random(2)
	for _, m := range []*quant.Matrix{
		blocks(r, quant.F16, 64, 256), blocks(r, quant.Q4_0, 64, 256), blocks(r, quant.Q4_1, 64, 256), blocks(r, quant.Q8_0, 64, 256),
		blocks(r, quant.Q5_0, 64, 256), blocks(r, quant.Q5_1, 64, 256),
		blocks(r, quant.Q2_K, 64, 256), blocks(r, quant.Q3_K, 64, 256), blocks(r, quant.Q4_K, 64, 256), blocks(r, quant.Q5_K, 64, 256),
		blocks(r, quant.Q6_K, 64, 256),
		gptqLayout{2, 128, false, 0, true, tensor.F16}.random(r, 64, 256),
		gptqLayout{3, 0, true, 0, true, tensor.F16}.random(r, 64, 256),
		gptqLayout{4, 128, true, 0, true, tensor.F16}.random(r, 64, 256),
		gptqLayout{8, 64, false, 0, false, tensor.F16}.random(r, 64, 256),
	} {
		p, err := packOne(b, m)
		if err != nil {
			t.Fatal(err)
		}
		limit := m.Bytes()
		if slices.Contains([]quant.Format{quant.Q3_K, quant.Q4_K, quant.Q5_K}, m.Format) {
			// Six-bit scales and minima take a byte each: an eighth of a bit a weight.
			limit += int64(m.Out * m.In / 8 / 8)
		}
		if int64(p.bytes) > limit {
			t.Errorf("%s: %d bytes, the source has %d", m.Name, p.bytes, m.Bytes())
		}
		p.close()
	}
}

func TestQuantiseRoundsToNearest(t *testing.T) {
	eachISA(t, 1, func(t *testing.T, b *backend) {
		x := gaussian(random(9), 64*block)
		clear(x[:block])
		for i := range x[block : 2*block] {
			x[block+i] *= 1e-38 // 127/max would overflow
		}
		q, d, s, h := quantise(b, x)
		for i := range d {
			sum, halves := 0, [2]int{}
			for k := range block {
				v := int(q[i*block+k])
				sum += v
				halves[k/16] += v
				if e := math.Abs(float64(x[i*block+k] - d[i]*float32(v))); i > 1 && e > float64(d[i])*0.5001 {
					t.Fatalf("block %d: %v is %d·%v", i, x[i*block+k], v, d[i])
				}
			}
			if want := d[i] * float32(sum); s[i] != want {
				t.Errorf("block %d: sum %v, want %v", i, s[i], want)
			}
			if int(h[2*i]) != halves[0] || int(h[2*i+1]) != halves[1] {
				t.Errorf("block %d: sums of the halves %v, want %v", i, h[2*i:2*i+2], halves)
			}
		}
		if d[0] != 0 || s[0] != 0 {
			t.Errorf("zeros: scale %v and sum %v", d[0], s[0])
		}
	})
}

// Broken weights or activations must show in the logits, not vanish in a conversion to int8.
func TestQuantiseKeepsNaNAndInfinity(t *testing.T) {
	eachISA(t, 1, func(t *testing.T, b *backend) {
		for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))} {
			for _, at := range []int{0, 13, 31} {
				x := gaussian(random(10), 2*block)
				x[at] = bad
				_, d, _, _ := quantise(b, x)
				if !math.IsNaN(float64(d[0])) || math.IsNaN(float64(d[1])) {
					t.Errorf("%v at %d: scales %v, want NaN and a number", bad, at, d)
				}
			}
		}
	})
}
