package cuda

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"peregrine/cuda/driver"
	"peregrine/model/backendtest"
	"peregrine/model/quant"
	"peregrine/model/tensor"
)

// A way to multiply: the kernel, and the tokens it is tried with.
type way struct {
	name   string
	tokens []int
}

var ways = []way{
	{"decode", []int{1, 2, 5, 8}},
	{"precise", []int{1, 2, 8, 9, 20}},
	{"prefill", []int{9, 33, 64, 65, 130}},
}

// tokensOn returns the tokens that a kernel is tried with on a device. Blocks of prefill kernels have 128 tokens, on a card of
// compute capability 9.0 up to 256, in three sizes; all of them takes the host a while to check.
func (w way) tokensOn(d driver.Device, all bool) []int {
	switch {
	case w.name != "prefill" || d.Info().Emulated:
		return w.tokens
	case all:
		return append(slices.Clone(w.tokens), 128, 129, 256, 257, 300, 400, maxTokens)
	}
	return append(slices.Clone(w.tokens), 257)
}

// product is one source of a segment: a repacked matrix and the weights [row][in] that it must mean.
type product struct {
	packing
	args matrixArgs
	want [][]float32
	bias []float32
}

// testSegment is a segment of a launch, and what its output must be.
type testSegment struct {
	epilogue int
	products []product
	place    []uint32 // of outputs, for those that go into the next x
	features int      // of the next x
	folded   bool     // whether the last launch decoded, and multiplied weights with scales
}

// newSegment makes a segment of random matrices, one for each element of ins.
func newSegment(r rig, rng *rand.Rand, w weights, epilogue, out int, ins ...int) *testSegment {
	r.Helper()
	s := &testSegment{epilogue: epilogue}
	for i, in := range ins {
		in = w.features(in)
		parts := []*quant.Matrix{w.matrix(rng, fmt.Sprint("source ", i), out, in)}
		if epilogue == epilogueGated {
			parts = append(parts, w.matrix(rng, "up", out, in))
			if w.act {
				parts[1].GPTQ.GIdx = parts[0].GPTQ.GIdx
			}
		}
		p := product{want: dequantized(parts)}
		p.packing, p.args = r.repack(parts, epilogue == epilogueGated)
		for range p.rows {
			p.bias = append(p.bias, float32(rng.NormFloat64()))
		}
		s.products = append(s.products, p)
	}
	if epilogue == epilogueGELU || epilogue == epilogueGated {
		s.features = (out + 95) / 32 * 32
		for _, at := range rng.Perm(s.features)[:out] {
			s.place = append(s.place, uint32(at))
		}
	}
	return s
}

// marker fills outputs before a kernel runs; what it does not have to write must keep it.
const marker = float32(-7.25) // the same in f16

// multiply runs one launch over all segments and checks every element of every output.
func multiply(r rig, rng *rand.Rand, segments []*testSegment, kernel string, tokens int) {
	r.Helper()
	precise := kernel == "precise"
	form := formOf(r.d.Info(), precise, tokens)
	a := linearArgs{segments: size(len(segments)), tokens: size(tokens)}
	x := make([][][][]float32, len(segments)) // [segment][source][token][feature]
	blocks := 0
	for i, s := range segments {
		to := &a.segment[i]
		for j, p := range s.products {
			x[i] = append(x[i], make([][]float32, tokens))
			for token := range tokens {
				for range p.in {
					v := float32(rng.NormFloat64())
					if !precise {
						v = tensor.FromF16(tensor.ToF16(v))
					}
					x[i][j][token] = append(x[i][j][token], v)
				}
			}
			to.source[j].w, to.source[j].x = p.args, address(uploadX(r, &p.packing, x[i][j], form))
			to.bias[j] = address(put(r, p.bias))
		}
		to.sources, to.epilogue = size(len(s.products)), size(s.epilogue)
		tiles := s.products[0].rowTiles
		to.tiles = size(tiles)
		to.place, to.out_stride = address(put(r, s.place)), size(s.stride())
		to.out = address(s.marked(r, tokens, form))
		if kernel == "decode" && s.epilogue == epilogueAdd {
			to.stats = address(r.room(int64(tokens * ceilDiv(tiles, decodeTiles) * 8)))
			to.done = address(put(r, []uint32{0}))
		}
		switch kernel {
		case "prefill":
			tiles = ceilDiv(tiles, prefillTiles)
		case "decode":
			tiles = ceilDiv(tiles, decodeTiles)
		}
		blocks += tiles
	}
	runLinear(r, kernel, &segments[0].products[0].packing, blocks, expandedFor(r, kernel, segments, a))
	shareItems(&a)
	for i, s := range segments {
		s.folded = kernel == "decode" && folded(s.products[0].name, &a)
		what, to := fmt.Sprintf("%s, %d tokens, segment %d", kernel, tokens, i), &a.segment[i]
		s.check(r, what, driver.Ptr(to.out), x[i], kernel, form, tokens)
		if to.stats != 0 {
			s.checkStatistics(r, what, to, tokens)
		}
	}
}

