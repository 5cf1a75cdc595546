package gptq

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"peregrine/model/quant"
	"peregrine/model/safetensors"
)

// fixtures is where the whole-model fixtures of all rooms live.
const fixtures = "../backendtest/testdata/fixtures"

// checkpoint is an opened GPTQ fixture.
type checkpoint struct {
	dir    string
	config *Config
	file   *safetensors.File
}

func quantised(t *testing.T) []string {
	t.Helper()
	dirs, err := filepath.Glob(filepath.Join(fixtures, "gptq-*"))
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no GPTQ fixture in %s (%v)", fixtures, err)
	}
	return dirs
}

func configJSON(t *testing.T, dir string) map[string]json.RawMessage {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]json.RawMessage
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func openCheckpoint(t *testing.T, dir string) checkpoint {
	t.Helper()
	c, err := ReadConfig(dir, configJSON(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	path, err := FindWeights(dir, c)
	if err != nil {
		t.Fatal(err)
	}
	f := openFile(t, path)
	if c == nil {
		if c, err = Infer(f); err != nil {
			t.Fatal(err)
		}
	}
	return checkpoint{dir, c, f}
}

func openFile(t *testing.T, path string) *safetensors.File {
	t.Helper()
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

func modules(f *safetensors.File) []string {
	var list []string
	for _, name := range f.Names() {
		if prefix, ok := strings.CutSuffix(name, ".qweight"); ok {
			list = append(list, prefix)
		}
	}
	return list
}

// Every matrix that a peer dequantised must come out with the same bits. The peers are AutoGPTQ 0.7.1 and GPTQModel 2.2.0.
func TestLinearDequantizesEveryFixtureBitForBit(t *testing.T) {
	for _, dir := range quantised(t) {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			c := openCheckpoint(t, dir)
			golden := openFile(t, filepath.Join(dir, "golden.safetensors"))
			compared := 0
			for _, name := range golden.Names() {
				prefix, ok := strings.CutPrefix(name, "dequant.")
				if !ok {
					continue
				}
				m, _, err := Linear(c.file, strings.TrimSuffix(prefix, ".weight"), c.config)
				if err != nil {
					t.Fatal(err)
				}
				want, _ := golden.Tensor(name)
				if want.Shape[1] != m.In || want.Shape[0] > m.Out {
					t.Fatalf("%s: got [%d, %d], want %v", name, m.Out, m.In, want.Shape)
				}
				got := make([]float32, want.Elements())
				m.Dequantize(got, 0, want.Shape[0])
				for i, g := range got {
					w := math.Float32frombits(binary.LittleEndian.Uint32(want.Data[4*i:]))
					if math.Float32bits(g) != math.Float32bits(w) {
						t.Fatalf("%s[%d, %d]: got %v, want %v", name, i/m.In, i%m.In, g, w)
					}
				}
				compared += len(got)
			}
			if compared == 0 {
				t.Error("the golden file holds no dequantised matrix")
			}
			t.Logf("%v (%s): %d weights equal", c.config, c.config.Source, compared)
		})
	}
}

// Files of other folders have no configuration at all, but their tensors tell it, up to what only a configuration knows.
func TestInferAgreesWithTheConfiguration(t *testing.T) {
	for _, dir := range quantised(t) {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			c := openCheckpoint(t, dir)
			got, err := Infer(c.file)
			if err != nil {
				t.Fatal(err)
			}
			if got.Bits != c.config.Bits {
				t.Errorf("got %d bits, want %d", got.Bits, c.config.Bits)
			}
			for _, prefix := range modules(c.file) {
				want, _, err := Linear(c.file, prefix, c.config)
				if err != nil {
					t.Fatal(err)
				}
				m, _, err := Linear(c.file, prefix, got)
				if err != nil {
					t.Fatal(err)
				}
				if !sameGroups(m, want) {
					t.Errorf("%s: got groups of %d, want %d", prefix, m.GPTQ.GroupSize, want.GPTQ.GroupSize)
				}
			}
		})
	}
}

func sameGroups(a, b *quant.Matrix) bool {
	if a.In != b.In || a.Out != b.Out || a.GPTQ.Groups != b.GPTQ.Groups {
		return false
	}
	for k := range a.In {
		if a.GPTQ.Group(k) != b.GPTQ.Group(k) {
			return false
		}
	}
	return true
}
