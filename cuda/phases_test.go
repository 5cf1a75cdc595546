package cuda

import (
	"strings"
	"testing"

	"peregrine/cuda/emulator"
)

func TestPhasesOfAToken(t *testing.T) {
	_, e := loaded(t, emulator.Open(emulator.Options{}))
	if err := one(e, 0); err != nil {
		t.Fatal(err)
	}
	list, err := e.Phases(1, 1)
	if err != nil {
		t.Fatal(err)
	}
	launches, read := 0, int64(0)
	for _, p := range list {
		launches += p.Launches
		read += p.Bytes
	}
	if want := 4*e.config.Layers + 5; launches != want {
		t.Errorf("%d launches in %+v, want %d", launches, list, want)
	}
	var stored int64
	for _, m := range e.matrices {
		stored += m.codeBytes + m.scaleBytes + m.offsetBytes
	}
	if read != stored { // a tied head, and each matrix of a layer once
		t.Errorf("%d bytes of weights read, want %d", read, stored)
	}
	if err := one(e, 1); err != nil {
		t.Errorf("a token after it: %v", err)
	}
}

// A closed executor has no buffers: page-locked ones went back to the driver.
func TestPhasesThatCannotBe(t *testing.T) {
	_, e := loaded(t, emulator.Open(emulator.Options{}))
	for _, c := range []struct{ n, pos int }{{0, 0}, {chunkTokens + 1, 0}, {1, -1}, {1, 32}, {32, 1}} {
		if _, err := e.Phases(c.n, c.pos); err == nil || !strings.Contains(err.Error(), "context of 32") {
			t.Errorf("%d tokens at %d: got %v", c.n, c.pos, err)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Phases(1, 0); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("closed: got %v", err)
	}
}

// Phases that fail half-way leave work in the stream that reads what the host wrote for it, ids too: the next pass must not be written
// over it. The emulator does nothing before somebody waits.
func TestAfterPhasesThatFailedATokenIsRight(t *testing.T) {
	f := &failing{Device: emulator.Open(emulator.Options{Lazy: true})}
	_, e := loaded(t, f)
	for n := 1; ; n += 5 {
		f.left = n
		_, err := e.Phases(10, 0)
		f.left = 0
		if err == nil {
			if n < 20 {
				t.Errorf("phases of a prompt make %d calls", n-1)
			}
			return
		}
		if err := e.Forward(t.Context(), []int32{4, 5}, 0, nil); err != nil {
			t.Fatalf("after call %d failed: %v", n, err)
		}
	}
}
