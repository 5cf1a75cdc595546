package cuda

import (
	"context"
	"errors"
	"strings"
	"testing"
	"unsafe"

	"peregrine/cuda/driver"
	"peregrine/cuda/emulator"
	"peregrine/model"
)

// failing is a device whose n-th call fails, of those that a load makes one after the other.
type failing struct {
	driver.Device
	left int
}

var errNthCall = errors.New("cuda: cuCall: no reason")

// next is called in front of each call.
func (f *failing) next() error {
	f.left--
	if f.left == 0 {
		return errNthCall
	}
	return nil
}

func (f *failing) Free() (int64, error) {
	if err := f.next(); err != nil {
		return 0, err
	}
	return f.Device.Free()
}

func (f *failing) Alloc(bytes int64) (driver.Ptr, error) {
	if err := f.next(); err != nil {
		return 0, err
	}
	return f.Device.Alloc(bytes)
}

func (f *failing) AllocHost(bytes int) ([]byte, error) {
	if err := f.next(); err != nil {
		return nil, err
	}
	return f.Device.AllocHost(bytes)
}

func (f *failing) Function(module, name string) (driver.Function, error) {
	if err := f.next(); err != nil {
		return nil, err
	}
	return f.Device.Function(module, name)
}

func (f *failing) Event() (driver.Event, error) {
	if err := f.next(); err != nil {
		return nil, err
	}
	return f.Device.Event()
}

func (f *failing) Stream() (driver.Stream, error) {
	if err := f.next(); err != nil {
		return nil, err
	}
	s, err := f.Device.Stream()
	return &failingStream{s, f}, err
}

type failingStream struct {
	driver.Stream
	device *failing
}

func (s *failingStream) Launch(f driver.Function, grid, block driver.Dim, shared int, args unsafe.Pointer, size uintptr) error {
	if err := s.device.next(); err != nil {
		return err
	}
	return s.Stream.Launch(f, grid, block, shared, args, size)
}

func (s *failingStream) LaunchEarly(f driver.Function, grid, block driver.Dim, shared int, args unsafe.Pointer, size uintptr) error {
	if err := s.device.next(); err != nil {
		return err
	}
	return s.Stream.LaunchEarly(f, grid, block, shared, args, size)
}

func (s *failingStream) Fill(dst driver.Ptr, value byte, bytes int64) error {
	if err := s.device.next(); err != nil {
		return err
	}
	return s.Stream.Fill(dst, value, bytes)
}

func (s *failingStream) Wait(e driver.Event) error {
	if err := s.device.next(); err != nil {
		return err
	}
	return s.Stream.Wait(e)
}

// Whichever call of a load fails: nothing stays allocated (the emulator's Close counts), and the error is one line.
func TestEveryCallOfALoadMayFail(t *testing.T) {
	const bytes = 1 << 30
	for n := 1; ; n++ {
		if n > 1000 {
			t.Fatal("a load makes more than 1000 calls")
		}
		d := emulator.Open(emulator.Options{Memory: bytes, Lazy: true})
		b := New(&failing{Device: d, left: n})
		e, err := b.Load(context.Background(), small(), model.LoadOptions{Context: 32})
		if err == nil {
			must(t, e.Close())
			must(t, b.Close())
			t.Logf("%d calls", n-1)
			return
		}
		if !errors.Is(err, errNthCall) || strings.Contains(err.Error(), "\n") || strings.Count(err.Error(), "cuda: ") != 1 {
			t.Errorf("call %d: got %q, want that call's error in one line, which says cuda once", n, err)
		}
		if free, err := d.Free(); free != bytes || err != nil {
			t.Errorf("call %d: %d bytes are free, %v; want all %d", n, free, err, bytes)
		}
		if err := b.Close(); err != nil {
			t.Errorf("call %d: %v", n, err)
		}
	}
}

// A device that is lost fails at every call from then on; the first error says it all.
func TestALossWhileLoadingIsOneLine(t *testing.T) {
	for n := 1; ; n += 5 {
		b := New(emulator.Open(emulator.Options{FailAfter: n, Lazy: n%2 == 0}))
		e, err := b.Load(context.Background(), small(), model.LoadOptions{Context: 32})
		if err == nil {
			must(t, e.Close())
			must(t, b.Close())
			if n < 11 {
				t.Errorf("a load launches %d kernels", n-1)
			}
			return
		}
		if text := err.Error(); !errors.Is(err, driver.ErrLost) || strings.Contains(text, "\n") || !strings.HasPrefix(text, "cuda: load: ") || strings.Count(text, "cuda: ") != 1 {
			t.Errorf("kernel %d: got %q, want one line about a lost device", n, text)
		}
		if err := b.Close(); err != nil {
			t.Errorf("kernel %d: close: %v", n, err)
		}
	}
}
