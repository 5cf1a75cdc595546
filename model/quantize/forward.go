package quantize

import (
	"math"

	"peregrine/model"
	"peregrine/model/quantize/product"
	"peregrine/model/tensor"
)

// linear is y = x·Wᵀ + bias with the weights that the checkpoint will hold.
type linear struct {
	w    product.Matrix
	bias []float32 // [Out]; nil: none
}

// apply writes y [rows, Out] for x [rows, In].
func (l *linear) apply(y, x []float32, rows int) {
	l.w.Mul(y, x, rows)
	if l.bias == nil {
		return
	}
	for r := range rows {
		row := y[r*l.w.Out : (r+1)*l.w.Out]
		for i, b := range l.bias {
			row[i] += b
		}
	}
}

// block is one layer of the forward pass in float32, on whole sequences that begin at position 0. Its linears are filled as
// they are quantised.
type block struct {
	c                 model.Config
	length            int       // tokens of a sequence
	cos, sin          []float32 // [length, HeadDim/2]; nil for ALiBi
	slopes            []float32 // ALiBi
	attnNorm, mlpNorm model.Norm
	qkv, out          linear
	up, down          linear
}

func newBlock(c model.Config, length int) *block {
	b := &block{c: c, length: length}
	if c.Positions == model.ALiBi {
		b.slopes = model.ALiBiSlopes(c.Heads)
		return b
	}
	for pos := range length {
		for _, f := range c.Rope.InvFreq(c.HeadDim, length) {
			sin, cos := math.Sincos(float64(pos) * f)
			b.sin, b.cos = append(b.sin, float32(sin)), append(b.cos, float32(cos))
		}
	}
	return b
}

// scratch is what one sequence needs on its way through a layer.
type scratch struct {
	normed []float32 // [length, Hidden]
	wide   []float32 // [length, query + keys + values, or the output of Up]
	narrow []float32 // [length, Hidden], or a head's outputs
	scores []float32 // [length, length]
	acts   []float32 // [length, FFN]
	heads  [3][]float32
	packed [2]product.Matrix
}

func newScratch(c model.Config, length int) *scratch {
	qkv := (c.Heads + 2*c.KVHeads) * c.HeadDim
	s := &scratch{
		normed: make([]float32, length*c.Hidden),
		wide:   make([]float32, length*max(qkv, c.FFN*gates(c))),
		narrow: make([]float32, length*max(c.Hidden, c.HeadDim)),
		scores: make([]float32, length*length), acts: make([]float32, length*c.FFN),
	}
	for i := range s.heads {
		s.heads[i] = make([]float32, length*c.HeadDim)
	}
	return s
}

// gates returns how many times FFN the output of Up is wide.
func gates(c model.Config) int {
	if c.MLP == model.GatedSiLU {
		return 2
	}
	return 1
}

// attention writes the heads' outputs, [length, Heads·HeadDim], for the layer's input x.
func (b *block) attention(dst, x []float32, s *scratch) {
	normalise(s.normed, x, b.attnNorm, b.c)
	b.qkv.apply(s.wide, s.normed, b.length)
	b.attend(dst, s)
}

// mlpInput writes what the feed-forward network reads; x is the layer's input in a parallel block, else with attention added.
func (b *block) mlpInput(dst, x []float32) {
	n := b.mlpNorm
	if n.Weight == nil {
		n = b.attnNorm
	}
	normalise(dst, x, n, b.c)
}

// activations writes what Down reads, [length, FFN].
func (b *block) activations(dst, x []float32, s *scratch) {
	b.mlpInput(s.normed, x)
	ffn := b.c.FFN
	if b.c.MLP == model.GELU {
		b.up.apply(dst, s.normed, b.length)
		for i, z := range dst[:b.length*ffn] {
			dst[i] = float32(0.5 * float64(z) * (1 + math.Erf(float64(z)/math.Sqrt2)))
		}
		return
	}
	b.up.apply(s.wide, s.normed, b.length)
	for t := range b.length {
		gate, up := s.wide[2*t*ffn:][:ffn], s.wide[(2*t+1)*ffn:][:ffn]
		to := dst[t*ffn:][:ffn]
		for i, z := range gate {
			to[i] = float32(float64(z)/(1+math.Exp(-float64(z)))) * up[i]
		}
	}
}

