package emulator_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"peregrine/cuda/driver"
	"peregrine/cuda/emulator"
)

// staging is page-locked memory of n bytes, released by close.
func (b *rig) staging(n int) []byte {
	b.Helper()
	s, err := b.device.AllocHost(n)
	b.must(err)
	return s
}

func TestALazyStreamShowsWhatNobodyWaitedFor(t *testing.T) {
	b := open(t, emulator.Options{Lazy: true})
	from, to, p := b.staging(4), b.staging(4), b.alloc(4)
	copy(from, "abcd")
	copy(to, "----")
	b.must(b.stream.CopyToDevice(p, from))
	b.must(b.stream.CopyToHost(to, p))
	time.Sleep(10 * time.Millisecond)
	if string(to) != "----" {
		t.Errorf("%q came without anyone waiting", to)
	}
	copy(from, "efgh") // too early: the copy has not begun
	b.must(b.stream.Synchronize())
	if string(to) != "efgh" {
		t.Errorf("got %q", to)
	}
	b.must(b.device.ReleaseHost(from))
	b.must(b.device.ReleaseHost(to))
	b.release(p)
	b.close()
}

func TestEventsOrderStreams(t *testing.T) {
	for _, lazy := range []bool{false, true} {
		b := open(t, emulator.Options{Lazy: lazy})
		other, err := b.device.Stream()
		b.must(err)
		first, err := b.device.Event()
		b.must(err)
		last, err := b.device.Event()
		b.must(err)
		b.must(other.Wait(first)) // never recorded: no wait
		values := make([]float32, 1000)
		for i := range values {
			values[i] = float32(i)
		}
		x := upload(b, values)
		y, z := b.alloc(4000), b.alloc(4000)
		for range 20 {
			b.must(b.launch("twice", 4, 256, 0, x, y, 1000, 0))
			b.must(b.stream.Record(first))
			b.must(other.Wait(first))
			f, err := b.device.Function("test", "twice")
			b.must(err)
			args := args(y, z, 1000, 0)
			b.must(other.Launch(f, driver.Dim{X: 4, Y: 1, Z: 1}, driver.Dim{X: 256, Y: 1, Z: 1}, 0, at(&args), 32))
			b.must(other.Record(last))
			b.must(last.Synchronize())
			if got := download[float32](b, z, 1000); got[999] != 4*999 {
				t.Fatalf("got %v", got[999])
			}
			b.must(b.stream.Fill(y, 0xff, 4000))
			b.must(b.stream.Fill(z, 0xff, 4000))
		}
		if d, err := last.Since(first); err != nil || d < 0 || d > time.Minute {
			t.Errorf("took %v, %v", d, err)
		}
		b.must(first.Close())
		b.must(last.Close())
		b.must(other.Close())
		b.must(b.stream.Synchronize())
		b.release(x, y, z)
		b.close()
	}
}

func TestTimeBetweenEventsThatHaveNotHappened(t *testing.T) {
	b := open(t, emulator.Options{Lazy: true})
	e, err := b.device.Event()
	b.must(err)
	if _, err := e.Since(e); err == nil {
		t.Error("no error for an event that was never recorded")
	}
	b.must(b.stream.Record(e))
	if _, err := e.Since(e); err == nil {
		t.Error("no error for an event that has not come to pass")
	}
	b.must(e.Synchronize())
	if d, err := e.Since(e); d != 0 || err != nil {
		t.Errorf("got %v, %v", d, err)
	}
	b.must(e.Close())
	b.close()
}

func TestGraphsReplayTheCapture(t *testing.T) {
	b := open(t, emulator.Options{Lazy: true})
	values := make([]float32, 100)
	for i := range values {
		values[i] = 1
	}
	x := upload(b, values)
	y := b.alloc(400)
	g, err := b.stream.Capture(func() error {
		b.must(b.launch("twice", 1, 256, 0, x, y, 100, 0))
		b.must(b.launch("twice", 1, 256, 0, y, x, 100, 0))
		return b.stream.Fill(y, 0, 4)
	})
	b.must(err)
	if g.Kernels() != 2 {
		t.Errorf("%d kernels, want 2", g.Kernels())
	}
	if got := download[float32](b, x, 100); got[0] != 1 {
		t.Errorf("the capture ran: %v", got[0])
	}
	for range 3 {
		b.must(b.stream.Replay(g))
	}
	if got := download[float32](b, x, 100); got[99] != 64 {
		t.Errorf("got %v after three replays, want 64", got[99])
	}
	b.must(g.Close())
	if err := b.stream.Replay(g); err == nil {
		t.Error("a closed graph was replayed")
	}
	b.release(x, y)
	b.close()
}

