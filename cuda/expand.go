package cuda

import (
	"math/bits"

	"peregrine/cuda/driver"
)

// Weights of the formats that no prefill kernel reads (layout.expanded): a prompt's pass makes f16 of a matrix first, in scratch
// that its next matrix uses again, and multiplies that.

// expand makes f16 of s's weights and has s read those.
func (b *builder) expand(s *segment) {
	to := b.at(b.work.expanded)
	s.bytes = 0
	for i := range s.args.source[:s.args.sources] {
		w, m := &s.args.source[i].w, s.matrices[i]
		launch(b, "expand", "expand_"+m.name, grid(ceilDiv(int(m.expandedBytes()/vectorBytes), threads), 1), expandArgs{
			w: *w, to: address(to), tiles: size(m.rowTiles),
		})
		b.reads(m.bytes())
		s.bytes += m.expandedBytes()
		*w = matrixArgs{codes: address(to), rows: w.rows, k_tiles: size(m.xFeatures() / layoutF16.features)}
		to += driver.Ptr(m.expandedBytes())
	}
}

// expandedBytes is the most that the weights of one launch of a prompt take as f16, of the formats that are expanded: those of a
// segment, which has two matrices where attention output and down projection are added up together. The head goes without
// (builder.headByParts).
func (r *resident) expandedBytes() (most int64) {
	if r.precise() {
		return 0
	}
	for _, m := range r.matrices {
		if m.expanded && m.input != nil && m != r.head.w[0] {
			most = max(most, m.expandedBytes())
		}
	}
	for _, y := range r.layers {
		if out, down := y.attnOut.w[0], y.down.w[0]; r.config.Parallel && out.layout == down.layout && out.expanded {
			most = max(most, out.expandedBytes()+down.expandedBytes())
		}
	}
	return most
}

// headByParts reports whether the head takes a few rows at a time: a head that had to be expanded for more of them would need as
// much memory again as all of a large model's layers do for theirs, and seldom.
func (b *builder) headByParts() bool {
	return b.rows > decodeTokens && b.head.w[0].expanded && !b.precise()
}

// quickPasses is how many passes of decodeTokens, which read weights as they are stored, take no longer than one that expands
// them: each reads a matrix once, while expanding reads it, writes it as f16, two to six times as large, and reads that. The
// smaller the layers, the more of a pass is not reading. Measured on an H100 at the beginning of a sequence, all matrices expanded
// (bench/2026-11-26-h100/short-prompts.txt): 2 passes where a layer has 2 MB (SmolLM2-135M, Q5_0), 4 with 34 MB (Falcon3-1B, Q4_K), 5
// with 134 MB (Falcon3-7B), 7 with 400 MB (Falcon-40B). One and 0.6 for each doubling of a layer's MiB, times the share of weights
// that are expanded, is no more than that anywhere.
func (r *resident) quickPasses() int {
	var expanded, all int64
	for _, m := range r.matrices {
		if m.input == nil || m == r.head.w[0] {
			continue
		}
		all += m.bytes()
		if m.expanded && !r.precise() {
			expanded += m.bytes()
		}
	}
	layer := uint64(all) >> 20 / uint64(max(1, r.config.Layers))
	return 1 + int(6*int64(bits.Len64(layer))*expanded/(10*max(1, all)))
}
