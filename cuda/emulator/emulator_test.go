package emulator_test

import (
	"math"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"peregrine/cuda/driver"
	"peregrine/cuda/emulator"
	"peregrine/cuda/emulator/testkernels"
)

// bench is a device with one stream, and what a test needs to use them.
type bench struct {
	*testing.T
	device driver.Device
	stream driver.Stream
}

func open(t *testing.T, o emulator.Options) *bench {
	t.Helper()
	o.Modules = map[string]unsafe.Pointer{"test": testkernels.Module()}
	d := emulator.Open(o)
	s, err := d.Stream()
	if err != nil {
		t.Fatal(err)
	}
	return &bench{t, d, s}
}

// close proves that nothing is left.
func (b *bench) close() {
	b.Helper()
	b.must(b.stream.Close())
	b.must(b.device.Close())
}

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// alloc returns device memory of n bytes.
func (b *bench) alloc(n int64) driver.Ptr {
	b.Helper()
	p, err := b.device.Alloc(n)
	b.must(err)
	return p
}

func (b *bench) release(all ...driver.Ptr) {
	b.Helper()
	for _, p := range all {
		b.must(b.device.Release(p))
	}
}

// upload returns device memory that holds values.
func upload[T any](b *bench, values []T) driver.Ptr {
	b.Helper()
	bytes := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(values))), uintptr(len(values))*unsafe.Sizeof(values[0]))
	staging, err := b.device.AllocHost(len(bytes))
	b.must(err)
	copy(staging, bytes)
	p := b.alloc(int64(len(bytes)))
	b.must(b.stream.CopyToDevice(p, staging))
	b.must(b.stream.Synchronize())
	b.must(b.device.ReleaseHost(staging))
	return p
}

// download returns n values at p.
func download[T any](b *bench, p driver.Ptr, n int) []T {
	b.Helper()
	values := make([]T, n)
	bytes := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(values))), uintptr(n)*unsafe.Sizeof(values[0]))
	staging, err := b.device.AllocHost(len(bytes))
	b.must(err)
	b.must(b.stream.CopyToHost(staging, p))
	b.must(b.stream.Synchronize())
	copy(bytes, staging)
	b.must(b.device.ReleaseHost(staging))
	return values
}

// launch queues a test kernel.
func (b *bench) launch(name string, grid, threads uint32, shared int, in, out driver.Ptr, n uint64, at int64) error {
	b.Helper()
	f, err := b.device.Function("test", name)
	b.must(err)
	args := testkernels.Args(in, out, n, at)
	return b.stream.Launch(f, driver.Dim{X: grid, Y: 1, Z: 1}, driver.Dim{X: threads, Y: 1, Z: 1}, shared, unsafe.Pointer(&args), testkernels.Size)
}

func TestLaunchRunsEveryBlock(t *testing.T) {
	for _, threads := range []int{1, 2, 7} {
		b := open(t, emulator.Options{Threads: threads, Races: true})
		values := make([]float32, 10_000)
		for i := range values {
			values[i] = float32(i)
		}
		in, out := upload(b, values), b.alloc(40_000)
		b.must(b.launch("twice", 40, 256, 0, in, out, 10_000, 0))
		for i, v := range download[float32](b, out, 10_000) {
			if v != 2*float32(i) {
				t.Fatalf("%d threads: element %d is %v", threads, i, v)
			}
		}
		b.release(in, out)
		b.close()
	}
}

func TestFreshMemoryIsNaN(t *testing.T) {
	b := open(t, emulator.Options{})
	p := b.alloc(4000)
	if i := slices.IndexFunc(download[float32](b, p, 1000), func(v float32) bool { return !math.IsNaN(float64(v)) }); i >= 0 {
		t.Errorf("element %d is a number", i)
	}
	b.release(p)
	b.close()
}

func TestSharedMemoryAndBarriers(t *testing.T) {
	for _, n := range []uint32{1, 33, 1024} {
		b := open(t, emulator.Options{Races: true})
		values := make([]uint32, n)
		for i := range values {
			values[i] = uint32(i * i)
		}
		in, out := upload(b, values), b.alloc(int64(4*n))
		b.must(b.launch("reverse", 1, n, int(4*n), in, out, uint64(n), 0))
		slices.Reverse(values)
		if got := download[uint32](b, out, int(n)); !slices.Equal(got, values) {
			t.Errorf("%d threads: got %v", n, got)
		}
		b.release(in, out)
		b.close()
	}
}

func TestErrorsNameKernelBlockAndThread(t *testing.T) {
	b := open(t, emulator.Options{})
	in, out := b.alloc(100), b.alloc(100)
	b.must(b.launch("reads", 3, 64, 0, in, out, 17, 25))
	err := b.stream.Synchronize()
	if want := "emulator: reads: block (0, 0, 0), thread 17: out of bounds: 4 bytes at offset 100 of the allocation 0x"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %q", err, want)
	}
}
