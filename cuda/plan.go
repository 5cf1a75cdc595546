package cuda

import (
	"math"
	"strconv"

	"peregrine/cuda/driver"
	"peregrine/model"
)

// Sizes of the kernels' blocks: threads of all of them; query rows (token, head) of a block of attention_decode, tokens of one
// of attention_prefill; blocks that share a token's norm while there are few tokens.
const (
	threads         = 256
	attentionRows   = 16
	attentionTokens = 128
	normSlices      = 8
)

// plan turns passes into launches. A parallel block is four kernels: norms | query, key, value and up projections | attention |
// attention output and down projection, added to the residual stream. A sequential block is seven.
type plan struct {
	*resident
	d driver.Device
}

// What is counted of each layer while decoding.
const (
	counterQKV = iota
	counterUp
	counterAttention
	layerCounters
)

// launches lists what a pass runs, in order.
func (p *plan) launches(s pass) ([]kernelLaunch, error) {
	b := &builder{plan: p, pass: s}
	b.embedTokens()
	for i := range p.layers {
		b.layer(&p.layers[i])
	}
	if s.rows > 0 {
		b.output()
	}
	return b.list, b.err
}

// builder collects the launches of one pass. The first error stays.
type builder struct {
	*plan
	pass
	list []kernelLaunch
	err  error
}

// add appends a kernel; module and name as in package kernels.
func add[T any](b *builder, module, name string, grid driver.Dim, args T) {
	addBlock(b, module, name, grid, threads, 0, args)
}

// addBlock is add for blocks of other sizes, or with dynamic shared memory.
func addBlock[T any](b *builder, module, name string, grid driver.Dim, block uint32, shared int, args T) {
	if b.err != nil {
		return
	}
	f, err := b.d.Function(module, name)
	if err == nil && shared > 48<<10 {
		err = f.SetShared(shared)
	}
	if err != nil {
		b.err = err
		return
	}
	l := newLaunch(f, grid, block, shared, args)
	l.name = name
	b.list = append(b.list, l)
}

// early lets the kernel that was added last begin while those ahead still run.
func (b *builder) early() {
	if b.err == nil {
		b.list[len(b.list)-1].early = true
	}
}

// args says where m lies.
func (r *resident) args(m *matrix) matrixArgs {
	return matrixArgs{
		codes: address(r.at(m.codesAt)), scales: address(r.at(m.scalesAt)), offsets: address(r.at(m.offsetsAt)),
		rows: size(m.rows), k_tiles: size(m.kTiles), groups: size(m.groups), group_steps: size(m.groupSteps),
		zero: word(m.zero), scale_f32: truth(m.scaleF32),
	}
}

// headScale is what scores are multiplied with.
func headScale(headDim int) float32 { return float32(1 / math.Sqrt(float64(headDim))) }

func grid(x, y int) driver.Dim { return driver.Dim{X: uint32(x), Y: uint32(y), Z: 1} }

// form is how activations of so many tokens are stored.
func (b *builder) form(tokens int) int { return formOf(b.d.Info(), b.precise(), tokens) }

func (b *builder) embedTokens() {
	u := uploadLayout(b.tokens, &b.config)
	add(b, "linear_"+b.embed.name, "embed_"+b.embed.name, grid(b.tokens, 1), embedArgs{
		w: b.args(b.embed), ids: address(b.at(b.work.upload) + driver.Ptr(u.ids)), place: address(b.at(b.embed.placeAt)),
		out: address(b.at(b.work.x)), hidden: size(b.config.Hidden), tokens: size(b.tokens),
	})
}

