package quantize

import (
	"encoding/binary"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"peregrine/model/safetensors"
)

// reference is input and output of AutoGPTQ's own GPTQ class for one matrix; testdata/README.md says how it was made.
type reference struct {
	options                Options
	out, in, groups        int
	sequences, tokens      int
	weight, inputs         []float32
	hessian                []float64
	scale, zero, quantised []float32
	codes                  []byte
	gIdx                   []int32
	metadata               map[string]string
}

func readReference(t *testing.T, path string) reference {
	t.Helper()
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	floats := func(name string) ([]float32, []int) {
		v, ok := f.Tensor(name)
		if !ok {
			t.Fatalf("%s has no %s", path, name)
		}
		values, err := v.Float32(nil)
		if err != nil {
			t.Fatal(err)
		}
		return values, v.Shape
	}
	m := f.Metadata()
	r := reference{metadata: m, options: Options{
		Bits: int(number(t, m, "bits")), GroupSize: int(number(t, m, "group_size")), Damping: number(t, m, "percdamp"),
		ActOrder: m["desc_act"] == "true", Symmetric: m["sym"] == "true", StaticGroups: m["static_groups"] == "true",
	}}
	var shape []int
	r.inputs, shape = floats("inputs")
	r.sequences, r.tokens = shape[0], shape[1]
	r.scale, shape = floats("scale")
	r.groups = shape[1]
	r.zero, _ = floats("zero")
	r.quantised, _ = floats("weight_quantized")
	r.weight, shape = floats("weight")
	r.out, r.in = shape[0], shape[1]
	h, _ := floats("hessian")
	r.hessian = widen(h)
	codes, _ := f.Tensor("codes")
	r.codes = codes.Data
	gIdx, _ := f.Tensor("g_idx")
	for k := range r.in {
		r.gIdx = append(r.gIdx, int32(binary.LittleEndian.Uint32(gIdx.Data[4*k:])))
	}
	return r
}

func number(t *testing.T, metadata map[string]string, key string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(metadata[key], 64)
	if err != nil {
		t.Fatalf("metadata %s: %v", key, err)
	}
	return v
}

// eachReference runs f with every case of testdata.
func eachReference(t *testing.T, f func(t *testing.T, r reference)) {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.safetensors")
	if err != nil || len(paths) != 8 {
		t.Fatalf("found %d references in testdata, want 8 (%v)", len(paths), err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) { f(t, readReference(t, path)) })
	}
}

// gather adds the reference's inputs sequence by sequence.
func gather(t *testing.T, r reference) []float64 {
	t.Helper()
	h := NewHessian(r.in)
	size := r.tokens * r.in
	for s := range r.sequences {
		if err := h.Add(r.inputs[s*size : (s+1)*size]); err != nil {
			t.Fatal(err)
		}
	}
	return h.Take()
}

// TestHessianEqualsAutoGPTQ: its float32 sums differ from float64 ones by at most 9e-8 of the largest element, ours as much.
func TestHessianEqualsAutoGPTQ(t *testing.T) {
	eachReference(t, func(t *testing.T, r reference) {
		var largest, worst float64
		for i, got := range gather(t, r) {
			largest = max(largest, math.Abs(r.hessian[i]))
			worst = max(worst, math.Abs(got-r.hessian[i]))
		}
		if worst > 2e-7*largest {
			t.Errorf("the Hessian differs by %g of its largest element", worst/largest)
		}
	})
}

// TestHessianEqualsItsDefinition: 2/n · Σ XᵀX over n sequences, in float64.
func TestHessianEqualsItsDefinition(t *testing.T) {
	eachReference(t, func(t *testing.T, r reference) {
		want := make([]float64, r.in*r.in)
		for at := 0; at < len(r.inputs); at += r.in {
			x := widen(r.inputs[at : at+r.in])
			for i := range x {
				for j := range x {
					want[i*r.in+j] += 2 / float64(r.sequences) * x[i] * x[j]
				}
			}
		}
		largest := slices.Max(want) // on the diagonal
		for i, got := range gather(t, r) {
			if d := math.Abs(got - want[i]); d > 1e-7*largest {
				t.Fatalf("H[%d, %d] is %g, want %g", i/r.in, i%r.in, got, want[i])
			}
		}
	})
}

// TestSolveEqualsAutoGPTQ compares what the codes stand for: an all-zero asymmetric row has its zero point at a tie, which
// float32 rounds down and float64 up, with the same weights either way.
func TestSolveEqualsAutoGPTQ(t *testing.T) {
	eachReference(t, func(t *testing.T, r reference) {
		for source, hessian := range map[string][]float64{"hessian": r.hessian, "inputs": gather(t, r)} {
			got, err := Solve(t.Context(), r.weight, r.out, r.in, hessian, r.options)
			if err != nil {
				t.Fatal(err)
			}
			compare(t, source, got, r)
		}
	})
}

func compare(t *testing.T, source string, got *Weights, r reference) {
	t.Helper()
	if got.Groups != r.groups {
		t.Fatalf("from %s: %d groups, want %d", source, got.Groups, r.groups)
	}
	for i, want := range r.scale {
		if d := math.Abs(float64(got.Scales[i]-want)) / math.Abs(float64(want)); d > 2e-6 {
			t.Errorf("from %s: scale %d is %v, want %v (%.2g)", source, i, got.Scales[i], want, d)
		}
	}
	changed := 0
	for n := range r.out {
		for k, g := range r.gIdx {
			if got.GIdx[k] != g {
				t.Fatalf("from %s: column %d is in group %d, want %d", source, k, got.GIdx[k], g)
			}
			group := n*r.groups + int(g)
			if int(got.Codes[n*r.in+k])-int(got.Zeros[group]) != int(r.codes[n*r.in+k])-int(r.zero[group]) {
				changed++
			}
		}
	}
	if changed > 0 {
		t.Errorf("from %s: %d of %d codes differ from AutoGPTQ's", source, changed, len(r.codes))
	}
	for i, w := range got.Dequantize(nil) {
		if d := math.Abs(float64(w - r.quantised[i])); d > 2e-6 {
			t.Fatalf("from %s: weight %d is %v, want %v", source, i, w, r.quantised[i])
		}
	}
}

// proxyError returns trace(D·H·Dᵀ) with D the error of the weights: what GPTQ makes small.
func proxyError(r reference, w *Weights) (sum float64) {
	got := w.Dequantize(nil)
	for n := range r.out {
		d := make([]float64, r.in)
		for k := range d {
			d[k] = float64(r.weight[n*r.in+k]) - float64(got[n*r.in+k])
		}
		for k := range d {
			sum += d[k] * dot(d, r.hessian[k*r.in:(k+1)*r.in])
		}
	}
	return sum
}

// TestNearestEqualsPlainRounding holds both error figures that came with the references.
func TestNearestEqualsPlainRounding(t *testing.T) {
	eachReference(t, func(t *testing.T, r reference) {
		nearest, err := Nearest(r.weight, r.out, r.in, r.options)
		if err != nil {
			t.Fatal(err)
		}
		solved, err := Solve(t.Context(), r.weight, r.out, r.in, r.hessian, r.options)
		if err != nil {
			t.Fatal(err)
		}
		for key, w := range map[string]*Weights{"proxy_error_nearest": nearest, "proxy_error_float64": solved} {
			// The figures have six digits, made of float32 scales.
			if got, want := proxyError(r, w), number(t, r.metadata, key); math.Abs(got/want-1) > 1e-5 {
				t.Errorf("%s: got %g, want %g", key, got, want)
			}
		}
	})
}
