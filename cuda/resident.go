package cuda

import (
	"crypto/sha256"
	"fmt"

	"peregrine/cuda/driver"
	"peregrine/model"
	"peregrine/model/quant"
)

const (
	// chunkTokens is the most tokens of a pass: enough that weights are read from memory a few times only for a long
	// prompt, few enough that cancelling takes a fraction of a second and activations stay small.
	chunkTokens = maxTokens
	// logitsRows is the most rows of logits that a pass computes.
	logitsRows = 64
	// headMost is the longest head that the attention kernels hold in shared memory and registers.
	headMost = 256
	// contextMost is the longest context that can be planned for: some hundred times what fits on any card, and small enough
	// that no size of a cache or of attention's scratch overflows.
	contextMost = 1 << 27
	// coreFeatures is what an x of the form PG_CORES is padded to; kernels/layout.cuh.
	coreFeatures = 64
)

// matrix is one repacked matrix and where it lies.
type matrix struct {
	packing
	parts []*quant.Matrix

	codesAt, scalesAt, offsetsAt, supersAt slot

	placeAt slot   // of packing.place; none without
	input   *input // that it reads; nil of an embedding that is no head
}

// input is an activation in the order of the matrices that read it. Passes of few tokens have a buffer of their own, since
// padding lies elsewhere in their form. Precise passes, whose form is one, use the other.
type input struct {
	few, many slot
	features  uint32 // padded
}

// input returns the buffer of x for a number of tokens.
func (r *resident) input(x *input, tokens int) driver.Ptr {
	if tokens <= decodeTokens && !r.precise() {
		return r.at(x.few)
	}
	return r.at(x.many)
}

// linear is a model.Linear whose matrices were joined where they are stored alike.
type linear struct {
	w     []*matrix
	first []uint32 // output row of each
	bias  slot
	gated bool // one matrix with gate and up rows interleaved
}

// norm is a model.Norm on the device; weight is none when the norm is absent.
type norm struct{ weight, bias slot }

type layer struct {
	index                  int
	attnNorm, mlpNorm      norm
	qkv, attnOut, up, down linear
	keys, values           slot
}

// resident is a model as it lies in device memory: first planned, then loaded.
type resident struct {
	config    model.Config
	precision model.Precision
	limit     int // tokens that the KV cache holds
	positions int // that it has room for: whole blocks of valueKeys
	row       int // elements of a key in the cache
	memory    arena
	embed     *matrix
	head      linear
	layers    []layer
	finalNorm norm
	slopes    slot
	matrices  []*matrix // in the order in which a token reads them
	vectors   []vector
	work      work
	sizes     Need
	// shortPrompt is how many tokens are quicker in passes of decodeTokens than in one, at most: see quickPasses.
	shortPrompt int

	known  map[*quant.Matrix]*matrix
	inputs map[inputKey]*input
	tables map[[32]byte]slot // by hash
}

// vector is small host data that goes to the device as it is.
type vector struct {
	at   slot
	data []byte
}

// work is where a pass keeps what it computes.
type work struct {
	upload, results, logits  slot
	x                        slot // residual stream, f32 [tokens][hidden]
	qkv, gate, up            slot // f32
	stats                    slot // f32 [tokens][blocks][2], pg_segment.stats
	partial, arrived, topped slot
	splits                   int
	expanded                 slot // f16 weights of the matrices of one launch of a prompt
}

// inputKey tells input buffers apart. Positions that hold padding must stay zero, so matrices share a buffer only when
// their padding lies at the same places.
type inputKey struct {
	role     string
	features uint32
	used     [32]byte // hash of which features are none of the padding
}

// newResident plans where everything goes.
func newResident(p *model.Params, opt model.LoadOptions) (*resident, error) {
	c := p.Config
	if c.HeadDim > headMost {
		return nil, fmt.Errorf("heads of %d features; the GPU's attention takes at most %d (use --backend cpu)", c.HeadDim, headMost)
	}
	r := &resident{
		config: c, precision: opt.Precision, limit: opt.Context, row: cacheRow(c.HeadDim),
		known: map[*quant.Matrix]*matrix{}, inputs: map[inputKey]*input{}, tables: map[[32]byte]slot{}, slopes: none,
	}
	if r.limit <= 0 {
		r.limit = c.MaxContext
	}
	if r.limit > contextMost {
		return nil, fmt.Errorf("a context of %d tokens; the GPU's attention takes at most %d (lower --context)", r.limit, contextMost)
	}
	r.positions = ceilDiv(r.limit, valueKeys) * valueKeys
	if err := r.planWeights(p); err != nil {
		return nil, err
	}
	r.sizes.Weights = r.memory.size
	r.planCache()
	r.sizes.KV = r.memory.size - r.sizes.Weights
	r.planWork()
	r.sizes.Work = r.memory.size - r.sizes.Weights - r.sizes.KV
	r.sizes.Staging = r.stagingNeed()
	r.shortPrompt = decodeTokens * r.quickPasses()
	return r, nil
}

