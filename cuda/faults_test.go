package cuda

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"peregrine/cuda/driver"
	"peregrine/cuda/emulator"
	"peregrine/model"
)

// loaded returns a small model on d, with room for 32 tokens.
func loaded(t *testing.T, d driver.Device) (*Backend, *executor) {
	t.Helper()
	b := New(d)
	t.Cleanup(func() {
		if err := b.Close(); err != nil && !errors.Is(err, driver.ErrLost) {
			t.Errorf("close the backend: %v", err)
		}
	})
	x, err := b.Load(context.Background(), small(), model.LoadOptions{Context: 32})
	if err != nil {
		t.Fatal(err)
	}
	return b, x.(*executor)
}

// one asks for the best token after the one at pos.
func one(e model.Executor, pos int) error {
	out := &model.Output{Rows: 1, Top: [][]model.Candidate{make([]model.Candidate, 1)}, LogSum: make([]float32, 1)}
	return e.Forward(context.Background(), []int32{3}, pos, out)
}

func TestALostDeviceSaysSoAtEveryCallAndCloses(t *testing.T) {
	// Loading launches some kernels, a token a dozen: the fault comes in the middle of decoding.
	d := emulator.Open(emulator.Options{FailAfter: 100})
	_, e := loaded(t, d)
	var err error
	pos := 0
	for ; err == nil && pos < 32; pos++ {
		err = one(e, pos)
	}
	if !errors.Is(err, driver.ErrLost) {
		t.Fatalf("after %d tokens: got %v, want a lost device", pos, err)
	}
	if pos < 2 {
		t.Errorf("the fault came at token %d; want some tokens before it", pos)
	}
	if text := err.Error(); strings.Contains(text, "\n") || !strings.Contains(text, "position") {
		t.Errorf("got %q, want one line that names the position", text)
	}
	if again := one(e, 0); !errors.Is(again, driver.ErrLost) {
		t.Errorf("the next call: got %v, want the same loss", again)
	}
	if err := e.Close(); err != nil {
		t.Errorf("close an executor of a lost device: %v", err)
	}
}

// Whoever fills the card first wins: the second model is refused, and the first goes on.
func TestASecondModelThatDoesNotFitLeavesTheFirstAlone(t *testing.T) {
	d := emulator.Open(emulator.Options{Memory: reserve + 24<<20})
	b, e := loaded(t, d)
	if err := one(e, 0); err != nil {
		t.Fatal(err)
	}
	for n := 0; ; n++ {
		_, err := b.Load(context.Background(), small(), model.LoadOptions{Context: 32})
		if err == nil {
			if n > 20 {
				t.Fatal("20 models fit into 24 MB")
			}
			continue
		}
		if !errors.Is(err, driver.ErrOutOfMemory) || strings.Contains(err.Error(), "\n") {
			t.Fatalf("got %v, want one line about memory", err)
		}
		break
	}
	for pos := 1; pos < 4; pos++ {
		if err := one(e, pos); err != nil {
			t.Fatalf("the first model at position %d: %v", pos, err)
		}
	}
}

// A buffer that is only made when all logits are asked for may find no room in the middle of a reply.
func TestNoRoomInTheMiddleOfAReplyIsAnErrorAndNoLoss(t *testing.T) {
	d := &stingy{Device: emulator.Open(emulator.Options{})}
	_, e := loaded(t, d)
	if err := one(e, 0); err != nil {
		t.Fatal(err)
	}
	d.empty = true
	logits := &model.Output{Rows: 1, Logits: make([]float32, e.config.Vocab)}
	if err := e.Forward(context.Background(), []int32{4}, 1, logits); !errors.Is(err, driver.ErrOutOfMemory) {
		t.Fatalf("got %v, want an error of memory", err)
	}
	d.empty = false
	if err := e.Forward(context.Background(), []int32{4}, 1, logits); err != nil {
		t.Errorf("once there is room again: %v", err)
	}
}

// stingy is a device whose host runs out of page-locked memory.
type stingy struct {
	driver.Device
	empty bool
}

func (s *stingy) AllocHost(bytes int) ([]byte, error) {
	if s.empty {
		return nil, driver.ErrOutOfMemory
	}
	return s.Device.AllocHost(bytes)
}

// A pass that fails half-way leaves work in the stream that reads what the host wrote for it: the next pass must not be
// written over it. The emulator does nothing before somebody waits.
func TestAfterAPassThatFailedTheNextOneIsRight(t *testing.T) {
	f := &failing{Device: emulator.Open(emulator.Options{Lazy: true})}
	_, e := loaded(t, f)
	logits := func(tokens ...int32) ([]float32, error) {
		out := &model.Output{Rows: 1, Logits: make([]float32, e.config.Vocab)}
		return out.Logits, e.Forward(context.Background(), tokens, 0, out)
	}
	want, err := logits(4, 5)
	must(t, err)
	for n := 1; ; n++ {
		f.left = n
		if _, err := logits(4, 5, 6, 7, 8, 9, 10, 11, 12, 13); err == nil {
			if n < 20 {
				t.Errorf("a prompt makes %d calls", n-1)
			}
			return
		}
		if got, err := logits(4, 5); err != nil || !slices.Equal(got, want) {
			t.Fatalf("after call %d failed: %v, and the same logits: %v", n, err, slices.Equal(got, want))
		}
	}
}

// Of two models on a device that is lost, the one that was not at work closes without a word, too.
func TestALossClosesEveryModelQuietly(t *testing.T) {
	b, idle := loaded(t, emulator.Open(emulator.Options{FailAfter: 80}))
	other, err := b.Load(context.Background(), small(), model.LoadOptions{Context: 32})
	must(t, err)
	for pos := 0; err == nil; pos++ {
		err = one(other, pos)
	}
	if text := err.Error(); !errors.Is(err, driver.ErrLost) || strings.Contains(text, "\n") || strings.Count(text, "cuda: ") != 1 {
		t.Errorf("got %q, want one line about a lost device", text)
	}
	must(t, idle.Close())
	must(t, other.Close())
}
