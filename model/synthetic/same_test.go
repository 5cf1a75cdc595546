//go:build cgo

package synthetic

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"peregrine/model"
	"peregrine/model/cpu"
	"peregrine/model/quant"
)

// logits returns those of a few tokens, computed by the CPU backend's precise mode.
func logits(t *testing.T, c *model.Checkpoint) []float32 {
	t.Helper()
	b, err := cpu.Open(cpu.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	e, err := b.Load(t.Context(), c.Params, model.LoadOptions{Context: 16, Precision: model.Precise})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = e.Close() }()
	ids := []int32{3, 1, 4, 1, 5}
	out := &model.Output{Rows: len(ids), Logits: make([]float32, len(ids)*c.Config.Vocab)}
	if err := model.NewDecoder(c.Config, e, 16).Forward(t.Context(), ids, 0, out); err != nil {
		t.Fatal(err)
	}
	return out.Logits
}

func TestWrittenModelIsTheSame(t *testing.T) {
	cases := map[string]Options{
		"f16": {Format: quant.F16}, "bf16": {Format: quant.BF16}, "f32": {Format: quant.F32},
		"f32 embedding": {Embedding: quant.F32}, "bf16 embedding": {Embedding: quant.BF16},
	}
	for _, bits := range []int{2, 3, 4, 8} {
		for _, group := range []int{-1, 32, 100} {
			for _, act := range []bool{false, true} {
				cases[fmt.Sprintf("gptq %d bit group %d act-order %v", bits, group, act)] = Options{Bits: bits, GroupSize: group, ActOrder: act}
			}
		}
	}
	for _, name := range []string{"tiny-falcon", "tiny-llama"} {
		s, err := Find(name)
		if err != nil {
			t.Fatal(err)
		}
		for what, o := range cases {
			t.Run(name+"/"+what, func(t *testing.T) { sameLogits(t, s, o) })
		}
	}
	others := map[string]func(*Shape){
		"one KV head for all":                  func(s *Shape) { s.KVHeads, s.Falcon = 1, &Falcon{Norms: 1} },
		"biases, ALiBi, a KV head for each":    func(s *Shape) { s.KVHeads, s.Rope, s.Falcon = s.Heads, 0, &Falcon{Sequential: true, Bias: true} },
		"one norm, a head of its own, grouped": func(s *Shape) { s.Tied, s.Falcon = false, &Falcon{Grouped: true, Norms: 1} },
	}
	for what, change := range others {
		t.Run(what, func(t *testing.T) {
			s := tiny(t)
			change(&s)
			sameLogits(t, s, Options{GroupSize: 64, ActOrder: true})
			sameLogits(t, s, Options{Format: quant.F16})
		})
	}
}

func sameLogits(t *testing.T, s Shape, o Options) {
	memory, err := openSized(s, o, small)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = memory.Close() }()
	want := logits(t, memory)
	dir := filepath.Join(t.TempDir(), "written")
	last := int64(0)
	bytes, err := write(t.Context(), dir, s, o, small, func(done, _ int64) { last = done }, freeBytes)
	if err != nil {
		t.Fatal(err)
	}
	disk, err := model.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = disk.Close() }()
	if len(disk.Warnings) > 0 {
		t.Errorf("opened with warnings %q", disk.Warnings)
	}
	if disk.Quantization != memory.Quantization || last != bytes {
		t.Errorf("got %s and %d of %d bytes reported, want %s and all", disk.Quantization, last, bytes, memory.Quantization)
	}
	got := logits(t, disk)
	if !slices.Equal(got, want) {
		t.Error("the written model has other logits")
	}
	sane(t, want, memory.Config.Vocab)
}

// sane reports logits that are all alike, huge, or the same for every token.
func sane(t *testing.T, logits []float32, vocab int) {
	t.Helper()
	deviation := func(v func(i int) float64) float64 {
		sum, squares := 0.0, 0.0
		for i := range vocab {
			sum += v(i)
			squares += v(i) * v(i)
		}
		n := float64(vocab)
		return math.Sqrt(squares/n - sum/n*sum/n)
	}
	one := deviation(func(i int) float64 { return float64(logits[i]) })
	between := deviation(func(i int) float64 { return float64(logits[i] - logits[vocab+i]) })
	if !(one > 0.3 && one < 5) || !(between > 0.3*one) {
		t.Errorf("logits have deviation %v, from token to token %v", one, between)
	}
}
