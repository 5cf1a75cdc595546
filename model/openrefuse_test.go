package model_test

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"peregrine/model/tensor"
)

func TestOpenRefuses(t *testing.T) {
	weights := func(change func(views map[string]tensor.View)) func(*testing.T, string) {
		return func(t *testing.T, dir string) { rewrite(t, filepath.Join(dir, "model.safetensors"), change) }
	}
	keys := func(changes map[string]any) func(*testing.T, string) {
		return func(t *testing.T, dir string) { setKeys(t, filepath.Join(dir, "config.json"), changes) }
	}
	remove := func(file string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, file)); err != nil {
				t.Fatal(err)
			}
		}
	}
	pipe := func(file string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			_ = os.Remove(filepath.Join(dir, file)) // it need not be there
			if err := unix.Mkfifo(filepath.Join(dir, file), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, c := range []struct {
		name, fixture string
		spoil         func(t *testing.T, dir string)
		want          []string
	}{
		{"no config.json", "falcon-7b", remove("config.json"), []string{"config.json", ".gguf"}},
		{"no weights", "falcon-7b", remove("model.safetensors"), []string{"safetensors"}},
		{"a shard missing", "falcon-40b-sharded", remove("model-00002-of-00003.safetensors"), []string{"model-00002-of-00003.safetensors"}},
		{"truncated weights", "falcon-7b", func(t *testing.T, dir string) {
			if err := os.Truncate(filepath.Join(dir, "model.safetensors"), 1000); err != nil {
				t.Fatal(err)
			}
		}, []string{"model.safetensors"}},
		{
			"a tensor missing", "falcon-7b", weights(func(v map[string]tensor.View) { delete(v, "transformer.h.1.mlp.dense_4h_to_h.weight") }),
			[]string{"model.safetensors", `"transformer.h.1.mlp.dense_4h_to_h.weight" is missing`},
		},
		{
			"a norm's bias missing", "falcon-7b", weights(func(v map[string]tensor.View) { delete(v, "transformer.ln_f.bias") }),
			[]string{`"transformer.ln_f.bias" is missing`},
		},
		{
			"an untied head missing", "llama-falcon3", weights(func(v map[string]tensor.View) { delete(v, "lm_head.weight") }),
			[]string{`"lm_head.weight" is missing`},
		},
		{"a wrong shape", "falcon-7b", weights(func(v map[string]tensor.View) {
			m := v["transformer.h.0.self_attention.dense.weight"]
			m.Shape = []int{160, 40}
			v[m.Name] = m
		}), []string{`"transformer.h.0.self_attention.dense.weight"`, "[160, 40]", "[80, 80]"}},
		{"a matrix with three dimensions", "falcon-7b", weights(func(v map[string]tensor.View) {
			m := v["transformer.h.0.self_attention.dense.weight"]
			m.Shape = []int{2, 40, 80}
			v[m.Name] = m
		}), []string{`"transformer.h.0.self_attention.dense.weight"`, "[2 40 80]"}},
		{"a norm of another size", "falcon-7b", keys(map[string]any{"hidden_size": 160, "num_attention_heads": 10}), []string{"[331, 80]", "[331, 160]"}},
		{"a tensor of a type without arithmetic", "falcon-7b", weights(func(v map[string]tensor.View) {
			m := v["transformer.h.0.self_attention.dense.weight"]
			m.DType = tensor.I16
			v[m.Name] = m
		}), []string{`"transformer.h.0.self_attention.dense.weight"`, "I16", "BF16"}},
		{"an empty embedding", "falcon-7b", weights(func(v map[string]tensor.View) {
			m := v["transformer.word_embeddings.weight"]
			m.Shape, m.Data = []int{0, 80}, nil
			v[m.Name] = m
		}), []string{"transformer.word_embeddings.weight"}},
		{
			"a vocabulary of another size", "falcon-7b", keys(map[string]any{"vocab_size": 330}),
			[]string{"transformer.word_embeddings.weight", "331 rows", "330 tokens"},
		},
		{"more layers than tensors", "falcon-7b", keys(map[string]any{"num_hidden_layers": 4000}), []string{"transformer.h.2."}},
		{"other heads than the weights have", "falcon-40b", keys(map[string]any{"num_kv_heads": 3}), []string{"query_key_value", "[160, 96]", "[192, 96]"}},
		{"heads that do not divide", "falcon-7b", keys(map[string]any{"num_attention_heads": 7}), []string{"config.json", "80", "7"}},
		{
			"an architecture that is not known", "falcon-7b", keys(map[string]any{"model_type": "mamba", "architectures": []string{"MambaForCausalLM"}}),
			[]string{"config.json", `"mamba"`, "MambaForCausalLM", "falcon", "llama"},
		},
		{
			"a rope type that is not known", "llama-falcon3", keys(map[string]any{"rope_scaling": map[string]any{"rope_type": "longrope", "factor": 2}}),
			[]string{"config.json", `"longrope"`, "llama3"},
		},
		{
			"biases that are promised and missing, Falcon", "falcon-7b", keys(map[string]any{"bias": true}),
			[]string{`"transformer.h.0.self_attention.query_key_value.bias" is missing`},
		},
		{
			"biases that are promised and missing, attention", "llama-falcon3", keys(map[string]any{"attention_bias": true}),
			[]string{`"model.layers.0.self_attn.q_proj.bias" is missing`},
		},
		{
			"biases that are promised and missing, feed-forward", "llama-falcon3", keys(map[string]any{"mlp_bias": true}),
			[]string{`"model.layers.0.mlp.gate_proj.bias" is missing`},
		},
		{"an empty norm", "falcon-7b", weights(func(v map[string]tensor.View) {
			m := v["transformer.h.0.self_attention.dense.weight"]
			m.Shape, m.Data = []int{0}, nil
			v[m.Name] = m
		}), []string{"self_attention.dense.weight", "[0], which is empty"}},
		{
			"qweight missing", "gptq-llama-4bit-128g", weights(func(v map[string]tensor.View) { delete(v, "model.layers.0.mlp.up_proj.qweight") }),
			[]string{`"model.layers.0.mlp.up_proj.qweight" is missing`},
		},
		{"a named pipe as configuration", "falcon-7b", pipe("config.json"), []string{"config.json", "not a regular file"}},
		{"a named pipe as generation_config.json", "falcon-7b", pipe("generation_config.json"), []string{"generation_config.json", "not a regular file"}},
		{"a named pipe as chat template", "llama-smollm2", pipe("chat_template.jinja"), []string{"chat_template.jinja", "not a regular file"}},
		{"AWQ", "falcon-7b", keys(map[string]any{"quantization_config": map[string]any{"quant_method": "awq", "bits": 4}}), []string{"awq"}},
		{"g_idx out of range", "gptq-llama-4bit-128g", weights(func(v map[string]tensor.View) {
			v["model.layers.0.mlp.up_proj.g_idx"].Data[1] = 1
		}), []string{"g_idx", "up_proj"}},
		{"a torn tokenizer_config.json", "llama-smollm2", func(t *testing.T, dir string) {
			if err := os.WriteFile(filepath.Join(dir, "tokenizer_config.json"), []byte(`{"chat_template": "`), 0o600); err != nil {
				t.Fatal(err)
			}
		}, []string{"tokenizer_config.json"}},
		{"a torn generation_config.json", "falcon-7b", func(t *testing.T, dir string) {
			if err := os.WriteFile(filepath.Join(dir, "generation_config.json"), []byte(`[`), 0o600); err != nil {
				t.Fatal(err)
			}
		}, []string{"generation_config.json"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := copyFixture(t, c.fixture)
			c.spoil(t, dir)
			refused(t, dir, append(c.want, dir)...)
		})
	}
}

func TestOpenRefusesWhatIsNoModel(t *testing.T) {
	dir := t.TempDir()
	for name, want := range map[string]string{
		"pytorch_model.bin": "pickle",
		"model.pt":          "pickle",
		"notes.txt":         "not a model",
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		refused(t, path, path, want)
	}
	refused(t, filepath.Join(dir, "nowhere"), "nowhere")
	refused(t, t.TempDir(), "config.json", ".gguf")
}

// A configuration file of 65 MB of spaces is not read into memory whole before it is refused.
func TestOpenRefusesAHugeConfig(t *testing.T) {
	dir := copyFixture(t, "falcon-7b")
	f, err := os.OpenFile(filepath.Join(dir, "config.json"), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Seek(1<<40, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("}")); err != nil {
		t.Skipf("no sparse files of a terabyte here: %v", err)
	}
	refused(t, dir, "config.json", "larger than")
}
