// Package oracle is the mathematics of a decoder once more in float64, slow and obvious: the executable specification that
// every backend is tested against.
//
// One function is one step of a layer, weights are dequantised as they are, and nothing is fused, tiled or reordered. Speed, batching and memory layout belong to the backends. Only rows of a matrix product run in parallel, each computed by
// one goroutine in a fixed order, so that the same input gives the same bits everywhere.
package oracle

import (
	"context"
	"math"

	"peregrine/model"
	"peregrine/model/quant"
)

// Oracle is a sequence on a model, a [model.Executor] in float64. It reads p's memory as long as it is used.
type Oracle struct {
	p       *model.Params
	limit   int
	length  int
	keys    [][]float64 // per layer [length, KVHeads·HeadDim], rotated
	values  [][]float64 // per layer [length, KVHeads·HeadDim]
	slopes  []float32   // ALiBi
	kept    map[*quant.Matrix][]float32
	round   Rounding
	onLayer func(layer int, x []float64)
}

// Rounding makes an oracle round where a fast backend does, to learn how much that costs: the budgets of package backendtest
// are derived from it. The zero value rounds nothing.
type Rounding struct {
	// Activations is the number of neighbouring input features that share one scale when a matrix's input is rounded to
	// int8, x ≈ scale·round(x/scale) with scale = max|x|/127. 0: inputs are not rounded.
	Activations int
	// KV16 rounds keys and values to float16 as they enter the cache.
	KV16 bool
	// TanhGELU computes GELU in its tanh form, as many programs do: an error, for tests of tests.
	TanhGELU bool
}

// New returns an oracle with room for the model's MaxContext; memory grows with the sequence. p must be valid, as
// [model.Params.Validate] says.
func New(p *model.Params) *Oracle {
	o := &Oracle{
		p:      p,
		limit:  p.Config.MaxContext,
		keys:   make([][]float64, len(p.Layers)),
		values: make([][]float64, len(p.Layers)),
	}
	if p.Config.Positions == model.ALiBi {
		o.slopes = model.ALiBiSlopes(p.Config.Heads)
	}
	o.keep()
	return o
}

// NewRounded returns an oracle that rounds as r says.
func NewRounded(p *model.Params, r Rounding) *Oracle {
	o := New(p)
	o.round = r
	return o
}

// OnLayer calls f with the input of every layer, [tokens, Hidden], and once more, with layer = Layers, with the output of
// the final norm. f must not keep or change x. It is for finding the layer in which a backend goes wrong.
func (o *Oracle) OnLayer(f func(layer int, x []float64)) { o.onLayer = f }

// Close frees nothing: an oracle holds no memory but Go's.
func (o *Oracle) Close() error { return nil }

