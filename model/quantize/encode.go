package quantize

import (
	"encoding/binary"
	"fmt"
	"math"

	"peregrine/model"
	"peregrine/model/quantize/product"
	"peregrine/model/tensor"
)

// packed is how many codes GPTQ packs into as many words as a code has bits.
const packed = 32

// storeScales rounds the scales to float16, as the file holds them. The codes stay those of the exact scales, as AutoGPTQ's do.
func (w *Weights) storeScales() error {
	for i, s := range w.Scales {
		half := tensor.FromF16(tensor.ToF16(s))
		if math.IsInf(float64(half), 0) {
			return fmt.Errorf("quantize: row %d needs a scale of %g; the format holds at most 65504", i/w.Groups, s)
		}
		w.Scales[i] = half
	}
	return nil
}

// encode returns the tensors of a module as AutoGPTQ's format, version 1, holds them: qweight packed along the input features,
// qzeros less one and packed along the outputs, scales and bias in float16, g_idx. AutoGPTQ gives every module a bias.
func (w *Weights) encode(m model.Stored, bits int, bias []float32) []tensor.View {
	row := func(n int) int { // of w, for stored row n
		if m.Rows != nil {
			return int(m.Rows[n])
		}
		return n
	}
	qweight := make([]byte, 4*w.In/packed*bits*w.Out)
	product.Parallel(w.In/packed, func(block int) {
		var values [packed]uint8
		var words [8]uint32
		for n := range w.Out {
			copy(values[:], w.Codes[row(n)*w.In+block*packed:])
			pack(&words, &values, bits)
			for i, word := range words[:bits] {
				binary.LittleEndian.PutUint32(qweight[4*((block*bits+i)*w.Out+n):], word)
			}
		}
	})
	var qzeros, scales, gIdx, biases []byte
	for g := range w.Groups {
		for at := 0; at < w.Out; at += packed {
			var values [packed]uint8
			var words [8]uint32
			for i := range values {
				values[i] = w.Zeros[row(at+i)*w.Groups+g] - 1
			}
			pack(&words, &values, bits)
			for _, word := range words[:bits] {
				qzeros = binary.LittleEndian.AppendUint32(qzeros, word)
			}
		}
		for n := range w.Out {
			scales = binary.LittleEndian.AppendUint16(scales, tensor.ToF16(w.Scales[row(n)*w.Groups+g]))
		}
	}
	for _, g := range w.GIdx {
		gIdx = binary.LittleEndian.AppendUint32(gIdx, uint32(g))
	}
	for n := range w.Out {
		var b float32
		if bias != nil {
			b = bias[row(n)]
		}
		biases = binary.LittleEndian.AppendUint16(biases, tensor.ToF16(b))
	}
	return []tensor.View{
		{Name: m.Module + ".qweight", DType: tensor.I32, Shape: []int{w.In / packed * bits, w.Out}, Data: qweight},
		{Name: m.Module + ".qzeros", DType: tensor.I32, Shape: []int{w.Groups, w.Out / packed * bits}, Data: qzeros},
		{Name: m.Module + ".scales", DType: tensor.F16, Shape: []int{w.Groups, w.Out}, Data: scales},
		{Name: m.Module + ".g_idx", DType: tensor.I32, Shape: []int{w.In}, Data: gIdx},
		{Name: m.Module + ".bias", DType: tensor.F16, Shape: []int{w.Out}, Data: biases},
	}
}

// pack writes 32 values as one little-endian stream of bits·32 bits.
func pack(words *[8]uint32, values *[packed]uint8, bits int) {
	var stream uint64
	filled, at := 0, 0
	for _, v := range values {
		stream |= uint64(v&(1<<bits-1)) << filled
		if filled += bits; filled >= 32 {
			words[at] = uint32(stream)
			at++
			stream >>= 32
			filled -= 32
		}
	}
}

// half returns a float16 tensor of v; it refuses values beyond that type.
func half(name string, shape []int, v []float32) (tensor.View, error) {
	data := make([]byte, 2*len(v))
	for i, x := range v {
		h := tensor.ToF16(x)
		if h&0x7c00 == 0x7c00 {
			return tensor.View{}, fmt.Errorf("quantize: tensor %q: value %d is %g; GPTQ checkpoints hold float16, at most 65504", name, i, x)
		}
		binary.LittleEndian.PutUint16(data[2*i:], h)
	}
	return tensor.View{Name: name, DType: tensor.F16, Shape: shape, Data: data}, nil
}

// halfNorms returns the tensors of a norm.
func halfNorms(module string, n model.Norm) ([]tensor.View, error) {
	if n.Weight == nil {
		return nil, nil
	}
	v, err := half(module+".weight", []int{len(n.Weight)}, n.Weight)
	if err != nil || n.Bias == nil {
		return []tensor.View{v}, err
	}
	b, err := half(module+".bias", []int{len(n.Bias)}, n.Bias)
	return []tensor.View{v, b}, err
}