// expandedFor has prefill kernels read f16 weights where the format wants it.
func expandedFor(r rig, kernel string, segments []*testSegment, a linearArgs) linearArgs {
	r.Helper()
	for i, s := range segments {
		for j, p := range s.products {
			if !p.expanded || kernel != "prefill" {
				continue
			}
			to := address(r.room(p.expandedBytes()))
			run(r, "expand", "expand_"+p.name, ceilDiv(int(p.expandedBytes()/vectorBytes), threads), 1, expandArgs{w: p.args, to: to, tiles: size(p.rowTiles)})
			a.segment[i].source[j].w = matrixArgs{codes: to, rows: size(p.rows), k_tiles: size(p.xFeatures() / layoutF16.features)}
		}
	}
	return a
}

// checkStatistics compares what a launch says of its outputs with the outputs.
func (s *testSegment) checkStatistics(r rig, what string, to *segmentArgs, tokens int) {
	r.Helper()
	var rows []float32
	for token := range tokens {
		rows = append(rows, get[float32](r, driver.Ptr(to.out), s.elements(formFragments, tokens))[token*s.stride():][:s.products[0].rows]...)
	}
	want := statistics(rows, s.products[0].rows)
	for i, got := range get[float32](r, driver.Ptr(to.stats), len(want)) {
		if w := float64(want[i]); !(math.Abs(float64(got)-w) <= 1e-5*math.Abs(w)+1e-4) {
			r.Fatalf("%s: statistic %d of %d is %g, want %g", what, i, len(want), got, w)
		}
	}
	blocks := uint32(ceilDiv(s.products[0].rowTiles, decodeTiles))
	if got := get[uint32](r, driver.Ptr(to.done), 1)[0]; got != blocks {
		r.Fatalf("%s: %d blocks were counted, want %d", what, got, blocks)
	}
}

// toX reports whether the output is the next matrix's input.
func (s *testSegment) toX() bool { return s.features > 0 }

func (s *testSegment) stride() int {
	if s.toX() {
		return s.features
	}
	return s.products[0].rows + 3
}

// elements is how many values the output buffer has: rows of another token, or the token group's others, follow.
func (s *testSegment) elements(form, tokens int) int {
	if s.toX() {
		return xElements(form, s.features, tokens)
	}
	return (tokens + 1) * s.stride()
}

// marked returns an output buffer that holds markers.
func (s *testSegment) marked(r rig, tokens, form int) driver.Ptr {
	if s.toX() && form != formFloats {
		return put(r, slices.Repeat([]uint16{tensor.ToF16(marker)}, s.elements(form, tokens)))
	}
	return put(r, slices.Repeat([]float32{marker}, s.elements(form, tokens)))
}

// check compares the output at out with float64's.
func (s *testSegment) check(r rig, what string, out driver.Ptr, x [][][]float32, kernel string, form, tokens int) {
	r.Helper()
	var got []float32
	if s.toX() && form != formFloats {
		for _, v := range get[uint16](r, out, s.elements(form, tokens)) {
			got = append(got, tensor.FromF16(v))
		}
	} else {
		got = get[float32](r, out, s.elements(form, tokens))
	}
	want := make([]bounded, len(got))
	for i := range want {
		want[i] = bounded{float64(marker), 0}
	}
	for token := range tokens {
		s.expect(want, x, kernel, form, token)
	}
	worst := 0.0
	for i, w := range want {
		if off := math.Abs(float64(got[i]) - w.value); !(off <= w.error) {
			r.Fatalf("%s, epilogue %d: element %d of %d is %g, want %g ± %.2g", what, s.epilogue, i, len(got), got[i], w.value, w.error)
		} else if w.error > 0 {
			worst = max(worst, off/w.error)
		}
	}
	r.Logf("%s, epilogue %d: at most %.0f %% of the budget", what, s.epilogue, 100*worst)
}

// expect enters one token's outputs where they must be.
func (s *testSegment) expect(want []bounded, x [][][]float32, kernel string, form, token int) {
	rows := s.products[0].rows
	at := func(row int) int {
		if s.place != nil {
			row = int(s.place[row])
		}
		return xIndex(form, s.features, token, row)
	}
	if s.epilogue == epilogueGated {
		for f := range rows / 2 {
			gate, up := s.sum(x, kernel, token, f), s.sum(x, kernel, token, rows/2+f)
			want[at(f)] = gate.gated(up, form).stored(kernel)
		}
		return
	}
	for row := range rows {
		y := s.sum(x, kernel, token, row)
		switch s.epilogue {
		case epilogueGELU:
			want[at(row)] = y.gelu().stored(kernel)
			continue
		case epilogueAdd:
			y.value += float64(marker)
			y.error += 0x1p-23 * math.Abs(float64(marker))
		}
		y.error += 0x1p-24 * math.Abs(y.value)
		want[token*s.stride()+row] = y
	}
}

