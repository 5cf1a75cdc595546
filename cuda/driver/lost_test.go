//go:build cuda

package driver

import (
	"errors"
	"testing"
	"unsafe"

	"peregrine/cuda/driver/fake"
)

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
