package synthetic

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"peregrine/model"
	"peregrine/model/quant"
	"peregrine/model/tensor"
)

// sizes are those of pools at most, in bytes.
type sizes struct{ weights, vocabulary int }

// usual keeps pools out of caches. The vocabulary's is larger: no two of its 65024 rows of 16384 bytes (40B) may be equal, or
// tokens would share their logits.
var usual = sizes{weights: 64 << 20, vocabulary: 256 << 20}

// Open makes a model of shape s. Closing the checkpoint gives its memory back. The same shape, options and seed make the same
// model.
func Open(s Shape, o Options) (*model.Checkpoint, error) { return openSized(s, o, usual) }

func openSized(s Shape, o Options, pools sizes) (*model.Checkpoint, error) {
	w, err := build(s, o, pools)
	if err != nil {
		return nil, err
	}
	config, err := w.shape.config(w.options)
	if err != nil {
		return nil, errors.Join(err, w.close())
	}
	name := "synthetic " + s.Name
	if w.shape.Layers != s.Layers {
		name += fmt.Sprintf(" (%d of %d layers)", w.shape.Layers, s.Layers)
	}
	c, err := model.OpenMemory(model.Memory{Name: name, Config: config, Matrices: w.matrices, Vectors: w.vectors, Release: w.close})
	if err != nil {
		return nil, err
	}
	c.Name += ", " + c.Quantization
	if w.options.Format == quant.GPTQFormat {
		c.Name += fmt.Sprintf(" (embedding %v)", w.options.Embedding)
	}
	return c, nil
}

// weights are the tensors of a model.
type weights struct {
	shape    Shape
	options  Options
	linears  []linear
	matrices map[string]*quant.Matrix
	vectors  map[string]tensor.View
	pools    map[place]*pool
	rand     *rand.Rand
	scales   map[int][]byte // F16, by input features
	zeros    []byte         // the symmetric zero points
	order    []int32        // g_idx of the matrix before
	input    string         // which input that was
	norms    tensor.View    // many weights, of which each norm takes a stretch
	biases   tensor.View
}

// place names a pool: the vocabulary has its own.
type place struct {
	content
	outer bool
}

func build(s Shape, o Options, pools sizes) (*weights, error) {
	s, o, err := o.resolve(s)
	if err != nil {
		return nil, err
	}
	w := &weights{
		shape: s, options: o, rand: rand.New(rand.NewPCG(o.Seed, 1)),
		matrices: map[string]*quant.Matrix{}, vectors: map[string]tensor.View{},
		pools: map[place]*pool{}, scales: map[int][]byte{},
	}
	linears, norms := s.parts()
	w.linears = linears
	if err := w.prepare(linears, pools); err != nil {
		return nil, errors.Join(err, w.close())
	}
	for _, l := range linears {
		w.matrices[l.module] = w.matrix(l)
		if l.bias {
			w.vectors[l.module+".bias"] = w.vector(w.biases, l.out)
		}
	}
	for _, n := range norms {
		w.vectors[n.module+".weight"] = w.vector(w.norms, s.Hidden)
		if n.bias {
			w.vectors[n.module+".bias"] = w.vector(w.biases, s.Hidden)
		}
	}
	return w, nil
}

func (w *weights) close() error {
	var err error
	for _, p := range w.pools {
		err = errors.Join(err, p.close())
	}
	return err
}

// place returns the pool that a matrix is cut from, and how many bytes it takes.
func (w *weights) place(l linear) (place, int) {
	if f := w.format(l); f != quant.GPTQFormat {
		return place{content{format: f, in: l.in}, l.outer}, l.out * f.RowBytes(l.in)
	}
	return place{content: content{format: quant.GPTQFormat, bits: w.options.Bits}}, l.in / 32 * w.options.Bits * l.out * 4
}

func (w *weights) format(l linear) quant.Format {
	if l.outer {
		return w.options.Embedding
	}
	return w.options.Format
}

// groups returns the groups of in input features and their size.
func (w *weights) groups(in int) (groups, size int) {
	if w.options.GroupSize < 0 || w.options.GroupSize >= in {
		return 1, in
	}
	return (in + w.options.GroupSize - 1) / w.options.GroupSize, w.options.GroupSize
}

