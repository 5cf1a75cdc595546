package model

import (
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// readConfig reads a config.json as Open does, up to the weights.
func readConfig(text string) (Config, error) {
	f, err := parseFields("config.json", []byte(text))
	if err != nil {
		return Config{}, err
	}
	arch, modelType, err := architectureOf(f)
	if err != nil {
		return Config{}, err
	}
	plan, err := arch.fromJSON(f, modelType)
	if err != nil {
		return Config{}, err
	}
	return plan.config, plan.config.Validate()
}

// The published configurations, cut to what counts.
const (
	falcon40B = `{"model_type": "RefinedWeb", "architectures": ["RWForCausalLM"], "n_head": 128, "n_head_kv": 8, "n_layer": 60,
		"hidden_size": 8192, "alibi": false, "bias": false, "parallel_attn": true, "bos_token_id": 11, "eos_token_id": 11,
		"layer_norm_epsilon": 1e-05, "vocab_size": 65024, "torch_dtype": "bfloat16"}`
	falcon7B = `{"model_type": "falcon", "num_attention_heads": 71, "num_kv_heads": 71, "num_hidden_layers": 32, "hidden_size": 4544,
		"multi_query": true, "new_decoder_architecture": false, "parallel_attn": true, "alibi": false, "bias": false,
		"bos_token_id": 11, "eos_token_id": 11, "vocab_size": 65024}`
	falcon7BLegacy = `{"model_type": "RefinedWebModel", "n_head": 71, "n_layer": 32, "hidden_size": 4544, "multi_query": true,
		"parallel_attn": true, "alibi": false, "bias": false, "vocab_size": 65024, "bos_token_id": 11, "eos_token_id": 11}`
	falconRW1B = `{"model_type": "falcon", "num_attention_heads": 32, "num_hidden_layers": 24, "hidden_size": 2048, "alibi": true,
		"bias": true, "multi_query": false, "new_decoder_architecture": false, "parallel_attn": false, "bos_token_id": 1,
		"eos_token_id": 2, "vocab_size": 50304}`
	falcon11B = `{"model_type": "falcon", "num_attention_heads": 32, "num_kv_heads": 8, "num_hidden_layers": 60, "hidden_size": 4096,
		"new_decoder_architecture": true, "num_ln_in_parallel_attn": 1, "multi_query": true, "parallel_attn": true,
		"rope_theta": 500042.0, "max_position_embeddings": 8192, "tie_word_embeddings": false, "ffn_hidden_size": 16384,
		"bos_token_id": 11, "eos_token_id": 11, "vocab_size": 65024}`
	falcon3 = `{"model_type": "llama", "hidden_size": 3072, "intermediate_size": 23040, "num_hidden_layers": 28,
		"num_attention_heads": 12, "num_key_value_heads": 4, "head_dim": 256, "rms_norm_eps": 1e-06, "rope_theta": 1000042,
		"rope_scaling": null, "tie_word_embeddings": false, "vocab_size": 131072, "max_position_embeddings": 32768,
		"bos_token_id": 11, "eos_token_id": 11, "hidden_act": "silu", "pretraining_tp": 1}`
)

// config returns text with a key set to a JSON value, or taken away when value is "".
func config(text, key, value string) string {
	object := map[string]json.RawMessage{}
	if err := json.Unmarshal([]byte(text), &object); err != nil {
		panic(err)
	}
	object[key] = json.RawMessage(value)
	if value == "" {
		delete(object, key)
	}
	b, err := json.Marshal(object)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func TestFalconConfigs(t *testing.T) {
	base := Config{
		Architecture: "falcon", Vocab: 65024, MaxContext: 2048, NormEps: 1e-5, Tied: true, Parallel: true, HeadDim: 64,
		Rope: Rope{Base: 10000}, BOS: 11, EOS: []int32{11},
	}
	of := func(change func(c *Config)) Config { c := base; change(&c); return c }
	as40B := of(func(c *Config) { c.Hidden, c.Layers, c.Heads, c.KVHeads, c.FFN = 8192, 60, 128, 8, 32768 })
	as7B := of(func(c *Config) { c.Hidden, c.Layers, c.Heads, c.KVHeads, c.FFN = 4544, 32, 71, 1, 18176 })
	for _, c := range []struct {
		name, json string
		want       Config
	}{
		{"40B by its legacy names", falcon40B, as40B},
		{"7B whose num_kv_heads means nothing", falcon7B, as7B},
		{"7B by its legacy names", falcon7BLegacy, as7B},
		{"7B by n_embed beside another hidden_size", config(config(falcon7B, "hidden_size", "1"), "n_embed", "4544"), as7B},
		{"7B with falcon's defaults", `{"model_type": "falcon", "num_attention_heads": 71, "num_hidden_layers": 32, "hidden_size": 4544}`, as7B},
		{"7B by its class alone", strings.Replace(falcon7B, `"model_type": "falcon"`, `"architectures": ["FalconForCausalLM"]`, 1), as7B},
		{
			"RefinedWebModel without multi_query: one KV head for each", config(falcon7BLegacy, "multi_query", ""),
			of(func(c *Config) { c.Hidden, c.Layers, c.Heads, c.KVHeads, c.FFN = 4544, 32, 71, 71, 18176 }),
		},
		{
			"RefinedWebModel without parallel_attn is sequential", config(falcon7BLegacy, "parallel_attn", ""),
			of(func(c *Config) { *c = as7B; c.Parallel = false }),
		},
		{"RW-1B", falconRW1B, of(func(c *Config) {
			c.Hidden, c.Layers, c.Heads, c.KVHeads, c.FFN, c.Vocab = 2048, 24, 32, 32, 8192, 50304
			c.Positions, c.Parallel, c.BOS, c.EOS = ALiBi, false, 1, []int32{2}
		})},
		{"11B", falcon11B, of(func(c *Config) {
			c.Hidden, c.Layers, c.Heads, c.KVHeads, c.FFN, c.HeadDim = 4096, 60, 32, 8, 16384, 128
			c.Tied, c.MaxContext, c.Rope.Base = false, 8192, 500042
		})},
		{
			"rope base of transformers 5", config(falcon7B, "rope_parameters", `{"rope_theta": 5000.5, "rope_type": "default"}`),
			of(func(c *Config) { *c = as7B; c.Rope.Base = 5000.5 }),
		},
		{"eos as a list", config(falcon7B, "eos_token_id", "[11, 12]"), of(func(c *Config) { *c = as7B; c.EOS = []int32{11, 12} })},
		{"eos null", config(falcon7B, "eos_token_id", "null"), of(func(c *Config) { *c = as7B; c.EOS = nil })},
		{"numbers that Python wrote as floats", config(falcon7B, "hidden_size", "4544.0"), as7B},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := readConfig(c.json)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}

func TestLlamaConfigs(t *testing.T) {
	base := Config{
		Architecture: "llama", Hidden: 3072, Layers: 28, Heads: 12, KVHeads: 4, HeadDim: 256, FFN: 23040, Vocab: 131072, MaxContext: 32768,
		Norm: RMSNorm, NormEps: 1e-6, MLP: GatedSiLU, Rope: Rope{Base: 1000042}, BOS: 11, EOS: []int32{11},
	}
	rope := func(r Rope) Config { c := base; c.Rope = r; return c }
	of := func(change func(c *Config)) Config { c := base; change(&c); return c }
	for _, c := range []struct {
		name, json string
		want       Config
	}{
		{"Falcon3-7B", falcon3, base},
		{"KV heads default to heads", config(falcon3, "num_key_value_heads", ""), of(func(c *Config) { c.KVHeads = 12 })},
		{"head size defaults to hidden/heads", config(falcon3, "head_dim", "null"), base},
		{
			"bos and eos by transformers' defaults", config(config(falcon3, "bos_token_id", ""), "eos_token_id", ""),
			of(func(c *Config) { c.BOS, c.EOS = 1, []int32{2} }),
		},
		{"bos null", config(falcon3, "bos_token_id", "null"), of(func(c *Config) { c.BOS = -1 })},
		{
			"linear, by type", config(falcon3, "rope_scaling", `{"type": "linear", "factor": 4}`),
			rope(Rope{Base: 1000042, Scaling: RopeLinear, Factor: 4}),
		},
		{
			"dynamic, by rope_type", config(falcon3, "rope_scaling", `{"rope_type": "dynamic", "factor": 2.0}`),
			rope(Rope{Base: 1000042, Scaling: RopeDynamic, Factor: 2, OriginalContext: 32768}),
		},
		{
			"llama3", config(falcon3, "rope_scaling", `{"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
			"high_freq_factor": 4.0, "original_max_position_embeddings": 8192}`),
			rope(Rope{Base: 1000042, Scaling: RopeLlama3, Factor: 8, LowFreqFactor: 1, HighFreqFactor: 4, OriginalContext: 8192}),
		},
		{"default scaling", config(falcon3, "rope_scaling", `{"rope_type": "default"}`), base},
		{"scaling of transformers 5", config(config(falcon3, "rope_theta", ""), "rope_parameters",
			`{"rope_theta": 1000042, "rope_type": "linear", "factor": 2}`), rope(Rope{Base: 1000042, Scaling: RopeLinear, Factor: 2})},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := readConfig(c.json)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}

func TestConfigRefuses(t *testing.T) {
	for _, c := range []struct {
		name, json string
		want       []string
	}{
		{"unknown architecture", config(falcon3, "model_type", `"mamba"`), []string{`"mamba"`, "falcon", "RefinedWebModel", "llama"}},
		{"no architecture", `{}`, []string{"not supported", "falcon", "llama"}},
		{"a list", `[]`, []string{"not a JSON object"}},
		{"null", `null`, []string{"null"}},
		{"torn", falcon3[:100], []string{"not a JSON object"}},
		{"two objects", falcon3 + falcon3, []string{"something follows"}},
		{"unknown rope type", config(falcon3, "rope_scaling", `{"rope_type": "yarn", "factor": 4}`), []string{`"yarn"`, "linear", "dynamic", "llama3"}},
		{"rope scaling without a type", config(falcon3, "rope_scaling", `{"factor": 4}`), []string{"rope_scaling", "rope_type"}},
		{"rope scaling without a factor", config(falcon3, "rope_scaling", `{"rope_type": "linear"}`), []string{"factor"}},
		{"rope factor 0", config(falcon3, "rope_scaling", `{"rope_type": "linear", "factor": 0}`), []string{"factor is 0"}},
		{
			"llama3 without its context", config(falcon3, "rope_scaling", `{"rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4}`),
			[]string{"original_max_position_embeddings"},
		},
		{"llama3 with equal factors", config(falcon3, "rope_scaling", `{"rope_type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 4,
			"original_max_position_embeddings": 8192}`), []string{"low < high"}},
		{"rope base 0", config(falcon3, "rope_theta", "0"), []string{"rope base is 0"}},
		{"part of a head rotated", config(falcon3, "partial_rotary_factor", "0.5"), []string{"partial_rotary_factor", "0.5"}},
		{"another activation", config(falcon3, "hidden_act", `"gelu"`), []string{"hidden_act", `"gelu"`, "silu"}},
		{"another Falcon activation", config(falcon7B, "activation", `"relu"`), []string{"activation", `"relu"`, "gelu"}},
		{"tensor parallel weights", config(falcon3, "pretraining_tp", "2"), []string{"pretraining_tp", "2"}},
		{"no layers key", config(falcon3, "num_hidden_layers", ""), []string{"num_hidden_layers", "missing"}},
		{"no layers", config(falcon3, "num_hidden_layers", "0"), []string{"layers is 0"}},
		{"a million layers", config(falcon3, "num_hidden_layers", "1000000"), []string{"layers is 1000000"}},
		{"negative hidden size", config(falcon3, "hidden_size", "-1"), []string{"hidden_size", "-1"}},
		{"hidden size past int64", config(falcon3, "hidden_size", "99999999999999999999"), []string{"hidden_size", "99999999999999999999"}},
		{"half a layer", config(falcon3, "num_hidden_layers", "1.5"), []string{"num_hidden_layers", "1.5"}},
		{"hidden size as text", config(falcon3, "hidden_size", `"3072"`), []string{"hidden_size", `"3072"`}},
		{"no heads", config(config(falcon3, "num_attention_heads", "0"), "head_dim", ""), []string{"0 heads"}},
		{"no Falcon heads", config(falcon7B, "num_attention_heads", "0"), []string{"0 heads"}},
		{"no KV heads", config(falcon3, "num_key_value_heads", "0"), []string{"KV heads is 0"}},
		{"heads no multiple of KV heads", config(falcon3, "num_key_value_heads", "5"), []string{"12 heads", "5 KV heads"}},
		{"hidden size no multiple of heads", config(falcon7B, "hidden_size", "4545"), []string{"4545", "71 heads"}},
		{"odd head size", config(falcon3, "head_dim", "255"), []string{"255", "even"}},
		{"vocabulary 0", config(falcon3, "vocab_size", "0"), []string{"vocabulary is 0"}},
		{"three norms", config(falcon40B, "num_ln_in_parallel_attn", "3"), []string{"num_ln_in_parallel_attn", "3"}},
		{"epsilon below 0", config(falcon3, "rms_norm_eps", "-1"), []string{"epsilon is -1"}},
		{"eos as text", config(falcon3, "eos_token_id", `"end"`), []string{"eos_token_id", "end"}},
		{"a list over lines", config(falcon3, "hidden_size", "[\n1,\n2\n]"), []string{"hidden_size: is [1,2];"}},
		{"eos that is no list of ids", config(falcon3, "eos_token_id", "[\n1,\n\"a\"\n]"), []string{`eos_token_id: is [1,"a"];`}},
		{"control characters", config(falcon3, "hidden_size", "\"\u009b2J\u202e\""), []string{`hidden_size: is "\u009b2J\u202e";`}},
		{"a long value cut inside a character", config(falcon3, "hidden_size", `"`+strings.Repeat("é", 100)+`"`), []string{"éé…; want"}},
		{"multi_query as a number", config(falcon7B, "multi_query", "1"), []string{"multi_query", "true or false"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := readConfig(c.json)
			if err == nil {
				t.Fatalf("read as %+v; want an error with %q", got, c.want)
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("got error %q, want %q in it", err, w)
				}
			}
			if strings.ContainsAny(err.Error(), "\n\u009b\u202e") {
				t.Errorf("got error %q, want one line without control characters", err)
			}
		})
	}
}

func TestQKVRowsTakeEveryRowOnce(t *testing.T) {
	c := Config{Heads: 6, KVHeads: 2, HeadDim: 4}
	for _, layout := range []qkvLayout{qkvGrouped, qkvInterleaved} {
		if layout == qkvInterleaved {
			c.KVHeads = c.Heads
		}
		rows := slices.Sorted(slices.Values(layout.rows(c)))
		for n, r := range rows {
			if n != int(r) {
				t.Fatalf("layout %d: sorted row %d is %d", layout, n, r)
			}
		}
		if want := (c.Heads + 2*c.KVHeads) * c.HeadDim; len(rows) != want {
			t.Errorf("layout %d: %d rows, want %d", layout, len(rows), want)
		}
	}
}

func TestKVBytesDoesNotOverflow(t *testing.T) {
	c := Checkpoint{Config: Config{Layers: 60, KVHeads: 8, HeadDim: 64, MaxContext: 2048}}
	if got, want := c.KVBytes(0, Fast), int64(240<<20); got != want { // facts: 40B, 240 MiB at 2048 tokens
		t.Errorf("40B at 2048 tokens: got %d, want %d", got, want)
	}
	if got, want := c.KVBytes(1, Precise), int64(2*122880); got != want {
		t.Errorf("40B, one token, float32: got %d, want %d", got, want)
	}
	if got := c.KVBytes(math.MaxInt, Precise); got != math.MaxInt64 {
		t.Errorf("every token there is: got %d, want %d", got, int64(math.MaxInt64))
	}
}
