package cpu

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"testing"

	"peregrine/model/quant"
	"peregrine/model/tensor"
)

// product returns x[rows, in]·Wᵀ in float64 and Σ|x·w| for each element, the scale of its rounding errors.
func product(m *quant.Matrix, x []float32, rows int) (y, size []float64) {
	return productOf(m, func([]float32) {}, x, rows)
}

// productOf is the product of what round leaves of the weights and of x.
func productOf(m *quant.Matrix, round func([]float32), x []float32, rows int) (y, size []float64) {
	w := make([]float32, m.Out*m.In)
	m.Dequantize(w, 0, m.Out)
	round(w)
	round(x)
	for t := range rows {
		for n := range m.Out {
			sum, abs := 0.0, 0.0
			for k := range m.In {
				v := float64(w[n*m.In+k]) * float64(x[t*m.In+k])
				sum, abs = sum+v, abs+math.Abs(v)
			}
			y, size = append(y, sum), append(size, abs)
		}
	}
	return y, size
}

// compareProducts multiplies the matrices of a seed by random inputs, so many rows each, and by what prepare makes of these in float64.
// An element may be off by less than limit times Σ|x·w|.
func compareProducts(t *testing.T, b *backend, seed uint64, rows []int, in inputs, limit float64,
	prepare func(m *quant.Matrix, x []float32, rows int) []float32,
) {
	t.Helper()
	worst := 0.0
	for i, m := range every(seed) {
		p, err := packOne(b, m)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range rows {
			x, y := gaussian(random(uint64(i)), n*m.In), make([]float32, n*m.Out)
			if in == rounded {
				for k := 5; k < len(x); k += 211 { // outliers
					x[k] *= 30
				}
			}
			if !p.multiply(b, y, x, n, in) {
				t.Fatal("no memory")
			}
			want, size := product(m, prepare(m, x, n), n)
			for j := range want {
				e := math.Abs(float64(y[j])-want[j]) / (size[j] + 1e-30)
				worst = max(worst, e)
				if !(e < limit) {
					t.Fatalf("%s [%d, %d], %d rows: element %d is %v, want %v", m.Name, m.Out, m.In, n, j, y[j], want[j])
				}
			}
		}
		p.close()
	}
	t.Logf("largest error %.2g of Σ|x·w|", worst)
}

func asTheyAre(_ *quant.Matrix, x []float32, _ int) []float32 { return x }

// float32 sums of K terms in sequence lose at most K·2⁻²⁴ of Σ|x·w|, and √K·2⁻²⁴ as a rule; K is at most 768 here.
func TestPreciseProductsAreDequantisedProducts(t *testing.T) {
	eachISA(t, 2, func(t *testing.T, b *backend) {
		compareProducts(t, b, 3, []int{1, 3, 4, 5, 11}, unrounded, 3e-6, asTheyAre)
	})
}

// The fast product of quantised weights is the exact one of inputs rounded to int8 per 32 features, in the order in which the
// layout holds them, but for outliers, which stay as they are. The rounded inputs come from the reference here, so only float32 sums
// remain as errors.
func TestFastProductsAreProductsOfRoundedInputs(t *testing.T) {
	eachISA(t, 2, func(t *testing.T, b *backend) {
		compareProducts(t, b, 5, []int{1, 2, 3, 4, 5, 6, 17}, rounded, 1e-5, roundedInputs)
	})
}

// One input that is no number shows in every output of its token, whatever else is an outlier, and in no other token's.
func TestFastProductsKeepNaNBesideOutliers(t *testing.T) {
	eachISA(t, 1, func(t *testing.T, b *backend) {
		m := blocks(random(4), quant.Q4_1, 16, 768)
		p, err := packOne(b, m)
		if err != nil {
			t.Fatal(err)
		}
		defer p.close()
		for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1)), 3e38} {
			for _, at := range []int{0, 300, 767} {
				x, y := gaussian(random(5), 2*m.In), make([]float32, 2*m.Out)
				x[40], x[at] = 1000, bad
				p.multiply(b, y, x, 2, rounded)
				for i, v := range y {
					broken := math.IsNaN(float64(v)) || math.Abs(float64(v)) > 1e30
					if broken != (i < m.Out) {
						t.Fatalf("%v at %d: outputs %v", bad, at, y)
					}
				}
			}
		}
	})
}

// Inputs that are rounded to int8, and what that leaves again, are off by at most max|x|/(2·127·254) in each group of 32, 1.6e-5 of the
// largest; rounding once leaves 254 times as much. Products of many rows of such inputs go through several tiles.
func TestFineProductsAreNearlyThoseOfTheInputs(t *testing.T) {
	eachISA(t, 2, func(t *testing.T, b *backend) {
		most := chunk
		if hasBF16(b) {
			most = bf16Rows - 1
		}
		compareProducts(t, b, 5, []int{1, 2, 3, 4, 5, 9, 17, most}, roundedTwice, 6e-5, asTheyAre)
	})
}