func (b *builder) layer(y *layer) {
	if !b.config.Parallel {
		b.normalize(b.work.x, b.tokens, normed{y.attnNorm, y.qkv})
		b.multiply(b.tokens, b.projections(y)...)
		b.attention(y)
		b.multiply(b.tokens, b.adds(y.attnOut)...)
		b.normalize(b.work.x, b.tokens, normed{y.mlpNorm, y.up})
		b.multiply(b.tokens, b.ups(y)...)
		b.activate(y)
		b.multiply(b.tokens, b.adds(y.down)...)
		return
	}
	mlpNorm := y.mlpNorm
	if mlpNorm.weight == none {
		mlpNorm = y.attnNorm
	}
	b.normalize(b.work.x, b.tokens, normed{y.attnNorm, y.qkv}, normed{mlpNorm, y.up})
	b.multiply(b.tokens, append(b.projections(y), b.counted(y, counterUp, b.ups(y))...)...)
	b.attention(y)
	b.activate(y)
	out, down := b.adds(y.attnOut), b.adds(y.down)
	if out[0].format != down[0].format {
		b.multiply(b.tokens, out...)
		b.multiply(b.tokens, down...)
		return
	}
	// The attention runs beside the product with the up projection's output, which is the larger one and goes first.
	both := down[0]
	both.bytes += out[0].bytes
	both.args.source[1], both.args.bias[1], both.args.sources = out[0].args.source[0], out[0].args.bias[0], 2
	if b.config.MLP == model.GELU {
		first := &both.args.source[0]
		first.ready, first.blocks = address(b.counter(y, counterUp)), size(y.up.blocks())
		second := &both.args.source[1]
		second.ready, second.blocks = address(b.counter(y, counterAttention)), size(b.config.KVHeads*b.attentionBlocks())
	}
	b.multiply(b.tokens, both)
}

// projections are the segments that compute queries, keys and values; they count what they have written.
func (b *builder) projections(y *layer) []segment {
	list := b.stores(b.tokens, y.qkv, b.work.qkv, b.qkvRows())
	return b.counted(y, counterQKV, list)
}

// counted makes segments count their finished blocks.
func (b *builder) counted(y *layer, counter int, list []segment) []segment {
	for i := range list {
		list[i].args.done = address(b.counter(y, counter))
	}
	return list
}

// counter returns where one of the layer's counters is.
func (b *builder) counter(y *layer, counter int) driver.Ptr {
	u := uploadLayout(b.tokens, &b.config)
	return b.at(b.work.upload) + driver.Ptr(u.counters+4*(layerCounters*y.index+counter))
}

// blocks is how many blocks of linear_decode write l's outputs.
func (l *linear) blocks() (n int) {
	for _, m := range l.w {
		n += ceilDiv(m.rowTiles, decodeTiles)
	}
	return n
}

func (b *builder) qkvRows() int { return (b.config.Heads + 2*b.config.KVHeads) * b.config.HeadDim }

// normed is a norm and the projections that read its output.
type normed struct {
	norm norm
	to   linear
}

func (b *builder) normalize(x slot, tokens int, list ...normed) {
	b.normalizeAt(b.at(x), tokens, list...)
}

func (b *builder) normalizeAt(x driver.Ptr, tokens int, list ...normed) {
	a := normArgs{
		in: address(x), hidden: size(b.config.Hidden), tokens: size(tokens), eps: float(b.config.NormEps),
		rms: truth(b.config.Norm == model.RMSNorm), form: size(b.form(tokens)),
	}
	for _, n := range list {
		for _, m := range n.to.w {
			a.output[a.outputs] = normOutput{
				weight: address(b.at(n.norm.weight)), bias: address(b.at(n.norm.bias)), place: address(b.at(m.placeAt)),
				x: address(b.input(m.input, tokens)), features: word(m.input.features),
			}
			a.outputs++
		}
	}
	slices := 1
	if tokens <= decodeTokens {
		slices = normSlices
	}
	add(b, "norm", "norm", grid(tokens, slices), a)
	b.early()
}

// segment is a segment of a linear launch with the format of its kernel.
type segment struct {
	format string
	bytes  int64 // of weights
	args   segmentArgs
}

func (b *builder) segment(tokens int, m *matrix, epilogue int, bias driver.Ptr) segment {
	s := segment{format: m.name, bytes: m.codeBytes + m.scaleBytes + m.offsetBytes}
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
	add(b, "norm", "activate", grid(ceilDiv(b.config.FFN, threads), b.tokens), activateArgs{
		gate: address(b.at(b.work.gate)), up: address(b.at(b.work.up)), place: address(b.at(down.placeAt)),
		x: address(b.input(down.input, b.tokens)), features: word(down.input.features), ffn: size(b.config.FFN),
		tokens: size(b.tokens), form: size(b.form(b.tokens)),
	})
	b.early()
}

