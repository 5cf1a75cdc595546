package gptq

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// inConfigJSON is a config.json with the given quantization_config.
func inConfigJSON(quantization string) map[string]json.RawMessage {
	return map[string]json.RawMessage{
		"model_type": json.RawMessage(`"falcon"`), "quantization_config": json.RawMessage(quantization),
	}
}

func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestReadConfigVariants(t *testing.T) {
	base := Config{Bits: 4, GroupSize: 128, Sym: true, Format: FormatV1, Source: "config.json"}
	with := func(change func(c *Config)) Config { c := base; change(&c); return c }
	for name, c := range map[string]struct {
		json string
		want Config
	}{
		"the original's": {
			`{"bits":4,"group_size":-1,"damp_percent":0.01,"desc_act":true,"sym":true,"true_sequential":true,
			  "model_name_or_path":null,"model_file_base_name":"model","quant_method":"gptq"}`,
			with(func(c *Config) { c.GroupSize, c.DescAct, c.ModelFileBaseName = -1, true, "model" }),
		},
		"defaults":               {`{"bits":4,"group_size":128}`, base},
		"no group size":          {`{"bits":4}`, with(func(c *Config) { c.GroupSize = 0 })},
		"GPTQ-for-LLaMa's words": {`{"wbits":4,"groupsize":128}`, base},
		"AWQ's words for GPTQ":   {`{"w_bit":4,"q_group_size":128,"zero_point":true,"version":"gptq"}`, with(func(c *Config) { c.Sym = false })},
		"no zero points":         {`{"bits":4,"group_size":128,"zero_point":false}`, base},
		"sym before zero_point":  {`{"bits":4,"group_size":128,"zero_point":true,"sym":true}`, base},
		"a version that is no format": {
			`{"bits":4,"group_size":128,"version":1}`, base,
		},
		"capitals":                     {`{"BITS":4,"Group_Size":128,"Desc_Act":true,"QUANT_METHOD":"GPTQ"}`, with(func(c *Config) { c.DescAct = true })},
		"numbers with a point":         {`{"bits":4.0,"group_size":128.0}`, base},
		"nulls":                        {`{"bits":4,"group_size":128,"sym":null,"dynamic":null,"meta":null,"format":null,"pack_dtype":null}`, base},
		"checkpoint_format":            {`{"bits":4,"group_size":128,"checkpoint_format":"gptq_v2"}`, with(func(c *Config) { c.Format = FormatV2 })},
		"format":                       {`{"bits":4,"group_size":128,"format":"GPTQ_V2"}`, with(func(c *Config) { c.Format = FormatV2 })},
		"both formats, equal":          {`{"bits":4,"group_size":128,"format":"gptq_v2","checkpoint_format":"gptq_v2"}`, with(func(c *Config) { c.Format = FormatV2 })},
		"method":                       {`{"bits":4,"group_size":128,"method":"gptq","quant_method":"gptq"}`, base},
		"static groups":                {`{"bits":4,"group_size":128,"static_groups":true}`, with(func(c *Config) { c.StaticGroups = true })},
		"lm_head":                      {`{"bits":4,"group_size":128,"lm_head":true,"pack_dtype":"int32"}`, with(func(c *Config) { c.LMHead = true })},
		"empty dynamic":                {`{"bits":4,"group_size":128,"dynamic":{}}`, base},
		"one quantizer":                {`{"bits":4,"group_size":128,"meta":{"quantizer":"gptqmodel:1.4"}}`, with(func(c *Config) { c.Quantizer = []string{"gptqmodel:1.4"} })},
		"quantizers and static groups": {`{"bits":4,"group_size":128,"meta":{"quantizer":["optimum:1","gptqmodel:2.2.0"],"static_groups":true}}`, with(func(c *Config) { c.Quantizer, c.StaticGroups = []string{"optimum:1", "gptqmodel:2.2.0"}, true })},
		"what optimum adds":            {`{"bits":4,"group_size":128,"dataset":"c4","tokenizer":null,"modules_in_block_to_quantize":[["a"]],"exllama_config":{"version":1},"use_exllama":true}`, base},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ReadConfig(t.TempDir(), inConfigJSON(c.json))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(*got, c.want) {
				t.Errorf("got %+v, want %+v", *got, c.want)
			}
		})
	}
}

