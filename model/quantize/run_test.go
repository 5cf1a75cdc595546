package quantize_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"peregrine/model"
	"peregrine/model/backendtest"
	"peregrine/model/oracle"
	"peregrine/model/quant"
	"peregrine/model/quantize"
	"peregrine/model/safetensors"
	"peregrine/model/synthetic"
)

// windows are random calibration sequences of a model.
func windows(c model.Config, samples, length int) [][]int32 {
	r := rand.New(rand.NewPCG(1, 2))
	list := make([][]int32, samples)
	for i := range list {
		for range length {
			list[i] = append(list[i], int32(r.IntN(c.Vocab)))
		}
	}
	return list
}

func job(c *model.Checkpoint, dir string, o quantize.Options) quantize.Job {
	o.Storable = true
	return quantize.Job{Params: c.Params, Options: o, Windows: windows(c.Config, 6, 24), Dir: dir}
}

// quantised runs the job and opens what it wrote.
func quantised(t *testing.T, c *model.Checkpoint, j quantize.Job) *model.Checkpoint {
	t.Helper()
	out := j.Dir + ".done"
	write(t, c, j, out)
	q, err := model.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close() })
	return q
}

func write(t *testing.T, c *model.Checkpoint, j quantize.Job, out string) {
	t.Helper()
	if err := finish(c, j, out); err != nil {
		t.Fatal(err)
	}
}

// logits runs the oracle.
func logits(t *testing.T, c *model.Checkpoint, ids []int32) []float32 {
	t.Helper()
	out := &model.Output{Rows: len(ids), Logits: make([]float32, len(ids)*c.Config.Vocab)}
	if err := oracle.New(c.Params).Forward(context.Background(), ids, 0, out); err != nil {
		t.Fatal(err)
	}
	return out.Logits
}

func rms(x []float32) float64 {
	sum := 0.0
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	return math.Sqrt(sum / float64(len(x)))
}

// distance is the root mean square of a − b, of that of b.
func distance(a, b []float32) float64 {
	d := make([]float32, len(a))
	for i := range d {
		d[i] = a[i] - b[i]
	}
	return rms(d) / rms(b)
}

// dense makes weights that nothing rounds.
var dense = synthetic.Options{Format: quant.F32}

// shapes are one of each kind of block, with the multiples of 32 that GPTQ's format needs.
var shapes = []synthetic.Shape{
	{
		Name: "falcon-rw", Layers: 2, Hidden: 96, Heads: 6, KVHeads: 6, HeadDim: 16, FFN: 160, Vocab: 300, Context: 64,
		Tied: true, Eps: 1e-5, EOS: 2, Falcon: &synthetic.Falcon{Norms: 1, Sequential: true, Bias: true},
	},
	{
		Name: "falcon-7b", Layers: 2, Hidden: 96, Heads: 6, KVHeads: 1, HeadDim: 16, FFN: 384, Vocab: 300, Context: 64,
		Tied: true, Rope: 1e4, Eps: 1e-5, EOS: 11, Falcon: &synthetic.Falcon{Norms: 1},
	},
	{
		Name: "falcon-40b", Layers: 3, Hidden: 128, Heads: 8, KVHeads: 2, HeadDim: 16, FFN: 256, Vocab: 300, Context: 64,
		Tied: true, Rope: 1e4, Eps: 1e-5, EOS: 11, Falcon: &synthetic.Falcon{Grouped: true, Norms: 2},
	},
	{
		Name: "falcon-11b", Layers: 2, Hidden: 128, Heads: 4, KVHeads: 2, HeadDim: 32, FFN: 192, Vocab: 300, Context: 64,
		Rope: 5e5, Eps: 1e-5, EOS: 11, Falcon: &synthetic.Falcon{Grouped: true, Norms: 1},
	},
	{
		Name: "llama", Layers: 2, Hidden: 96, Heads: 4, KVHeads: 2, HeadDim: 32, FFN: 160, Vocab: 300, Context: 64,
		Rope: 1e4, Eps: 1e-6, BOS: 1, EOS: 2,
	},
	{
		Name: "smollm2", Layers: 3, Hidden: 160, Heads: 10, KVHeads: 2, HeadDim: 16, FFN: 224, Vocab: 300, Context: 64,
		Tied: true, Rope: 1e5, Eps: 1e-5, BOS: 1, EOS: 2,
	},
}

