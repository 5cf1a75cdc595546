package gptq

import (
	"encoding/binary"
	"reflect"
	"strings"
	"testing"

	"peregrine/model/tensor"
)

func i64(n int64) tensor.View {
	return tensor.View{DType: tensor.I64, Shape: []int{}, Data: binary.LittleEndian.AppendUint64(nil, uint64(n))}
}

func TestInferFromScalars(t *testing.T) {
	p := module(4)
	p[".gptq_bits"], p[".gptq_groupsize"] = i64(4), i32s([]int{1}, func(int) uint32 { return 32 })
	got, err := Infer(p.file(t))
	if err != nil {
		t.Fatal(err)
	}
	want := &Config{Bits: 4, GroupSize: 32, Sym: true, Format: FormatV1, Source: "tensor gptq_bits"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestInferFromMetadata(t *testing.T) {
	got, err := Infer(module(4).fileWith(t, map[string]string{
		"gptq_bits": "4", "gptq_group_size": "32", "gptq_desc_act": "True", "gptq_damp_percent": "0.01",
		"gptq_checkpoint_format": "gptq", "gptq_quant_method": "gptq", "auto_gptq_version": "0.7.1", "gptq_is_marlin_format": "False",
	}))
	if err != nil {
		t.Fatal(err)
	}
	want := &Config{Bits: 4, GroupSize: 32, DescAct: true, Sym: true, Format: FormatV1, Source: "__metadata__"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestInferFromShapes(t *testing.T) {
	for _, bits := range []int{2, 3, 4, 8} {
		for _, gIdx := range []bool{true, false} {
			p := module(bits)
			if !gIdx {
				delete(p, "g_idx")
			}
			got, err := Infer(p.file(t))
			if err != nil {
				t.Fatal(err)
			}
			want := &Config{Bits: bits, GroupSize: 32, Sym: true, Format: FormatV1, Source: "the shapes"}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("g_idx %v: got %+v, want %+v", gIdx, got, want)
			}
		}
	}
}

func TestInferSeesVersionTwoInSymmetricZeroPoints(t *testing.T) {
	p := module(4)
	p["qzeros"] = i32s([]int{2, 4}, func(int) uint32 { return 0x88888888 })
	got, err := Infer(p.file(t))
	if err != nil || got.Format != FormatV2 {
		t.Errorf("got %+v, %v, want format gptq_v2", got, err)
	}
}

// Asymmetric zero points do not show how they are stored: without a configuration a user is warned.
func TestInferWarnsOfAsymmetricZeroPoints(t *testing.T) {
	p := module(4)
	p["qzeros"] = i32s([]int{2, 4}, func(i int) uint32 { return 0x12345678 + uint32(i) })
	for name, c := range map[string]struct {
		metadata map[string]string
		guessed  bool
	}{
		"nothing said":   {nil, true},
		"bits said":      {map[string]string{"gptq_bits": "4", "gptq_group_size": "32"}, true},
		"format is said": {map[string]string{"gptq_bits": "4", "gptq_group_size": "32", "gptq_checkpoint_format": "gptq_v2"}, false},
	} {
		got, err := Infer(p.fileWith(t, c.metadata))
		if err != nil {
			t.Fatal(err)
		}
		if got.Sym || got.Guessed != c.guessed || (len(got.Warnings()) > 0) != c.guessed {
			t.Errorf("%s: got %+v, warnings %q; want asymmetric, guessed %v", name, got, got.Warnings(), c.guessed)
		}
	}
}

func TestInferSeesActOrder(t *testing.T) {
	p := module(4)
	p["g_idx"] = i32s([]int{64}, func(i int) uint32 { return uint32(i % 2) })
	got, err := Infer(p.file(t))
	if err != nil || !got.DescAct || got.GroupSize != 32 {
		t.Errorf("got %+v, %v, want act-order in groups of 32", got, err)
	}
}

func TestInferOfDenseIsNothing(t *testing.T) {
	got, err := Infer(parts{"weight": floats(tensor.F16, 2, 2)}.file(t))
	if got != nil || err != nil {
		t.Errorf("got %v, %v, want neither", got, err)
	}
}

func TestInferRefuses(t *testing.T) {
	word := i32s([]int{2, 2}, func(int) uint32 { return 0 })
	for name, c := range map[string]struct {
		change   func(p parts)
		metadata map[string]string
		want     string
	}{
		"EXL2":               {func(p parts) { p["q_weight"] = word }, nil, `tensor "m.q_weight": quantisation "EXL2" is not supported`},
		"EXL3":               {func(p parts) { p["trellis"] = word }, nil, `"EXL3"`},
		"compressed-tensors": {func(p parts) { p["weight_packed"] = word }, nil, `"compressed-tensors"`},
		"Marlin":             {func(p parts) { p["B"], p["s"] = word, word }, nil, `tensor "m.B": format "marlin"`},
		"bitsandbytes":       {func(p parts) { p["weight.absmax"] = word }, nil, `"bitsandbytes"`},
		"AWQ by its shapes": {
			func(p parts) {
				p["qweight"], p["scales"] = i32s([]int{64, 4}, func(int) uint32 { return 0 }), floats(tensor.F16, 2, 32)
				delete(p, "g_idx")
			}, nil, "as AWQ does",
		},
		"five bits":           {func(p parts) { p["qzeros"] = i32s([]int{2, 5}, func(int) uint32 { return 0 }); delete(p, "g_idx") }, nil, "bits is 5"},
		"flat qweight":        {func(p parts) { p["qweight"] = i32s([]int{4}, func(int) uint32 { return 0 }) }, nil, `tensor "m.qweight" is missing or has shape [4]`},
		"no scales":           {func(p parts) { delete(p, "scales") }, nil, `tensor "m.scales" is missing`},
		"bits of 2^32+4":      {func(p parts) { p[".gptq_bits"] = i64(1<<32 + 4) }, nil, "bits is 1073741824"},
		"bits as floats":      {func(p parts) { p[".gptq_bits"] = floats(tensor.F32, 1) }, nil, `tensor "gptq_bits" is F32 [1]; need one I64 or I32`},
		"metadata no number":  {func(parts) {}, map[string]string{"gptq_bits": "four"}, `__metadata__ gptq_bits is "four"`},
		"metadata no boolean": {func(parts) {}, map[string]string{"gptq_bits": "4", "gptq_desc_act": "maybe"}, `gptq_desc_act is "maybe"`},
		"metadata of AWQ":     {func(parts) {}, map[string]string{"gptq_bits": "4", "gptq_quant_method": "awq"}, `quant_method "awq"`},
		"metadata of Marlin":  {func(parts) {}, map[string]string{"gptq_bits": "4", "gptq_is_marlin_format": "True"}, `format "marlin"`},
	} {
		t.Run(name, func(t *testing.T) {
			p := module(4)
			c.change(p)
			got, err := Infer(p.fileWith(t, c.metadata))
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "gptq: x.safetensors: ") {
				t.Errorf("got %+v, %v, want an error with %s", got, err, c.want)
			}
		})
	}
}
