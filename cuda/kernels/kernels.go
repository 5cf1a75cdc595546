// Package kernels holds the GPU's code. A file NAME.cu is a module, which `make ptx` compiles into ptx/NAME.ptx; the results
// are committed and embedded, so that nobody who builds the program needs a compiler for them. The driver makes
// machine code of PTX when a module is first used.
//
// NAME.sm90.cu is the same module for compute capability 9.0 and later, whose kernels begin before those ahead of them have
// finished; NAME.sm90a.cu is one for 9.0 alone, with what only those devices have. The list of kernels, their tests and speeds is
// in README.md.
package kernels

import (
	"bytes"
	"embed"
	"fmt"
)

//go:embed ptx/*.ptx
var compiled embed.FS

// PTX returns the code of a module, the variant made for that compute capability if there is one. The caller must not
// change it.
func PTX(module string, major, minor int) ([]byte, error) {
	variants := []string{""}
	if major >= 9 {
		variants = []string{since90, ""}
	}
	if major == 9 && minor == 0 { // sm_90a code runs on 9.0 alone
		variants = []string{only90, since90, ""}
	}
	for _, variant := range variants {
		if ptx, err := compiled.ReadFile("ptx/" + module + variant + ".ptx"); err == nil {
			return ptx, nil
		}
	}
	return nil, fmt.Errorf("cuda: there is no kernel module %q", module)
}

// Waits reports whether the kernels of a module wait by themselves for those ahead of them (device.cuh, wait_for_previous).
func Waits(ptx []byte) bool { return bytes.Contains(ptx, []byte("griddepcontrol.wait")) }

// Marks of the files that are compiled for compute capability 9.0 and later, and for 9.0 only.
const (
	since90 = ".sm90"
	only90  = ".sm90a"
)
