//go:build cuda

package driver

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"peregrine/cuda/driver/fake"
)

// Codes of CUresult; the test of the vendor's header guards those of the stand-in.
const (
	outOfMemory        = 2
	deviceUnavailable  = 46
	noDevice           = 100
	eccUncorrectable   = 214
	unsupportedPTX     = 222
	notFound           = 500
	illegalAddress     = 700
	launchFailed       = 719
	driverMismatch     = 803
	captureInvalidated = 901
	unknown            = 999
)

var played = fake.Driver{Version: 12040, Devices: []fake.Device{fake.H100}}

func open(t *testing.T, d fake.Driver) Device {
	t.Helper()
	fake.Install(t, d)
	device, err := Open(0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := device.Close(); err != nil {
			t.Error(err)
		}
	})
	return device
}

func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// failed asserts the kind of an error and what its text holds.
func failed(t *testing.T, err, kind error, parts ...string) {
	t.Helper()
	if err == nil || (kind != nil && !errors.Is(err, kind)) {
		t.Fatalf("got %v, want %v", err, kind)
	}
	for _, other := range []error{ErrUnavailable, ErrOutOfMemory, ErrLost} {
		if !errors.Is(kind, other) && errors.Is(err, other) {
			t.Errorf("%v is %q too", err, other)
		}
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q lacks %q", err, part)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("%q is more than one line", err)
	}
}

// This machine's own driver, or its absence: an answer, never an end of the process.
func TestMemoryAndCopies(t *testing.T) {
	d := open(t, played)
	before := must[int64](t)(d.Free())
	a, b := must[Ptr](t)(d.Alloc(1000)), must[Ptr](t)(d.Alloc(1000))
	if after := must[int64](t)(d.Free()); after != before-2000 || a%256 != 0 || a == 0 {
		t.Errorf("%d bytes free, then %d; address %#x", before, after, a)
	}
	host := must[[]byte](t)(d.AllocHost(1000))
	for i := range host {
		host[i] = byte(i)
	}
	want := bytes.Clone(host)
	s := must[Stream](t)(d.Stream())
	check(t, s.CopyToDevice(a, host))
	check(t, s.Copy(b, a, 1000))
	check(t, s.Fill(b+990, 7, 10))
	clear(host)
	check(t, s.CopyToHost(host[:995], b))
	check(t, s.Synchronize())
	copy(want[990:], []byte{7, 7, 7, 7, 7, 0, 0, 0, 0, 0})
	if !bytes.Equal(host, want) {
		t.Errorf("got %v, want %v", host, want)
	}
	for _, empty := range []error{s.CopyToDevice(a, nil), s.CopyToHost(nil, a), s.Copy(a, b, 0), s.Fill(a, 1, 0)} {
		check(t, empty)
	}
	check(t, d.Release(a))
	failed(t, d.Release(a), nil, "cuMemFree(0x", "CUDA_ERROR_INVALID_VALUE (1)")
	check(t, d.ReleaseHost(host))
	failed(t, d.ReleaseHost(host), nil, "1000 bytes")
	check(t, s.Close())
}

func TestCopiesNeedPageLockedMemory(t *testing.T) {
	d := open(t, played)
	p, s := must[Ptr](t)(d.Alloc(64)), must[Stream](t)(d.Stream())
	host := must[[]byte](t)(d.AllocHost(64))
	check(t, s.CopyToDevice(p, host[63:]))
	failed(t, s.CopyToDevice(p, make([]byte, 64)), nil, "64 bytes", "AllocHost")
	failed(t, s.CopyToHost(make([]byte, 64), p), nil, "64 bytes", "AllocHost")
	check(t, d.ReleaseHost(host))
	failed(t, s.CopyToHost(host, p), nil, "AllocHost")
}

func TestBadSizes(t *testing.T) {
	d := open(t, played)
	for _, bytes := range []int{0, -1} {
		_, err := d.Alloc(int64(bytes))
		failed(t, err, nil, "bytes")
		_, err = d.AllocHost(bytes)
		failed(t, err, nil, "bytes")
	}
}

func TestOutOfMemoryChangesNothing(t *testing.T) {
	d := open(t, played)
	before := fake.Live()
	_, err := d.Alloc(1 << 40)
	failed(t, err, ErrOutOfMemory, "cuMemAlloc(1099511627776 bytes)", "CUDA_ERROR_OUT_OF_MEMORY (2)")
	fake.Fail(t, "cuMemHostAlloc", outOfMemory, 0, 1)
	_, err = d.AllocHost(4096)
	failed(t, err, ErrOutOfMemory, "cuMemHostAlloc(4096 bytes)")
	if fake.Live() != before {
		t.Errorf("%d objects, then %d", before, fake.Live())
	}
	must[Ptr](t)(d.Alloc(4096))
}

