package gptq

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"peregrine/model/quant"
	"peregrine/model/safetensors"
	"peregrine/model/tensor"
)

// parts are the tensors of the module "m" by suffix, for a test to change.
type parts map[string]tensor.View

func i32s(shape []int, value func(i int) uint32) tensor.View {
	v := tensor.View{DType: tensor.I32, Shape: shape}
	for i := range v.Elements() {
		v.Data = binary.LittleEndian.AppendUint32(v.Data, value(i))
	}
	return v
}

func floats(d tensor.DType, shape ...int) tensor.View {
	v := tensor.View{DType: d, Shape: shape}
	for i := range v.Elements() {
		f := float32(i%7) + 0.5
		switch d {
		case tensor.F16:
			v.Data = binary.LittleEndian.AppendUint16(v.Data, tensor.ToF16(f))
		case tensor.BF16:
			v.Data = binary.LittleEndian.AppendUint16(v.Data, tensor.ToBF16(f))
		default:
			v.Data = binary.LittleEndian.AppendUint32(v.Data, math.Float32bits(f))
		}
	}
	return v
}

// module makes a symmetric module with 64 inputs and 32 outputs in groups of 32, contiguous.
func module(bits int) parts {
	words := symmetricV1[bits]
	return parts{
		"qweight": i32s([]int{64 / 32 * bits, 32}, func(i int) uint32 { return uint32(i) * 2654435761 }),
		"qzeros":  i32s([]int{2, bits}, func(i int) uint32 { return words[i%len(words)] }),
		"scales":  floats(tensor.F16, 2, 32),
		"g_idx":   i32s([]int{64}, func(i int) uint32 { return uint32(i / 32) }),
		"bias":    floats(tensor.BF16, 32),
	}
}

func (p parts) file(t testing.TB) *safetensors.File {
	t.Helper()
	return p.fileWith(t, nil)
}

