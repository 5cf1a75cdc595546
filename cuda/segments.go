package cuda

import (
	"peregrine/cuda/driver"
	"peregrine/model"
)

// segment is a segment of a linear launch with the format of its kernel.
type segment struct {
	format   string
	bytes    int64 // of weights that its product reads
	args     segmentArgs
	matrices []*matrix // of args.source
	expanded bool      // layout.expanded
}

func (b *builder) segment(tokens int, m *matrix, epilogue int, bias driver.Ptr) segment {
	s := segment{format: m.name, bytes: m.bytes(), matrices: []*matrix{m}, expanded: m.expanded}
	s.args.source[0].w, s.args.source[0].x = b.args(m), address(b.input(m.input, tokens))
	s.args.sources, s.args.epilogue, s.args.tiles = 1, size(epilogue), size(m.rowTiles)
	s.args.bias[0] = address(bias)
	return s
}

// bias returns where the bias of l's rows from first on lies; 0 without one.
func (b *builder) bias(l linear, first uint32) driver.Ptr {
	if l.bias == none {
		return 0
	}
	return b.at(l.bias) + driver.Ptr(4*first)
}

// stores are the segments that write l's outputs for so many tokens as rows of so many floats.
func (b *builder) stores(tokens int, l linear, to slot, stride int) (list []segment) {
	for i, m := range l.w {
		s := b.segment(tokens, m, epilogueStore, b.bias(l, l.first[i]))
		s.args.out, s.args.out_stride = address(b.at(to)+driver.Ptr(4*l.first[i])), size(stride)
		list = append(list, s)
	}
	return list
}

// adds are the segments that add l's outputs to the residual stream.
func (b *builder) adds(l linear) []segment {
	list := b.stores(b.tokens, l, b.work.x, b.config.Hidden)
	for i := range list {
		list[i].args.epilogue = epilogueAdd
	}
	return list
}

// ups are the segments of y's up projection, which write the down projection's input where they can.
func (b *builder) ups(y *layer) []segment {
	if b.config.MLP == model.GatedSiLU && !y.up.gated {
		gate := b.segment(b.tokens, y.up.w[0], epilogueStore, b.bias(y.up, 0))
		up := b.segment(b.tokens, y.up.w[1], epilogueStore, b.bias(y.up, y.up.first[1]))
		gate.args.out, up.args.out = address(b.at(b.work.gate)), address(b.at(b.work.up))
		gate.args.out_stride, up.args.out_stride = size(b.config.FFN), size(b.config.FFN)
		return []segment{gate, up}
	}
	epilogue := epilogueGELU
	if y.up.gated {
		epilogue = epilogueGated
	}
	down := y.down.w[0]
	var list []segment
	for i, m := range y.up.w {
		s := b.segment(b.tokens, m, epilogue, b.bias(y.up, y.up.first[i]))
		s.args.out, s.args.out_stride = address(b.input(down.input, b.tokens)), word(down.input.features)
		s.args.place = address(b.at(down.placeAt))
		list = append(list, s)
	}
	return list
}

// activate computes the down projection's input where gate and up could not.
func (b *builder) activate(y *layer) {
	if b.config.MLP != model.GatedSiLU || y.up.gated {
		return
	}
	down := y.down.w[0]
	launch(b, "norm", "activate", grid(ceilDiv(b.config.FFN, threads), b.tokens), activateArgs{
		gate: address(b.at(b.work.gate)), up: address(b.at(b.work.up)), place: address(b.at(down.placeAt)),
		x: address(b.input(down.input, b.tokens)), features: word(down.input.features), ffn: size(b.config.FFN),
		tokens: size(b.tokens), form: size(b.form(b.tokens)),
	})
	b.early()
}

// multiply runs segments whose outputs are disjoint: one launch for those of a format, at most maxSegments at a time.
func (b *builder) multiply(tokens int, list ...segment) {
	for len(list) > 0 {
		format, most := list[0].format, maxSegments
		expand := list[0].expanded && tokens > decodeTokens && !b.precise()
		if expand {
			format, most = layoutF16.name, 1 // there is room for one
		}
		a, bytes := linearArgs{tokens: size(tokens)}, int64(0)
		var rest []segment
		for _, s := range list {
			if s.format != list[0].format || int(a.segments) == most {
				rest = append(rest, s)
				continue
			}
			if expand {
				b.expand(&s)
			}
			a.segment[a.segments] = s.args
			a.segments++
			bytes += s.bytes
		}
		b.product(format, a)
		b.reads(bytes)
		list = rest
	}
}

// reads says how many bytes of weights the launch that was added last reads.
func (b *builder) reads(bytes int64) {
	if b.err == nil {
		b.list[len(b.list)-1].bytes = bytes
	}
}

// product launches the kernel for a's tokens.
func (b *builder) product(format string, a linearArgs) {
	tokens, tiles, groups := int(a.tokens), 0, 0
	for _, s := range a.segment[:a.segments] {
		tiles += int(s.tiles)
		groups += ceilDiv(int(s.tiles), prefillTiles)
	}
	switch {
	case b.precise():
		launch(b, "linear_"+format, "linear_precise_"+format, grid(tiles, ceilDiv(tokens, decodeTokens)), a)
	case tokens <= decodeTokens:
		shareItems(&a)
		shape := decodeShapeOf(b.d.Info(), format, &a)
		launchBlock(b, shape.module, shape.name, grid(shape.blocks, 1), threads, decodeShared, a)
		b.early()
	default:
		shape := prefillShapeOf(b.form(tokens))
		launchBlock(b, "prefill_"+format, "linear_prefill_"+format, grid(groups, ceilDiv(tokens, shape.tokens)), uint32(shape.threads), shape.shared, a)
	}
}
