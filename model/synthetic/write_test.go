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

	"peregrine/model/quant"
)

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