func TestReadConfigLooksInOrder(t *testing.T) {
	files := map[string]string{"quantize_config.json": `{"bits":3,"group_size":64}`, "quant_config.json": `{"bits":2,"group_size":32}`}
	for _, c := range []struct {
		name   string
		config map[string]json.RawMessage
		files  map[string]string
		want   string
	}{
		{"config.json", inConfigJSON(`{"bits":8,"group_size":-1}`), files, "config.json: GPTQ 8 bit, no group"},
		{"null in config.json", inConfigJSON(`null`), files, "quantize_config.json: GPTQ 3 bit, group 64"},
		{"nothing in config.json", inConfigJSON(`{}`), files, "quantize_config.json: GPTQ 3 bit, group 64"},
		{"no config.json", nil, files, "quantize_config.json: GPTQ 3 bit, group 64"},
		{"quant_config.json alone", nil, map[string]string{"quant_config.json": files["quant_config.json"]}, "quant_config.json: GPTQ 2 bit, group 32"},
		{"dense", map[string]json.RawMessage{"model_type": nil}, nil, "dense"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := ReadConfig(folder(t, c.files), c.config)
			if err != nil {
				t.Fatal(err)
			}
			said := "dense"
			if got != nil {
				said = fmt.Sprintf("%s: %v", got.Source, got)
			}
			if said != c.want {
				t.Errorf("got %s, want %s", said, c.want)
			}
		})
	}
}

func TestReadConfigRefusesByName(t *testing.T) {
	for config, want := range map[string]string{
		`{"quant_method":"awq","bits":4}`:                          `quant_method "awq" is not supported; this program reads GPTQ`,
		`{"w_bit":4,"q_group_size":128,"version":"GEMM"}`:          `AWQ format "GEMM" is not supported`,
		`{"quant_method":"bitsandbytes","load_in_4bit":true}`:      `quant_method "bitsandbytes"`,
		`{"load_in_8bit":true,"llm_int8_threshold":6.0}`:           `quantisation "bitsandbytes"`,
		`{"quant_method":"exl2","bits":4.25}`:                      `quant_method "exl2"`,
		`{"quant_method":"exl3","bits":3}`:                         `quant_method "exl3"`,
		`{"quant_method":"compressed-tensors"}`:                    `quant_method "compressed-tensors"`,
		`{"quant_method":"fp8"}`:                                   `quant_method "fp8"`,
		`{"method":"AWQ","bits":4}`:                                `quant_method "AWQ"`,
		`{"bits":4,"group_size":128,"checkpoint_format":"marlin"}`: `format "marlin"`,
		`{"bits":4,"group_size":128,"is_marlin_format":true}`:      `format "marlin"`,
		`{"bits":4,"group_size":128,"format":"bitblas"}`:           `format "bitblas"`,
		`{"bits":4,"group_size":128,"format":"gptq_p"}`:            `format "gptq_p"`,
		`{"bits":4,"group_size":128,"format":"exl3"}`:              `format "exl3"`,
		`{"bits":4,"group_size":128,"format":"gemm"}`:              `AWQ format "gemm"`,
		`{"bits":4,"group_size":128,"pack_dtype":"int16"}`:         `pack_dtype "int16" is not supported`,
		`{"bits":4,"group_size":128,"dynamic":{"b":{},"-:a":{}}}`:  `differs by layer (dynamic) "-:a" is not supported`,
	} {
		_, err := ReadConfig("", inConfigJSON(config))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "gptq: config.json: quantization_config: ") {
			t.Errorf("%s: got %v, want an error with %s", config, err, want)
		}
	}
	if _, err := ReadConfig("", map[string]json.RawMessage{"compression_config": nil}); err == nil || !strings.Contains(err.Error(), "compressed-tensors") {
		t.Errorf("compression_config: got %v", err)
	}
}

