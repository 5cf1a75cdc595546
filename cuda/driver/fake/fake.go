//go:build cuda

// Package fake plays a CUDA driver, and injects faults into it or into the real one, so that tests can see what
// peregrine/cuda/driver makes of them without a GPU. Nothing but tests imports it.
package fake

// #include "fake.h"
import "C"

import (
	"testing"
	"unsafe"
)

// Driver is what the played driver says of itself.
type Driver struct {
	Version int // 12040 for CUDA 12.4; 0: 12000
	Devices []Device
}

// Device is one GPU of the played driver.
type Device struct {
	Name            string
	Major, Minor    int
	Multiprocessors int
	BlockShared     int
	Memory          int64
}

// H100 is a device as a machine may have it.
var H100 = Device{Name: "Fake H100", Major: 9, Multiprocessors: 132, BlockShared: 232448, Memory: 64 << 20}

// Launch is a kernel as it arrived at the driver.
type Launch struct {
	Name        string
	Grid, Block [3]uint32
	Shared      int
	Args        []byte
}

// Install lets d answer until the test ends, which must not run in parallel with others that use the driver.
func Install(t testing.TB, d Driver) {
	t.Helper()
	if len(d.Devices) > C.FAKE_DEVICES {
		t.Fatalf("fake: %d devices, at most %d", len(d.Devices), C.FAKE_DEVICES)
	}
	if d.Version == 0 {
		d.Version = 12000
	}
	var devices [C.FAKE_DEVICES]C.fake_device
	for i, device := range d.Devices {
		to := &devices[i]
		for j := 0; j < min(len(device.Name), len(to.name)-1); j++ {
			to.name[j] = C.char(device.Name[j])
		}
		to.major, to.minor = C.int(device.Major), C.int(device.Minor)
		to.multiprocessors, to.block_shared = C.int(device.Multiprocessors), C.int(device.BlockShared)
		to.memory = C.size_t(device.Memory)
	}
	C.fake_install(C.int(d.Version), &devices[0], C.int(len(d.Devices)))
	t.Cleanup(func() { C.fake_remove() })
}

// Wrap leaves the real driver in place, so that Fail and Calls work on it until the test ends.
func Wrap(t testing.TB) {
	C.fake_install(0, nil, 0)
	t.Cleanup(func() { C.fake_remove() })
}

// Forever is a number of times that no test reaches.
const Forever = 1 << 30

// Fail makes calls of a function, named as the driver exports it ("cuMemAlloc_v2"), return a code instead of being made: those
// after the next skip ones, as many as times says. It needs Install or Wrap first.
func Fail(t testing.TB, function string, code, skip, times int) {
	t.Helper()
	name := C.CString(function)
	defer C.free(unsafe.Pointer(name))
	if C.fake_fail(name, C.CUresult(code), C.int(skip), C.int(times)) != 0 {
		t.Fatalf("fake: more than %d faults", C.FAKE_FAULTS)
	}
}

// Calls returns how often a function was called.
func Calls(function string) int {
	name := C.CString(function)
	defer C.free(unsafe.Pointer(name))
	return int(C.fake_calls(name))
}

// Live returns how many objects the played driver holds: contexts, memory, streams, events, modules, kernels, graphs.
func Live() int { return int(C.fake_live()) }

// Launched returns how many kernels ran, and the last of them.
func Launched() (int, Launch) {
	var last C.fake_launch
	count := int(C.fake_launched(&last))
	l := Launch{Name: C.GoString(&last.name[0]), Shared: int(last.shared)}
	for i := range 3 {
		l.Grid[i], l.Block[i] = uint32(last.grid[i]), uint32(last.block[i])
	}
	l.Args = C.GoBytes(unsafe.Pointer(&last.args[0]), C.int(last.size))
	return count, l
}