// arguments is a struct as args.h has them.
type arguments struct {
	from, sum uint64
	count     uint32
	flag      uint8
	_         [3]uint8
}

func TestLaunchPassesTheStruct(t *testing.T) {
	d := open(t, played)
	s := must[Stream](t)(d.Stream())
	f := must[Function](t)(d.Function("read", "read"))
	check(t, f.SetShared(100<<10))
	failed(t, f.SetShared(1<<20), nil, "cuFuncSetAttribute(read, 1048576 bytes")
	a := arguments{from: 1, sum: 2, count: 3, flag: 4}
	check(t, s.Launch(f, Dim{10, 2, 1}, Dim{256, 1, 1}, 4096, unsafe.Pointer(&a), unsafe.Sizeof(a)))
	count, got := fake.Launched()
	want := binary.LittleEndian.AppendUint64(nil, 1)
	want = append(binary.LittleEndian.AppendUint64(want, 2), 3, 0, 0, 0, 4, 0, 0, 0)
	if count != 1 || got.Name != "read" || got.Grid != [3]uint32{10, 2, 1} || got.Block != [3]uint32{256, 1, 1} || got.Shared != 4096 ||
		!bytes.Equal(got.Args, want) {
		t.Errorf("got %d launches, the last %+v, want the arguments %v", count, got, want)
	}
	err := s.Launch(f, Dim{0, 1, 1}, Dim{256, 1, 1}, 0, unsafe.Pointer(&a), unsafe.Sizeof(a))
	failed(t, err, nil, "cuLaunchKernel(read, grid {0 1 1}, block {256 1 1}, 0 bytes of shared memory, 24 of arguments)")
}

func TestFunctions(t *testing.T) {
	d := open(t, played)
	first := must[Function](t)(d.Function("read", "read"))
	if second := must[Function](t)(d.Function("read", "read")); first != second || fake.Calls("cuModuleLoadDataEx") != 1 {
		t.Error("a module was compiled twice")
	}
	_, err := d.Function("read", "no_kernel")
	failed(t, err, nil, "cuModuleGetFunction(read, no_kernel)", "500")
	_, err = d.Function("none", "read")
	failed(t, err, nil, `"none"`)
	fake.Fail(t, "cuModuleLoadDataEx", unsupportedPTX, 0, 1)
	_, err = d.Function("repack", "repack_f32")
	failed(t, err, ErrUnavailable, "repack", "222", "525")
	must[Function](t)(d.Function("repack", "repack_f32"))
}

// Modules are compiled in the background, once each; whoever asks for one waits for it, and tries one that failed again.
func TestCompileInTheBackground(t *testing.T) {
	d := open(t, played)
	fake.Fail(t, "cuModuleLoadDataEx", unsupportedPTX, 0, 1)
	modules := []string{"norm", "none", "repack", "top"}
	d.(Compiler).Compile(modules)
	d.(Compiler).Compile(modules[2:])
	d.(*gpu).compile.Wait()
	if calls := fake.Calls("cuModuleLoadDataEx"); calls != 3 && calls != 4 {
		t.Errorf("compiled %d times; want three modules once, or one that failed twice", calls)
	}
	for _, f := range [][2]string{{"norm", "norm"}, {"repack", "repack_f32"}, {"top", "top_chunk"}} {
		must[Function](t)(d.Function(f[0], f[1]))
	}
	if calls := fake.Calls("cuModuleLoadDataEx"); calls != 4 {
		t.Errorf("compiled %d times; want three modules, one of them again", calls)
	}
	_, err := d.Function("none", "none")
	failed(t, err, nil, `"none"`)
}

// What the driver's compiler says is part of the error.
func TestCompilerLog(t *testing.T) {
	d := open(t, played).(*gpu)
	_, err := d.build("bad", []byte("no code"))
	failed(t, err, nil, "cuModuleLoadDataEx(bad for 9.0)", "218", "ptxas: no version")
}

