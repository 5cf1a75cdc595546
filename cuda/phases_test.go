package cuda

import (
	"strings"
	"testing"

	"peregrine/cuda/emulator"
	"peregrine/model"
	"peregrine/model/backendtest"
	"peregrine/model/quant"
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

// Of a prompt that is expanded each matrix is read twice: as it is stored, and as f16.
func TestPhasesOfAnExpandedPrompt(t *testing.T) {
	b := New(emulator.Open(emulator.Options{}))
	defer b.Close()
	x, err := b.Load(t.Context(), mixed(wideConfig(true), backendtest.Uniform(quant.Q4_K)), model.LoadOptions{Context: 96})
	must(t, err)
	e := x.(*executor)
	list, err := e.Phases(70, 0)
	must(t, err)
	var expanded, multiplied, stored, halves int64
	for _, p := range list {
		switch {
		case strings.HasPrefix(p.Name, "expand_"):
			expanded += p.Bytes
		case strings.HasPrefix(p.Name, "linear_prefill_"):
			multiplied += p.Bytes
		}
	}
	for _, m := range e.matrices {
		if m != e.head.w[0] {
			stored += m.bytes()
			halves += m.expandedBytes()
		}
	}
	if expanded != stored || multiplied != halves {
		t.Errorf("expanding reads %d bytes and products %d; want %d and %d", expanded, multiplied, stored, halves)
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
