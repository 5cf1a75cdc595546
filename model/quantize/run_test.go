package quantize_test

import (
	"context"
	"errors"
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
	r, err := quantize.Run(context.Background(), j)
	if err != nil {
		t.Fatal(err)
	}
	config, err := c.ConfigJSON()
	if err != nil {
		t.Fatal(err)
	}
	err = r.Write(context.Background(), out, j, quantize.Checkpoint{Params: c.Params, Config: config}, nil)
	if err := errors.Join(err, r.Close()); err != nil {
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
			c, err := synthetic.Open(s, synthetic.Options{Format: quant.F32})
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

// TestResumeAfterEveryStop: cancelled after each module in turn, and gone on with, the result has the same bits.
func TestResumeAfterEveryStop(t *testing.T) {
	c := open(t, "falcon-40b")
	o := quantize.Options{Bits: 4, GroupSize: 32, ActOrder: true, Symmetric: true}
	dir := t.TempDir()
	whole := filepath.Join(dir, "whole")
	write(t, c, job(c, filepath.Join(dir, "whole.part"), o), whole)
	j := job(c, filepath.Join(dir, "cut.part"), o)
	stops, seen := 0, 0
	for {
		ctx, cancel := context.WithCancel(context.Background())
		seen = 0
		j.Observe = func(p quantize.Progress) {
			if p.Module != "" {
				seen++
			}
			if seen == 3 { // never a whole layer of four, so that most of them begin again
				cancel()
			}
		}
		if stops%3 == 2 {
			j.Observe = func(p quantize.Progress) {
				if p.Module != "" {
					seen++
				}
				if seen == 5 {
					cancel()
				}
			}
		}
		r, err := quantize.Run(ctx, j)
		cancel()
		if err == nil {
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			break
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if stops++; stops > 20 {
			t.Fatal("the work does not get on")
		}
	}
	if stops < 2 {
		t.Fatalf("stopped %d times", stops)
	}
	j.Observe = nil
	write(t, c, j, filepath.Join(dir, "cut"))
	same(t, whole, filepath.Join(dir, "cut"))
}

// same compares the files of two folders, the log's times left out.
func same(t *testing.T, a, b string) {
	t.Helper()
	entries, err := os.ReadDir(a)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		x, err := os.ReadFile(filepath.Join(a, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		y, err := os.ReadFile(filepath.Join(b, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if e.Name() == "quantize_log.csv" {
			x, y = withoutTimes(x), withoutTimes(y)
		}
		if string(x) != string(y) {
			t.Errorf("%s: other bytes", e.Name())
		}
	}
}

func withoutTimes(log []byte) []byte {
	var b strings.Builder
	for line := range strings.Lines(string(log)) {
		b.WriteString(line[:strings.LastIndexByte(line, ',')] + "\n")
	}
	return []byte(b.String())
}
