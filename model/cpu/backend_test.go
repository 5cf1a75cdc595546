package cpu

import (
	"slices"
	"testing"

	"peregrine/model"
	"peregrine/model/backendtest"
)

// Every instruction set that this project has kernels for.
var allISAs = []string{"scalar", "avx2", "avxvnni", "avx512vnni", "amx", "amxbf16", "neon", "neoni8mm"}

func TestBackend(t *testing.T) {
	for _, isa := range allISAs {
		t.Run(isa, func(t *testing.T) {
			if !slices.Contains(ISAs(), isa) {
				t.Skipf("NOT RUN: this machine has no %s; it has %v", isa, ISAs())
			}
			backendtest.Run(t, func(t *testing.T) model.Backend {
				b, err := Open(Options{Threads: 2, ISA: isa})
				if err != nil {
					t.Fatal(err)
				}
				return b
			})
		})
	}
}