// prepare makes everything that tensors are cut from.
func (w *weights) prepare(linears []linear, pools sizes) error {
	type need struct{ longest, total int }
	needs := map[place]need{}
	var places []place // in the order of the parts, so that the random numbers are the same in every run
	scales, widest := map[int]int{}, w.shape.Hidden
	var inputs []int
	for _, l := range linears {
		at, n := w.place(l)
		if _, ok := needs[at]; !ok {
			places = append(places, at)
		}
		needs[at] = need{max(needs[at].longest, n), needs[at].total + n}
		widest = max(widest, l.out)
		if w.format(l) == quant.GPTQFormat {
			if scales[l.in] == 0 {
				inputs = append(inputs, l.in)
			}
			groups, _ := w.groups(l.in)
			scales[l.in] = max(scales[l.in], groups*l.out)
		}
	}
	most := 0
	for _, in := range inputs {
		w.scales[in] = w.randomScales(in, scales[in])
		most = max(most, scales[in])
	}
	w.zeros = symmetricZeros(w.options.Bits, most)
	w.norms = w.randomVector(w.shape.Hidden, 1, 0.3)
	w.biases = w.randomVector(widest, 0, 0.2)
	for _, at := range places {
		want := pools.weights
		if at.outer {
			want = pools.vocabulary
		}
		p, err := newPool(min(want, needs[at].total), needs[at].longest, at.content, w.rand.Uint64())
		if err != nil {
			return err
		}
		w.pools[at] = p
	}
	return nil
}

// slack is how many values more than needed the small stretches have, so that each cut begins elsewhere.
const slack = 4096

// repeat fills n bytes with copies of b.
func repeat(b []byte, n int) []byte {
	out := make([]byte, n)
	for at := copy(out, b); at < n; at *= 2 {
		copy(out[at:], out[:at])
	}
	return out
}

// randomScales returns n scales and some more, F16, for weights of in input features.
func (w *weights) randomScales(in, n int) []byte {
	deviation := 1 / math.Sqrt(float64(in)) / codeDeviation[w.options.Bits]
	var b []byte
	for range min(n+slack, 1<<16-1) {
		b = binary.LittleEndian.AppendUint16(b, tensor.ToF16(float32(deviation*(0.5+w.rand.Float64()))))
	}
	return repeat(b, 2*(n+slack))
}

// symmetricZeros returns n packed zero points 2^(bits−1), stored less one. Source: AutoGPTQ's packing with sym.
func symmetricZeros(bits, n int) []byte {
	var block []byte // of 32
	for _, word := range map[int][]uint32{
		2: {0x55555555}, 3: {0xDB6DB6DB, 0xB6DB6DB6, 0x6DB6DB6D}, 4: {0x77777777}, 8: {0x7F7F7F7F},
	}[bits] {
		block = binary.LittleEndian.AppendUint32(block, word)
	}
	return repeat(block, n*bits/8)
}

// randomVector returns n values and some more of the given mean and deviation.
func (w *weights) randomVector(n int, mean, deviation float64) tensor.View {
	v := tensor.View{}
	for range n + slack {
		x := float32(mean + deviation*w.rand.NormFloat64())
		switch w.options.vectors() {
		case quant.F32:
			v.DType, v.Data = tensor.F32, binary.LittleEndian.AppendUint32(v.Data, math.Float32bits(x))
		case quant.BF16:
			v.DType, v.Data = tensor.BF16, binary.LittleEndian.AppendUint16(v.Data, tensor.ToBF16(x))
		default:
			v.DType, v.Data = tensor.F16, binary.LittleEndian.AppendUint16(v.Data, tensor.ToF16(x))
		}
	}
	return v
}

// vector cuts n values from v.
func (w *weights) vector(v tensor.View, n int) tensor.View {
	at, size := w.rand.IntN(slack), v.DType.Size()
	return tensor.View{DType: v.DType, Shape: []int{n}, Data: v.Data[at*size : (at+n)*size]}
}

func (w *weights) matrix(l linear) *quant.Matrix {
	at, n := w.place(l)
	data := w.pools[at].cut(w.rand, n)
	m := &quant.Matrix{Name: l.module + ".weight", Format: w.format(l), Out: l.out, In: l.in}
	if m.Format != quant.GPTQFormat {
		m.Data = data
		return m
	}
	groups, size := w.groups(l.in)
	count, first := groups*l.out, w.rand.IntN(slack)
	m.Name = l.module
	m.GPTQ = &quant.GPTQ{
		Bits: w.options.Bits, GroupSize: size, Groups: groups, Stored: l.out, QWeight: data,
		QZeros: w.zeros[:count*w.options.Bits/8],
		Scales: tensor.View{
			Name: l.module + ".scales", DType: tensor.F16, Shape: []int{groups, l.out},
			Data: w.scales[l.in][2*first : 2*(first+count)],
		},
	}
	if groups > 1 && w.options.ActOrder {
		m.GPTQ.GIdx = w.actOrder(l, size)
	}
	return m
}

// actOrder returns the group of each input feature as act-order leaves it: that of the feature's rank in a random order, the
// same for all matrices that read the same input.
func (w *weights) actOrder(l linear, size int) []int32 {
	if l.input != w.input {
		w.input, w.order = l.input, make([]int32, l.in)
		for rank, k := range w.rand.Perm(l.in) {
			w.order[k] = int32(rank / size)
		}
	}
	return w.order
}