func (p parts) fileWith(t testing.TB, metadata map[string]string) *safetensors.File {
	t.Helper()
	f, err := safetensors.Parse("x.safetensors", p.encode(t, metadata))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// encode returns the file's bytes. A suffix with a leading dot is a whole name.
func (p parts) encode(t testing.TB, metadata map[string]string) []byte {
	t.Helper()
	var tensors []tensor.View
	for suffix, v := range p {
		if v.DType == tensor.Invalid {
			continue // taken out
		}
		v.Name = "m." + suffix
		if name, ok := strings.CutPrefix(suffix, "."); ok {
			v.Name = name
		}
		tensors = append(tensors, v)
	}
	path := filepath.Join(t.TempDir(), "x.safetensors")
	if err := safetensors.Write(path, tensors, metadata); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func grouped(bits int) *Config {
	return &Config{Bits: bits, GroupSize: 32, Sym: true, Format: FormatV1, Source: "config.json"}
}

func TestLinearReadsMatrixAndBias(t *testing.T) {
	m, bias, err := Linear(module(4).file(t), "m", grouped(4))
	if err != nil {
		t.Fatal(err)
	}
	g := m.GPTQ
	if m.Name != "m" || m.Out != 32 || m.In != 64 || g.Bits != 4 || g.GroupSize != 32 || g.Groups != 2 || g.Stored != 32 {
		t.Errorf("got %q [%d, %d] %+v", m.Name, m.Out, m.In, g)
	}
	if g.GIdx != nil {
		t.Error("g_idx that says k / 32 was kept")
	}
	if len(bias) != 32 || bias[1] != 1.5 {
		t.Errorf("bias: got %v", bias)
	}
}

func TestLinearWithoutOptionalTensors(t *testing.T) {
	p := module(4)
	delete(p, "g_idx")
	delete(p, "bias")
	m, bias, err := Linear(p.file(t), "m", grouped(4))
	if err != nil {
		t.Fatal(err)
	}
	if bias != nil || m.GPTQ.GIdx != nil || m.GPTQ.Group(40) != 1 {
		t.Errorf("got bias %v, g_idx %v, group of 40 %d", bias, m.GPTQ.GIdx, m.GPTQ.Group(40))
	}
}

func TestLinearKeepsScatteredGroups(t *testing.T) {
	p := module(4)
	p["g_idx"] = i32s([]int{64}, func(i int) uint32 { return uint32(i % 2) })
	m, _, err := Linear(p.file(t), "m", grouped(4))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(m.GPTQ.GIdx[:4], []int32{0, 1, 0, 1}) {
		t.Errorf("got %v", m.GPTQ.GIdx[:4])
	}
}

func TestLinearShortLastGroup(t *testing.T) {
	p := module(4)
	c := grouped(4)
	c.GroupSize = 40
	p["g_idx"] = i32s([]int{64}, func(i int) uint32 { return uint32(i / 40) })
	m, _, err := Linear(p.file(t), "m", c)
	if err != nil {
		t.Fatal(err)
	}
	if m.GPTQ.GIdx != nil || m.GPTQ.Group(39) != 0 || m.GPTQ.Group(40) != 1 {
		t.Errorf("got g_idx %v, groups %d and %d of 39 and 40", m.GPTQ.GIdx, m.GPTQ.Group(39), m.GPTQ.Group(40))
	}
}

func TestLinearOneGroup(t *testing.T) {
	for _, groupSize := range []int{-1, 64, 128, 0} {
		p := module(4)
		p["scales"], p["qzeros"] = floats(tensor.F32, 1, 32), i32s([]int{1, 4}, func(int) uint32 { return 0x77777777 })
		p["g_idx"] = i32s([]int{64}, func(int) uint32 { return 0 })
		c := grouped(4)
		c.GroupSize, c.DescAct = groupSize, true // the original file: act-order without groups needs no permutation
		m, _, err := Linear(p.file(t), "m", c)
		if err != nil {
			t.Fatal(err)
		}
		if m.GPTQ.GroupSize != 64 || m.GPTQ.Groups != 1 || m.GPTQ.GIdx != nil {
			t.Errorf("group size %d: got %+v", groupSize, m.GPTQ)
		}
	}
}

func TestLinearFindsTheGroupSizeItself(t *testing.T) {
	for in, cases := range map[int]map[int]int{ // inputs → groups → size
		64:  {1: 64, 2: 32, 4: 16},
		160: {3: 64, 5: 32, 2: 128},
		192: {2: 128, 3: 64},
		96:  {6: 16, 32: 3},
	} {
		for groups, want := range cases {
			if got := groupSize(in, groups, nil); got != want {
				t.Errorf("%d inputs in %d groups: got %d, want %d", in, groups, got, want)
			}
		}
	}
	if got := groupSize(10, 4, []int32{1, 0, 2, 0, 1, 0, 1, 2, 2, 3}); got != 3 {
		t.Errorf("from g_idx: got %d, want 3", got)
	}
	if got := groupSize(64, 7, nil); got != 0 {
		t.Errorf("64 inputs in 7 groups: got %d, want none", got)
	}
}

// Symmetric files show by their words how zero points are stored; whatever the way, the zero point must come out as 2^(b−1).
func TestSymmetricZeroPointsOfEveryPacker(t *testing.T) {
	for _, bits := range []int{2, 3, 4, 8} {
		for name, c := range map[string]struct {
			words     symmetric
			format    string
			quantizer string
		}{
			"AutoGPTQ v1":                 {symmetricV1, FormatV1, ""},
			"AutoGPTQ v1 named gptqmodel": {symmetricV1, FormatV1, "gptqmodel:2.2.0"},
			"v2":                          {symmetricV2, FormatV2, ""},
			"v2 by GPTQModel":             {symmetricV2, FormatV2, "gptqmodel:2.2.0"},
			"GPTQModel v1":                {symmetricGPTQModel, FormatV1, "gptqmodel:2.2.0"},
			"GPTQModel v1 without a name": {symmetricGPTQModel, FormatV1, ""},
		} {
			words := c.words[bits]
			if words == nil {
				continue // at 2, 4 and 8 bits GPTQModel's words are v1's
			}
			t.Run(fmt.Sprintf("%d bits %s", bits, name), func(t *testing.T) {
				p := module(bits)
				p["qzeros"] = i32s([]int{2, bits}, func(i int) uint32 { return words[i%len(words)] })
				config := grouped(bits)
				config.Format, config.Quantizer = c.format, []string{c.quantizer}
				m, _, err := Linear(p.file(t), "m", config)
				if err != nil {
					t.Fatal(err)
				}
				for group := range 2 {
					for n := range 32 {
						if got := m.GPTQ.Zero(group, n); got != 1<<(bits-1) {
							t.Fatalf("zero point [%d, %d]: got %d, want %d", group, n, got, 1<<(bits-1))
						}
					}
				}
			})
		}
	}
}

func TestLinearReportsAFormatThatTheZeroPointsContradict(t *testing.T) {
	for _, c := range []struct {
		bits   int
		words  symmetric
		format string
		want   string
	}{
		{4, symmetricV2, FormatV1, "holds the symmetric zero points of gptq_v2, but config.json says format gptq; set checkpoint_format to gptq_v2 there"},
		{4, symmetricV1, FormatV2, "holds the symmetric zero points of gptq, but config.json says format gptq_v2; set checkpoint_format to gptq there"},
		{3, symmetricV2, FormatV1, "zero points of gptq_v2, but"},
		{3, symmetricV1, FormatV2, "zero points of gptq, but"},
		{3, symmetricGPTQModel, FormatV2, "zero points of GPTQModel's format gptq, but config.json says format gptq_v2; set checkpoint_format to gptq there"},
	} {
		p := module(c.bits)
		words := c.words[c.bits]
		p["qzeros"] = i32s([]int{2, c.bits}, func(i int) uint32 { return words[i%len(words)] })
		config := grouped(c.bits)
		config.Format = c.format
		_, _, err := Linear(p.file(t), "m", config)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), `x.safetensors: tensor "m.qzeros"`) {
			t.Errorf("got %v, want an error with %q", err, c.want)
		}
		config.Sym = false // then the words prove nothing
		if _, _, err := Linear(p.file(t), "m", config); err != nil {
			t.Errorf("asymmetric: %v", err)
		}
	}
}

