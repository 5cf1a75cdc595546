//go:build cuda

package driver

import (
	"bytes"
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

func TestListMakesNoContext(t *testing.T) {
	old := fake.Device{Name: "Fake GTX", Major: 6, Minor: 1, Multiprocessors: 10, BlockShared: 49152, Memory: 8 << 30}
	fake.Install(t, fake.Driver{Version: 12040, Devices: []fake.Device{fake.H100, old}})
	list := must[[]Info](t)(List())
	want := []Info{
		{Index: 0, Name: "Fake H100", Major: 9, Multiprocessor: 132, Memory: 64 << 20, Driver: 12040, BlockShared: 232448},
		{Index: 1, Name: "Fake GTX", Major: 6, Minor: 1, Multiprocessor: 10, Memory: 8 << 30, Driver: 12040, BlockShared: 49152},
	}
	if len(list) != 2 || list[0] != want[0] || list[1] != want[1] {
		t.Errorf("got %+v, want %+v", list, want)
	}
	if fake.Live() != 0 || fake.Calls("cuCtxCreate_v2") != 0 {
		t.Error("List made a context")
	}
	check(t, list[0].Usable())
	failed(t, list[1].Usable(), ErrUnavailable, "device 1 (Fake GTX)", "6.1", "8.0", "--backend cpu")
}

func TestUnusableDrivers(t *testing.T) {
	cases := map[string]struct {
		driver   fake.Driver
		function string
		code     int
		index    int
		parts    []string
	}{
		"too old":              {fake.Driver{Version: 11040, Devices: played.Devices}, "", 0, 0, []string{"11.4", "525", "--backend cpu"}},
		"no device":            {fake.Driver{}, "", 0, 0, []string{"CUDA_VISIBLE_DEVICES"}},
		"initialisation fails": {played, "cuInit", driverMismatch, 0, []string{"cuInit", "803", "restart"}},
		"all devices hidden":   {played, "cuInit", noDevice, 0, []string{"CUDA_VISIBLE_DEVICES"}},
		"no such device":       {played, "", 0, 3, []string{"device 3", "--device"}},
		"negative device":      {played, "", 0, -1, []string{"device -1", "--device"}},
		"device taken":         {played, "cuCtxCreate_v2", deviceUnavailable, 0, []string{"Fake H100", "another process"}},
		"missing symbol":       {played, "cuDeviceGetName", notFound, 0, []string{"cuDeviceGetName", "too old"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			fake.Install(t, c.driver)
			if c.function != "" {
				fake.Fail(t, c.function, c.code, 0, fake.Forever)
			}
			device, err := Open(c.index)
			if device != nil {
				t.Error("got a device")
			}
			failed(t, err, ErrUnavailable, c.parts...)
			if fake.Live() != 0 {
				t.Errorf("%d objects are left", fake.Live())
			}
		})
	}
}

func TestOpenWithoutRoom(t *testing.T) {
	fake.Install(t, played)
	fake.Fail(t, "cuCtxCreate_v2", outOfMemory, 0, 1)
	_, err := Open(0)
	failed(t, err, ErrOutOfMemory, "device 0 (Fake H100)", "CUDA_ERROR_OUT_OF_MEMORY (2)")
}

// This machine's own driver, or its absence: an answer, never an end of the process.
func TestListOfThisMachine(t *testing.T) {
	if list, err := List(); err != nil {
		failed(t, err, ErrUnavailable, "--backend cpu")
	} else if len(list) == 0 {
		t.Error("no error and no device")
	}
}

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

// What the driver's compiler says is part of the error.
func TestCompilerLog(t *testing.T) {
	d := open(t, played).(*gpu)
	_, err := d.compile("bad", []byte("no code"))
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

func TestLostDevice(t *testing.T) {
	for function, code := range map[string]int{
		"cuStreamSynchronize": illegalAddress, "cuLaunchKernel": launchFailed, "cuMemAlloc_v2": eccUncorrectable,
		"cuGraphLaunch": unknown, "cuCtxSetCurrent": deviceUnavailable, "cuEventSynchronize": illegalAddress,
	} {
		t.Run(function, func(t *testing.T) { lost(t, function, code) })
	}
}

func lost(t *testing.T, function string, code int) {
	d := open(t, played)
	s := must[Stream](t)(d.Stream())
	e := must[Event](t)(d.Event())
	f := must[Function](t)(d.Function("read", "read"))
	p := must[Ptr](t)(d.Alloc(16))
	host := must[[]byte](t)(d.AllocHost(16))
	g := must[Graph](t)(s.Capture(func() error { return s.Fill(p, 0, 16) }))
	var a arguments
	calls := []func() error{
		s.Synchronize,
		func() error { return s.Launch(f, Dim{1, 1, 1}, Dim{1, 1, 1}, 0, unsafe.Pointer(&a), unsafe.Sizeof(a)) },
		func() error { _, err := d.Alloc(16); return err },
		func() error { return s.Replay(g) },
		e.Synchronize,
		func() error { _, err := d.Free(); return err },
		func() error { _, err := s.Capture(func() error { return nil }); return err },
		func() error { return s.CopyToHost(host, p) },
	}
	fake.Fail(t, function, code, 0, 1)
	var first error
	for _, call := range calls {
		if first = call(); first != nil {
			break
		}
	}
	failed(t, first, ErrLost, code2name(code), "--backend cpu")
	reached := fake.Calls("cuCtxSetCurrent")
	for i, call := range calls {
		if err := call(); !errors.Is(err, ErrLost) || err.Error() != first.Error() {
			t.Errorf("call %d: got %v, want %v", i, err, first)
		}
	}
	if fake.Calls("cuCtxSetCurrent") != reached {
		t.Error("a lost device was asked again")
	}
	check(t, d.Close())
	if fake.Live() != 0 {
		t.Errorf("%d objects are left", fake.Live())
	}
}

func code2name(code int) string {
	if code == illegalAddress {
		return "CUDA_ERROR_ILLEGAL_ADDRESS (700): an illegal memory access"
	}
	return "CUDA error"
}

func TestCloseEndsEverything(t *testing.T) {
	fake.Install(t, played)
	d := must[Device](t)(Open(0))
	s, e := must[Stream](t)(d.Stream()), must[Event](t)(d.Event())
	must[Ptr](t)(d.Alloc(64))
	must[[]byte](t)(d.AllocHost(64))
	check(t, d.Close())
	check(t, d.Close())
	if fake.Live() != 0 {
		t.Errorf("%d objects are left", fake.Live())
	}
	check(t, s.Close())
	check(t, e.Close())
	failed(t, s.Synchronize(), nil, "closed")
	_, err := d.Alloc(1)
	failed(t, err, nil, "closed")
	again := must[Device](t)(Open(0))
	check(t, again.Close())
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

func TestObjectsOfAnotherDevice(t *testing.T) {
	fake.Install(t, fake.Driver{Devices: []fake.Device{fake.H100, fake.H100}})
	one, two := must[Device](t)(Open(0)), must[Device](t)(Open(1))
	s := must[Stream](t)(one.Stream())
	other := must[Stream](t)(two.Stream())
	g := must[Graph](t)(other.Capture(func() error { return nil }))
	var a arguments
	f := must[Function](t)(two.Function("read", "read"))
	for _, err := range []error{
		s.Record(must[Event](t)(two.Event())), s.Replay(g),
		s.Launch(f, Dim{1, 1, 1}, Dim{1, 1, 1}, 0, unsafe.Pointer(&a), unsafe.Sizeof(a)),
	} {
		failed(t, err, nil, "another device")
	}
	check(t, one.Close())
	check(t, two.Close())
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