// attend reads query, key and value of s.wide. Query head h reads KV head h/(Heads/KVHeads).
func (b *block) attend(dst []float32, s *scratch) {
	c, d := b.c, b.c.HeadDim
	width, stride, group := c.Heads*d, (c.Heads+2*c.KVHeads)*d, c.Heads/c.KVHeads
	q, k, v := s.heads[0], s.heads[1], s.heads[2]
	for kv := range c.KVHeads {
		b.head(k, s.wide[width+kv*d:], stride)
		b.rotate(k)
		for t := range b.length {
			for i, x := range s.wide[t*stride+width+(c.KVHeads+kv)*d:][:d] {
				v[i*b.length+t] = x
			}
		}
		s.packed[0].PackAlone(k, b.length, d)
		s.packed[1].PackAlone(v, d, b.length)
		for h := kv * group; h < (kv+1)*group; h++ {
			b.head(q, s.wide[h*d:], stride)
			b.rotate(q)
			s.packed[0].Mul(s.scores, q, b.length)
			b.softmax(s.scores, h)
			s.packed[1].Mul(s.narrow, s.scores, b.length)
			for t := range b.length {
				copy(dst[t*width+h*d:][:d], s.narrow[t*d:])
			}
		}
	}
}

// head copies one head's rows, which lie stride apart.
func (b *block) head(dst, src []float32, stride int) {
	d := b.c.HeadDim
	for t := range b.length {
		copy(dst[t*d:(t+1)*d], src[t*stride:])
	}
}

// rotate turns the pairs (i, i+D/2) of each token's row.
func (b *block) rotate(x []float32) {
	if b.cos == nil {
		return
	}
	d := b.c.HeadDim
	half := d / 2
	for t := range b.length {
		low, high := x[t*d:][:half], x[t*d+half:][:half]
		cos, sin := b.cos[t*half:][:half], b.sin[t*half:][:half]
		for i, c := range cos {
			low[i], high[i] = low[i]*c-high[i]*sin[i], high[i]*c+low[i]*sin[i]
		}
	}
}

// softmax turns the products of queries and keys, [length, length], into weights; keys behind the query get 0.
func (b *block) softmax(scores []float32, head int) {
	scale := float32(1 / math.Sqrt(float64(b.c.HeadDim)))
	for t := range b.length {
		row := scores[t*b.length : (t+1)*b.length]
		seen := row[:t+1]
		high := float32(math.Inf(-1))
		for j, v := range seen {
			if b.slopes != nil {
				v += b.slopes[head] * float32(j)
			}
			seen[j] = v * scale
			high = max(high, seen[j])
		}
		sum := 0.0
		for j, v := range seen {
			e := math.Exp(float64(v - high))
			sum += e
			seen[j] = float32(e)
		}
		for j := range seen {
			seen[j] = float32(float64(seen[j]) / sum)
		}
		clear(row[t+1:])
	}
}

// normalise writes the norm of each row of x.
func normalise(dst, x []float32, n model.Norm, c model.Config) {
	for at := 0; at < len(x); at += c.Hidden {
		row, to := x[at:at+c.Hidden], dst[at:at+c.Hidden]
		mean, variance := 0.0, 0.0
		if c.Norm == model.LayerNorm {
			for _, v := range row {
				mean += float64(v)
			}
			mean /= float64(c.Hidden)
		}
		for _, v := range row {
			d := float64(v) - mean
			variance += d * d
		}
		scale := 1 / math.Sqrt(variance/float64(c.Hidden)+float64(c.NormEps))
		for i, v := range row {
			y := (float64(v) - mean) * scale * float64(n.Weight[i])
			if n.Bias != nil {
				y += float64(n.Bias[i])
			}
			to[i] = float32(y)
		}
	}
}

// add adds y to x, element by element.
func add(x, y []float32) {
	y = y[:len(x)]
	for i := range x {
		x[i] += y[i]
	}
}

// halves returns v rounded to float16: what the checkpoint holds is what the forward pass computes with.
func halves(v []float32) []float32 {
	if v == nil {
		return nil
	}
	r := make([]float32, len(v))
	for i, x := range v {
		r[i] = tensor.FromF16(tensor.ToF16(x))
	}
	return r
}

func halfNorm(n model.Norm) model.Norm {
	return model.Norm{Weight: halves(n.Weight), Bias: halves(n.Bias)}
}
