package cuda

import (
	"os"
	"testing"
	"unsafe"

	"peregrine/cuda/driver"
	"peregrine/cuda/emulator"
)

// eachDevice runs f on the emulator, which looks for races in shared memory and does nothing that nobody waits for, and on the
// card where there is one.
func eachDevice(t *testing.T, f func(t *testing.T, d driver.Device)) {
	t.Helper()
	t.Run("emulator", func(t *testing.T) {
		d := emulator.Open(emulator.Options{Races: true, Lazy: true})
		closeAtEnd(t, d)
		f(t, d)
	})
	t.Run("card", func(t *testing.T) {
		requireCard(t)
		d, err := driver.Open(0)
		must(t, err)
		closeAtEnd(t, d)
		f(t, d)
	})
}

// closeAtEnd closes d after the test; what was not released is an error. A test that failed may leave things.
func closeAtEnd(t *testing.T, d driver.Device) {
	t.Cleanup(func() {
		if err := d.Close(); err != nil && !t.Failed() {
			t.Error(err)
		}
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// alloc returns device memory of so many bytes, which is released when the test ends.
func alloc(t *testing.T, d driver.Device, bytes int) driver.Ptr {
	t.Helper()
	p, err := d.Alloc(int64(bytes))
	must(t, err)
	t.Cleanup(func() {
		if err := d.Release(p); err != nil && !t.Failed() {
			t.Error(err)
		}
	})
	return p
}

// upload returns device memory that holds the values, which is released when the test ends.
func upload[T byte | uint16 | uint32 | int32 | float32](t *testing.T, d driver.Device, values []T) driver.Ptr {
	t.Helper()
	bytes := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(values))), len(values)*int(unsafe.Sizeof(values[0])))
	p := alloc(t, d, len(bytes))
	throughHost(t, d, len(bytes), func(s driver.Stream, staging []byte) {
		copy(staging, bytes)
		must(t, s.CopyToDevice(p, staging))
		must(t, s.Synchronize())
	})
	return p
}

// download returns n values at p.
func download[T byte | uint16 | uint32 | int32 | float32](t *testing.T, d driver.Device, p driver.Ptr, n int) []T {
	t.Helper()
	values := make([]T, n)
	bytes := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(values))), n*int(unsafe.Sizeof(values[0])))
	throughHost(t, d, len(bytes), func(s driver.Stream, staging []byte) {
		must(t, s.CopyToHost(staging, p))
		must(t, s.Synchronize())
		copy(bytes, staging)
	})
	return values
}

// throughHost lends f a stream and a page-locked buffer.
func throughHost(t *testing.T, d driver.Device, bytes int, f func(s driver.Stream, staging []byte)) {
	t.Helper()
	staging, err := d.AllocHost(bytes)
	must(t, err)
	s, err := d.Stream()
	must(t, err)
	f(s, staging)
	must(t, s.Close())
	must(t, d.ReleaseHost(staging))
}

// runKernel runs a kernel to its end; grid is padded with ones.
func runKernel[A any](t *testing.T, d driver.Device, module, name string, grid []int, threads, shared int, args *A) {
	t.Helper()
	must(t, tryKernel(t, d, module, name, grid, threads, shared, args))
}

// tryKernel is runKernel for a test that wants the error.
func tryKernel[A any](t *testing.T, d driver.Device, module, name string, grid []int, threads, shared int, args *A) error {
	t.Helper()
	copied := *args // which may be part of something with Go pointers
	f, err := d.Function(module, name)
	must(t, err)
	if shared > 48<<10 {
		must(t, f.SetShared(shared))
	}
	s, err := d.Stream()
	must(t, err)
	dim := [3]uint32{1, 1, 1}
	for i, n := range grid {
		dim[i] = uint32(n)
	}
	err = s.Launch(f, driver.Dim{X: dim[0], Y: dim[1], Z: dim[2]}, driver.Dim{X: uint32(threads), Y: 1, Z: 1}, shared, unsafe.Pointer(&copied), unsafe.Sizeof(copied))
	if err == nil {
		err = s.Synchronize()
	}
	if closed := s.Close(); err == nil {
		err = closed
	}
	return err
}

// requireCard skips a test that needs a real GPU where there is none, or fails it where one is required.
func requireCard(t *testing.T) {
	t.Helper()
	_, err := driver.List()
	switch {
	case err == nil:
	case os.Getenv("PEREGRINE_REQUIRE_CUDA") != "":
		t.Fatalf("a GPU is required: %v", err)
	default:
		t.Skipf("NOT RUN on a card: %v", err)
	}
}