func TestZeroRuleOfAsymmetricFiles(t *testing.T) {
	for _, c := range []struct {
		format, quantizer string
		want              quant.ZeroRule
	}{
		{FormatV1, "", quant.ZeroMinusOne},
		{FormatV1, "auto_gptq:0.7.1", quant.ZeroMinusOne},
		{FormatV1, "gptqmodel:2.2.0", quant.ZeroWholeWords},
		{FormatV2, "gptqmodel:2.2.0", quant.ZeroAsStored},
		{FormatV2, "", quant.ZeroAsStored},
	} {
		config := grouped(4)
		config.Sym, config.Format, config.Quantizer = false, c.format, []string{c.quantizer}
		m, _, err := Linear(module(4).file(t), "m", config)
		if err != nil {
			t.Fatal(err)
		}
		if m.GPTQ.Zeros != c.want {
			t.Errorf("%s by %q: got rule %d, want %d", c.format, c.quantizer, m.GPTQ.Zeros, c.want)
		}
	}
}

func TestLinearRefusesBadTensors(t *testing.T) {
	zero := func(int) uint32 { return 0x77777777 }
	none := tensor.View{}
	for name, c := range map[string]struct {
		suffix string
		v      tensor.View
		want   string
	}{
		"no qweight":        {"qweight", none, `tensor "m.qweight": is missing; is this GPTQ 4 bit, group 32 checkpoint complete?`},
		"no qzeros":         {"qzeros", none, `tensor "m.qzeros": is missing`},
		"no scales":         {"scales", none, `tensor "m.scales": is missing`},
		"qweight of floats": {"qweight", floats(tensor.F32, 8, 32), `tensor "m.qweight": is of type F32; need one of [I32]`},
		"scales of I32":     {"scales", i32s([]int{2, 32}, zero), `tensor "m.scales": is of type I32; need one of [F16 BF16 F32]`},
		"flat qweight":      {"qweight", i32s([]int{256}, zero), `tensor "m.qweight": has shape [256]; need two dimensions`},
		"empty qweight":     {"qweight", i32s([]int{0, 32}, zero), `tensor "m.qweight": has shape [0 32]; need two dimensions that are not empty`},
		"empty scales":      {"scales", floats(tensor.F16, 0, 32), "that are not empty"},
		"half a block of rows": {
			"qweight", i32s([]int{6, 32}, zero), `tensor "m.qweight": has 6 rows, which are not whole blocks of 4 at 4 bits (config.json says the bits)`,
		},
		"AWQ": {"scales", floats(tensor.F16, 2, 256), "it is packed along the outputs, as AWQ does; this program reads GPTQ"},
		"scales of other outputs": {
			"scales", floats(tensor.F16, 2, 64), `tensor "m.scales": has shape [2 64]; need [groups, 32] beside a qweight of [8 32]`,
		},
		"qzeros of another group":  {"qzeros", i32s([]int{1, 4}, zero), `tensor "m.qzeros": has shape [1 4]; need [2, 4] for 2 groups and 32 outputs at 4 bits`},
		"qzeros of another width":  {"qzeros", i32s([]int{2, 8}, zero), "has shape [2 8]; need [2, 4]"},
		"more groups than inputs":  {"qweight", i32s([]int{4, 32}, zero), `tensor "m.scales": has 2 groups; need 1 for 32 inputs in groups of 32 (config.json says group_size 32)`},
		"short g_idx":              {"g_idx", i32s([]int{32}, zero), `tensor "m.g_idx": is I32 [32]; need I32 [64], one group for each input`},
		"g_idx of floats":          {"g_idx", floats(tensor.F32, 64), "is F32 [64]; need I32 [64]"},
		"g_idx with two axes":      {"g_idx", i32s([]int{8, 8}, zero), "is I32 [8 8]; need I32 [64]"},
		"g_idx too large":          {"g_idx", i32s([]int{64}, func(i int) uint32 { return uint32(i / 31) }), `tensor "m.g_idx": entry 62 is 2; need 0 to 1; the file is damaged`},
		"g_idx negative":           {"g_idx", i32s([]int{64}, func(int) uint32 { return math.MaxUint32 }), "entry 0 is -1; need 0 to 1"},
		"bias of other outputs":    {"bias", floats(tensor.F16, 64), `tensor "m.bias": has shape [64]; need [32]`},
		"bias with two dimensions": {"bias", floats(tensor.F16, 1, 32), "has shape [1 32]; need [32]"},
		"bias of I32":              {"bias", i32s([]int{32}, zero), "type I32 cannot be read as floats"},
	} {
		t.Run(name, func(t *testing.T) {
			p := module(4)
			p[c.suffix] = c.v
			if name == "more groups than inputs" {
				p["g_idx"] = i32s([]int{32}, func(int) uint32 { return 0 })
			}
			_, _, err := Linear(p.file(t), "m", grouped(4))
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "gptq: x.safetensors: ") || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want one line with the file and %s", err, c.want)
			}
		})
	}
}

