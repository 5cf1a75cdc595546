package synthetic

import (
	"fmt"
	"strings"

	"peregrine/model/quant"
)

// Options say how a model's weights are stored. The zero value is GPTQ at 4 bits without groups, embedding and head F16, as
// falcon-40b-instruct-GPTQ.
type Options struct {
	Format    quant.Format // of the linear layers; 0: GPTQFormat
	Bits      int          // GPTQ: 2, 3, 4 or 8; 0: 4
	GroupSize int          // GPTQ: input features of a group; 0 or −1: one group
	ActOrder  bool         // GPTQ: desc_act, which scatters the groups
	Embedding quant.Format // of embedding and head, not GPTQFormat; 0: Format where that is dense, else F16
	Layers    int          // 0: all
	Seed      uint64
}

// formats are the names that users and ParseFormat know.
var formats = map[string]quant.Format{
	"gptq": quant.GPTQFormat, "f16": quant.F16, "bf16": quant.BF16, "f32": quant.F32,
	"q4_0": quant.Q4_0, "q4_1": quant.Q4_1, "q5_0": quant.Q5_0, "q5_1": quant.Q5_1, "q8_0": quant.Q8_0,
	"q2_k": quant.Q2_K, "q3_k": quant.Q3_K, "q4_k": quant.Q4_K, "q5_k": quant.Q5_K, "q6_k": quant.Q6_K,
}

const formatList = "gptq, f16, bf16, f32, q4_0, q4_1, q5_0, q5_1, q8_0, q2_k to q6_k"

// ParseFormat returns the format of that name, such as "gptq" or "q4_0".
func ParseFormat(name string) (quant.Format, error) {
	if f, ok := formats[strings.ToLower(name)]; ok {
		return f, nil
	}
	return quant.InvalidFormat, fmt.Errorf("synthetic: no format is called %q; there are %s", name, formatList)
}

// Validate reports the first value that shape s cannot have.
func (o Options) Validate(s Shape) error {
	_, _, err := o.resolve(s)
	return err
}

// resolve returns shape and options with every default applied, or the first value that cannot be.
func (o Options) resolve(s Shape) (Shape, Options, error) {
	fail := func(format string, args ...any) (Shape, Options, error) {
		return s, o, fmt.Errorf("synthetic: "+s.Name+": "+format, args...)
	}
	if o.Format == quant.InvalidFormat {
		o.Format = quant.GPTQFormat
	}
	if o.Embedding == quant.InvalidFormat {
		o.Embedding = quant.F16
		if o.Format == quant.BF16 || o.Format == quant.F32 {
			o.Embedding = o.Format
		}
	}
	if o.Bits == 0 {
		o.Bits = 4
	}
	if o.GroupSize == 0 {
		o.GroupSize = -1
	}
	switch {
	case o.Embedding == quant.GPTQFormat:
		return fail("the embedding cannot be GPTQ; choose another of %s", formatList)
	case codeDeviation[o.Bits] == 0:
		return fail("%d bits; GPTQ has 2, 3, 4 or 8", o.Bits)
	case o.GroupSize < -1:
		return fail("group size %d; want -1 for no groups, or a positive size", o.GroupSize)
	case o.Layers < 0 || o.Layers > s.Layers:
		return fail("%d layers; the shape has %d", o.Layers, s.Layers)
	}
	if o.Layers > 0 {
		s.Layers = o.Layers
	}
	if in, block := s.unevenRow(o); block > 0 {
		return fail("rows of %d weights are not whole blocks of %d; choose a format with smaller blocks", in, block)
	}
	return s, o, nil
}

// unevenRow returns the length of a row that is not whole blocks of its format, and the weights of a block; 0, 0 without one.
func (s Shape) unevenRow(o Options) (in, block int) {
	for _, row := range []struct {
		in     int
		format quant.Format
	}{{s.Hidden, o.Embedding}, {s.Hidden, o.Format}, {s.FFN, o.Format}, {s.Heads * s.HeadDim, o.Format}} {
		if block, _ := row.format.Block(); block > 0 && row.in%block != 0 {
			return row.in, block
		}
	}
	return 0, 0
}

// vectors is the format of norms and biases.
func (o Options) vectors() quant.Format {
	switch o.Embedding {
	case quant.BF16, quant.F32:
		return o.Embedding
	default:
		return quant.F16
	}
}
