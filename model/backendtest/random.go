package backendtest

import (
	"encoding/binary"
	"math"
	"math/rand/v2"

	"peregrine/model"
	"peregrine/model/quant"
	"peregrine/model/tensor"
)

// Weights says how a random model's matrices are stored.
type Weights struct {
	Format    quant.Format
	Bits      int // GPTQ: 2, 3, 4 or 8
	GroupSize int // GPTQ: input features per group; 0: one group
	ActOrder  bool
	Zeros     quant.ZeroRule
	Scales    tensor.DType // GPTQ: F16, BF16 or F32; 0: F16
}

// Formats says how a matrix is stored: embed, head, attention output, down; qkv, or query, key and value; up, and gate.
type Formats func(name string) Weights

// Uniform says that all matrices are stored in one format, which is not GPTQ.
func Uniform(f quant.Format) Formats { return Except(f, nil) }

// Except says that matrices are stored in one format but for those that others names; none is GPTQ.
func Except(f quant.Format, others map[string]quant.Format) Formats {
	return func(name string) Weights {
		if other, ok := others[name]; ok {
			return Weights{Format: other}
		}
		return Weights{Format: f}
	}
}

// Random returns a model of the given shape with seeded random weights, scaled so that every step keeps values near one.
// bias puts biases on all four linear layers, twoNorms a norm of its own in front of a parallel block's MLP. Embedding and
// head are stored as w says unless that is GPTQ: then they are F16, as in every GPTQ checkpoint. Query, key and value are
// one matrix with its rows reordered in a LayerNorm model and three matrices in an RMSNorm model, as Falcon's and Llama's.
func Random(seed uint64, c model.Config, w Weights, bias, twoNorms bool) *model.Params {
	outer := w
	if w.Format == quant.GPTQFormat {
		outer = Weights{Format: quant.F16}
	}
	return RandomMixed(seed, c, func(name string) Weights {
		if name == "embed" || name == "head" {
			return outer
		}
		return w
	}, bias, twoNorms)
}

// RandomMixed is Random where each matrix is stored as formats says; embedding and head not as GPTQ.
func RandomMixed(seed uint64, c model.Config, formats Formats, bias, twoNorms bool) *model.Params {
	r := &random{rand.New(rand.NewPCG(seed, 1))}
	p := &model.Params{Config: c, Embed: r.matrix("embed", c.Vocab, c.Hidden, formats("embed"), 1), FinalNorm: r.norm(c)}
	p.Head = p.Embed
	if !c.Tied {
		p.Head = r.matrix("head", c.Vocab, c.Hidden, formats("head"), 1/math.Sqrt(float64(c.Hidden)))
	}
	type output struct {
		name string
		size int
	}
	linear := func(in int, outs ...output) model.Linear {
		l := model.Linear{}
		for _, out := range outs {
			l.W = append(l.W, r.matrix(out.name, out.size, in, formats(out.name), 1/math.Sqrt(float64(in))))
		}
		if bias {
			l.Bias = r.floats(l.Out(), 0, 0.2)
		}
		return l
	}
	for range c.Layers {
		q, kv := c.Heads*c.HeadDim, c.KVHeads*c.HeadDim
		l := model.Layer{AttnNorm: r.norm(c)}
		if c.Norm == model.LayerNorm {
			l.QKV = linear(c.Hidden, output{"qkv", q + 2*kv})
			l.QKV.W[0] = l.QKV.W[0].Reorder(r.permutation(q + 2*kv))
		} else {
			l.QKV = linear(c.Hidden, output{"query", q}, output{"key", kv}, output{"value", kv})
		}
		l.AttnOut = linear(q, output{"attention output", c.Hidden})
		if c.MLP == model.GatedSiLU {
			l.Up = linear(c.Hidden, output{"gate", c.FFN}, output{"up", c.FFN})
		} else {
			l.Up = linear(c.Hidden, output{"up", c.FFN})
		}
		l.Down = linear(c.FFN, output{"down", c.Hidden})
		if !c.Parallel || twoNorms {
			l.MLPNorm = r.norm(c)
		}
		p.Layers = append(p.Layers, l)
	}
	return p
}

// RandomTokens returns n seeded token ids of a vocabulary.
func RandomTokens(seed uint64, n, vocab int) []int32 {
	r := rand.New(rand.NewPCG(seed, 2))
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32(r.IntN(vocab))
	}
	return ids
}

type random struct{ *rand.Rand }

func (r *random) norm(c model.Config) model.Norm {
	n := model.Norm{Weight: r.floats(c.Hidden, 1, 0.3)}
	if c.Norm == model.LayerNorm {
		n.Bias = r.floats(c.Hidden, 0, 0.2)
	}
	return n
}

func (r *random) floats(n int, mean, deviation float64) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(mean + deviation*r.NormFloat64())
	}
	return v
}

func (r *random) permutation(n int) []int32 {
	p := make([]int32, n)
	for i, v := range r.Perm(n) {
		p[i] = int32(v)
	}
	return p
}

