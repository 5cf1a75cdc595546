// Package gptq knows how a GPTQ checkpoint says what it is: which file configures it, which file holds the weights, and how
// the tensors qweight, qzeros, scales and g_idx of one linear become a [quant.Matrix].
//
// Many tools write GPTQ and each says it in its own words, so the package reads all of their words and then trusts the
// tensors: every shape is checked against the configuration, and where the symmetric zero points show that the configuration
// names the wrong variant, Linear says so instead of computing wrong weights. Other methods (AWQ, Marlin, EXL2 …) are refused
// by name. What the codes mean is left to package quant.
package gptq

import (
	"errors"
	"fmt"
	"strings"
)

// Formats of the zero points.
const (
	FormatV1 = "gptq"    // stored less one
	FormatV2 = "gptq_v2" // stored as they are
)

// Config is what a checkpoint says of its quantisation, every synonym resolved and every default applied.
type Config struct {
	Bits              int    // 2, 3, 4 or 8
	GroupSize         int    // input features per group; −1: one group; 0: not said, read from the shapes
	DescAct           bool   // act-order: g_idx scatters the groups
	Sym               bool   // every zero point is 2^(Bits−1); true when not said
	StaticGroups      bool   // groups are contiguous although DescAct is set
	Format            string // FormatV1 or FormatV2
	Quantizer         []string
	ModelFileBaseName string // name of the weights without ".safetensors"; "" when not said
	LMHead            bool   // the head is quantised too
	Guessed           bool   // nothing says how asymmetric zero points are stored; Format is the likely one
	Source            string // which file said it, for errors
}

// String describes the quantisation in a few words, such as "GPTQ 4 bit, no group, act-order".
func (c *Config) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "GPTQ %d bit", c.Bits)
	switch {
	case c.GroupSize < 0:
		b.WriteString(", no group")
	case c.GroupSize > 0:
		fmt.Fprintf(&b, ", group %d", c.GroupSize)
	}
	if c.DescAct {
		b.WriteString(", act-order")
	}
	if !c.Sym {
		b.WriteString(", asymmetric")
	}
	if c.Format == FormatV2 {
		b.WriteString(", v2")
	}
	return b.String()
}

// Warnings returns what a user should know before trusting the weights; often nothing.
func (c *Config) Warnings() []string {
	if c.Guessed {
		return []string{"asymmetric GPTQ without a configuration: nothing says how the zero points are stored, so they are read as " +
			"format gptq, less one each; if answers are poor, copy the model's quantize_config.json beside the weights"}
	}
	if c.Format == FormatV1 && !c.Sym && !c.byGPTQModel() {
		return []string{"asymmetric GPTQ in format gptq: a zero point of 0 is stored as -1, and AutoGPTQ's packer then damages " +
			"the zero points beside it; if answers are poor, use a gptq_v2 or symmetric copy of the model"}
	}
	return nil
}

// byGPTQModel reports whether GPTQModel packed the file, which subtracts from whole words of zero points.
func (c *Config) byGPTQModel() bool {
	for _, q := range c.Quantizer {
		if strings.HasPrefix(strings.ToLower(q), "gptqmodel") {
			return true
		}
	}
	return false
}

// readable is what errors say that this program can use instead.
const readable = "this program reads GPTQ in formats gptq and gptq_v2, dense safetensors and GGUF; use such a copy of the model"

// unsupported refuses a method, format or other choice by its name.
func unsupported(what, name string) error {
	return fmt.Errorf("%s %q is not supported; %s", what, name, readable)
}

// check validates and normalises a Config whose fields are as they were read.
func (c *Config) check() error {
	switch c.Bits {
	case 2, 3, 4, 8:
	case 0:
		return errors.New("bits is missing; need 2, 3, 4 or 8 there, or a complete copy of the model")
	default:
		return fmt.Errorf("bits is %d; need 2, 3, 4 or 8", c.Bits)
	}
	if c.GroupSize < -1 {
		return fmt.Errorf("group_size is %d; need -1 for no groups, or a positive size", c.GroupSize)
	}
	switch format := strings.ToLower(c.Format); format {
	case "", FormatV1:
		c.Format = FormatV1
	case FormatV2:
		c.Format = format
	case "gemm", "gemv", "gemv_fast":
		return unsupported("AWQ format", c.Format)
	default:
		return unsupported("format", c.Format)
	}
	return nil
}
