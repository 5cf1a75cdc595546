package cuda

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"peregrine/cuda/driver"
	"peregrine/model"
	"peregrine/model/tensor"
)

// attentionCase is one layer's attention on one device: the sizes, and whether positions are rotary (else ALiBi).
type attentionCase struct {
	heads, kvHeads, headDim int
	pos, tokens             int
	alibi, precise, cores   bool
}

func (c attentionCase) String() string {
	return fmt.Sprintf("%d of %d heads of %d, %d tokens at %d, alibi %v, precise %v, cores %v", c.heads, c.kvHeads, c.headDim, c.tokens, c.pos, c.alibi, c.precise, c.cores)
}

// attentionRun is the case with its data: what is in the cache before, what is new, and where results go.
type attentionRun struct {
	attentionCase
	row, context  int
	qkv, angles   []float32 // [tokens][(heads + 2·kvHeads)·headDim], [tokens][headDim/2][2]
	slopes        []float32
	keys, values  []float32 // [kvHeads][context][headDim], positions below pos; what the cache holds behind them is stale
	x             activation
	args          attentionArgs
	keysAt, valAt driver.Ptr
}

func (c attentionCase) form() int {
	switch {
	case c.precise:
		return formFloats
	case c.cores:
		return formCores
	}
	return formFragments
}

const stale = 300 // a key or value of a sequence that was cut off: finite, and it would show in any result

func (r rig) newAttention(c attentionCase) *attentionRun {
	r.Helper()
	random := rand.New(rand.NewPCG(uint64(c.headDim*1000+c.heads), uint64(c.pos*1000+c.tokens)))
	a := &attentionRun{attentionCase: c, row: 16, context: ceilDiv(c.pos+c.tokens+1, 64) * 64}
	for a.row < c.headDim {
		a.row *= 2
	}
	a.qkv = gaussian(random, c.tokens*(c.heads+2*c.kvHeads)*c.headDim, 1, 0)
	if c.alibi {
		a.slopes = model.ALiBiSlopes(c.heads)
	} else {
		for t := range c.tokens {
			for i := range c.headDim / 2 {
				sin, cos := math.Sincos(float64(c.pos+t) * math.Pow(10000, -2*float64(i)/float64(c.headDim)))
				a.angles = append(a.angles, float32(cos), float32(sin))
			}
		}
	}
	a.keys, a.values = gaussian(random, c.kvHeads*a.context*c.headDim, 1, 0), gaussian(random, c.kvHeads*a.context*c.headDim, 1, 0)
	for i := range a.keys {
		if i/c.headDim%a.context >= c.pos {
			a.keys[i], a.values[i] = stale, stale
		} else if !c.precise {
			a.keys[i], a.values[i] = asHalf(a.keys[i]), asHalf(a.values[i])
		}
	}
	a.x = r.newActivation(random, c.tokens, c.heads*c.headDim, c.form(), c.headDim%3 == 2)
	a.keysAt, a.valAt = a.putCache(r)
	splits := ceilDiv(a.context, splitKeys)
	groups := ceilDiv(c.tokens*c.heads/c.kvHeads, attentionRows)
	a.args = attentionArgs{
		qkv: address(put(r, a.qkv)), angles: address(put(r, a.angles)), slopes: address(put(r, a.slopes)), keys: address(a.keysAt),
		values: address(a.valAt), state: address(put(r, []uint32{uint32(c.pos), 0, 0, 0})),
		partial: address(r.room(int64(4 * c.tokens * c.heads * splits * (a.row + 2)))), arrived: address(put(r, make([]uint32, c.kvHeads*groups))),
		place: address(put(r, a.x.place)), x: address(a.x.at), features: size(a.x.features), tokens: size(c.tokens), heads: size(c.heads),
		kv_heads: size(c.kvHeads), head_dim: size(c.headDim), row: size(a.row), context: size(a.context), splits: size(splits),
		scale: float(headScale(c.headDim)), precise: truth(c.precise), form: size(c.form()), blocks: 3, ready: address(put(r, []uint32{3})),
		alone: truth(c.pos%2 == 0),
	}
	return a
}