func TestReadConfigRefusesNonsense(t *testing.T) {
	for config, want := range map[string]string{
		`{"group_size":128}`:                "bits is missing",
		`{"bits":5}`:                        "bits is 5; need 2, 3, 4 or 8",
		`{"bits":16}`:                       "bits is 16",
		`{"bits":"4"}`:                      `bits is "\"4\""; need an integer`,
		`{"bits":4.5}`:                      `bits is "4.5"; need an integer`,
		`{"bits":1e300}`:                    "need an integer",
		`{"bits":true}`:                     "need an integer",
		`{"bits":4,"group_size":0}`:         "group_size is 0",
		`{"bits":4,"group_size":-2}`:        "group_size is -2",
		`{"bits":4,"desc_act":"yes"}`:       `desc_act is "\"yes\""; need a bool`,
		`{"bits":4,"sym":1}`:                "sym is",
		`{"bits":4,"format":4}`:             "format is",
		`{"bits":4,"meta":[]}`:              "meta: is not a JSON object",
		`{"bits":4,"meta":{"quantizer":1}}`: "meta: quantizer is",
		`{"bits":4,"dynamic":[]}`:           "dynamic: is not a JSON object",
		`{"bits":4,"bits":3}`:               `"bits" appears twice`,
		`{"bits":4,"wbits":3}`:              `"bits" and "wbits" disagree`,
		`{"bits":4,"BITS":3}`:               `"BITS" and "bits" disagree`,
		`{"format":"gptq","checkpoint_format":"gptq_v2","bits":4}`: `"checkpoint_format" and "format" disagree`,
		`[4]`:                             "is not a JSON object",
		`"gptq"`:                          "is not a JSON object",
		`{"bits":4`:                       "is not closed",
		`{"bits":4}{}`:                    "more follows",
		`{"bits":4,"format":"\u001b[2J"}`: `format "\x1b[2J" is not supported`,
	} {
		_, err := ReadConfig("", inConfigJSON(config))
		if err == nil || !strings.Contains(err.Error(), want) || strings.ContainsAny(err.Error(), "\n\x1b") {
			t.Errorf("%s: got %v, want one line with %s", config, err, want)
		}
	}
}

func TestReadConfigNamesTheFile(t *testing.T) {
	dir := folder(t, map[string]string{"quantize_config.json": `{"bits":7}`})
	want := filepath.Join(dir, "quantize_config.json") + ": bits is 7"
	if _, err := ReadConfig(dir, nil); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want an error with %s", err, want)
	}
	dir = t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "quantize_config.json"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadConfig(dir, nil); err == nil || !strings.Contains(err.Error(), "is not a regular file") {
		t.Errorf("folder in place of the file: got %v", err)
	}
}

func TestConfigString(t *testing.T) {
	for want, c := range map[string]Config{
		"GPTQ 4 bit, no group, act-order":      {Bits: 4, GroupSize: -1, DescAct: true, Sym: true, Format: FormatV1},
		"GPTQ 3 bit, group 32, asymmetric, v2": {Bits: 3, GroupSize: 32, Format: FormatV2},
		"GPTQ 8 bit":                           {Bits: 8, Sym: true, Format: FormatV1},
		"GPTQ 2 bit, group 64, act-order":      {Bits: 2, GroupSize: 64, DescAct: true, Sym: true, Format: FormatV1},
	} {
		if got := c.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestWarningOfAsymmetricV1(t *testing.T) {
	for _, c := range []struct {
		config Config
		want   int
	}{
		{Config{Format: FormatV1}, 1},
		{Config{Format: FormatV1, Sym: true}, 0},
		{Config{Format: FormatV2}, 0},
		{Config{Format: FormatV1, Quantizer: []string{"GPTQModel:2.2.0"}}, 0},
		{Config{Format: FormatV1, Quantizer: []string{"auto_gptq:0.8"}}, 1},
	} {
		if got := c.config.Warnings(); len(got) != c.want {
			t.Errorf("%+v: got %q, want %d warnings", c.config, got, c.want)
		}
	}
}
