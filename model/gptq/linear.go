package gptq

import (
	"encoding/binary"
	"errors"
	"fmt"

	"peregrine/model/quant"
	"peregrine/model/safetensors"
	"peregrine/model/tensor"
)

// pack is the features that packers take together: both sides of a matrix are multiples of it.
const pack = 32

// Linear returns the quantised matrix of the module prefix, [Out, In], and its bias, [Out], nil if it has none. The matrix is
// a view of f and ends with it; g_idx is copied, and dropped where it only says k / group size. Shapes, types and g_idx are
// checked against c, which must not be nil.
func Linear(f *safetensors.File, prefix string, c *Config) (*quant.Matrix, []float32, error) {
	m, err := matrix(f, prefix, c)
	if err != nil {
		return nil, nil, err
	}
	bias, err := readBias(f, prefix, m.Out)
	if err != nil {
		return nil, nil, err
	}
	return m, bias, nil
}

// linear holds the tensors of one module while they are checked.
type linear struct {
	file                    *safetensors.File
	prefix                  string
	config                  *Config
	qweight, qzeros, scales tensor.View
	in, out, groups         int
}

func matrix(f *safetensors.File, prefix string, c *Config) (*quant.Matrix, error) {
	l := &linear{file: f, prefix: prefix, config: c}
	if err := errors.Join(l.fetch("qweight", &l.qweight, tensor.I32), l.fetch("qzeros", &l.qzeros, tensor.I32),
		l.fetch("scales", &l.scales, tensor.F16, tensor.BF16, tensor.F32)); err != nil {
		return nil, oneLine(err)
	}
	if err := l.shapes(); err != nil {
		return nil, err
	}
	groupSize, gIdx, err := l.grouping()
	if err != nil {
		return nil, err
	}
	zeros, err := l.zeroRule()
	if err != nil {
		return nil, err
	}
	m := &quant.Matrix{Name: prefix, Format: quant.GPTQFormat, Out: l.out, In: l.in, GPTQ: &quant.GPTQ{
		Bits: c.Bits, GroupSize: groupSize, Groups: l.groups, Stored: l.out,
		QWeight: l.qweight.Data, QZeros: l.qzeros.Data, Scales: l.scales, GIdx: gIdx, Zeros: zeros,
	}}
	return m, m.Validate()
}

// errorf is an error about one of the module's tensors, with the file that holds it.
func (l *linear) errorf(suffix, format string, args ...any) error {
	name := l.prefix + "." + suffix
	file := l.file.Shard(name)
	if file == "" {
		file = l.file.Path()
	}
	return fmt.Errorf("gptq: %s: tensor %q: "+format, append([]any{file, name}, args...)...)
}

// fetch sets v to the module's matrix with the given suffix, which must have one of the types.
func (l *linear) fetch(suffix string, v *tensor.View, types ...tensor.DType) error {
	var ok bool
	if *v, ok = l.file.Tensor(l.prefix + "." + suffix); !ok {
		return l.errorf(suffix, "is missing; is this %s checkpoint complete?", l.config)
	}
	if len(v.Shape) != 2 || v.Elements() == 0 {
		return l.errorf(suffix, "has shape %v; need two dimensions that are not empty", v.Shape)
	}
	for _, t := range types {
		if v.DType == t {
			return nil
		}
	}
	return l.errorf(suffix, "is of type %v; need one of %v", v.DType, types)
}

// shapes checks the three matrices against one another and sets in, out and groups.
func (l *linear) shapes() error {
	bits := l.config.Bits
	rows, out := l.qweight.Shape[0], l.qweight.Shape[1]
	groups := l.scales.Shape[0]
	if l.scales.Shape[1] != out {
		if l.scales.Shape[1] == out*pack/bits {
			return l.errorf("qweight", "has shape %v for %d outputs: it is packed along the outputs, as AWQ does; %s",
				l.qweight.Shape, l.scales.Shape[1], readable)
		}
		return l.errorf("scales", "has shape %v; need [groups, %d] beside a qweight of %v", l.scales.Shape, out, l.qweight.Shape)
	}
	if rows%bits != 0 {
		return l.errorf("qweight", "has %d rows, which are not whole blocks of %d at %d bits (%s says the bits)",
			rows, bits, bits, l.config.Source)
	}
	if out%pack != 0 {
		return l.errorf("qweight", "has %d columns; need a multiple of %d", out, pack)
	}
	if want := out / pack * bits; l.qzeros.Shape[0] != groups || l.qzeros.Shape[1] != want {
		return l.errorf("qzeros", "has shape %v; need [%d, %d] for %d groups and %d outputs at %d bits (%s says the bits)",
			l.qzeros.Shape, groups, want, groups, out, bits, l.config.Source)
	}
	l.in, l.out, l.groups = rows/bits*pack, out, groups
	return nil
}

// grouping returns the group size, and the group of each input feature unless that is k / group size.
func (l *linear) grouping() (size int, gIdx []int32, err error) {
	gIdx, err = l.gIdx()
	if err != nil {
		return 0, nil, err
	}
	switch c := l.config; {
	case c.GroupSize < 0:
		size = l.in
	case c.GroupSize > 0:
		size = min(c.GroupSize, l.in)
	default:
		if size = groupSize(l.in, l.groups, gIdx); size == 0 {
			return 0, nil, l.errorf("scales", "has %d groups for %d inputs, which tells no group size; %s must say group_size",
				l.groups, l.in, c.Source)
		}
	}
	if want := (l.in + size - 1) / size; l.groups != want {
		return 0, nil, l.errorf("scales", "has %d groups; need %d for %d inputs in groups of %d (%s says group_size %d)",
			l.groups, want, l.in, size, l.config.Source, l.config.GroupSize)
	}
	if gIdx == nil && l.groups > 1 && l.config.DescAct && !l.config.StaticGroups {
		return 0, nil, l.errorf("g_idx", "is missing, but %s says desc_act: without it nobody knows the groups; use a complete copy",
			l.config.Source)
	}
	for k, g := range gIdx {
		if int(g) != k/size {
			return size, gIdx, nil
		}
	}
	return size, nil, nil
}

