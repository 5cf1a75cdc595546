package emulator_test

import (
	"testing"
	"unsafe"

	"peregrine/cuda/driver"
	"peregrine/cuda/emulator"
	"peregrine/cuda/emulator/testkernels"
)

// rig is a device with one stream, and what a test needs to use them.
type rig struct {
	*testing.T
	device driver.Device
	stream driver.Stream
}

func open(t *testing.T, o emulator.Options) *rig {
	t.Helper()
	o.Modules = map[string]unsafe.Pointer{"test": testkernels.Module()}
	d := emulator.Open(o)
	s, err := d.Stream()
	if err != nil {
		t.Fatal(err)
	}
	return &rig{t, d, s}
}

// close proves that nothing is left.
func (b *rig) close() {
	b.Helper()
	b.must(b.stream.Close())
	b.must(b.device.Close())
}

func (b *rig) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// alloc returns device memory of n bytes.
func (b *rig) alloc(n int64) driver.Ptr {
	b.Helper()
	p, err := b.device.Alloc(n)
	b.must(err)
	return p
}

func (b *rig) release(all ...driver.Ptr) {
	b.Helper()
	for _, p := range all {
		b.must(b.device.Release(p))
	}
}

// upload returns device memory that holds values.
func upload[T any](b *rig, values []T) driver.Ptr {
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
func download[T any](b *rig, p driver.Ptr, n int) []T {
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
func (b *rig) launch(name string, grid, threads uint32, shared int, in, out driver.Ptr, n uint64, at int64) error {
	b.Helper()
	f, err := b.device.Function("test", name)
	b.must(err)
	args := args(in, out, n, at)
	return b.stream.Launch(f, driver.Dim{X: grid, Y: 1, Z: 1}, driver.Dim{X: threads, Y: 1, Z: 1}, shared, unsafe.Pointer(&args), testkernels.Size)
}

func args(in, out driver.Ptr, n uint64, at int64) testkernels.Arguments {
	return testkernels.Args(in, out, n, at)
}

// at is a pointer as Launch takes it.
func at[T any](p *T) unsafe.Pointer { return unsafe.Pointer(p) }