// forget lets go of what loading alone needs: the source, and tables and vectors that are on the device now.
func (r *resident) forget() {
	for _, m := range r.matrices {
		m.parts, m.rowTable, m.kTable, m.place = nil, nil, nil, nil
	}
	r.vectors, r.known, r.inputs, r.tables = nil, nil, nil, nil
}

func (r *resident) at(p slot) driver.Ptr { return r.memory.at(p) }

func (r *resident) precise() bool { return r.precision == model.Precise }

// xBytes is the size of an activation's element.
func (r *resident) xBytes() int64 {
	if r.precise() {
		return 4
	}
	return 2
}

// cacheRow pads a head to the sizes that the attention kernels are made for.
func cacheRow(headDim int) int {
	for _, row := range []int{16, 32, 64, 128} {
		if headDim <= row {
			return row
		}
	}
	return headMost
}

func (r *resident) planWeights(p *model.Params) (err error) {
	c := p.Config
	if r.embed, err = r.matrix([]*quant.Matrix{p.Embed}, false); err != nil {
		return err
	}
	if c.Positions == model.ALiBi {
		r.slopes = r.vector(floatBytes(model.ALiBiSlopes(c.Heads)))
	}
	for i := range p.Layers {
		y, err := r.layer(&p.Layers[i])
		if err != nil {
			return fmt.Errorf("layer %d: %w", i, err)
		}
		r.layers = append(r.layers, y)
	}
	r.finalNorm = r.norm(p.FinalNorm)
	r.head, err = r.linear("head", model.Linear{W: []*quant.Matrix{p.Head}}, false)
	return err
}

func (r *resident) layer(from *model.Layer) (y layer, err error) {
	y.index = len(r.layers)
	y.attnNorm, y.mlpNorm = r.norm(from.AttnNorm), r.norm(from.MLPNorm)
	if y.qkv, err = r.linear("qkv", from.QKV, false); err != nil {
		return y, err
	}
	if y.attnOut, err = r.linear("attention output", from.AttnOut, false); err != nil {
		return y, err
	}
	if y.up, err = r.linear("up", from.Up, r.config.MLP == model.GatedSiLU); err != nil {
		return y, err
	}
	if y.down, err = r.linear("down", from.Down, false); err != nil {
		return y, err
	}
	for _, l := range []linear{y.attnOut, y.down} {
		// Whoever computes their input writes it once, in one order.
		if len(l.w) != 1 {
			return y, fmt.Errorf("%s is stored in %d parts of different formats; the GPU wants one (use --backend cpu)",
				l.w[0].parts[0].Name, len(l.w))
		}
	}
	if !y.up.gated && r.config.MLP == model.GELU && len(y.up.w) != 1 {
		return y, fmt.Errorf("%s is stored in %d parts of different formats; the GPU wants one (use --backend cpu)",
			y.up.w[0].parts[0].Name, len(y.up.w))
	}
	if n := len(y.qkv.w) + len(y.up.w); n > maxNormOutputs || len(y.qkv.w) > maxSegments {
		return y, fmt.Errorf("query, key, value and up projections are stored in %d parts; the GPU takes %d", n, maxNormOutputs)
	}
	return y, nil
}

// linear joins l's matrices into one where they are stored alike, and gives each the input that it reads. Gate and up
// projections that cannot be joined are two matrices, gate first.
func (r *resident) linear(role string, l model.Linear, gated bool) (linear, error) {
	y := linear{bias: none}
	joined, err := r.matrix(l.W, gated)
	switch {
	case err == nil:
		y.w, y.gated = []*matrix{joined}, gated
	case len(l.W) == 1:
		return y, err
	default:
		if gated && len(l.W) != 2 {
			return y, fmt.Errorf("gate and up projection in %d matrices: %w", len(l.W), err)
		}
		for _, m := range l.W {
			one, err := r.matrix([]*quant.Matrix{m}, false)
			if err != nil {
				return y, err
			}
			y.w = append(y.w, one)
		}
	}
	row := uint32(0)
	for i, m := range y.w {
		y.first = append(y.first, row)
		row += uint32(m.rows)
		m.input = r.inputOf(fmt.Sprintf("%s %d", role, i), m)
	}
	if l.Bias != nil {
		y.bias = r.vector(floatBytes(l.Bias))
	}
	return y, nil
}