// open makes a model of that shape, in float32.
func open(t *testing.T, name string) *model.Checkpoint {
	t.Helper()
	for _, s := range shapes {
		if s.Name == name {
			c, err := synthetic.Open(s, dense)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = c.Close() })
			return c
		}
	}
	return backendtest.Open(t, name)
}

// TestEveryArchitectureStaysItself: with 8 bits and small groups a model hardly changes, which it would if a single row stood
// in the wrong place.
func TestEveryArchitectureStaysItself(t *testing.T) {
	names := []string{"falcon-rw-8h"}
	for _, s := range shapes {
		names = append(names, s.Name)
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			c := open(t, name)
			q := quantised(t, c, job(c, filepath.Join(t.TempDir(), "work"), quantize.Options{Bits: 8, GroupSize: 32, ActOrder: true, Symmetric: true}))
			if want := "GPTQ 8 bit, group 32, act-order"; q.Quantization != want {
				t.Errorf("quantisation %q, want %q", q.Quantization, want)
			}
			ids := windows(c.Config, 1, 20)[0]
			d := distance(logits(t, q, ids), logits(t, c, ids))
			t.Logf("the logits moved by %.4f of themselves", d)
			if d > 0.02 {
				t.Errorf("the logits moved by %.3f of themselves", d)
			}
		})
	}
}

// TestEverySetting writes what the reader reads, and GPTQ is nearer to the model than plain rounding where bits are few.
func TestEverySetting(t *testing.T) {
	c := open(t, "smollm2")
	ids := windows(c.Config, 6, 24)[0]
	want := logits(t, c, ids)
	for _, bits := range []int{2, 3, 4, 8} {
		for _, group := range []int{-1, 32, 64, 128} {
			for _, act := range []bool{false, true} {
				for _, symmetric := range []bool{false, true} {
					o := quantize.Options{Bits: bits, GroupSize: group, ActOrder: act, Symmetric: symmetric}
					if backendtest.Raced && (act != symmetric || group != 64) {
						continue
					}
					t.Run(fmt.Sprintf("%d bits, group %d, act-order %v, symmetric %v", bits, group, act, symmetric), func(t *testing.T) {
						j := job(c, filepath.Join(t.TempDir(), "gptq"), o)
						solved := distance(logits(t, quantised(t, c, j), ids), want)
						j = job(c, filepath.Join(t.TempDir(), "rtn"), o)
						j.Nearest = true
						nearest := distance(logits(t, quantised(t, c, j), ids), want)
						if limit := map[int]float64{2: 2, 3: 0.9, 4: 0.45, 8: 0.05}[bits]; !(solved < limit) {
							t.Errorf("the logits moved by %.3f of themselves, want less than %v", solved, limit)
						}
						if bits == 3 || bits == 4 {
							if solved > nearest {
								t.Errorf("GPTQ moved the logits by %.3f, plain rounding by %.3f", solved, nearest)
							}
						}
					})
				}
			}
		}
	}
}

