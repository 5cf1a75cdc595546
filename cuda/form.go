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

// normKernel returns the kernel, and the module, that writes that form.
func normKernel(form int) string {
	if form == formCores {
		return "norm_cores"
	}
	return "norm"
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

// shareItems fills in what linear_decode has to know of all of a's segments together.
func shareItems(a *linearArgs) {
	var items, ends int
	several := false
	for _, s := range a.segment[:a.segments] {
		items += ceilDiv(int(s.tiles), decodeTiles)
		for _, source := range s.source[:s.sources] {
			several = several || source.w.groups > 1
			ends = gcd(ends, int(source.w.group_steps))
		}
	}
	if !several {
		ends = 0
	}
	a.items, a.ends = size(items), size(ends)
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// decodeShape is a launch of a kernel that multiplies up to decodeTokens tokens.
type decodeShape struct {
	module, name string
	blocks       int
}

// decodeShapeOf returns the kernel for a's tokens and matrices of a format, and how many blocks share a's items: as many as the
// device runs at once. a has been through shareItems.
func decodeShapeOf(info driver.Info, format string, a *linearArgs) decodeShape {
	const reserved = 1 << 10 // of shared memory, a block
	resident := max(1, min(decodeBlocks, (info.BlockShared+reserved)/(decodeShared+reserved)))
	s := decodeShape{"decode_" + format, "linear_decode_" + format, min(int(a.items), resident*info.Multiprocessor)}
	if a.tokens <= fewTokens {
		s.module, s.name = "linear_"+format, "linear_few_"+format
	}
	return s
}
