package oracle

import (
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"peregrine/model"
	"peregrine/model/quant"
	"peregrine/model/tensor"
)

// linear returns x·Wᵀ + bias, [rows, Out], for x [rows, In].
func (o *Oracle) linear(l model.Linear, x []float64) []float64 {
	in, out := l.In(), l.Out()
	rows := len(x) / in
	x = o.round.activations(x, in)
	y := make([]float64, rows*out)
	first := 0
	for _, m := range l.W {
		inBlocks(m.Out, func(lo, hi int) {
			w := o.weights(m, lo, hi)
			for n := lo; n < hi; n++ {
				for r := range rows {
					y[r*out+first+n] = dotWeights(w[(n-lo)*in:][:in], x[r*in:][:in])
				}
			}
		})
		first += m.Out
	}
	if l.Bias != nil {
		for i := range y {
			y[i] += float64(l.Bias[i%out])
		}
	}
	return y
}

// maxKept bounds the dequantised weights that an oracle keeps, 64 MB: all of a fixture or a random test model, the first
// layers of a real one. Everything else is dequantised again wherever it is used.
const maxKept = 16 << 20

// keep dequantises what fits.
func (o *Oracle) keep() {
	o.kept = map[*quant.Matrix][]float32{}
	room := maxKept
	matrices := []*quant.Matrix{o.p.Head}
	for i := range o.p.Layers {
		l := &o.p.Layers[i]
		matrices = slices.Concat(matrices, l.QKV.W, l.AttnOut.W, l.Up.W, l.Down.W)
	}
	for _, m := range matrices {
		if size := m.Out * m.In; size <= room {
			room -= size
			w := make([]float32, size)
			inBlocks(m.Out, func(lo, hi int) { m.Dequantize(w[lo*m.In:], lo, hi) })
			o.kept[m] = w
		}
	}
}

// weights returns rows lo to hi of m.
func (o *Oracle) weights(m *quant.Matrix, lo, hi int) []float32 {
	if w, ok := o.kept[m]; ok {
		return w[lo*m.In : hi*m.In]
	}
	w := make([]float32, (hi-lo)*m.In)
	m.Dequantize(w, lo, hi)
	return w
}

// norm normalises each row of x, [rows, Hidden], into a new slice.
func norm(c model.Config, n model.Norm, x []float64) []float64 {
	y := make([]float64, len(x))
	for at := 0; at < len(x); at += c.Hidden {
		row, out := x[at:at+c.Hidden], y[at:at+c.Hidden]
		mean := 0.0
		if c.Norm == model.LayerNorm {
			for _, v := range row {
				mean += v
			}
			mean /= float64(c.Hidden)
		}
		variance := 0.0
		for _, v := range row {
			variance += (v - mean) * (v - mean)
		}
		variance /= float64(c.Hidden)
		scale := 1 / math.Sqrt(variance+float64(c.NormEps))
		for i, v := range row {
			out[i] = (v - mean) * scale * float64(n.Weight[i])
			if n.Bias != nil {
				out[i] += float64(n.Bias[i])
			}
		}
	}
	return y
}

// rotate turns the pairs (i, i+D/2) of a head by pos·freq[i].
func rotate(head, freq []float64, pos float64) {
	half := len(head) / 2
	for i := range half {
		sin, cos := math.Sincos(pos * freq[i])
		a, b := head[i], head[i+half]
		head[i] = a*cos - b*sin
		head[i+half] = b*cos + a*sin
	}
}

// softmax replaces scores by their probabilities.
func softmax(scores []float64) {
	high := math.Inf(-1)
	for _, s := range scores {
		high = math.Max(high, s)
	}
	sum := 0.0
	for i, s := range scores {
		scores[i] = math.Exp(s - high)
		sum += scores[i]
	}
	for i := range scores {
		scores[i] /= sum
	}
}

func add(x, y []float64) {
	for i := range x {
		x[i] += y[i]
	}
}

// The three loops below are nearly all of the work, on slices that nobody else writes: under the race detector they would
// take ten times as long and find nothing.

//go:norace
func dot(a, b []float64) float64 {
	sum := 0.0
	for i, v := range a {
		sum += v * b[i]
	}
	return sum
}

// addScaled adds p·x to y.
//
//go:norace
func addScaled(y []float64, p float64, x []float64) {
	for i, v := range x {
		y[i] += p * v
	}
}

// dotWeights adds four partial sums, so that the processor need not wait for one addition before it starts the next.
//
//go:norace
func dotWeights(w []float32, x []float64) float64 {
	var a, b, c, d float64
	n := len(w) &^ 3
	for i := 0; i < n; i += 4 {
		a += float64(w[i]) * x[i]
		b += float64(w[i+1]) * x[i+1]
		c += float64(w[i+2]) * x[i+2]
		d += float64(w[i+3]) * x[i+3]
	}
	for i := n; i < len(w); i++ {
		a += float64(w[i]) * x[i]
	}
	return a + b + (c + d)
}

// activations rounds x, [rows, in], to int8 in groups; without rounding it returns x itself.
func (r Rounding) activations(x []float64, in int) []float64 {
	if r.Activations == 0 {
		return x
	}
	y := make([]float64, len(x))
	for row := 0; row < len(x); row += in {
		for g := 0; g < in; g += r.Activations {
			lo, hi := row+g, row+min(g+r.Activations, in)
			high := 0.0
			for _, v := range x[lo:hi] {
				high = math.Max(high, math.Abs(v))
			}
			if high == 0 {
				continue
			}
			scale := high / 127
			for i := lo; i < hi; i++ {
				y[i] = scale * math.RoundToEven(x[i]/scale)
			}
		}
	}
	return y
}

// gelu is exact, 0.5·z·(1+erf(z/√2)), unless the rounding says otherwise.
func (r Rounding) gelu(z float64) float64 {
	if r.TanhGELU {
		return 0.5 * z * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(z+0.044715*z*z*z)))
	}
	return 0.5 * z * (1 + math.Erf(z/math.Sqrt2))
}

// kv rounds a row on its way into the cache.
func (r Rounding) kv(x []float64) []float64 {
	if !r.KV16 {
		return x
	}
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(tensor.FromF16(tensor.ToF16(float32(v))))
	}
	return y
}

// inBlocks calls f for ranges of 0 … n−1 on all processors.
func inBlocks(n int, f func(lo, hi int)) {
	const block = 16
	parallel((n+block-1)/block, func(b int) { f(b*block, min((b+1)*block, n)) })
}

// parallel calls f for 0 … n−1 on all processors and returns when all are done.
func parallel(n int, f func(i int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), n) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	wg.Wait()
}