// matrix plans the repacked form of parts, once for each list that begins with the same matrix.
func (r *resident) matrix(parts []*quant.Matrix, gated bool) (*matrix, error) {
	if m := r.known[parts[0]]; m != nil && len(m.parts) == len(parts) {
		return m, nil
	}
	shape, err := planMatrix(parts, gated)
	if err != nil {
		return nil, err
	}
	m := &matrix{packing: shape, parts: parts, placeAt: none}
	m.codesAt, m.scalesAt = r.memory.take(shape.codeBytes), r.memory.take(shape.scaleBytes)
	m.offsetsAt, m.supersAt = r.memory.take(shape.offsetBytes), r.memory.take(shape.superBytes)
	if shape.place != nil {
		m.placeAt = r.table(shape.place)
	}
	r.known[parts[0]] = m
	r.matrices = append(r.matrices, m)
	return m, nil
}

// at returns where input feature k stands among m's.
func (m *matrix) at(k uint32) uint32 {
	if m.place == nil {
		return k
	}
	return m.place[k]
}

// table gives an order of features its slot; equal ones share it.
func (r *resident) table(table []uint32) slot {
	data := wordBytes(table)
	hash := sha256.Sum256(data)
	if p, ok := r.tables[hash]; ok {
		return p
	}
	p := r.vector(data)
	r.tables[hash] = p
	return p
}

// inputOf finds or makes the buffers that m reads in a role.
func (r *resident) inputOf(role string, m *matrix) *input {
	features := uint32(m.xFeatures())
	used := make([]byte, features)
	for k := range uint32(m.in) {
		used[m.at(k)] = 1
	}
	key := inputKey{role, features, sha256.Sum256(used)}
	if r.inputs[key] == nil {
		r.inputs[key] = &input{features: features}
	}
	return r.inputs[key]
}

func (r *resident) norm(n model.Norm) norm {
	if n.Weight == nil {
		return norm{none, none}
	}
	y := norm{weight: r.vector(floatBytes(n.Weight)), bias: none}
	if n.Bias != nil {
		y.bias = r.vector(floatBytes(n.Bias))
	}
	return y
}

func (r *resident) vector(data []byte) slot {
	p := r.memory.take(int64(len(data)))
	r.vectors = append(r.vectors, vector{p, data})
	return p
}

func (r *resident) planCache() {
	for i := range r.layers {
		bytes := int64(r.config.KVHeads) * int64(r.positions) * int64(r.row) * r.xBytes()
		r.layers[i].keys, r.layers[i].values = r.memory.take(bytes), r.memory.take(bytes)
	}
}

func (r *resident) planWork() {
	c, w, m := r.config, &r.work, &r.memory
	floats := func(n ...int) slot {
		bytes := int64(4)
		for _, v := range n {
			bytes *= int64(v)
		}
		return m.take(bytes)
	}
	for _, x := range r.inputs {
		x.few = m.take(decodeTokens * int64(x.features) * 2)
		x.many = m.take(chunkTokens * int64(ceilDiv(int(x.features), coreFeatures)*coreFeatures) * r.xBytes())
	}
	w.upload = m.take(int64(uploadLayout(chunkTokens, &c).bytes))
	w.results = m.take(int64(resultBytes(logitsRows)))
	w.x = floats(chunkTokens, c.Hidden)
	w.qkv = floats(chunkTokens, (c.Heads+2*c.KVHeads)*c.HeadDim)
	w.gate, w.up = none, none
	for _, y := range r.layers {
		if c.MLP == model.GatedSiLU && !y.up.gated && w.gate == none {
			w.gate, w.up = floats(chunkTokens, c.FFN), floats(chunkTokens, c.FFN)
		}
	}
	w.splits = (r.limit + splitKeys - 1) / splitKeys
	w.stats = floats(decodeTokens, ceilDiv(c.Hidden, decodeTiles*tileRows), 2)
	w.partial = floats(decodeTokens, c.Heads, w.splits, r.row+2)
	w.arrived = floats(decodeTokens, c.Heads)
	w.logits = floats(logitsRows, c.Vocab)
	chunks := (c.Vocab + topChunk - 1) / topChunk
	w.expanded = m.take(r.expandedBytes())
	w.topped = m.take(int64(logitsRows) * int64(chunks) * (8*topMost + 8))
}

// passInput is the layout of what a pass gets from the host: pg_state, ids, angles, the layers' counters (0).
type passInput struct{ ids, angles, counters, bytes int }

func uploadLayout(tokens int, c *model.Config) passInput {
	ids := 16
	angles := ids + (4*tokens+15)&^15
	counters := angles + tokens*c.HeadDim/2*8
	return passInput{ids, angles, counters, counters + 4*layerCounters*c.Layers}
}
