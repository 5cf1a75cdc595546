package emulator

// #include <stdlib.h>
// #include "emulator.h"
import "C"

import (
	"errors"
	"fmt"
	"unsafe"

	"peregrine/cuda/driver"
)

// granule is what an allocation takes at least and in multiples of.
const granule = 256

func rounded(bytes int64) int64 { return (bytes + granule - 1) / granule * granule }

func (d *device) Free() (int64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.usable(); err != nil {
		return 0, err
	}
	return d.options.Memory - d.used, nil
}

func (d *device) Alloc(bytes int64) (driver.Ptr, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.changing("Alloc"); err != nil {
		return 0, err
	}
	if bytes <= 0 {
		return 0, fmt.Errorf("emulator: an allocation of %d bytes", bytes)
	}
	if bytes > d.options.Memory || rounded(bytes) > d.options.Memory-d.used {
		return 0, fmt.Errorf("%w: %d bytes wanted, %d of %d are free", driver.ErrOutOfMemory, bytes, d.options.Memory-d.used, d.options.Memory)
	}
	p := driver.Ptr(C.peregrine_memory_alloc(d.memory, C.uint64_t(bytes)))
	if p == 0 {
		return 0, fmt.Errorf("%w: %d bytes wanted, the host has no room", driver.ErrOutOfMemory, bytes)
	}
	d.used += rounded(bytes)
	d.allocated[p] = bytes
	return p, nil
}

// changing returns why memory cannot be made or released now. It is called with mu held.
func (d *device) changing(call string) error {
	if err := d.usable(); err != nil {
		return err
	}
	if d.capturing > 0 {
		return fmt.Errorf("emulator: %s while a stream captures", call)
	}
	return nil
}

// Release frees memory, also of a lost device, though that still is an error.
func (d *device) Release(p driver.Ptr) error {
	if p == 0 {
		return nil
	}
	d.running.Lock() // a kernel that runs ends first
	defer d.running.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	state := d.changing("Release")
	if d.closed {
		return state
	}
	bytes, ok := d.allocated[p]
	if !ok {
		return fmt.Errorf("emulator: release of 0x%x, which is not an allocation", uint64(p))
	}
	C.peregrine_memory_release(d.memory, C.uint64_t(p))
	delete(d.allocated, p)
	d.used -= rounded(bytes)
	return state
}

func (d *device) AllocHost(bytes int) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.changing("AllocHost"); err != nil {
		return nil, err
	}
	if bytes <= 0 {
		return nil, fmt.Errorf("emulator: a page-locked buffer of %d bytes", bytes)
	}
	p := C.malloc(C.size_t(bytes))
	if p == nil {
		return nil, fmt.Errorf("emulator: no room for a page-locked buffer of %d bytes", bytes)
	}
	d.host[p] = bytes
	return unsafe.Slice((*byte)(p), bytes), nil
}

func (d *device) ReleaseHost(b []byte) error {
	if len(b) == 0 {
		return errors.New("emulator: release of an empty page-locked buffer")
	}
	d.running.Lock()
	defer d.running.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	state := d.changing("ReleaseHost")
	if d.closed {
		return state
	}
	p := unsafe.Pointer(unsafe.SliceData(b))
	if _, ok := d.host[p]; !ok {
		return errors.New("emulator: release of a buffer that AllocHost did not return")
	}
	delete(d.host, p)
	C.free(p)
	return state
}

// pageLocked tells whether all of b came from AllocHost.
func (d *device) pageLocked(b []byte) bool {
	at := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	d.mu.Lock()
	defer d.mu.Unlock()
	for start, bytes := range d.host {
		if at >= uintptr(start) && at+uintptr(len(b)) <= uintptr(start)+uintptr(bytes) {
			return true
		}
	}
	return false
}

// span returns n bytes of device memory. It is called with running held.
func (d *device) span(p driver.Ptr, n int64) ([]byte, error) {
	var message [C.PEREGRINE_MESSAGE]C.char
	at := C.peregrine_memory_span(d.memory, C.uint64_t(p), C.uint64_t(n), &message[0])
	if at == nil {
		return nil, errors.New(C.GoString(&message[0]))
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(at)), n), nil
}