func asHalf(v float32) float32 { return tensor.FromF16(tensor.ToF16(v)) }

// keyIndex and valueIndex are the cache's order; element d of a position.
func (a *attentionRun) keyIndex(kvHead, pos, d int) int { return (kvHead*a.context+pos)*a.row + d }

func (a *attentionRun) valueIndex(kvHead, pos, d int) int {
	return ((kvHead*a.context/valueKeys+pos/valueKeys)*a.row+d)*valueKeys + pos%valueKeys
}

func (a *attentionRun) putCache(r rig) (keys, values driver.Ptr) {
	r.Helper()
	k, v := make([]float32, a.kvHeads*a.context*a.row), make([]float32, a.kvHeads*a.context*a.row)
	for i := range a.keys {
		h, pos, d := i/a.headDim/a.context, i/a.headDim%a.context, i%a.headDim
		k[a.keyIndex(h, pos, d)], v[a.valueIndex(h, pos, d)] = a.keys[i], a.values[i]
	}
	if a.precise {
		return put(r, k), put(r, v)
	}
	return put(r, halves(k)), put(r, halves(v))
}

func halves(v []float32) []uint16 {
	h := make([]uint16, len(v))
	for i := range v {
		h[i] = tensor.ToF16(v[i])
	}
	return h
}

func (a *attentionRun) getCache(r rig, at driver.Ptr) []float32 {
	r.Helper()
	n := a.kvHeads * a.context * a.row
	if a.precise {
		return get[float32](r, at, n)
	}
	v := make([]float32, n)
	for i, h := range get[uint16](r, at, n) {
		v[i] = tensor.FromF16(h)
	}
	return v
}

// launch runs what plan.attention runs.
func (a *attentionRun) launch(r rig) {
	r.Helper()
	row := strconv.Itoa(a.row)
	switch {
	case a.precise:
		run(r, "attention", "rope_store", a.tokens, a.kvHeads, a.args)
		run(r, "attention", "attention", a.heads, a.tokens, a.args)
	case a.tokens <= decodeTokens:
		grid := []int{int(a.args.splits), a.kvHeads, ceilDiv(a.tokens*a.heads/a.kvHeads, attentionRows)}
		runKernel(r.T, r.d, "attention_"+row, "attention_decode_"+row, grid, splitKeys, 0, &a.args)
	default:
		run(r, "attention", "rope_store", a.tokens, a.kvHeads, a.args)
		run(r, "attention_"+row, "attention_prefill_"+row, ceilDiv(a.tokens, attentionTokens), a.heads, a.args)
	}
}

// head returns head h of a token's queries, keys and values, turned by the token's angles if it is a query or a key.
func (a *attentionRun) head(token, h int) []float64 {
	units, half := a.heads+2*a.kvHeads, a.headDim/2
	from := a.qkv[(token*units+h)*a.headDim:][:a.headDim]
	v := make([]float64, a.headDim)
	for d := range v {
		v[d] = float64(from[d])
	}
	if a.angles == nil || h >= a.heads+a.kvHeads {
		return v
	}
	for i := range half {
		cos, sin := float64(a.angles[(token*half+i)*2]), float64(a.angles[(token*half+i)*2+1])
		v[i], v[i+half] = v[i]*cos-v[i+half]*sin, v[i+half]*cos+v[i]*sin
	}
	return v
}

// cached returns the key and the value of a position.
func (a *attentionRun) cached(kvHead, pos int) (key, value []float64) {
	if pos >= a.pos {
		return a.head(pos-a.pos, a.heads+kvHead), a.head(pos-a.pos, a.heads+a.kvHeads+kvHead)
	}
	for d := range a.headDim {
		i := (kvHead*a.context+pos)*a.headDim + d
		key, value = append(key, float64(a.keys[i])), append(value, float64(a.values[i]))
	}
	return key, value
}

