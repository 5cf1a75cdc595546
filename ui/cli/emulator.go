//go:build emulator

package cli

import (
	"peregrine/cuda"
	"peregrine/cuda/emulator"
	"peregrine/model"
)

const hasEmulator = true

// emulated opens the backend that runs the GPU's kernels on the CPU.
func emulated() model.Backend { return cuda.New(emulator.Open(emulator.Options{Memory: 64 << 30})) }
