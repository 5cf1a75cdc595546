package model_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"peregrine/model"
	"peregrine/model/backendtest"
	"peregrine/model/safetensors"
	"peregrine/model/tensor"
)

// copyFixture copies a fixture into a folder of the test's own.
func copyFixture(t *testing.T, name string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	if err := os.CopyFS(dir, os.DirFS(backendtest.Path(t, name))); err != nil {
		t.Fatal(err)
	}
	return dir
}

// setKeys changes keys of a JSON file; a nil value takes the key away.
func setKeys(t *testing.T, path string, changes map[string]any) {
	t.Helper()
	object := map[string]any{}
	b, err := os.ReadFile(path)
	if err == nil {
		d := json.NewDecoder(bytes.NewReader(b))
		d.UseNumber()
		err = d.Decode(&object)
	}
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range changes {
		object[k] = v
		if v == nil {
			delete(object, k)
		}
	}
	if b, err = json.Marshal(object); err == nil {
		err = os.WriteFile(path, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// rewrite passes the tensors of a safetensors file through change.
func rewrite(t *testing.T, path string, change func(views map[string]tensor.View)) {
	t.Helper()
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	views := map[string]tensor.View{}
	for _, name := range f.Names() {
		v, _ := f.Tensor(name)
		v.Data = bytes.Clone(v.Data)
		views[name] = v
	}
	metadata := f.Metadata()
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	change(views)
	if err := safetensors.Write(path, slices.Collect(maps.Values(views)), metadata); err != nil {
		t.Fatal(err)
	}
}

func TestOpenEveryFixture(t *testing.T) {
	quantization := map[string]string{
		"falcon-7b": "BF16", "falcon-40b": "F32", "falcon-40b-f16": "F16", "llama-smollm2": "F16",
		"gptq-falcon40b-4bit--1g": "GPTQ 4 bit, no group, act-order",
		"gptq-llama-4bit-128g":    "GPTQ 4 bit, group 128",
	}
	for _, name := range backendtest.Fixtures(t) {
		t.Run(name, func(t *testing.T) {
			c := backendtest.Open(t, name)
			if c.Name != name {
				t.Errorf("name is %q, want %q", c.Name, name)
			}
			if want, ok := quantization[name]; ok && c.Quantization != want {
				t.Errorf("quantization is %q, want %q", c.Quantization, want)
			}
			if len(c.Warnings) > 0 && !strings.HasPrefix(name, "gptq-") {
				t.Errorf("warnings: %q", c.Warnings)
			}
			var stored int64
			for _, info := range c.Tensors() {
				stored += info.Bytes
			}
			if file := c.FileBytes(); stored == 0 || stored >= file {
				t.Errorf("tensors hold %d bytes of a file of %d", stored, file)
			}
			if w := c.WeightBytes(); w <= 0 || w > 2*stored {
				t.Errorf("a token reads %d bytes of %d stored", w, stored)
			}
		})
	}
}

// Every GPTQ fixture has the first 64 rows of one matrix as the peer's dequantiser gives them.
func TestMatrixDequantizesBitForBit(t *testing.T) {
	matrices := 0
	for _, name := range backendtest.Fixtures(t) {
		c := backendtest.Open(t, name)
		for module, want := range backendtest.ReadGolden(t, name).Dequant {
			matrices++
			for _, spelling := range []string{module, module + ".weight", module + ".qweight"} {
				m, err := c.Matrix(spelling)
				if err != nil {
					t.Fatal(err)
				}
				got := make([]float32, len(want))
				m.Dequantize(got, 0, len(want)/m.In)
				if !slices.Equal(got, want) {
					t.Errorf("%s: %s: weights differ from the reference's", name, spelling)
				}
			}
		}
	}
	if matrices < 15 {
		t.Errorf("only %d matrices compared", matrices)
	}
}

func TestMatrixOfDenseTensors(t *testing.T) {
	c := backendtest.Open(t, "falcon-rw-8h")
	for name, shape := range map[string][2]int{
		"transformer.word_embeddings":                         {240, 64},
		"transformer.h.1.mlp.dense_h_to_4h.weight":            {256, 64},
		"transformer.h.0.input_layernorm":                     {1, 64},
		"transformer.h.0.self_attention.dense.bias":           {1, 64},
		"transformer.h.0.self_attention.query_key_value":      {192, 64},
		"transformer.h.0.post_attention_layernorm.bias":       {1, 64},
		"transformer.h.0.self_attention.dense.weight":         {64, 64},
		"transformer.h.0.self_attention.query_key_value.bias": {1, 192},
	} {
		m, err := c.Matrix(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if m.Out != shape[0] || m.In != shape[1] {
			t.Errorf("%s: shape [%d, %d], want %v", name, m.Out, m.In, shape)
		}
	}
	if _, err := c.Matrix("transformer.h.9.mlp"); err == nil || !strings.Contains(err.Error(), `"transformer.h.9.mlp"`) {
		t.Errorf("a name that is not there: got %v", err)
	}
}

func TestOpenByFile(t *testing.T) {
	for name, file := range map[string]string{
		"falcon-7b":          "model.safetensors",
		"falcon-40b-sharded": "model.safetensors.index.json",
	} {
		c := open(t, filepath.Join(backendtest.Path(t, name), file))
		if want := backendtest.Open(t, name); c.Config.Hidden != want.Config.Hidden || c.Quantization != want.Quantization {
			t.Errorf("%s: opened as %+v %s", file, c.Config, c.Quantization)
		}
	}
}

func TestOpenFolderWithOneGGUF(t *testing.T) {
	path := convert(t, "llama-falcon3", nil)
	if c := open(t, filepath.Dir(path)); c.Name != "llama-falcon3" || c.Tokenizer.GGUF == nil {
		t.Errorf("opened %q with tokenizer %+v", c.Name, c.Tokenizer)
	}
}

func TestOpenNamesModelsOfTheHubsCache(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "models--tiiuae--Falcon3-1B-Instruct", "snapshots", strings.Repeat("0", 40))
	if err := os.CopyFS(dir, os.DirFS(backendtest.Path(t, "falcon-7b"))); err != nil {
		t.Fatal(err)
	}
	if c := open(t, dir); c.Name != "tiiuae/Falcon3-1B-Instruct" {
		t.Errorf("name is %q", c.Name)
	}
}

func TestOpenUsesAStoredHeadEvenWhenTied(t *testing.T) {
	dir := copyFixture(t, "gptq-falcon40b-4bit--1g") // holds a copy of the embedding as lm_head.weight
	path := filepath.Join(dir, "gptq_model-4bit--1g.safetensors")
	rewrite(t, path, func(views map[string]tensor.View) {
		head := views["lm_head.weight"]
		for i := range head.Data {
			head.Data[i] = 0
		}
	})
	c := open(t, dir)
	if c.Config.Tied || c.Params.Head == c.Params.Embed {
		t.Fatal("the stored head is not used")
	}
	for _, v := range logits(t, c, []int32{1}) {
		if v != 0 {
			t.Fatalf("logit %v from a head of zeros", v)
		}
	}
	rewrite(t, path, func(views map[string]tensor.View) { delete(views, "lm_head.weight") })
	if c := open(t, dir); !c.Config.Tied || c.Params.Head != c.Params.Embed {
		t.Error("without a stored head the embedding is not used")
	}
}

// Llama's biases are loaded where the tensors are, whatever attention_bias says, and follow query, key and value.
func TestOpenLoadsBiases(t *testing.T) {
	dir := copyFixture(t, "llama-falcon3")
	rewrite(t, filepath.Join(dir, "model.safetensors"), func(views map[string]tensor.View) {
		for module, out := range map[string]int{"self_attn.k_proj": 64, "mlp.down_proj": 96} {
			name := "model.layers.1." + module + ".bias"
			views[name] = tensor.View{Name: name, DType: tensor.F32, Shape: []int{out}, Data: bytes.Repeat([]byte{0, 0, 0x80, 0x3f}, out)} // ones
		}
	})
	c := open(t, dir)
	if c.Params.Layers[0].QKV.Bias != nil {
		t.Error("layer 0 has a bias")
	}
	l := c.Params.Layers[1]
	for i, v := range l.QKV.Bias {
		want := float32(0)
		if i >= 192 && i < 256 { // the keys
			want = 1
		}
		if v != want {
			t.Fatalf("bias of row %d is %v, want %v", i, v, want)
		}
	}
	if len(l.QKV.Bias) != 320 || len(l.Down.Bias) != 96 || l.Up.Bias != nil {
		t.Errorf("biases have %d, %d, %d values, want 320, 96, 0", len(l.QKV.Bias), len(l.Down.Bias), len(l.Up.Bias))
	}
}

func TestOpenWarnsOfTensorsThatAreNotUsed(t *testing.T) {
	dir := copyFixture(t, "llama-falcon3")
	rewrite(t, filepath.Join(dir, "model.safetensors"), func(views map[string]tensor.View) {
		norm := views["model.norm.weight"]
		for _, name := range []string{"model.layers.0.self_attn.q_norm.weight", "model.layers.0.self_attn.rotary_emb.inv_freq"} {
			norm.Name = name
			views[name] = norm
		}
	})
	c := open(t, dir)
	if len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], "1 tensors") || !strings.Contains(c.Warnings[0], "q_norm") {
		t.Errorf("warnings are %q, want one about q_norm and none about the rotary table", c.Warnings)
	}
}

func TestOpenIgnoresEOSOutsideTheVocabulary(t *testing.T) {
	dir := copyFixture(t, "falcon-7b")
	setKeys(t, filepath.Join(dir, "config.json"), map[string]any{"eos_token_id": []int{11, 50256}})
	c := open(t, dir)
	if !slices.Equal(c.Config.EOS, []int32{11}) || len(c.Warnings) != 1 {
		t.Errorf("eos %v, warnings %q; want 11 alone and a warning", c.Config.EOS, c.Warnings)
	}
}

func TestDefaultModelBytes(t *testing.T) {
	c := backendtest.OpenDefault(t)
	if c.Quantization != "Q4_1 (embedding Q8_0)" {
		t.Errorf("quantization is %q", c.Quantization)
	}
	// Q4_1 matrices, float32 norms and the tied Q8_0 embedding, all of which a token reads.
	if got, want := c.WeightBytes(), int64(66355200+140544+30081024); got != want {
		t.Errorf("a token reads %d bytes, want %d", got, want)
	}
	if got, want := c.KVBytes(0, model.Fast), int64(23040*8192); got != want {
		t.Errorf("the KV cache has %d bytes, want %d", got, want)
	}
	if s := c.Tokenizer; s.BOSToken != "<|im_start|>" || s.EOSToken != "<|im_end|>" || !strings.Contains(s.ChatTemplate, "<|im_start|>") {
		t.Errorf("tokenizer source is %+v", s)
	}
	want := model.Config{
		Architecture: "llama", Hidden: 576, Layers: 30, Heads: 9, KVHeads: 3, HeadDim: 64, FFN: 1536, Vocab: 49152, MaxContext: 8192,
	}
	got := c.Config
	if got.Hidden != want.Hidden || got.Layers != want.Layers || got.Heads != want.Heads || got.KVHeads != want.KVHeads || got.HeadDim != want.HeadDim ||
		got.FFN != want.FFN || got.Vocab != want.Vocab || got.MaxContext != want.MaxContext || got.Rope.Base != 1e5 || math.Abs(float64(got.NormEps)-1e-5) > 1e-11 {
		t.Errorf("configuration is %+v, want %+v", got, want)
	}
}
