package synthetic

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
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

// Sizes of published files, by the facts about them: text-generation-inference's falcon-40b 128g to the byte (no biases, two
// scalars of 8 bytes), the original 40B, 7B with F32 vocabulary, Falcon3-7B (without biases), SmolLM2.
func TestFilesHaveThePublishedSizes(t *testing.T) {
	for _, c := range []struct {
		name      string
		o         Options
		noBias    bool // of the linears, which AutoGPTQ would write
		want, off float64
	}{
		{"falcon-40b", Options{GroupSize: 128}, true, 23_329_013_776 - 16, 0},
		{"falcon-40b", Options{ActOrder: true}, false, 22.55e9, 0.01e9},
		{"falcon-7b", Options{GroupSize: 64, Embedding: quant.F32}, false, 5.94e9, 0.01e9},
		{"falcon3-7b", Options{GroupSize: 128}, true, 5.066e9, 0.01e9},
		{"smollm2-135m", Options{Format: quant.BF16}, false, 269e6, 1e6},
	} {
		t.Run(c.name+fmt.Sprint(c.o), func(t *testing.T) {
			s, err := Find(c.name)
			if err != nil {
				t.Fatal(err)
			}
			w, err := build(s, c.o, small)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = w.close() }()
			tensors, err := w.tensors()
			if err != nil {
				t.Fatal(err)
			}
			got := 0.0
			for _, v := range tensors {
				linearBias := strings.HasSuffix(v.Name, ".bias") && !strings.Contains(v.Name, "ln_")
				if !linearBias || !c.noBias {
					got += float64(len(v.Data))
				}
			}
			if math.Abs(got-c.want) > c.off {
				t.Errorf("got %.0f bytes, want %.0f", got, c.want)
			}
		})
	}
}

func tiny(t *testing.T) Shape {
	t.Helper()
	s, err := Find("tiny-falcon")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func contents(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestWriteRefusesAFolderThatHoldsSomething(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "notes"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Write(t.Context(), dir, tiny(t), Options{}, nil)
	if err == nil || !strings.Contains(err.Error(), `is not empty ("notes")`) {
		t.Errorf("got %v, want it refused", err)
	}
	if got := contents(t, dir); !slices.Equal(got, []string{"notes"}) {
		t.Errorf("the folder holds %q", got)
	}
}

func TestWriteThatIsStoppedLeavesNothing(t *testing.T) {
	parent := t.TempDir()
	empty := filepath.Join(parent, "empty")
	if err := os.Mkdir(empty, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{filepath.Join(parent, "new"), empty} {
		ctx, cancel := context.WithCancel(t.Context())
		_, err := Write(ctx, dir, tiny(t), Options{}, func(int64, int64) { cancel() })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %v, want it cancelled", dir, err)
		}
	}
	if got := contents(t, parent); !slices.Equal(got, []string{"empty"}) {
		t.Errorf("left behind: %q", got)
	}
	if got := contents(t, empty); len(got) != 0 {
		t.Errorf("left behind: %q", got)
	}
}

func TestWriteKeepsWhatOthersPutThereMeanwhile(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	_, err := Write(ctx, dir, tiny(t), Options{}, func(int64, int64) {
		cancel()
		if err := os.WriteFile(filepath.Join(dir, "notes"), nil, 0o600); err != nil {
			t.Error(err)
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want it cancelled", err)
	}
	if got := contents(t, dir); !slices.Equal(got, []string{"notes"}) {
		t.Errorf("the folder holds %q, want what somebody else wrote and nothing of ours", got)
	}
}

func TestWriteLooksForRoomFirst(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "full")
	begun := false
	_, err := write(t.Context(), dir, tiny(t), Options{}, small, func(int64, int64) { begun = true },
		func(string) (int64, error) { return 1 << 20, nil })
	if err == nil || begun || !strings.Contains(err.Error(), "GB are free") {
		t.Errorf("got %v, begun %v, want it refused before it begins", err, begun)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder is there: %v", err)
	}
	if free, err := freeBytes(t.TempDir()); err != nil || free <= 0 {
		t.Errorf("this disk has %d bytes free, %v", free, err)
	}
}

func TestBlockFormatsAreNotWritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "x")
	for _, o := range []Options{{Format: quant.Q4_0}, {Embedding: quant.Q8_0}} {
		if _, err := Write(t.Context(), dir, tiny(t), o, nil); err == nil || !strings.Contains(err.Error(), "safetensors files hold") {
			t.Errorf("%+v: got %v, want it refused", o, err)
		}
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder is there: %v", err)
	}
}
