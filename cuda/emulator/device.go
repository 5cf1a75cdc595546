package emulator

// #cgo CXXFLAGS: -std=c++17 -O2 -Wall -Wextra -fno-strict-aliasing -fno-exceptions -fno-rtti -I${SRCDIR}/..
// #cgo CFLAGS: -std=c11
// #include <stdlib.h>
// #include "emulator.h"
import "C"

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"unsafe"

	"peregrine/cuda/driver"
)

// blockShared is what a block may have on an H100, with the driver's leave; 48 KiB without.
const (
	blockShared   = 227 << 10
	defaultShared = 48 << 10
)

// Options say what kind of device to emulate. The zero value has 4 GiB and as many threads as the host.
type Options struct {
	Memory    int64 // bytes
	Threads   int   // of the host, over which the blocks of a launch are spread
	Races     bool  // look for races in shared memory; several times slower
	Lazy      bool  // streams work only when someone waits for them: what is not waited for has not happened
	FailAfter int   // lose the device at the n-th kernel; 0: never
	// Modules are further modules: what their C++ side lists with emulated::kernels.
	Modules map[string]unsafe.Pointer
}

type device struct {
	options Options
	memory  *C.peregrine_memory
	// Kernels and copies hold running for reading, so that no memory goes away below them.
	running sync.RWMutex

	mu        sync.Mutex
	used      int64
	allocated map[driver.Ptr]int64
	host      map[unsafe.Pointer]int // bytes of page-locked buffers
	streams   map[*stream]bool
	events    int
	graphs    int
	capturing int
	kernels   int // that ran
	lost      error
	closed    bool
}

// modulesMu guards the list of modules, which belongs to the process.
var modulesMu sync.Mutex

// Open makes a device. Close it.
func Open(o Options) driver.Device {
	if o.Memory == 0 {
		o.Memory = 4 << 30
	}
	if o.Threads == 0 {
		o.Threads = runtime.GOMAXPROCS(0)
	}
	modulesMu.Lock()
	for name, kernels := range o.Modules {
		c := C.CString(name)
		if C.peregrine_emulator_has(c) == 0 {
			C.peregrine_emulator_list(c, kernels) // keeps the name
		} else {
			C.free(unsafe.Pointer(c))
		}
	}
	modulesMu.Unlock()
	return &device{
		options:   o,
		memory:    C.peregrine_memory_new(),
		allocated: map[driver.Ptr]int64{},
		host:      map[unsafe.Pointer]int{},
		streams:   map[*stream]bool{},
	}
}

func (d *device) Info() driver.Info {
	return driver.Info{
		Name: "emulator", Major: 8, Minor: 0, Multiprocessor: d.options.Threads, Memory: d.options.Memory,
		Driver: 12000, BlockShared: blockShared, Emulated: true,
	}
}

// usable returns why the device cannot be used, or nil. It is called with mu held.
func (d *device) usable() error {
	if d.closed {
		return errors.New("emulator: the device is closed")
	}
	if d.lost != nil {
		return fmt.Errorf("%w: %w", driver.ErrLost, d.lost)
	}
	return nil
}

// state is usable for those that do not hold mu.
func (d *device) state() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.usable()
}

// lose remembers the first reason.
func (d *device) lose(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.lost == nil {
		d.lost = err
	}
}

func (d *device) Function(module, name string) (driver.Function, error) {
	if err := d.state(); err != nil {
		return nil, err
	}
	m, n := C.CString(module), C.CString(name)
	defer C.free(unsafe.Pointer(m))
	defer C.free(unsafe.Pointer(n))
	modulesMu.Lock()
	defer modulesMu.Unlock()
	if C.peregrine_emulator_has(m) == 0 {
		return nil, fmt.Errorf("emulator: there is no module %q", module)
	}
	k := C.peregrine_emulator_find(m, n)
	if k == nil {
		return nil, fmt.Errorf("emulator: module %q has no kernel %q", module, name)
	}
	f := &function{name: name, kernel: k, shared: defaultShared}
	C.peregrine_emulator_kernel(k, &f.args, &f.threads)
	return f, nil
}

// Close waits for the streams. What was not released is an error, unless the device is lost.
func (d *device) Close() error {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return nil
	}
	d.closed = true
	open := make([]*stream, 0, len(d.streams))
	for s := range d.streams {
		open = append(open, s)
	}
	d.mu.Unlock()
	var left []string
	note := func(n int, what string) {
		if n > 0 {
			left = append(left, fmt.Sprintf("%d %s", n, what))
		}
	}
	note(len(d.allocated), fmt.Sprintf("allocations (%d bytes)", d.used))
	note(len(d.host), "page-locked buffers")
	note(len(open), "streams")
	note(d.events, "events")
	note(d.graphs, "graphs")
	for _, s := range open {
		s.stop()
	}
	for p := range d.host {
		C.free(p)
	}
	C.peregrine_memory_delete(d.memory)
	if len(left) > 0 && d.lost == nil {
		return fmt.Errorf("emulator: never released: %s", strings.Join(left, ", "))
	}
	return nil
}
