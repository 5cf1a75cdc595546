package model

import (
	"fmt"
	"slices"
	"strings"
)

// architecture is one family of models.
type architecture struct {
	name       string   // Config.Architecture, and general.architecture of a GGUF file
	modelTypes []string // model_type of a config.json
	classes    []string // architectures of a config.json
	// fromJSON reads a config.json. fromGGUF reads a GGUF file's metadata.
	fromJSON func(f *fields, modelType string) (blueprint, error)
	fromGGUF func(m *metadata) (blueprint, error)
}

// blueprint is a configuration and how to fill Params with it.
type blueprint struct {
	file   string // where the configuration was read
	config Config
	fill   func(b *builder, p *Params)
}

var architectures = []architecture{falconArchitecture, llamaArchitecture}

// supported lists what can be opened, for errors.
func supported() string {
	var list []string
	for _, a := range architectures {
		list = append(list, a.name+" (model_type "+strings.Join(a.modelTypes, ", ")+")")
	}
	return strings.Join(list, ", ")
}

// architectureOf finds the family that a config.json names.
func architectureOf(f *fields) (*architecture, string, error) {
	modelType := f.text("", "model_type")
	classes := f.texts("architectures")
	if f.err != nil {
		return nil, "", f.err
	}
	for i, a := range architectures {
		if slices.Contains(a.modelTypes, modelType) {
			return &architectures[i], modelType, nil
		}
	}
	for i, a := range architectures {
		if modelType == "" && len(classes) > 0 && slices.Contains(a.classes, classes[0]) {
			return &architectures[i], modelType, nil
		}
	}
	return nil, "", fmt.Errorf("model: %s: model_type %q (architectures %q) is not supported; supported are %s",
		f.file, modelType, classes, supported())
}
