package cpu

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"unsafe"

	"peregrine/model"
	"peregrine/model/backendtest"
	"peregrine/model/quant"
	"peregrine/model/tensor"
)

// loadKept loads p with a file for its repacked weights.
func loadKept(t testing.TB, p *model.Params, file model.Repacked) *executor {
	t.Helper()
	b, err := open(Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	var done, total int64
	e, err := b.Load(t.Context(), p, model.LoadOptions{Context: 64, Repacked: &file, Progress: func(d, n int64) { done, total = d, n }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(e.Close(), b.Close()); err != nil {
			t.Error(err)
		}
	})
	if done != total || total == 0 {
		t.Errorf("progress ended at %d of %d bytes", done, total)
	}
	return e.(*executor)
}

// llamaWide has rows of whole K-quant groups.
func llamaWide(w backendtest.Weights) *model.Params {
	return backendtest.Random(5, model.Config{
		Architecture: "llama", Hidden: 256, Layers: 2, Heads: 4, KVHeads: 2, HeadDim: 64, FFN: 512, Vocab: 131, MaxContext: 64,
		Norm: model.RMSNorm, NormEps: 1e-5, MLP: model.GatedSiLU, Rope: model.Rope{Base: 10000}, BOS: -1,
	}, w, false, false)
}

func isMapped(e *executor) bool { _, kept := e.Repacked(); return kept }

// keptFile makes the file of p's repacked weights.
func keptFile(t testing.TB, p *model.Params) model.Repacked {
	t.Helper()
	file := model.Repacked{Path: filepath.Join(t.TempDir(), "folder", "x.weights"), Model: "/models/x.gguf", Stamp: "one"}
	e := loadKept(t, p, file)
	if isMapped(e) {
		t.Fatal("weights are mapped before there is a file")
	}
	if err := e.Keep(t.Context()); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestKeptWeightsGiveTheSameBits(t *testing.T) {
	for name, p := range map[string]*model.Params{
		"llama Q4_1":  llama(backendtest.Weights{Format: quant.Q4_1}),
		"llama BF16":  llama(backendtest.Weights{Format: quant.BF16}),
		"falcon GPTQ": falcon(gptq4()),
	} {
		t.Run(name, func(t *testing.T) {
			file := keptFile(t, p)
			tokens := backendtest.RandomTokens(1, 40, p.Config.Vocab)
			want := logits(t, loadKept(t, p, model.Repacked{Path: filepath.Join(t.TempDir(), "none")}), tokens, 9)
			e := loadKept(t, p, file)
			if !isMapped(e) {
				t.Fatal("the file is not used")
			}
			if got := logits(t, e, tokens, 9); !slices.Equal(got, want) {
				t.Error("mapped weights give other bits than repacked ones")
			}
			before, err := os.Stat(file.Path)
			if err != nil {
				t.Fatal(err)
			}
			if err := e.Keep(t.Context()); err != nil {
				t.Error(err)
			}
			if after, err := os.Stat(file.Path); err != nil || !os.SameFile(before, after) {
				t.Errorf("weights that came from the file were written again (%v)", err)
			}
		})
	}
}

func TestKeptWeightsOfSomethingElseAreNotUsed(t *testing.T) {
	p := llama(backendtest.Weights{Format: quant.Q4_1})
	file := keptFile(t, p)
	good, err := os.ReadFile(file.Path)
	if err != nil {
		t.Fatal(err)
	}
	changed := func(at int, to byte) []byte {
		b := slices.Clone(good)
		b[at] = to
		return b
	}
	digit := len(model.RepackedMagic) // of the hash
	other := file
	other.Stamp = "two"
	for _, c := range []struct {
		name string
		p    *model.Params
		file model.Repacked
		data []byte
		want bool
	}{
		{"the same", p, file, good, true},
		{"another stamp", p, other, good, false},
		{"another format", llama(backendtest.Weights{Format: quant.Q4_0}), file, good, false},
		{"another order of features", falcon(gptq4()), file, good, false},
		{"another program's file", p, file, changed(0, 'q'), false},
		{"another hash", p, file, changed(digit, good[digit]^1), false},
		{"one byte less", p, file, good[:len(good)-1], false},
		{"one byte more", p, file, append(slices.Clone(good), 0), false},
		{"the header alone", p, file, good[:headerSize], false},
		{"half a header", p, file, good[:100], false},
		{"empty", p, file, nil, false},
	} {
		if err := os.WriteFile(c.file.Path, c.data, 0o600); err != nil {
			t.Fatal(err)
		}
		e := loadKept(t, c.p, c.file)
		if got := isMapped(e); got != c.want {
			t.Errorf("%s: mapped %v, want %v", c.name, got, c.want)
		}
		logits(t, e, backendtest.RandomTokens(1, 3, c.p.Config.Vocab), 3)
	}
	if err := errors.Join(os.Remove(file.Path), os.Mkdir(file.Path, 0o700)); err != nil {
		t.Fatal(err)
	}
	if isMapped(loadKept(t, p, file)) {
		t.Error("a folder was mapped")
	}
}

// How zero points are to be read stands in a configuration beside the weights, not in their files.
func TestKeptWeightsWithOtherZeroPointsAreNotUsed(t *testing.T) {
	p, other := falcon(gptq4()), falcon(gptq4())
	for i := range other.Layers {
		l := &other.Layers[i]
		for _, m := range slices.Concat(l.QKV.W, l.AttnOut.W, l.Up.W, l.Down.W) {
			m.GPTQ.Zeros = quant.ZeroAsStored
		}
	}
	file := keptFile(t, p)
	if !isMapped(loadKept(t, p, file)) || isMapped(loadKept(t, other, file)) {
		t.Error("want the file used with the rule that it was made with, and with no other")
	}
}

// What the file holds may be wrong, but never leads a kernel to where it must not read.
func TestAnyContentOfKeptWeightsIsHarmless(t *testing.T) {
	for name, p := range map[string]*model.Params{
		"Q4_K": llamaWide(backendtest.Weights{Format: quant.Q4_K}), "Q2_K": llamaWide(backendtest.Weights{Format: quant.Q2_K}),
		"Q6_K": llamaWide(backendtest.Weights{Format: quant.Q6_K}), "F16": llama(backendtest.Weights{Format: quant.F16}), "GPTQ": falcon(gptq4()),
	} {
		file := keptFile(t, p)
		data, err := os.ReadFile(file.Path)
		if err != nil {
			t.Fatal(err)
		}
		copy(data[headerSize:], bytes.Repeat([]byte{0xFF}, len(data)-headerSize))
		if err := os.WriteFile(file.Path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		e := loadKept(t, p, file)
		if !isMapped(e) {
			t.Errorf("%s: the file is not used", name)
		}
		logits(t, e, backendtest.RandomTokens(1, 9, p.Config.Vocab), 4)
	}
}

func TestKeepEndsWithItsContext(t *testing.T) {
	p := llama(backendtest.Weights{Format: quant.Q4_1})
	file := model.Repacked{Path: filepath.Join(t.TempDir(), "x.weights"), Stamp: "one"}
	e := loadKept(t, p, file)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := e.Keep(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that it was cancelled", err)
	}
	left, err := os.ReadDir(filepath.Dir(file.Path))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestKeepNamesWhatIsWrong(t *testing.T) {
	p := llama(backendtest.Weights{Format: quant.Q4_1})
	taken := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(taken, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	e := loadKept(t, p, model.Repacked{Path: filepath.Join(taken, "x.weights")})
	if err := e.Keep(t.Context()); err == nil || !bytes.Contains([]byte(err.Error()), []byte(taken)) {
		t.Errorf("got %v, want an error with %s", err, taken)
	}
	plain, _ := load(t, p, Options{Threads: 1}, model.Fast, 8)
	if err := plain.Keep(t.Context()); err == nil {
		t.Error("no error without a file")
	}
}

// Files from before a change of the layout must not be used after it.
func TestTheLayoutHasItsVersion(t *testing.T) {
	const version, want = 1, "c0fd66ae1acb8ad6"
	b, err := open(Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	r := random(99)
	var all []*quant.Matrix
	for _, f := range []quant.Format{
		quant.F32, quant.F16, quant.BF16, quant.Q4_0, quant.Q4_1, quant.Q5_0, quant.Q5_1, quant.Q8_0,
		quant.Q2_K, quant.Q3_K, quant.Q4_K, quant.Q5_K, quant.Q6_K,
	} {
		all = append(all, blocks(r, f, 21, 512))
	}
	for _, bits := range []int{2, 3, 4, 8} {
		all = append(all, gptqLayout{bits, 32, true, 0, false, tensor.F16}.random(r, 64, 160), gptqLayout{bits, 100, false, 0, true, tensor.BF16}.random(r, 64, 160))
	}
	h := sha256.New()
	for _, m := range all {
		p, err := packOne(b, m)
		if err != nil {
			t.Fatal(err)
		}
		h.Write(unsafe.Slice((*byte)(p.weights.base), p.weights.size))
		p.close()
	}
	if got := fmt.Sprintf("%x", h.Sum(nil)[:8]); got != want || version != layoutVersion {
		t.Errorf("the repacked weights of all formats have the hash %s, want %s of version %d: raise layoutVersion, and both here", got, want, version)
	}
}