// The largest codes, scales and inputs of either sign stay within the integers that a kernel adds up in.
func TestFastProductsOfTheLargestCodes(t *testing.T) {
	eachISA(t, 1, func(t *testing.T, b *backend) {
		for f, at := range halves {
			for _, fill := range []byte{0xff, 0x80, 0x7f, 0} {
				m := &quant.Matrix{Name: f.String(), Format: f, Out: 8, In: 256, Data: bytes.Repeat([]byte{fill}, 8*f.RowBytes(256))}
				_, size := f.Block()
				for i := 0; i < len(m.Data); i += size {
					for _, half := range at {
						binary.LittleEndian.PutUint16(m.Data[i+half:], tensor.ToF16(0.25))
					}
				}
				p, err := packOne(b, m)
				if err != nil {
					t.Fatal(err)
				}
				for _, sign := range []float32{1, -1} {
					x, y := slices.Repeat([]float32{sign}, m.In), make([]float32, m.Out)
					p.multiply(b, y, x, 1, rounded)
					want, size := product(m, x, 1)
					if e := math.Abs(float64(y[0]) - want[0]); !(e <= 1e-5*size[0]) {
						t.Errorf("%v, bytes %#x, inputs %v: got %v, want %v", f, fill, sign, y[0], want[0])
					}
				}
				p.close()
			}
		}
	})
}

// roundedInputs rounds x as the fast mode does for m: dense formats not at all, the others by blocks within their groups.
func roundedInputs(m *quant.Matrix, x []float32, rows int) []float32 {
	if m.Format == quant.F32 || m.Format == quant.F16 || m.Format == quant.BF16 {
		return x
	}
	order, begin := make([]int32, m.In), []int{0, m.In}
	for k := range order {
		order[k] = int32(k)
	}
	if m.GPTQ != nil {
		var o []int32
		if o, begin = m.GPTQ.Order(m.In); o != nil {
			order = o
		}
	}
	var parts [][]int32
	for g := range len(begin) - 1 {
		parts = slices.AppendSeq(parts, slices.Chunk(order[begin[g]:begin[g+1]], block))
	}
	out := make([]float32, len(x))
	for t := range rows {
		row := slices.Clone(x[t*m.In : (t+1)*m.In])
		to := out[t*m.In:]
		for _, k := range outliersOf(row, parts) {
			to[k], row[k] = row[k], 0
		}
		for _, part := range parts {
			top := 0.0
			for _, k := range part {
				top = max(top, math.Abs(float64(row[k])))
			}
			for _, k := range part {
				to[k] += float32(math.RoundToEven(float64(row[k]*(127/float32(top)))) * top / 127)
			}
		}
	}
	return out
}

// outliersOf returns the features that stay as they are: of a run of blocks the one without which their largest squares fall by most, if
// that is a tenth of all blocks' largest squares.
func outliersOf(row []float32, parts [][]int32) []int32 {
	type peak struct {
		feature int32
		gain    float32
	}
	var peaks []peak
	all := float32(0)
	for blocks := range slices.Chunk(parts, super) {
		p, sum := peak{}, float32(0)
		for _, features := range blocks {
			at, first, second := features[0], float32(0), float32(0)
			for _, k := range features {
				if v := max(row[k], -row[k]); v > first {
					at, first, second = k, v, first
				} else {
					second = max(second, v)
				}
			}
			if gain := (first - second) * (first + second); gain > p.gain {
				p = peak{at, gain}
			}
			sum += first * first
		}
		peaks, all = append(peaks, p), all+sum
	}
	var list []int32
	for _, p := range peaks {
		if p.gain > 0.1*all {
			list = append(list, p.feature)
		}
	}
	return list
}

// Half of long stripes goes to whoever is done first: every octet is computed, and its bits are the same.
func TestLongStripesAreSharedOut(t *testing.T) {
	m := blocks(random(3), quant.Q8_0, 8001, 2048) // 17 MB
	var want []float32
	for _, threads := range []int{1, 2, 3, 4} {
		b, err := open(Options{Threads: threads})
		if err != nil {
			t.Fatal(err)
		}
		p, err := packOne(b, m)
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			const rows = 2
			y := slices.Repeat([]float32{float32(math.NaN())}, rows*m.Out)
			p.multiply(b, y, gaussian(random(8), rows*m.In), rows, rounded)
			if want == nil {
				want = y
			}
			if !slices.Equal(y, want) {
				t.Errorf("%d threads give other bits than one", threads)
				break
			}
		}
		p.close()
		b.Close()
	}
	if slices.ContainsFunc(want, func(v float32) bool { return v != v }) {
		t.Error("not every row was computed")
	}
}

// Rows of a prompt and single tokens go through different tiles, stripes and items.
func TestProductsAreTheSameBitsHoweverTheyAreCut(t *testing.T) {
	eachISA(t, 3, func(t *testing.T, b *backend) {
		const rows = 23
		for _, in := range []inputs{rounded, roundedTwice, unrounded} {
			for _, m := range every(7) {
				p, err := packOne(b, m)
				if err != nil {
					t.Fatal(err)
				}
				x, whole := gaussian(random(8), rows*m.In), make([]float32, rows*m.Out)
				p.multiply(b, whole, x, rows, in)
				for _, step := range []int{1, 3, 7} {
					y := make([]float32, rows*m.Out)
					for at := 0; at < rows; at += step {
						n := min(step, rows-at)
						p.multiply(b, y[at*m.Out:], x[at*m.In:], n, in)
					}
					if !slices.Equal(y, whole) {
						t.Errorf("%s, inputs %d: steps of %d rows give other bits than %d at once", m.Name, in, step, rows)
					}
				}
				p.close()
			}
		}
	})
}