// TestForwardEqualsOracle: what the second layer reads, of the calibration text, is what the oracle has there when it runs the
// checkpoint that was written.
func TestForwardEqualsOracle(t *testing.T) {
	for _, shape := range shapes {
		t.Run(shape.Name, func(t *testing.T) {
			c := open(t, shape.Name)
			j := job(c, filepath.Join(t.TempDir(), "work"), quantize.Options{Bits: 4, GroupSize: 64, ActOrder: true})
			r, err := quantize.Run(t.Context(), j)
			if err != nil {
				t.Fatal(err)
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			got := hidden(t, filepath.Join(j.Dir, "hidden-0001.safetensors"))
			q := quantised(t, c, j)
			for i, window := range j.Windows {
				o := oracle.New(q.Params)
				o.OnLayer(func(layer int, x []float64) {
					if layer != 1 {
						return
					}
					for k, want := range x {
						// Some hundred float32 products on values near one.
						if d := math.Abs(float64(got[i*len(x)+k]) - want); d > 2e-5*(1+math.Abs(want)) {
							t.Fatalf("sequence %d, value %d: got %v, want %v", i, k, got[i*len(x)+k], want)
						}
					}
				})
				if err := o.Forward(t.Context(), window, 0, nil); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func hidden(t *testing.T, path string) []float32 {
	t.Helper()
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	v, _ := f.Tensor("hidden")
	x, err := v.Float32(nil)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// TestRefusals, before anything is written.
func TestRefusals(t *testing.T) {
	c := open(t, "smollm2")
	good := quantize.Options{Bits: 4, GroupSize: -1, Symmetric: true}
	for _, x := range []struct {
		name, want string
		model      *model.Checkpoint
		change     func(j *quantize.Job)
	}{
		{"5 bits", "5 bits", c, func(j *quantize.Job) { j.Options.Bits = 5 }},
		{"quantised already", "by GPTQ already", backendtest.Open(t, "gptq-llama-4bit-128g"), func(*quantize.Job) {}},
		{"odd sizes", "multiples of 32", backendtest.Open(t, "llama-smollm2"), func(*quantize.Job) {}},
		{"no text", "no calibration text", c, func(j *quantize.Job) { j.Windows = nil }},
		{"longer than the model", "trained for 64", c, func(j *quantize.Job) { j.Windows = windows(c.Config, 1, 65) }},
		{"uneven windows", "sequence 1 has 3 tokens", c, func(j *quantize.Job) { j.Windows = [][]int32{{1, 2}, {1, 2, 3}} }},
		{"foreign ids", "token 300", c, func(j *quantize.Job) { j.Windows = [][]int32{{1, 300}} }},
	} {
		t.Run(x.name, func(t *testing.T) {
			j := job(x.model, filepath.Join(t.TempDir(), "work"), good)
			x.change(&j)
			if _, err := quantize.Run(t.Context(), j); err == nil || !strings.Contains(err.Error(), x.want) {
				t.Errorf("got %v, want an error with %q", err, x.want)
			}
			if _, err := os.Stat(j.Dir); err == nil {
				t.Error("a working folder was made")
			}
		})
	}
}

// TestRefusalsNameTheTensor: of weights, biases and activations that cannot be quantised.
func TestRefusalsNameTheTensor(t *testing.T) {
	o := quantize.Options{Bits: 4, GroupSize: -1, Symmetric: true}
	for _, x := range []struct {
		name, want string
		change     func(p *model.Params)
	}{
		{
			"a bias beyond float16", `"transformer.h.1.self_attention.dense.bias": value 3 is 70000`,
			func(p *model.Params) { p.Layers[1].AttnOut.Bias = vectorWith(p.Config.Hidden, 3, 7e4) },
		},
		{
			"a norm beyond float16", `"transformer.h.0.post_attention_layernorm.weight": value 5 is 70000`,
			func(p *model.Params) { p.Layers[0].MLPNorm.Weight = vectorWith(p.Config.Hidden, 5, 7e4) },
		},
		{
			"activations that are no numbers", "transformer.h.0.self_attention.query_key_value: calibration sequence 0: quantize: input 0 of token 0 is NaN",
			func(p *model.Params) { p.Config.NormEps = float32(math.NaN()) },
		},
	} {
		t.Run(x.name, func(t *testing.T) {
			c := open(t, "falcon-rw")
			x.change(c.Params)
			if _, err := quantize.Run(t.Context(), job(c, filepath.Join(t.TempDir(), "work"), o)); err == nil || !strings.Contains(err.Error(), x.want) {
				t.Errorf("got %v, want an error with %q", err, x.want)
			}
		})
	}
}

// vectorWith returns zeros but for one value.
func vectorWith(n, at int, v float32) []float32 {
	x := make([]float32, n)
	x[at] = v
	return x
}
