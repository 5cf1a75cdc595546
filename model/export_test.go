package model

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
)

// fixture opens a fixture; package backendtest imports this one.
func fixture(t *testing.T, name string) *Checkpoint {
	t.Helper()
	c, err := Open("backendtest/testdata/fixtures/" + name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// TestMadeConfigSaysTheSame: a configuration that is made of a model's own numbers is read as those.
func TestMadeConfigSaysTheSame(t *testing.T) {
	for _, name := range []string{"falcon-7b", "falcon-11b", "falcon-40b", "falcon-40b-legacy", "falcon-rw-8h", "falcon-rw-16h", "llama-falcon3", "llama-smollm2"} {
		t.Run(name, func(t *testing.T) {
			c := fixture(t, name)
			values, err := c.madeConfig()
			if err != nil {
				t.Fatal(err)
			}
			text, err := json.Marshal(values)
			if err != nil {
				t.Fatal(err)
			}
			f, err := parseFields("made", text)
			if err != nil {
				t.Fatal(err)
			}
			arch, modelType, err := architectureOf(f)
			if err != nil {
				t.Fatal(err)
			}
			got, err := arch.fromJSON(f, modelType)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got.config, c.Config) {
				t.Errorf("got %+v, want %+v", got.config, c.Config)
			}
		})
	}
}

// TestConfigJSONNeedsNoPythonFiles: they are not copied, so that neither their names nor the model types that they alone
// explain may stay.
func TestConfigJSONNeedsNoPythonFiles(t *testing.T) {
	made, err := fixture(t, "falcon-40b-legacy").ConfigJSON()
	if err != nil || string(made["model_type"]) != `"falcon"` || string(made["architectures"]) != `["FalconForCausalLM"]` || made["n_layer"] != nil {
		t.Errorf("a legacy configuration became %s (%v)", made, err)
	}
	c := &Checkpoint{src: memory{Memory{Config: []byte(`{"model_type":"falcon","auto_map":{"AutoConfig":"configuration_falcon.FalconConfig"},"bias":false}`)}, nil}}
	if made, err = c.ConfigJSON(); err != nil || made["auto_map"] != nil || string(made["bias"]) != "false" {
		t.Errorf("got %s (%v), want no auto_map and the rest", made, err)
	}
}

// factors are the rope_freqs that llama.cpp's converter writes: in float32, as torch computes there.
func factors(base, factor float64, headDim int) []float32 {
	const low, high, context = 1, 4, 8192
	list := make([]float32, headDim/2)
	for i := range list {
		freq := float32(1 / math.Pow(base, 2*float64(i)/float64(headDim)))
		wavelength := 2 * math.Pi / float64(freq)
		switch {
		case wavelength < context/high:
			list[i] = 1
		case wavelength > context/low:
			list[i] = float32(factor)
		default:
			smooth := (context/wavelength - low) / (high - low)
			list[i] = float32(1 / ((1-smooth)/factor + smooth))
		}
	}
	return list
}

// TestLlama3FactorsBecomeRopeScaling of the same frequencies, and no others do.
func TestLlama3FactorsBecomeRopeScaling(t *testing.T) {
	for _, c := range []struct {
		headDim int
		factor  float64
	}{{128, 8}, {64, 32}, {128, 1}} {
		m := Config{HeadDim: c.headDim, Rope: Rope{Base: 500000, FreqFactors: factors(500000, c.factor, c.headDim)}}
		v := map[string]any{}
		if err := madeRope(m, v); err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		f, err := parseFields("made", text)
		if err != nil {
			t.Fatal(err)
		}
		got := f.rope(131072)
		if f.err != nil || (c.factor == 1) != (v["rope_scaling"] == nil) {
			t.Fatalf("factor %v: %s (%v)", c.factor, text, f.err)
		}
		for i, want := range m.Rope.InvFreq(c.headDim, 1) {
			if freq := got.InvFreq(c.headDim, 1)[i]; math.Abs(freq/want-1) > 1e-5 {
				t.Errorf("factor %v, frequency %d: %v, want %v", c.factor, i, freq, want)
			}
		}
	}
	for name, change := range map[string]func(f []float32){
		"one in a thousand":  func(f []float32) { f[30] *= 1.001 },
		"another in the end": func(f []float32) { f[len(f)-1] = 9 },
		"below one":          func(f []float32) { clear(f[1:]); f[0] = 0.5 },
		"not a number":       func(f []float32) { f[3] = float32(math.NaN()) },
		"half of all": func(f []float32) {
			for i := range f {
				f[i] = 0.5
			}
		},
	} {
		m := Config{HeadDim: 128, Rope: Rope{Base: 500000, FreqFactors: factors(500000, 8, 128)}}
		change(m.Rope.FreqFactors)
		if err := madeRope(m, map[string]any{}); err == nil || !strings.Contains(err.Error(), "not Llama 3's") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