func TestCapturesThatCannotBe(t *testing.T) {
	b := open(t, emulator.Options{})
	e, err := b.device.Event()
	b.must(err)
	empty, err := b.stream.Capture(func() error { return nil })
	b.must(err)
	own := errors.New("own")
	for what, record := range map[string]func() error{
		"Synchronize": func() error { return b.stream.Synchronize() },
		"Record":      func() error { return b.stream.Record(e) },
		"Wait":        func() error { return b.stream.Wait(e) },
		"Replay":      func() error { return b.stream.Replay(empty) },
		"Capture":     func() error { _, err := b.stream.Capture(func() error { return nil }); return err },
		"Alloc":       func() error { _, err := b.device.Alloc(1); return err },
		"AllocHost":   func() error { _, err := b.device.AllocHost(1); return err },
		"own":         func() error { return own },
	} {
		if _, err := b.stream.Capture(record); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: got %v", what, err)
		}
	}
	b.must(b.stream.Synchronize())
	b.must(empty.Close())
	b.must(e.Close())
	b.close()
}

func TestMemoryIsLimited(t *testing.T) {
	b := open(t, emulator.Options{Memory: 1 << 20})
	p := b.alloc(1<<20 - 256)
	q := b.alloc(1)
	if _, err := b.device.Alloc(1); !errors.Is(err, driver.ErrOutOfMemory) {
		t.Errorf("got %v", err)
	}
	if _, err := b.device.Alloc(1 << 62); !errors.Is(err, driver.ErrOutOfMemory) {
		t.Errorf("got %v", err)
	}
	for _, n := range []int64{0, -1} {
		if _, err := b.device.Alloc(n); err == nil || errors.Is(err, driver.ErrOutOfMemory) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	b.release(q)
	if free, err := b.device.Free(); free != 256 || err != nil {
		t.Errorf("%d bytes free, %v", free, err)
	}
	if err := b.device.Release(q); err == nil {
		t.Error("released twice")
	}
	if err := b.device.Release(p + 256); err == nil {
		t.Error("released in the middle")
	}
	b.release(p, 0)
	b.close()
}

func TestCopiesAreChecked(t *testing.T) {
	for what, call := range map[string]func(b *rig, p driver.Ptr, host []byte) error{
		"copy to device: out of bounds: 16 bytes at offset 90 of the allocation": func(b *rig, p driver.Ptr, host []byte) error { return b.stream.CopyToDevice(p+90, host) },
		"copy to host: out of bounds: 16 bytes at offset 85 of the allocation":   func(b *rig, p driver.Ptr, host []byte) error { return b.stream.CopyToHost(host, p+85) },
		"copy: out of bounds: 51 bytes at offset 50 of the allocation":           func(b *rig, p driver.Ptr, _ []byte) error { return b.stream.Copy(p, p+50, 51) },
		"copy: out of bounds: 50 bytes at offset 51 of the allocation":           func(b *rig, p driver.Ptr, _ []byte) error { return b.stream.Copy(p+51, p, 50) },
		"fill: out of bounds: 101 bytes at offset 0 of the allocation":           func(b *rig, p driver.Ptr, _ []byte) error { return b.stream.Fill(p, 1, 101) },
	} {
		b := open(t, emulator.Options{})
		p, host := b.alloc(100), b.staging(16)
		b.must(call(b, p, host))
		if err := b.stream.Synchronize(); !errors.Is(err, driver.ErrLost) || !strings.Contains(err.Error(), what) {
			t.Errorf("got %v, want %s", err, what)
		}
		b.lost()
	}
}

func TestHostMemoryMustBePageLocked(t *testing.T) {
	b := open(t, emulator.Options{})
	p, host := b.alloc(100), b.staging(16)
	for _, buffer := range [][]byte{make([]byte, 16), append(slices.Clip(host[:0]), 1)} {
		for _, err := range []error{b.stream.CopyToDevice(p, buffer), b.stream.CopyToHost(buffer, p)} {
			if err == nil || !strings.Contains(err.Error(), "is not page-locked") {
				t.Errorf("got %v", err)
			}
		}
	}
	b.must(b.stream.CopyToDevice(p, host[5:16]))
	b.must(b.stream.Synchronize())
	if err := b.device.ReleaseHost(host[1:]); err == nil {
		t.Error("released in the middle")
	}
	b.must(b.device.ReleaseHost(host))
	b.release(p)
	b.close()
}

func TestCloseTellsWhatIsLeft(t *testing.T) {
	b := open(t, emulator.Options{})
	b.alloc(100)
	b.alloc(1000)
	b.staging(5)
	_, err := b.device.Event()
	b.must(err)
	_, err = b.stream.Capture(func() error { return nil })
	b.must(err)
	want := "emulator: never released: 2 allocations (1280 bytes), 1 page-locked buffers, 1 streams, 1 events, 1 graphs"
	if err := b.device.Close(); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if _, err := b.device.Alloc(1); err == nil {
		t.Error("a closed device has memory")
	}
	b.must(b.device.Close())
}

func TestFailAfter(t *testing.T) {
	b := open(t, emulator.Options{FailAfter: 3})
	x := upload(b, make([]float32, 100))
	for range 2 {
		b.must(b.launch("twice", 1, 256, 0, x, x, 100, 0))
	}
	b.must(b.stream.Synchronize())
	b.must(b.launch("twice", 1, 256, 0, x, x, 100, 0))
	if err := b.stream.Synchronize(); !errors.Is(err, driver.ErrLost) || !strings.HasSuffix(err.Error(), "emulator: twice: kernel 3 fails, as was asked for") {
		t.Errorf("got %v", err)
	}
	b.lost()
}
