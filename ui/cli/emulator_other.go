//go:build !emulator

package cli

import "peregrine/model"

const hasEmulator = false

// emulated is not reached: --backend emulator is no name in this build.
func emulated() model.Backend { return nil }