// want is the definition.
func (a *attentionRun) want() [][]float64 {
	out := make([][]float64, a.tokens)
	for h := range a.heads {
		var keys, values [][]float64
		for j := range a.pos + a.tokens {
			k, v := a.cached(h/(a.heads/a.kvHeads), j)
			keys, values = append(keys, k), append(values, v)
		}
		for t := range a.tokens {
			q, p, high, total := a.head(t, h), make([]float64, a.pos+t+1), math.Inf(-1), 0.0
			for j := range p {
				for d := range q {
					p[j] += q[d] * keys[j][d]
				}
				if a.slopes != nil {
					p[j] += float64(a.slopes[h]) * float64(j)
				}
				p[j] /= math.Sqrt(float64(a.headDim))
				high = max(high, p[j])
			}
			sum := make([]float64, a.headDim)
			for j := range p {
				p[j] = math.Exp(p[j] - high)
				total += p[j]
				for d := range sum {
					sum[d] += p[j] * values[j][d]
				}
			}
			for d := range sum {
				out[t] = append(out[t], sum[d]/total)
			}
		}
	}
	return out
}

// checkCache wants the new keys and values at their positions, rounded once, zeros in the padding, and all else as it was.
func (a *attentionRun) checkCache(r rig) {
	r.Helper()
	keys, values := a.getCache(r, a.keysAt), a.getCache(r, a.valAt)
	tolerance := 1e-6 // two products of f32, up to 4 in size, and their sum
	if !a.precise {
		tolerance += 4.0 / 2048
	}
	for h := range a.kvHeads {
		for pos := range a.context {
			var key, value []float64
			switch {
			case pos >= a.pos && pos < a.pos+a.tokens:
				key, value = a.cached(h, pos)
			default:
				for d := range a.headDim {
					i := (h*a.context+pos)*a.headDim + d
					key, value = append(key, float64(a.keys[i])), append(value, float64(a.values[i]))
				}
			}
			for d := range a.row {
				k, v, wantKey, wantValue := float64(keys[a.keyIndex(h, pos, d)]), float64(values[a.valueIndex(h, pos, d)]), 0.0, 0.0
				if d < a.headDim {
					wantKey, wantValue = key[d], value[d]
				}
				if !(math.Abs(k-wantKey) <= tolerance && math.Abs(v-wantValue) <= tolerance) {
					r.Fatalf("KV head %d, position %d, element %d: cache holds %v and %v, want %v and %v", h, pos, d, k, v, wantKey, wantValue)
				}
			}
		}
	}
}

// budget bounds the error of an output; queries, keys and values have deviation 1, so that scores have, too.
//
// Precise: a score sums headDim ≤ 256 products; its partial sums grow to 16 before they are scaled to 1, each rounded by 2^-25 on
// average: 5e-7, four times that in the worst of thousands, and the same again for the sum over keys.
//
// Fast: f16 rounds queries and keys by 2^-13 on average and 2^-12 at most, which moves a score by √2·2^-12 = 3.5e-4, five times
// that in the worst case; what scores do to the sum goes down with the keys that share it. Values are up to 4 in size, whose
// rounding, 2^-12·4 = 1e-3, stays.
func (a *attentionRun) budget() float64 {
	if a.precise {
		return 4e-6
	}
	return 1e-3 + 5*3.5e-4/math.Sqrt(float64(a.pos+1))
}

func (c attentionCase) run(r rig) {
	r.Helper()
	a := r.newAttention(c)
	a.launch(r)
	got := r.read(a.x, c.heads*c.headDim)
	near(r, "attention", got, a.want(), !c.precise, a.budget(), 0)
	a.checkCache(r)
	r.poison(&a.x)
	a.args.x = address(a.x.at)
	a.launch(r) // counters are back where they were, and the same input gives the same bits
	for t, row := range r.read(a.x, c.heads*c.headDim) {
		if !slices.Equal(row, got[t]) {
			r.Errorf("token %d: a second run gives other bits", t)
		}
	}
}