func TestLinearRefusesOutputsThatDoNotPack(t *testing.T) {
	p := parts{
		"qweight": i32s([]int{8, 40}, func(int) uint32 { return 0 }),
		"qzeros":  i32s([]int{2, 5}, func(int) uint32 { return 0 }),
		"scales":  floats(tensor.F16, 2, 40),
	}
	if _, _, err := Linear(p.file(t), "m", grouped(4)); err == nil || !strings.Contains(err.Error(), "has 40 columns; need a multiple of 32") {
		t.Errorf("got %v", err)
	}
}

func TestLinearRefusesActOrderWithoutGIdx(t *testing.T) {
	p := module(4)
	delete(p, "g_idx")
	c := grouped(4)
	c.DescAct = true
	want := `tensor "m.g_idx": is missing, but config.json says desc_act`
	if _, _, err := Linear(p.file(t), "m", c); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want an error with %s", err, want)
	}
	c.StaticGroups = true // then groups are contiguous all the same
	if _, _, err := Linear(p.file(t), "m", c); err != nil {
		t.Errorf("static groups: %v", err)
	}
}

func TestLinearWithTheWrongBits(t *testing.T) {
	for _, bits := range []int{2, 3, 8} {
		if _, _, err := Linear(module(4).file(t), "m", grouped(bits)); err == nil || !strings.Contains(err.Error(), "config.json says") {
			t.Errorf("4-bit tensors read as %d bits: got %v, want an error that names config.json", bits, err)
		}
	}
}
