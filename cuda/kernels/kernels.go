// Package kernels holds the GPU's code. A file NAME.cu is a module, which `make ptx` compiles into ptx/NAME.ptx; the results
// are committed and embedded, so that nobody who builds the program needs a compiler for them. The driver makes
// machine code of PTX when a module is first used.
//
// NAME.sm90a.cu is the same module for compute capability 9.0, with what only those devices have. The list of kernels, their
// tests and speeds is in README.md.
package kernels

import (
	"embed"
	"fmt"
)

//go:embed ptx/*.ptx
var compiled embed.FS

// PTX returns the code of a module, the variant made for that compute capability if there is one. The caller must not
// change it.
func PTX(module string, major, minor int) ([]byte, error) {
	if major == 9 && minor == 0 { // sm_90a code runs on 9.0 alone
		if ptx, err := compiled.ReadFile("ptx/" + module + hopper + ".ptx"); err == nil {
			return ptx, nil
		}
	}
	ptx, err := compiled.ReadFile("ptx/" + module + ".ptx")
	if err != nil {
		return nil, fmt.Errorf("cuda: there is no kernel module %q", module)
	}
	return ptx, nil
}

// hopper marks the files that are compiled for compute capability 9.0 only.
const hopper = ".sm90a"