// Forward implements [model.Executor]. It checks ctx before each layer.
func (o *Oracle) Forward(ctx context.Context, tokens []int32, pos int, out *model.Output) error {
	c := o.p.Config
	if err := model.CheckForward(c, o.length, o.limit, tokens, pos, out); err != nil {
		return err
	}
	o.length = min(o.length, pos)
	x := o.embed(tokens)
	for i := range o.p.Layers {
		if err := ctx.Err(); err != nil {
			return err
		}
		o.trace(i, x)
		o.layer(i, x, pos)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	o.length = pos + len(tokens)
	if out == nil && o.onLayer == nil {
		return nil
	}
	x = norm(c, o.p.FinalNorm, x)
	o.trace(c.Layers, x)
	if out != nil && out.Rows > 0 {
		o.head(x[(len(tokens)-out.Rows)*c.Hidden:], out)
	}
	return nil
}

func (o *Oracle) trace(layer int, x []float64) {
	if o.onLayer != nil {
		o.onLayer(layer, x)
	}
}

// embed returns the rows of the embedding, [tokens, Hidden].
func (o *Oracle) embed(tokens []int32) []float64 {
	hidden := o.p.Config.Hidden
	row := make([]float32, hidden)
	x := make([]float64, 0, len(tokens)*hidden)
	for _, id := range tokens {
		o.p.Embed.Dequantize(row, int(id), int(id)+1)
		for _, v := range row {
			x = append(x, float64(v))
		}
	}
	return x
}

// layer adds one block's attention and MLP to x, [tokens, Hidden].
func (o *Oracle) layer(i int, x []float64, pos int) {
	c, l := o.p.Config, &o.p.Layers[i]
	h := norm(c, l.AttnNorm, x)
	attention := o.linear(l.AttnOut, o.attend(i, o.linear(l.QKV, h), pos))
	if c.Parallel {
		if l.MLPNorm.Weight != nil {
			h = norm(c, l.MLPNorm, x)
		}
		mlp := o.mlp(l, h)
		add(x, attention)
		add(x, mlp)
		return
	}
	add(x, attention)
	add(x, o.mlp(l, norm(c, l.MLPNorm, x)))
}

// attend puts the new keys and values into layer i's cache and returns the heads' outputs, [tokens, Heads·HeadDim]. Query
// head h reads KV head h/(Heads/KVHeads).
func (o *Oracle) attend(i int, qkv []float64, pos int) []float64 {
	c := o.p.Config
	d, kvWidth := c.HeadDim, c.KVHeads*c.HeadDim
	qWidth := c.Heads * d
	stride := qWidth + 2*kvWidth
	tokens := len(qkv) / stride

	if c.Positions == model.Rotary {
		freq := c.Rope.InvFreq(d, pos+tokens)
		for t := range tokens {
			for h := range c.Heads + c.KVHeads { // queries and keys lie side by side
				rotate(qkv[t*stride+h*d:][:d], freq, float64(pos+t))
			}
		}
	}
	keys, values := o.keys[i][:pos*kvWidth], o.values[i][:pos*kvWidth]
	for t := range tokens {
		row := qkv[t*stride+qWidth:]
		keys = append(keys, o.round.kv(row[:kvWidth])...)
		values = append(values, o.round.kv(row[kvWidth:2*kvWidth])...)
	}
	o.keys[i], o.values[i] = keys, values

	out := make([]float64, tokens*qWidth)
	parallel(tokens*c.Heads, func(th int) {
		t, h := th/c.Heads, th%c.Heads
		g := h / (c.Heads / c.KVHeads)
		q := qkv[t*stride+h*d:][:d]
		scores := make([]float64, pos+t+1) // causal: keys up to the token itself
		for j := range scores {
			s := dot(q, keys[j*kvWidth+g*d:][:d])
			if c.Positions == model.ALiBi {
				s += float64(o.slopes[h]) * float64(j)
			}
			scores[j] = s / math.Sqrt(float64(d))
		}
		softmax(scores)
		y := out[t*qWidth+h*d:][:d]
		for j, p := range scores {
			addScaled(y, p, values[j*kvWidth+g*d:][:d])
		}
	})
	return out
}

// mlp returns the feed-forward network of h, [tokens, Hidden].
func (o *Oracle) mlp(l *model.Layer, h []float64) []float64 {
	c := o.p.Config
	up := o.linear(l.Up, h)
	if c.MLP == model.GELU {
		for i, z := range up {
			up[i] = o.round.gelu(z)
		}
		return o.linear(l.Down, up)
	}
	tokens := len(h) / c.Hidden
	gated := make([]float64, tokens*c.FFN)
	for t := range tokens {
		gate, up := up[2*t*c.FFN:][:c.FFN], up[(2*t+1)*c.FFN:][:c.FFN]
		for i, z := range gate {
			gated[t*c.FFN+i] = z / (1 + math.Exp(-z)) * up[i]
		}
	}
	return o.linear(l.Down, gated)
}

// head writes the logits of x, [Rows, Hidden], already normalised.
func (o *Oracle) head(x []float64, out *model.Output) {
	vocab := o.p.Config.Vocab
	logits := o.linear(model.Linear{W: []*quant.Matrix{o.p.Head}}, x)
	row := make([]float32, vocab)
	for r := range out.Rows {
		for i, v := range logits[r*vocab : (r+1)*vocab] {
			row[i] = float32(v)
		}
		model.FillOutput(out, r, row)
	}
}
