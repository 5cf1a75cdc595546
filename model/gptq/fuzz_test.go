package gptq

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"peregrine/model/safetensors"
	"peregrine/model/tensor"
)

// FuzzReadConfig reads any text as a configuration, in config.json's place and in a file of its own. What it accepts must be
// a configuration that Linear can work with, and what it refuses must be one line without control characters.
func FuzzReadConfig(f *testing.F) {
	found, err := filepath.Glob(filepath.Join(fixtures, "gptq-*", "quantize_config.json"))
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range found {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(`{"w_bit":4,"q_group_size":128,"zero_point":true,"version":"GEMM"}`))
	f.Add([]byte(`{"BITS":8.0,"dynamic":{"-:x":{}},"pack_dtype":"int16","meta":{"quantizer":"gptqmodel:1"}}`))
	f.Add([]byte(`{"bits":4,"format":"gptq","checkpoint_format":"gptq_v2","sym":null}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := parseConfig(text)
		var raw json.RawMessage
		if json.Unmarshal(text, &raw) == nil {
			again, err2 := ReadConfig("", map[string]json.RawMessage{"quantization_config": raw})
			if (err == nil) != (err2 == nil) || (c == nil) != (again == nil) {
				t.Fatalf("alone: %v, %v; in config.json: %v, %v", c, err, again, err2)
			}
		}
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Fatalf("error %q", err)
			}
			return
		}
		if c == nil {
			return
		}
		switch c.Bits {
		case 2, 3, 4, 8:
		default:
			t.Fatalf("accepted %d bits", c.Bits)
		}
		if c.GroupSize < -1 || c.Format != FormatV1 && c.Format != FormatV2 {
			t.Fatalf("accepted %+v", c)
		}
		if path, err := FindWeights(t.TempDir(), c); err == nil {
			t.Fatalf("found weights %q in an empty folder", path)
		}
	})
}

// FuzzLinear reads any file as a checkpoint. Matrices that it accepts must be whole, with every zero point, scale and group
// readable.
func FuzzLinear(f *testing.F) {
	for _, bits := range []int{2, 3, 4, 8} {
		f.Add(module(bits).encode(f, nil), bits, 32, false)
	}
	p := module(4)
	p["g_idx"] = i32s([]int{64}, func(i int) uint32 { return uint32(i % 2) })
	p[".gptq_bits"] = i64(4)
	f.Add(p.encode(f, nil), 4, 0, true)
	p["g_idx"] = i32s([]int{64}, func(i int) uint32 { return uint32(i) })
	p["scales"] = floats(tensor.BF16, 2, 256)
	f.Add(p.encode(f, map[string]string{"gptq_bits": "4"}), 4, -1, true)
	f.Fuzz(func(t *testing.T, data []byte, bits, groupSize int, act bool) {
		file, err := safetensors.Parse("fuzz", data)
		if err != nil {
			return
		}
		configs := []*Config{{Bits: bits, GroupSize: groupSize, DescAct: act, Sym: true}, {Bits: bits, GroupSize: groupSize, Format: FormatV2}}
		if c, err := Infer(file); err == nil && c != nil {
			configs = append(configs, c)
		}
		for _, c := range configs {
			if c.check() != nil {
				continue
			}
			for _, prefix := range modules(file) {
				m, bias, err := Linear(file, prefix, c)
				if err != nil {
					continue
				}
				if bias != nil && len(bias) != m.Out {
					t.Fatalf("bias of %d for %d outputs", len(bias), m.Out)
				}
				if int64(m.Out)*int64(m.In)*int64(c.Bits) > 8*int64(len(data)) {
					t.Fatalf("matrix of %d × %d in a file of %d bytes", m.Out, m.In, len(data))
				}
				dst := make([]float32, m.In)
				m.Dequantize(dst, m.Out-1, m.Out)
			}
		}
	})
}