func TestGraph(t *testing.T) {
	d := open(t, played)
	s := must[Stream](t)(d.Stream())
	f := must[Function](t)(d.Function("read", "read"))
	p := must[Ptr](t)(d.Alloc(16))
	host := must[[]byte](t)(d.AllocHost(16))
	clear(host)
	before := fake.Live()
	g := must[Graph](t)(s.Capture(func() error {
		for i := range 3 {
			a := arguments{count: uint32(i)}
			if err := s.Launch(f, Dim{1, 1, 1}, Dim{1, 1, 1}, 0, unsafe.Pointer(&a), unsafe.Sizeof(a)); err != nil {
				return err
			}
		}
		return errors.Join(s.Fill(p, 5, 16), s.CopyToHost(host, p))
	}))
	if count, _ := fake.Launched(); count != 0 || host[0] != 0 {
		t.Error("a capture runs what it captures")
	}
	if g.Kernels() != 3 {
		t.Errorf("got %d kernels, want 3", g.Kernels())
	}
	if fake.Live() != before+1 {
		t.Errorf("a graph is %d objects", fake.Live()-before)
	}
	for range 2 {
		check(t, s.Replay(g))
	}
	check(t, s.Synchronize())
	if count, last := fake.Launched(); count != 6 || last.Args[16] != 2 || host[15] != 5 {
		t.Errorf("got %d launches, the last %+v, and %v", count, last, host)
	}
	check(t, g.Close())
	check(t, g.Close())
	failed(t, s.Replay(g), nil, "closed")
	if fake.Live() != before {
		t.Error("a graph is left")
	}
}

func TestCaptureThatFailsLeavesTheStream(t *testing.T) {
	d := open(t, played)
	s := must[Stream](t)(d.Stream())
	asked := errors.New("asked for")
	_, err := s.Capture(func() error { return asked })
	failed(t, err, asked)
	fake.Fail(t, "cuGraphDestroy", outOfMemory, 0, 1) // the first error counts
	_, err = s.Capture(func() error { return cmp.Or(s.Fill(1, 0, 1), asked) })
	failed(t, err, asked)
	fake.Fail(t, "cuStreamEndCapture", captureInvalidated, 0, 1)
	_, err = s.Capture(func() error { return nil })
	failed(t, err, nil, "cuStreamEndCapture", "901")
	s = must[Stream](t)(d.Stream()) // the played one still captures
	before := fake.Live()
	for _, function := range []string{"cuGraphInstantiateWithFlags", "cuGraphGetNodes", "cuGraphUpload"} {
		fake.Fail(t, function, outOfMemory, 0, 1)
		_, err = s.Capture(func() error { return s.Fill(1, 0, 1) })
		failed(t, err, ErrOutOfMemory, "cuGraphInstantiate")
	}
	if fake.Live() != before {
		t.Errorf("%d objects, then %d", before, fake.Live())
	}
	check(t, must[Graph](t)(s.Capture(func() error { return nil })).Close())
}

func TestEvents(t *testing.T) {
	d := open(t, played)
	s := must[Stream](t)(d.Stream())
	a, b := must[Event](t)(d.Event()), must[Event](t)(d.Event())
	check(t, s.Record(a))
	check(t, s.Record(b))
	check(t, s.Wait(a))
	check(t, b.Synchronize())
	if got := must[time.Duration](t)(b.Since(a)); got != 1500*time.Microsecond {
		t.Errorf("got %v, want 1.5ms", got)
	}
	check(t, a.Close())
	check(t, a.Close())
}

// Calls come from any goroutine, on whatever thread it runs; the played driver refuses one without the context.
func TestAnyGoroutine(t *testing.T) {
	d := open(t, played)
	f := must[Function](t)(d.Function("read", "read"))
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			s, err := d.Stream()
			if err != nil {
				t.Error(err)
				return
			}
			var a arguments
			for range 50 {
				p, err := d.Alloc(256)
				if err == nil {
					err = errors.Join(s.Fill(p, 1, 256),
						s.Launch(f, Dim{1, 1, 1}, Dim{1, 1, 1}, 0, unsafe.Pointer(&a), unsafe.Sizeof(a)), s.Synchronize(), d.Release(p))
				}
				if err != nil {
					t.Error(err)
				}
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if count, _ := fake.Launched(); count != 16*50 {
		t.Errorf("got %d launches", count)
	}
}

// An upper bound of what a launch costs beside the driver, since the played one looks functions up by name. Budget: 2 µs.
func BenchmarkLaunch(b *testing.B) {
	fake.Install(b, played)
	d, err := Open(0)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	s, _ := d.Stream()
	f, _ := d.Function("read", "read")
	var a arguments
	for b.Loop() {
		if err := s.Launch(f, Dim{1, 1, 1}, Dim{1, 1, 1}, 0, unsafe.Pointer(&a), unsafe.Sizeof(a)); err != nil {
			b.Fatal(err)
		}
	}
}
