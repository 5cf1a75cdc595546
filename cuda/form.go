package cuda

import "peregrine/cuda/driver"

// formOf returns how activations of so many tokens are stored on a device: as its kernels for so many tokens read them.
func formOf(info driver.Info, precise bool, tokens int) int {
	switch {
	case precise:
		return formFloats
	case tokens > decodeTokens && info.Major == 9 && info.Minor == 0: // the variants .sm90a of package kernels
		return formCores
	}
	return formFragments
}

// prefillShape is a launch of linear_prefill_F: tokens and threads of a block, and its shared memory.
type prefillShape struct{ tokens, threads, shared int }

// prefillShapeOf returns the shape of the kernel that reads that form.
func prefillShapeOf(form int) prefillShape {
	if form == formCores {
		return prefillShape{hopperTokens, hopperThreads, hopperShared}
	}
	return prefillShape{prefillTokens, threads, 0}
}
