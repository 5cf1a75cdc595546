package gptq

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFindWeightsOrder(t *testing.T) {
	fourBit := &Config{Bits: 4, GroupSize: -1}
	for name, c := range map[string]struct {
		config *Config
		files  string
		want   string
	}{
		"the original":           {fourBit, "gptq_model-4bit--1g.safetensors model.safetensors", "gptq_model-4bit--1g.safetensors"},
		"with a group":           {&Config{Bits: 3, GroupSize: 64}, "gptq_model-3bit-64g.safetensors gptq_model-4bit--1g.safetensors", "gptq_model-3bit-64g.safetensors"},
		"index before the file":  {fourBit, "gptq_model-4bit--1g.safetensors gptq_model-4bit--1g.safetensors.index.json", "gptq_model-4bit--1g.safetensors.index.json"},
		"base name first":        {&Config{Bits: 4, GroupSize: -1, ModelFileBaseName: "model"}, "gptq_model-4bit--1g.safetensors model.safetensors", "model.safetensors"},
		"base name with suffix":  {&Config{Bits: 4, GroupSize: -1, ModelFileBaseName: "w.safetensors"}, "w.safetensors model.safetensors", "w.safetensors"},
		"base name with index":   {&Config{Bits: 4, ModelFileBaseName: "w"}, "w.safetensors.index.json w-1.safetensors model.safetensors", "w.safetensors.index.json"},
		"base name is not there": {&Config{Bits: 4, GroupSize: -1, ModelFileBaseName: "w"}, "gptq_model-4bit--1g.safetensors", "gptq_model-4bit--1g.safetensors"},
		"no group size said":     {&Config{Bits: 4}, "gptq_model-4bit-0g.safetensors model.safetensors", "model.safetensors"},
		"dense":                  {nil, "model.safetensors gptq_model-4bit--1g.safetensors", "model.safetensors"},
		"dense, sharded":         {nil, "model-00001-of-00002.safetensors model-00002-of-00002.safetensors model.safetensors.index.json", "model.safetensors.index.json"},
		"the only one":           {nil, "weights.safetensors config.json", "weights.safetensors"},
		"the only index":         {nil, "w-1.safetensors w-2.safetensors w.safetensors.index.json", "w.safetensors.index.json"},
		"beside pickle":          {nil, "pytorch_model.bin model.safetensors", "model.safetensors"},
	} {
		t.Run(name, func(t *testing.T) {
			files := make(map[string]string)
			for f := range strings.FieldsSeq(c.files) {
				files[f] = ""
			}
			dir := folder(t, files)
			got, err := FindWeights(dir, c.config)
			if err != nil {
				t.Fatal(err)
			}
			if got != filepath.Join(dir, c.want) {
				t.Errorf("got %s, want %s", filepath.Base(got), c.want)
			}
		})
	}
}

func TestFindWeightsRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		config *Config
		files  string
		want   string
	}{
		"pickle":            {nil, "pytorch_model-00001-of-00002.bin config.json", `holds pickle weights ("pytorch_model-00001-of-00002.bin") and no *.safetensors`},
		"pickle of GPTQ":    {&Config{Bits: 4, GroupSize: -1}, "gptq_model-4bit--1g.pt", `pickle weights ("gptq_model-4bit--1g.pt")`},
		"two files":         {nil, "a.safetensors b.safetensors", `holds 2 files *.safetensors ("a.safetensors", "b.safetensors" …) and no model.safetensors`},
		"GGUF":              {nil, "model.gguf", `holds no *.safetensors; open "model.gguf" by its path`},
		"nothing":           {nil, "config.json", "holds no *.safetensors; is this a model's folder"},
		"base name above":   {&Config{Source: "config.json", ModelFileBaseName: "../model"}, "model.safetensors", `config.json: model_file_base_name "../model" is not a plain file name`},
		"base name is dots": {&Config{Source: "config.json", ModelFileBaseName: ".."}, "model.safetensors", "not a plain file name"},
	} {
		t.Run(name, func(t *testing.T) {
			files := make(map[string]string)
			for f := range strings.FieldsSeq(c.files) {
				files[f] = ""
			}
			got, err := FindWeights(folder(t, files), c.config)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %q, %v, want an error with %s", got, err, c.want)
			}
		})
	}
	if _, err := FindWeights(filepath.Join(t.TempDir(), "absent"), nil); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("no folder: got %v", err)
	}
}

// A folder with the right name is not the weights.
func TestFindWeightsPassesOverFolders(t *testing.T) {
	dir := folder(t, map[string]string{"weights.safetensors": ""})
	if err := os.Mkdir(filepath.Join(dir, "model.safetensors"), 0o700); err != nil {
		t.Fatal(err)
	}
	got, err := FindWeights(dir, nil)
	if err != nil || filepath.Base(got) != "weights.safetensors" {
		t.Errorf("got %q, %v, want weights.safetensors", got, err)
	}
}