// gIdx returns the module's g_idx, checked, nil if it has none.
func (l *linear) gIdx() ([]int32, error) {
	v, ok := l.file.Tensor(l.prefix + ".g_idx")
	if !ok {
		return nil, nil
	}
	if v.DType != tensor.I32 || len(v.Shape) != 1 || v.Shape[0] != l.in {
		return nil, l.errorf("g_idx", "is %v %v; need I32 [%d], one group for each input (%s says %d bits)",
			v.DType, v.Shape, l.in, l.config.Source, l.config.Bits)
	}
	gIdx := make([]int32, l.in)
	for k := range gIdx {
		gIdx[k] = int32(binary.LittleEndian.Uint32(v.Data[4*k:]))
		if gIdx[k] < 0 || int(gIdx[k]) >= l.groups {
			return nil, l.errorf("g_idx", "entry %d is %d; need 0 to %d; the file is damaged", k, gIdx[k], l.groups-1)
		}
	}
	return gIdx, nil
}

// groupSize finds the group size from a matrix alone, 0 when it cannot be told. Every group but a last short one has as many
// inputs as g_idx gives the largest; without g_idx sizes are powers of two in practice, and at most one of them fits.
func groupSize(in, groups int, gIdx []int32) int {
	if groups == 1 {
		return in
	}
	if gIdx != nil {
		count := make([]int, groups)
		size := 0
		for _, g := range gIdx {
			count[g]++
			size = max(size, count[g])
		}
		return size
	}
	for size := 1; size < in; size *= 2 {
		if (in+size-1)/size == groups {
			return size
		}
	}
	if in%groups == 0 {
		return in / groups
	}
	return 0
}

// symmetric holds the words of qzeros when every zero point is 2^(bits−1), by column modulo the words of 32 zero points.
type symmetric map[int][]uint32

// What each tool stores for symmetric files. GPTQModel's own 3-bit words come from subtracting whole words.
var (
	symmetricV1 = symmetric{
		2: {0x55555555}, 3: {0xDB6DB6DB, 0xB6DB6DB6, 0x6DB6DB6D}, 4: {0x77777777}, 8: {0x7F7F7F7F},
	}
	symmetricV2 = symmetric{
		2: {0xAAAAAAAA}, 3: {0x24924924, 0x49249249, 0x92492492}, 4: {0x88888888}, 8: {0x80808080},
	}
	symmetricGPTQModel = symmetric{3: {0x00000000, 0xB6DB6DB7, 0x49249249}}
)

// zeroRule returns how the zero points are stored. The configuration says it, except for GPTQModel's 3-bit files, which it
// may not name: symmetric ones are recognised by their words. Symmetric words of the other version are refused.
func (l *linear) zeroRule() (quant.ZeroRule, error) {
	c := l.config
	if c.Sym {
		wrong, right := "", ""
		switch {
		case l.hasWords(symmetricGPTQModel):
			if c.Format == FormatV1 {
				return quant.ZeroWholeWords, nil
			}
			wrong, right = "GPTQModel's format gptq", FormatV1
		case c.Format == FormatV1 && l.hasWords(symmetricV2):
			wrong, right = FormatV2, FormatV2
		case c.Format == FormatV2 && l.hasWords(symmetricV1):
			wrong, right = FormatV1, FormatV1
		case c.Bits == 3 && l.hasWords(symmetricV1):
			return quant.ZeroMinusOne, nil // whoever packed it, these words are minus one in every field
		}
		if wrong != "" {
			return 0, l.errorf("qzeros", "holds the symmetric zero points of %s, but %s says format %s; set checkpoint_format to %s there",
				wrong, c.Source, c.Format, right)
		}
	}
	switch {
	case c.Format == FormatV2:
		return quant.ZeroAsStored, nil
	case c.byGPTQModel():
		return quant.ZeroWholeWords, nil
	default:
		return quant.ZeroMinusOne, nil
	}
}

// hasWords reports whether all of qzeros are the words that s has for the bits.
func (l *linear) hasWords(s symmetric) bool {
	words := s[l.config.Bits]
	if words == nil {
		return false
	}
	// Rows are whole blocks of the words, so that the pattern runs on from one row to the next.
	for i := 0; 4*i < len(l.qzeros.Data); i++ {
		if binary.LittleEndian.Uint32(l.qzeros.Data[4*i:]) != words[i%len(words)] {
			return false
		}
	}
	return true
}

// readBias returns the module's bias, nil if it has none. AutoGPTQ writes zeros for models without biases.
func readBias(f *safetensors.File, prefix string, out int) ([]float32, error) {
	l := &linear{file: f, prefix: prefix}
	v, ok := f.Tensor(prefix + ".bias")
	if !ok {
		return nil, nil
	}
	if len(v.Shape) != 1 || v.Shape[0] != out {
		return nil, l.errorf("bias", "has shape %v; need [%d]", v.Shape, out)
	}
	bias, err := v.Float32(nil)
	if err != nil {
		return nil, fmt.Errorf("gptq: %s: %w", f.Shard(v.Name), err)
	}
	return bias, nil
}