// TestLinear multiplies with every format and every kernel: four segments in one launch, one for each epilogue, one with two
// sources, none of which fills its tiles.
func TestLinear(t *testing.T) {
	eachDevice(t, func(t *testing.T, d driver.Device) {
		for i, w := range storedFormats() {
			if backendtest.Raced && i%6 != 1 {
				continue
			}
			t.Run(w.String(), func(t *testing.T) {
				rng := rand.New(rand.NewPCG(2, uint64(i)))
				r := rig{t, d}
				segments := []*testSegment{
					newSegment(r, rng, w, epilogueStore, 40, 96),
					newSegment(r, rng, w, epilogueGELU, 33, 352),
					newSegment(r, rng, w, epilogueAdd, 150, 96, 352),
					newSegment(r, rng, w, epilogueGated, 20, 160),
				}
				if i%2 == 0 {
					segments[1].place = nil
				}
				for _, way := range ways {
					for _, tokens := range way.tokensOn(d, i%6 == 0) {
						multiply(r, rng, segments, way.name, tokens)
					}
				}
			})
		}
	})
}

// TestLinearLong multiplies with rows so long that every warp's ring of loads comes round.
func TestLinearLong(t *testing.T) {
	eachDevice(t, func(t *testing.T, d driver.Device) {
		for i, w := range storedFormats() {
			t.Run(w.String(), func(t *testing.T) {
				rng := rand.New(rand.NewPCG(3, uint64(i)))
				r := rig{t, d}
				layout, err := layoutOf(w.matrix(rng, "one", 1, w.features(32)))
				if err != nil {
					t.Fatal(err)
				}
				in := layout.features*8*(8/layout.vectors+2) + 32
				segments := []*testSegment{newSegment(r, rng, w, epilogueStore, 16, in)}
				multiply(r, rng, segments, "decode", 1)
				multiply(r, rng, segments, "decode", 3)
				multiply(r, rng, segments, "precise", 1)
				multiply(r, rng, segments, "prefill", 9)
				if !d.Info().Emulated {
					multiply(r, rng, segments, "prefill", 200)
				}
			})
		}
	})
}

// TestLinearNotFinite checks that NaN reaches the outputs of its token alone, and that weights beyond f16's range become its
// largest values in the fast kernels. Token 1 of x is NaN; the others meet each weight once, halved.
func TestLinearNotFinite(t *testing.T) {
	values := []float32{1e30, -1e30, float32(math.NaN()), float32(math.Inf(1))}
	eachDevice(t, func(t *testing.T, d driver.Device) {
		for _, format := range []quant.Format{quant.BF16, quant.F32} {
			m := columnOf(format, values)
			r := rig{t, d}
			p, args := r.repack([]*quant.Matrix{m}, false)
			want := make([]float32, p.rows*p.in)
			m.Dequantize(want, 0, m.Out)
			for _, way := range ways {
				tokens := slices.Max(way.tokensOn(d, true))
				x := make([][]float32, tokens)
				for token := range x {
					x[token] = make([]float32, m.In)
					x[token][0] = 0.5
				}
				x[1][3] = float32(math.NaN())
				a := linearArgs{segments: 1, tokens: size(tokens)}
				s := &a.segment[0]
				s.source[0].w, s.source[0].x = args, address(uploadX(r, &p, x, formOf(d.Info(), way.name == "precise", tokens)))
				s.sources, s.tiles, s.out_stride = 1, size(p.rowTiles), size(p.rows)
				s.out = address(r.room(int64(4 * tokens * p.rows)))
				runLinear(r, way.name, &p, 1, a)
				for i, got := range get[float32](r, driver.Ptr(s.out), tokens*p.rows) {
					token, row := i/p.rows, i%p.rows
					w := want[row*p.in] / 2
					if way.name != "precise" && w == w {
						w = float32(math.Copysign(65504./2, float64(w)))
					}
					if token == 1 {
						w = x[1][3]
					}
					if got != w && (got == got || w == w) {
						t.Errorf("%v, %s, token %d, weight %g: %g, want %g", format, way.name, token, values[row], got, w)
					}
				}
			}
		}
	})
}

// columnOf returns a dense matrix whose first input feature has the values as weights, and all others 0.
func columnOf(format quant.Format, values []float32) *quant.Matrix {
	m := &quant.Matrix{Name: "column", Format: format, Out: len(values), In: 32}
	m.Data = make([]byte, m.Out*format.RowBytes(m.In))
	for n, v := range values {
		row := m.Row(n)
		if format == quant.F32 {
			binary.LittleEndian.PutUint32(row, math.Float32bits(v))
		} else {
			binary.LittleEndian.PutUint16(row, tensor.ToBF16(v))
		}
	}
	return m
}