// multiply runs segments whose outputs are disjoint: one launch for those of a format, at most maxSegments at a time.
func (b *builder) multiply(tokens int, list ...segment) {
	for len(list) > 0 {
		format := list[0].format
		a, tiles, pairs, groups, bytes := linearArgs{tokens: size(tokens)}, 0, 0, 0, int64(0)
		var rest []segment
		for _, s := range list {
			if s.format != format || a.segments == maxSegments {
				rest = append(rest, s)
				continue
			}
			a.segment[a.segments] = s.args
			a.segments++
			bytes += s.bytes
			tiles += int(s.args.tiles)
			pairs += ceilDiv(int(s.args.tiles), decodeTiles)
			groups += ceilDiv(int(s.args.tiles), prefillTiles)
		}
		switch {
		case b.precise():
			add(b, "linear_"+format, "linear_precise_"+format, grid(tiles, ceilDiv(tokens, decodeTokens)), a)
		case tokens <= decodeTokens:
			addBlock(b, "linear_"+format, "linear_decode_"+format, grid(pairs, 1), threads, decodeShared(format), a)
			b.early()
		default:
			shape := prefillShapeOf(b.form(tokens))
			addBlock(b, "prefill_"+format, "linear_prefill_"+format, grid(groups, ceilDiv(tokens, shape.tokens)), uint32(shape.threads), shape.shared, a)
		}
		if b.err == nil {
			b.list[len(b.list)-1].bytes = bytes
		}
		list = rest
	}
}

func (b *builder) attention(y *layer) {
	c, w, out := b.config, &b.work, y.attnOut.w[0]
	u := uploadLayout(b.tokens, &c)
	a := attentionArgs{
		qkv: address(b.at(w.qkv)), slopes: address(b.at(b.slopes)), keys: address(b.at(y.keys)), values: address(b.at(y.values)),
		state: address(b.at(w.upload)), partial: address(b.at(w.partial)), arrived: address(b.at(w.arrived)),
		place: address(b.at(out.placeAt)), x: address(b.input(out.input, b.tokens)), features: word(out.input.features),
		tokens: size(b.tokens), heads: size(c.Heads), kv_heads: size(c.KVHeads), head_dim: size(c.HeadDim), row: size(b.row),
		context: size(b.positions), splits: size(w.splits), scale: float(headScale(c.HeadDim)), precise: truth(b.precise()),
		form:  size(b.form(b.tokens)),
		ready: address(b.counter(y, counterQKV)), blocks: size(y.qkv.blocks()), done: address(b.counter(y, counterAttention)),
	}
	if c.Positions == model.Rotary {
		a.angles = address(b.at(w.upload) + driver.Ptr(u.angles))
	}
	row := strconv.Itoa(b.row)
	switch {
	case b.precise():
		add(b, "attention", "rope_store", grid(b.tokens, c.KVHeads), a)
		add(b, "attention", "attention", grid(c.Heads, b.tokens), a)
	case b.tokens <= decodeTokens:
		rows := b.attentionBlocks()
		add(b, "attention_decode", "attention_decode_"+row, driver.Dim{X: uint32(w.splits), Y: uint32(c.KVHeads), Z: uint32(rows)}, a)
		b.early()
	default:
		add(b, "attention", "rope_store", grid(b.tokens, c.KVHeads), a)
		add(b, "attention_prefill", "attention_prefill_"+row, grid(ceilDiv(b.tokens, attentionTokens), c.Heads), a)
	}
}

// attentionBlocks is how many blocks of attention_decode share the query rows of a KV head.
func (b *builder) attentionBlocks() int {
	return ceilDiv(b.tokens*b.config.Heads/b.config.KVHeads, attentionRows)
}

// output computes the logits of the last rows and picks the best.
func (b *builder) output() {
	c, w := b.config, &b.work
	from := b.at(w.x) + driver.Ptr(4*(b.tokens-b.rows)*c.Hidden)
	b.normalizeAt(from, b.rows, normed{b.finalNorm, b.head})
	b.multiply(b.rows, b.stores(b.rows, b.head, w.logits, c.Vocab)...)
	chunks := ceilDiv(c.Vocab, topChunk)
	a := topArgs{
		logits: address(b.at(w.logits)), partial: address(b.at(w.topped)), top: address(b.at(w.results)),
		log_sum: address(b.at(w.results) + driver.Ptr(b.rows*topMost*8)),
		vocab:   size(c.Vocab), rows: size(b.rows), k: size(min(topMost, c.Vocab)), chunks: size(chunks),
	}
	add(b, "top", "top_chunk", grid(chunks, b.rows), a)
	b.early()
	add(b, "top", "top_merge", grid(b.rows, 1), a)
	b.early()
}
