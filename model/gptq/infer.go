package gptq

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"peregrine/model/safetensors"
	"peregrine/model/tensor"
)

// foreign are suffixes of tensor names that only other methods use.
var foreign = []struct{ suffix, method string }{
	{".q_weight", "EXL2"},
	{".trellis", "EXL3"},
	{".weight_packed", "compressed-tensors"},
	{".W_q", "HQQ"},
	{".codebooks", "AQLM"},
	{".quant_map", "bitsandbytes"},
	{".weight.absmax", "bitsandbytes"},
	{".SCB", "bitsandbytes"},
	{".weight_scale", "FP8"},
	{".weight_scale_inv", "FP8"},
}

// Infer returns the quantisation of a file that comes without a configuration, nil if it has no quantised matrix. It asks, in
// this order, the scalar tensors gptq_bits and gptq_groupsize that text-generation-inference writes, the metadata of newer
// AutoGPTQ, and the shapes. Weights of other methods are refused by name.
func Infer(f *safetensors.File) (*Config, error) {
	c, err := infer(f)
	if err != nil {
		return nil, fmt.Errorf("gptq: %s: %w", f.Path(), err)
	}
	return c, nil
}

func infer(f *safetensors.File) (*Config, error) {
	var modules []string
	for _, name := range f.Names() {
		if prefix, ok := strings.CutSuffix(name, ".qweight"); ok {
			modules = append(modules, prefix)
		}
		for _, o := range foreign {
			if strings.HasSuffix(name, o.suffix) {
				return nil, fmt.Errorf("tensor %q: %w", name, unsupported("quantisation", o.method))
			}
		}
		if prefix, ok := strings.CutSuffix(name, ".B"); ok && has(f, prefix+".s") {
			return nil, fmt.Errorf("tensor %q: %w", name, unsupported("format", "marlin"))
		}
	}
	if len(modules) == 0 {
		return nil, nil //nolint:nilnil // documented: dense
	}
	c, err := fromWords(f, modules)
	if err != nil {
		return nil, err
	}
	// Nothing says whether the zero points are symmetric, but the words of symmetric ones show it, and how they are stored.
	first := &linear{file: f, prefix: modules[0], config: c}
	if err := first.fetch("qzeros", &first.qzeros, tensor.I32); err == nil {
		switch said := f.Metadata()["gptq_checkpoint_format"] != ""; {
		case first.hasWords(symmetricV1), first.hasWords(symmetricGPTQModel):
		case !first.hasWords(symmetricV2):
			c.Sym, c.Guessed = false, !said
		case !said:
			c.Format = FormatV2
		}
	}
	return c, nil
}

// fromWords asks the scalars, the metadata and the shapes in this order.
func fromWords(f *safetensors.File, modules []string) (*Config, error) {
	switch _, metadata := f.Metadata()["gptq_bits"]; {
	case has(f, "gptq_bits"):
		return fromScalars(f)
	case metadata:
		return fromMetadata(f.Metadata())
	default:
		return fromShapes(f, modules)
	}
}

func has(f *safetensors.File, name string) bool {
	_, ok := f.Tensor(name)
	return ok
}

func fromScalars(f *safetensors.File) (*Config, error) {
	c := &Config{Sym: true, Source: "tensor gptq_bits"}
	for name, dst := range map[string]*int{"gptq_bits": &c.Bits, "gptq_groupsize": &c.GroupSize} {
		v, ok := f.Tensor(name)
		switch {
		case !ok: // gptq_groupsize alone may be missing: the shapes tell it
		case v.Elements() == 1 && v.DType == tensor.I64:
			*dst = clamp(int64(binary.LittleEndian.Uint64(v.Data)))
		case v.Elements() == 1 && v.DType == tensor.I32:
			*dst = int(int32(binary.LittleEndian.Uint32(v.Data)))
		default:
			return nil, fmt.Errorf("tensor %q is %v %v; need one I64 or I32", name, v.DType, v.Shape)
		}
	}
	return c, c.check()
}

// clamp keeps a number that is far out of any range from wrapping into one.
func clamp(n int64) int { return int(max(-1<<30, min(n, 1<<30))) }

func fromMetadata(m map[string]string) (*Config, error) {
	c := &Config{Sym: true, Source: "__metadata__", Format: m["gptq_checkpoint_format"]}
	if method := m["gptq_quant_method"]; method != "" && !strings.EqualFold(method, "gptq") {
		return nil, unsupported("quant_method", method)
	}
	for key, dst := range map[string]*int{"gptq_bits": &c.Bits, "gptq_group_size": &c.GroupSize} {
		text, ok := m[key]
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("__metadata__ %s is %q; need an integer", key, text)
		}
		*dst = int(n)
	}
	for key, dst := range map[string]*bool{"gptq_desc_act": &c.DescAct, "gptq_is_marlin_format": new(bool)} {
		text, ok := m[key]
		if !ok {
			continue
		}
		b, err := strconv.ParseBool(strings.ToLower(text)) // Python writes True
		if err != nil {
			return nil, fmt.Errorf("__metadata__ %s is %q; need true or false", key, text)
		}
		*dst = b
		if b && key == "gptq_is_marlin_format" {
			return nil, unsupported("format", "marlin")
		}
	}
	return c, c.check()
}

// fromShapes finds the bits from the first module, and the group size from the one with most groups: a matrix with few inputs
// may have one group whatever the size.
func fromShapes(f *safetensors.File, modules []string) (*Config, error) {
	c := &Config{Sym: true, Source: "the shapes"}
	most := 1
	for _, prefix := range modules {
		l := &linear{file: f, prefix: prefix, config: c}
		for suffix, v := range map[string]*tensor.View{"qweight": &l.qweight, "qzeros": &l.qzeros, "scales": &l.scales} {
			if *v, _ = f.Tensor(prefix + "." + suffix); len(v.Shape) != 2 || v.Elements() == 0 {
				return nil, fmt.Errorf("tensor %q is missing or has shape %v; need two dimensions", prefix+"."+suffix, v.Shape)
			}
		}
		if c.Bits == 0 {
			c.Bits = shapeBits(l)
			if err := c.check(); err != nil {
				return nil, fmt.Errorf("tensor %q %v: %w", prefix+".qweight", l.qweight.Shape, err)
			}
		}
		if err := l.shapes(); err != nil {
			return nil, err
		}
		gIdx, err := l.gIdx()
		if err != nil {
			return nil, err
		}
		for k, g := range gIdx {
			c.DescAct = c.DescAct || g < gIdx[max(k-1, 0)]
		}
		if l.groups > most {
			most, c.GroupSize = l.groups, groupSize(l.in, l.groups, gIdx)
		}
	}
	if most == 1 {
		c.GroupSize = -1
	}
	return c, nil
}

// shapeBits returns the bits that the shapes of one module tell: qzeros has bits words for 32 outputs, and qweight bits rows
// for 32 inputs, of which g_idx tells the number.
func shapeBits(l *linear) int {
	if v, ok := l.file.Tensor(l.prefix + ".g_idx"); ok && len(v.Shape) == 1 && v.Shape[0] > 0 {
		return int(int64(l.qweight.Shape[0]) * pack / int64(v.Shape[0]))
	}
	return int(int64(l.qzeros.Shape[1]) * pack / int64(l.scales.Shape[1]))
}
