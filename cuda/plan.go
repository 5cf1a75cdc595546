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
	counterOut
	counterDown
	layerCounters
)

// progress is a counter and how many items or blocks it counts: what they write is there when it has reached that. The zero
// value is none.
type progress struct {
	counter driver.Ptr
	blocks  int
}

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
	sum  progress // the residual stream's last sum, if it left statistics
	err  error
}

// launch appends a kernel; module and name as in package kernels.
func launch[T any](b *builder, module, name string, grid driver.Dim, args T) {
	launchBlock(b, module, name, grid, threads, 0, args)
}

// launchBlock is launch for blocks of other sizes, or with dynamic shared memory.
func launchBlock[T any](b *builder, module, name string, grid driver.Dim, block uint32, shared int, args T) {
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

// early lets the kernel that was added last begin, and run, while those ahead still do.
func (b *builder) early() {
	if b.err != nil {
		return
	}
	l := &b.list[len(b.list)-1]
	l.early = true
	b.err = l.function.PreferShared()
}

// args says where m lies.
func (r *resident) args(m *matrix) matrixArgs {
	return matrixArgs{
		codes: address(r.at(m.codesAt)), scales: address(r.at(m.scalesAt)), offsets: address(r.at(m.offsetsAt)),
		supers: address(r.at(m.supersAt)),
		rows:   size(m.rows), k_tiles: size(m.kTiles), groups: size(m.groups), group_steps: size(m.groupSteps),
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
	launch(b, "linear_"+b.embed.name, "embed_"+b.embed.name, grid(b.tokens, 1), embedArgs{
		w: b.args(b.embed), ids: address(b.at(b.work.upload) + driver.Ptr(u.ids)), place: address(b.at(b.embed.placeAt)),
		out: address(b.at(b.work.x)), hidden: size(b.config.Hidden), tokens: size(b.tokens),
	})
}

func (b *builder) layer(y *layer) {
	if !b.config.Parallel {
		b.normalize(normed{y.attnNorm, y.qkv})
		b.multiply(b.tokens, b.projections(y)...)
		b.attention(y)
		b.add(y, counterOut, b.adds(y.attnOut))
		b.normalize(normed{y.mlpNorm, y.up})
		b.multiply(b.tokens, b.ups(y)...)
		b.activate(y)
		b.add(y, counterDown, b.adds(y.down))
		return
	}
	mlpNorm := y.mlpNorm
	if mlpNorm.weight == none {
		mlpNorm = y.attnNorm
	}
	b.normalize(normed{y.attnNorm, y.qkv}, normed{mlpNorm, y.up})
	b.multiply(b.tokens, append(b.projections(y), b.counted(y, counterUp, b.ups(y))...)...)
	b.attention(y)
	b.activate(y)
	out, down := b.adds(y.attnOut), b.adds(y.down)
	if out[0].format != down[0].format {
		b.multiply(b.tokens, out...)
		b.add(y, counterDown, down)
		return
	}
	// The attention runs beside the product with the up projection's output, which is the larger one and goes first.
	both := down[0]
	both.bytes += out[0].bytes
	both.matrices = []*matrix{down[0].matrices[0], out[0].matrices[0]}
	both.args.source[1], both.args.bias[1], both.args.sources = out[0].args.source[0], out[0].args.bias[0], 2
	if b.config.MLP == model.GELU {
		first := &both.args.source[0]
		first.ready, first.blocks = address(b.counter(y, counterUp)), size(y.up.items())
		second := &both.args.source[1]
		second.ready, second.blocks = address(b.counter(y, counterAttention)), size(b.config.KVHeads*b.attentionBlocks())
	}
	b.add(y, counterDown, []segment{both})
}

// add runs the segment that ends a sum into the residual stream, which leaves the next norm its statistics.
func (b *builder) add(y *layer, counter int, list []segment) {
	b.sum = progress{}
	if b.tokens <= decodeTokens && !b.precise() {
		b.sum = progress{b.counter(y, counter), ceilDiv(int(list[0].args.tiles), decodeTiles)}
		list[0].args.done, list[0].args.stats = address(b.sum.counter), address(b.at(b.work.stats))
	}
	b.multiply(b.tokens, list...)
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

// items is how many items of linear_decode l's outputs are.
func (l *linear) items() (n int) {
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

// normalize normalises the residual stream.
func (b *builder) normalize(list ...normed) {
	if b.sum == (progress{}) {
		b.normalizeAt(b.at(b.work.x), b.tokens, list...)
		return
	}
	a := b.norms(b.at(b.work.x), b.tokens, list)
	a.stats, a.ready, a.blocks = address(b.at(b.work.stats)), address(b.sum.counter), size(b.sum.blocks)
	launch(b, "norm", "norm_decode", grid(b.tokens, ceilDiv(b.config.Hidden, threads)), a)
	b.early()
}

// normalizeAt normalises rows at x, without statistics.
func (b *builder) normalizeAt(x driver.Ptr, tokens int, list ...normed) {
	slices := 1
	if tokens <= decodeTokens {
		slices = normSlices
	}
	name := normKernel(b.form(tokens))
	launch(b, name, name, grid(tokens, slices), b.norms(x, tokens, list))
	b.early()
}

func (b *builder) norms(x driver.Ptr, tokens int, list []normed) normArgs {
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
	return a
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
		ready: address(b.counter(y, counterQKV)), blocks: size(y.qkv.items()), done: address(b.counter(y, counterAttention)),
		alone: truth(!c.Parallel),
	}
	if c.Positions == model.Rotary {
		a.angles = address(b.at(w.upload) + driver.Ptr(u.angles))
	}
	row := strconv.Itoa(b.row)
	switch {
	case b.precise():
		launch(b, "attention", "rope_store", grid(b.tokens, c.KVHeads), a)
		launch(b, "attention", "attention", grid(c.Heads, b.tokens), a)
	case b.tokens <= decodeTokens:
		rows := b.attentionBlocks()
		blocks := driver.Dim{X: uint32(w.splits), Y: uint32(c.KVHeads), Z: uint32(rows)}
		launchBlock(b, "attention_"+row, "attention_decode_"+row, blocks, splitKeys, 0, a)
		b.early()
	default:
		launch(b, "attention", "rope_store", grid(b.tokens, c.KVHeads), a)
		launch(b, "attention_"+row, "attention_prefill_"+row, grid(ceilDiv(b.tokens, attentionTokens), c.Heads), a)
	}
}

// attentionBlocks is how many blocks of attention_decode share the query rows of a KV head.
func (b *builder) attentionBlocks() int {
	return ceilDiv(b.tokens*b.config.Heads/b.config.KVHeads, attentionRows)
}

// lastRows computes the logits of the last rows, which the norm's statistics are not of, in parts where the head wants it.
func (b *builder) lastRows(final normed) {
	c, step := b.config, b.rows
	if b.headByParts() {
		step = decodeTokens
	}
	first := b.at(b.work.x) + driver.Ptr(4*(b.tokens-b.rows)*c.Hidden)
	for at := 0; at < b.rows; at += step {
		n := min(step, b.rows-at)
		b.normalizeAt(first+driver.Ptr(4*at*c.Hidden), n, final)
		b.multiply(n, b.stores(n, b.head, b.work.logits+slot(4*at*c.Vocab), c.Vocab)...)
	}
}

// output computes the logits of the last rows and picks the best.
func (b *builder) output() {
	c, w := b.config, &b.work
	final := normed{b.finalNorm, b.head}
	if b.rows == b.tokens && !b.headByParts() {
		b.normalize(final)
		b.multiply(b.rows, b.stores(b.rows, b.head, w.logits, c.Vocab)...)
	} else {
		b.lastRows(final)
	}
	chunks := ceilDiv(c.Vocab, topChunk)
	a := topArgs{
		logits: address(b.at(w.logits)), partial: address(b.at(w.topped)), top: address(b.at(w.results)),
		log_sum: address(b.at(w.results) + driver.Ptr(b.rows*topMost*8)),
		vocab:   size(c.Vocab), rows: size(b.rows), k: size(min(topMost, c.Vocab)), chunks: size(chunks),
	}
	launch(b, "top", "top_chunk", grid(chunks, b.rows), a)
	b.early()
	launch(b, "top", "top_merge", grid(b.rows, 1), a)
	b.early()
}