func TestAttention(t *testing.T) {
	cases := []attentionCase{
		{heads: 1, kvHeads: 1, headDim: 4, tokens: 1},
		{heads: 3, kvHeads: 1, headDim: 8, tokens: 2, pos: 1},
		{heads: 12, kvHeads: 12, headDim: 12, tokens: 5, pos: 30, alibi: true},
		{heads: 10, kvHeads: 2, headDim: 16, tokens: 8, pos: 60},
		{heads: 16, kvHeads: 1, headDim: 32, tokens: 1, pos: splitKeys - 1},
		{heads: 32, kvHeads: 2, headDim: 64, tokens: 1, pos: splitKeys},
		{heads: 16, kvHeads: 1, headDim: 64, tokens: 3, pos: 2*splitKeys - 2},
		{heads: 71, kvHeads: 1, headDim: 64, tokens: 1, pos: 700},
		{heads: 71, kvHeads: 1, headDim: 64, tokens: 8, pos: 3},
		{heads: 12, kvHeads: 12, headDim: 64, tokens: 2, pos: 300, alibi: true},
		{heads: 4, kvHeads: 2, headDim: 96, tokens: 2, pos: 255},
		{heads: 4, kvHeads: 4, headDim: 128, tokens: 4, pos: 5},
		{heads: 6, kvHeads: 2, headDim: 256, tokens: 2, pos: 290},
		{heads: 3, kvHeads: 3, headDim: 4, tokens: 9},
		{heads: 6, kvHeads: 2, headDim: 8, tokens: 70, pos: 7},
		{heads: 12, kvHeads: 12, headDim: 12, tokens: 9, pos: 40, alibi: true},
		{heads: 16, kvHeads: 1, headDim: 16, tokens: 130},
		{heads: 5, kvHeads: 1, headDim: 32, tokens: 17, pos: 64},
		{heads: 3, kvHeads: 1, headDim: 64, tokens: 129, pos: 31},
		{heads: 71, kvHeads: 1, headDim: 64, tokens: 9, pos: 15},
		{heads: 2, kvHeads: 1, headDim: 128, tokens: 33, pos: 64},
		{heads: 2, kvHeads: 2, headDim: 256, tokens: 16, pos: 100},
	}
	eachDevice(t, func(t *testing.T, d driver.Device) {
		for _, form := range []int{formFragments, formFloats, formCores} {
			for _, c := range cases {
				c.precise, c.cores = form == formFloats, form == formCores
				if c.cores && c.tokens <= decodeTokens {
					continue // only prompts have this form
				}
				t.Run(c.String(), func(t *testing.T) { c.run(rig{t, d}) })
			}
		}
	})
}

// Behind the end of a sequence the cache holds what one wrote that was cut off, NaN perhaps, when a reply went wrong. It must
// not reach the next.
func TestAttentionDoesNotSeeNaNBehindTheEnd(t *testing.T) {
	eachDevice(t, func(t *testing.T, d driver.Device) {
		for _, c := range []attentionCase{
			{heads: 4, kvHeads: 2, headDim: 64, tokens: 1, pos: 5},
			{heads: 4, kvHeads: 2, headDim: 12, tokens: 8, pos: 300, alibi: true},
			{heads: 4, kvHeads: 2, headDim: 64, tokens: 9, pos: 6},
			{heads: 4, kvHeads: 2, headDim: 256, tokens: 30, pos: 0},
			{heads: 4, kvHeads: 2, headDim: 64, tokens: 1, pos: 5, precise: true},
		} {
			t.Run(c.String(), func(t *testing.T) {
				r := rig{t, d}
				a := r.newAttention(c)
				for i := range a.keys {
					if i/c.headDim%a.context >= c.pos {
						a.keys[i], a.values[i] = float32(math.NaN()), float32(math.NaN())
					}
				}
				a.keysAt, a.valAt = a.putCache(r)
				a.args.keys, a.args.values = address(a.keysAt), address(a.valAt)
				a.launch(r)
				near(r, "attention", r.read(a.x, c.heads*c.headDim), a.want(), !c.precise, a.budget(), 0)
			})
		}
	})
}
