package cpu

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"peregrine/model"
	"peregrine/model/backendtest"
	"peregrine/model/quant"
	"peregrine/model/tensor"
)

// backendFor returns a backend of two threads, which ends with the test.
func backendFor(t testing.TB) *backend {
	t.Helper()
	b, err := open(Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// set changes a variable until the test ends.
func set[T any](t testing.TB, variable *T, to T) {
	before := *variable
	*variable = to
	t.Cleanup(func() { *variable = before })
}

// loadEarly returns an executor whose weights forward passes repack, and nothing else unless background.
func loadEarly(t testing.TB, b *backend, p *model.Params, precision model.Precision, background bool) *executor {
	t.Helper()
	if !background {
		set(t, &keepQuiet, time.Hour)
	}
	x, err := b.Load(t.Context(), p, model.LoadOptions{Context: 128, Precision: precision, Early: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	})
	e := x.(*executor)
	if !background {
		e.stop()
	}
	return e
}

// earlyModels have all formats between them, gate and up as one job, attention output and down as one, a tied head, and rows in another
// order than stored.
func earlyModels() map[string]*model.Params {
	models := map[string]*model.Params{
		"falcon Q8_0": falcon(backendtest.Weights{Format: quant.Q8_0}), "falcon F16": falcon(backendtest.Weights{Format: quant.F16}),
		"llama BF16": llama(backendtest.Weights{Format: quant.BF16}), "falcon GPTQ": falcon(gptq4()),
	}
	for _, f := range []quant.Format{
		quant.Q4_0, quant.Q4_1, quant.Q5_0, quant.Q5_1, quant.Q2_K, quant.Q3_K, quant.Q4_K, quant.Q5_K, quant.Q6_K, quant.F32,
	} {
		models["llama "+f.String()] = llamaWide(backendtest.Weights{Format: f})
	}
	wide := falcon(backendtest.Weights{Format: quant.Q8_0}).Config // few octets fill a thread's room for windows
	wide.FFN = 4096
	models["wide falcon Q8_0"] = backendtest.Random(4, wide, backendtest.Weights{Format: quant.Q8_0}, true, true)
	long := falcon(backendtest.Weights{Format: quant.F32}).Config // of long rows, three octets would fit into a window
	long.Heads, long.Hidden, long.Layers = 33, 33*long.HeadDim, 1
	models["long falcon F32"] = backendtest.Random(4, long, backendtest.Weights{Format: quant.F32}, true, true)
	for _, p := range models { // the order of a query matrix, as GGUF files of Llama models have it
		for i := range p.Layers {
			q := p.Layers[i].QKV.W[0]
			q.Rows = make([]int32, q.Out)
			for n := range q.Rows {
				q.Rows[n] = int32(n ^ 1)
			}
		}
	}
	return models
}

// octetsLeft counts what is not repacked.
func octetsLeft(e *executor) int {
	left := 0
	if e.early != nil {
		for _, s := range e.early.shapes {
			left += int(s.w.octets - s.w.repacked)
		}
	}
	return left
}

// logitsEarly runs a prompt, in two passes of which the first is to give no logits, and single tokens, and tells how much was not repacked in
// each pass.
func logitsEarly(t testing.TB, e *executor, tokens []int32, prompt int) (all []float32, left []int) {
	t.Helper()
	for at := 0; at < len(tokens); {
		n, rows := 1, 1
		if at < prompt {
			n, rows = prompt/2, at/(prompt/2)*prompt/2
		}
		out := &model.Output{Rows: rows, Logits: make([]float32, rows*e.config.Vocab)}
		if err := e.Forward(t.Context(), tokens[at:at+n], at, out); err != nil {
			t.Fatal(err)
		}
		all, left = append(all, out.Logits...), append(left, octetsLeft(e))
		at += n
	}
	return all, left
}

// Wherever a pass takes its weights from, the bits are the same: in the source, some of them, or repacked.
func TestEarlyWeightsGiveTheSameBits(t *testing.T) {
	const prompt = 2 * (bf16Rows + 3)
	set(t, &packStep, 3000) // so that matrices are repacked in parts, and passes find some of them half done
	models := earlyModels()
	eachISA(t, 2, func(t *testing.T, b *backend) {
		for name, p := range models {
			for mode, precision := range map[string]model.Precision{"fast": model.Fast, "precise": model.Precise} {
				t.Run(name+" "+mode, func(t *testing.T) {
					tokens := backendtest.RandomTokens(1, prompt+earlyPasses+2, p.Config.Vocab)
					x, err := b.Load(t.Context(), p, model.LoadOptions{Context: 128, Precision: precision})
					if err != nil {
						t.Fatal(err)
					}
					want, _ := logitsEarly(t, x.(*executor), tokens, prompt)
					if err := x.Close(); err != nil {
						t.Fatal(err)
					}
					e := loadEarly(t, b, p, precision, false)
					all := octetsLeft(e)
					got, left := logitsEarly(t, e, tokens, prompt)
					if left[1] != all || left[2] == all || left[3] >= left[2] || left[1+earlyPasses] != 0 {
						t.Errorf("of %d octets %v are not repacked after each pass; want all, twice, then fewer, then none", all, left)
					}
					if !slices.Equal(got, want) {
						t.Error("early weights give other bits than repacked ones")
					}
				})
			}
		}
	})
}

func TestEarlyWeightsAreRepackedInTheBackground(t *testing.T) {
	p := llamaWide(backendtest.Weights{Format: quant.Q4_K})
	set(t, &keepQuiet, time.Millisecond)
	set(t, &packStep, 3000)
	tokens := backendtest.RandomTokens(1, 40, p.Config.Vocab)
	repacked, _ := load(t, p, Options{Threads: 2}, model.Fast, 64)
	want := logits(t, repacked, tokens, 40)
	e := loadEarly(t, backendFor(t), p, model.Fast, true)
	if err := e.settled(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left := octetsLeft(e); left > 0 {
		t.Errorf("%d octets are not repacked", left)
	}
	if got := logits(t, e, tokens, 40); !slices.Equal(got, want) {
		t.Error("weights repacked in the background give other bits")
	}
}

func TestSettleRepacksAllButStopsWhenCancelled(t *testing.T) {
	e := loadEarly(t, backendFor(t), llamaWide(backendtest.Weights{Format: quant.Q4_K}), model.Fast, false)
	all := octetsLeft(e)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := e.Settle(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	if left := octetsLeft(e); left == 0 || left == all {
		t.Errorf("%d of %d octets are left after it was cancelled, want some, but not all", left, all)
	}
	if err := e.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left := octetsLeft(e); left != 0 {
		t.Errorf("%d octets are left", left)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if err := e.Settle(t.Context()); err == nil {
		t.Error("settling a closed executor: no error")
	}
}

// The file of an early executor has the bytes of any other.
func TestEarlyWeightsAreKeptWhole(t *testing.T) {
	p := llamaWide(backendtest.Weights{Format: quant.Q6_K})
	want, err := os.ReadFile(keptFile(t, p).Path)
	if err != nil {
		t.Fatal(err)
	}
	file := model.Repacked{Path: filepath.Join(t.TempDir(), "x.weights"), Model: "/models/x.gguf", Stamp: "one"}
	b := backendFor(t)
	e, err := b.Load(t.Context(), p, model.LoadOptions{Context: 64, Early: true, Repacked: &file})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if err := e.(model.Keeper).Keep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(file.Path); err != nil || !slices.Equal(got, want) {
		t.Errorf("the file differs from that of weights which were repacked at once (%v)", err)
	}
	again, err := b.Load(t.Context(), p, model.LoadOptions{Context: 64, Early: true, Repacked: &file})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if x := again.(*executor); !isMapped(x) || x.early != nil {
		t.Error("a file of repacked weights is not used by an early load")
	}
}

// An arena with gaps is never written.
func TestEarlyWeightsThatStayUnfinishedAreNotKept(t *testing.T) {
	set(t, &keepQuiet, time.Hour)
	file := model.Repacked{Path: filepath.Join(t.TempDir(), "x.weights"), Model: "/models/x.gguf", Stamp: "one"}
	x, err := backendFor(t).Load(t.Context(), llamaWide(backendtest.Weights{Format: quant.Q6_K}),
		model.LoadOptions{Context: 64, Early: true, Repacked: &file})
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	e := x.(*executor)
	e.stop()
	if err := e.Keep(t.Context()); err == nil || !strings.Contains(err.Error(), "before all weights were repacked") {
		t.Errorf("got %v, want an error that says why", err)
	}
	if list, err := os.ReadDir(filepath.Dir(file.Path)); err != nil || len(list) > 0 {
		t.Errorf("there are the files %v (%v)", list, err)
	}
}

func TestEarlyLoadIsClosedAtAnyTime(t *testing.T) {
	set(t, &keepQuiet, time.Hour)
	p := llamaWide(backendtest.Weights{Format: quant.Q4_0})
	for _, backendFirst := range []bool{false, true} {
		b := backendFor(t)
		e, err := b.Load(t.Context(), p, model.LoadOptions{Context: 64, Early: true})
		if err != nil {
			t.Fatal(err)
		}
		if backendFirst {
			err = b.Close()
			if e.(*executor).repackPart() || octetsLeft(e.(*executor)) == 0 {
				t.Error("the backend is closed, but repacking goes on")
			}
		}
		if err := errors.Join(err, e.Close(), e.Close(), b.Close()); err != nil {
			t.Error(err)
		}
	}
}

func TestEarlyLoadReportsProgress(t *testing.T) {
	for name, p := range map[string]*model.Params{
		"Q4_1": llama(backendtest.Weights{Format: quant.Q4_1}), "GPTQ and others": falcon(gptq4()),
	} {
		b := backendFor(t)
		calls, last, total := 0, int64(0), int64(0)
		e, err := b.Load(t.Context(), p, model.LoadOptions{Context: 64, Early: true, Progress: func(done, all int64) {
			if done <= last || done > all {
				t.Errorf("%s: %d of %d bytes after %d", name, done, all, last)
			}
			calls, last, total = calls+1, done, all
		}})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		if calls == 0 || last != total {
			t.Errorf("%s: %d calls, the last with %d of %d bytes", name, calls, last, total)
		}
	}
}

// A file that is shortened while it is mapped has pages that cannot be read.
func TestEarlyLoadOfWeightsThatCannotBeRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "weights")
	if err := os.WriteFile(path, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := tensor.Map(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := os.Truncate(path, 1<<10); err != nil {
		t.Fatal(err)
	}
	p := llama(backendtest.Weights{Format: quant.F32})
	down := p.Layers[1].Down.W[0]
	down.Data = file.Bytes()[len(file.Bytes())-len(down.Data):]
	if _, err := backendFor(t).Load(t.Context(), p, model.LoadOptions{Early: true}); err == nil || !strings.Contains(err.Error(), down.Name) {
		t.Errorf("got %v, want an error that names %s", err, down.Name)
	}
}