func (r *random) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// matrix returns random weights with about the given deviation.
func (r *random) matrix(name string, out, in int, w Weights, deviation float64) *quant.Matrix {
	m := &quant.Matrix{Name: name, Format: w.Format, Out: out, In: in}
	half := func(x float64) uint16 { return tensor.ToF16(float32(x)) }
	blocks := func(size int, fill func(block []byte)) {
		m.Data = r.bytes(out * w.Format.RowBytes(in))
		for at := 0; at < len(m.Data); at += size {
			fill(m.Data[at : at+size])
		}
	}
	spread := 0.5 + r.Float64() // scales differ between blocks and columns
	put := binary.LittleEndian.PutUint16
	switch w.Format {
	case quant.F32:
		for range out * in {
			m.Data = binary.LittleEndian.AppendUint32(m.Data, math.Float32bits(float32(deviation*r.NormFloat64())))
		}
	case quant.F16:
		for range out * in {
			m.Data = binary.LittleEndian.AppendUint16(m.Data, half(deviation*r.NormFloat64()))
		}
	case quant.BF16:
		for range out * in {
			m.Data = binary.LittleEndian.AppendUint16(m.Data, tensor.ToBF16(float32(deviation*r.NormFloat64())))
		}
	case quant.Q4_0: // codes −8…7 have deviation 4.6
		blocks(18, func(b []byte) { put(b, half(deviation/4.6*(spread+r.Float64()/2))) })
	case quant.Q4_1:
		blocks(20, func(b []byte) {
			d := deviation / 4.6 * (spread + r.Float64()/2)
			put(b, half(d))
			put(b[2:], half(-7.5*d*(0.9+0.2*r.Float64())))
		})
	case quant.Q5_0: // codes −16…15 have deviation 9.2
		blocks(22, func(b []byte) { put(b, half(deviation/9.2*(spread+r.Float64()/2))) })
	case quant.Q5_1:
		blocks(24, func(b []byte) {
			d := deviation / 9.2 * (spread + r.Float64()/2)
			put(b, half(d))
			put(b[2:], half(-15.5*d*(0.9+0.2*r.Float64())))
		})
	case quant.Q2_K, quant.Q3_K, quant.Q4_K, quant.Q5_K, quant.Q6_K:
		_, size := w.Format.Block()
		blocks(size, func(b []byte) { r.super(w.Format, b, deviation*(spread+r.Float64()/2)) })
	case quant.Q8_0: // codes −128…127 have deviation 74
		blocks(34, func(b []byte) { put(b, half(deviation/74*(spread+r.Float64()/2))) })
	case quant.GPTQFormat:
		m.GPTQ = r.gptq(out, in, w, deviation)
	case quant.InvalidFormat:
		panic("backendtest: no weight format given")
	}
	return m
}

// gptq returns random words. Zero points are near the middle, as a trained matrix has them: far ones would give every column
// a common offset. A few are 0, whose stored form borrows from its neighbours where a rule subtracts.
func (r *random) gptq(out, in int, w Weights, deviation float64) *quant.GPTQ {
	size := w.GroupSize
	if size == 0 {
		size = in
	}
	g := &quant.GPTQ{Bits: w.Bits, GroupSize: size, Groups: (in + size - 1) / size, Stored: out, Zeros: w.Zeros}
	g.QWeight = r.bytes(in / 32 * w.Bits * out * 4)
	g.QZeros = r.zeros(g.Groups, out, w.Bits, w.Zeros)
	scale := deviation / (math.Exp2(float64(w.Bits)) / math.Sqrt(12))
	g.Scales = tensor.View{DType: w.Scales, Shape: []int{g.Groups, out}}
	if w.Scales == tensor.Invalid {
		g.Scales.DType = tensor.F16
	}
	for range g.Groups * out {
		v := float32(scale * (0.5 + r.Float64()))
		switch g.Scales.DType {
		case tensor.F16:
			g.Scales.Data = binary.LittleEndian.AppendUint16(g.Scales.Data, tensor.ToF16(v))
		case tensor.BF16:
			g.Scales.Data = binary.LittleEndian.AppendUint16(g.Scales.Data, tensor.ToBF16(v))
		default:
			g.Scales.Data = binary.LittleEndian.AppendUint32(g.Scales.Data, math.Float32bits(v))
		}
	}
	if w.ActOrder {
		g.GIdx = make([]int32, in)
		for rank, k := range r.Perm(in) {
			g.GIdx[k] = int32(rank / size)
		}
	}
	return g
}

// zeros packs random zero points along the columns, as one little-endian stream per row, in the form that rule undoes.
func (r *random) zeros(groups, columns, bits int, rule quant.ZeroRule) []byte {
	b := make([]byte, groups*columns*bits/8)
	for i := range groups * columns {
		middle := 1<<(bits-1) - r.IntN(2) // the mean code lies between the two
		z := middle + r.IntN(middle/2+1) - middle/4
		if r.IntN(50) == 0 && rule != quant.ZeroMinusOne {
			z = 0
		}
		if rule == quant.ZeroMinusOne {
			z--
		}
		for bit := range bits {
			at := i*bits + bit
			b[at/8] |= byte(z>>bit&1) << (at % 8)
		}
	}
	if rule == quant.ZeroWholeWords { // GPTQModel: subtracted from whole words
		constants := map[int][]uint32{
			2: {0x55555555}, 3: {0x24924924, 0x92492492, 0x49249249}, 4: {0x11111111}, 8: {0x01010101},
		}[bits]
		for i := range len(b) / 4 {
			word := binary.LittleEndian.Uint32(b[4*i:])
			binary.LittleEndian.PutUint32(b[4*i:], word-constants[i%len(constants)])
		}
	}
	return b
}
