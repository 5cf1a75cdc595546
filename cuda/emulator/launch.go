package emulator

// #include <stdlib.h>
// #include "emulator.h"
import "C"

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"unsafe"

	"peregrine/cuda/driver"
)

type function struct {
	name          string
	kernel        unsafe.Pointer
	args, threads C.uint32_t // bytes of the argument struct, largest block
	shared        int        // bytes a block may have
}

func (f *function) SetShared(bytes int) error {
	if bytes < 0 || bytes > blockShared {
		return fmt.Errorf("emulator: %s: %d bytes of shared memory; a block may have %d", f.name, bytes, blockShared)
	}
	f.shared = max(bytes, defaultShared)
	return nil
}

func (f *function) PreferShared() error { return nil }

// launch is one launch, with a copy of its arguments.
type launch struct {
	function    *function
	grid        driver.Dim
	threads     uint32
	shared      int
	sharedLimit int
	args        []byte
}

func newLaunch(f driver.Function, grid, block driver.Dim, shared int, args unsafe.Pointer, size uintptr) (*launch, error) {
	own, ok := f.(*function)
	if !ok {
		return nil, errors.New("emulator: the kernel is another device's")
	}
	fail := func(format string, a ...any) (*launch, error) {
		return nil, fmt.Errorf("emulator: launch of "+own.name+": "+format, a...)
	}
	if size != uintptr(own.args) {
		return fail("arguments of %d bytes, it takes %d", size, own.args)
	}
	if block.Y != 1 || block.Z != 1 || block.X < 1 || block.X > uint32(own.threads) {
		return fail("blocks of %d×%d×%d threads; it takes 1 to %d in a row", block.X, block.Y, block.Z, own.threads)
	}
	if grid.X < 1 || grid.Y < 1 || grid.Z < 1 || grid.X > math.MaxInt32 || grid.Y > math.MaxUint16 || grid.Z > math.MaxUint16 {
		return fail("a grid of %d×%d×%d blocks; the limits are %d×%[5]d×%[5]d, none may be 0", grid.X, grid.Y, grid.Z, math.MaxInt32, math.MaxUint16)
	}
	if shared < 0 || shared > own.shared {
		return fail("%d bytes of shared memory; it may have %d (SetShared raises that up to %d)", shared, own.shared, blockShared)
	}
	l := &launch{function: own, grid: grid, threads: block.X, shared: shared, sharedLimit: own.shared, args: make([]byte, size)}
	copy(l.args, unsafe.Slice((*byte)(args), size))
	return l, nil
}

// launch runs a kernel to its end.
func (d *device) launch(l *launch) error {
	d.mu.Lock()
	d.kernels++
	failed := d.kernels == d.options.FailAfter
	d.mu.Unlock()
	if failed {
		return fmt.Errorf("emulator: %s: kernel %d fails, as was asked for", l.function.name, d.options.FailAfter)
	}
	d.running.RLock()
	defer d.running.RUnlock()
	// C keeps pointers in c while its threads run, so both are C's memory.
	c := (*C.peregrine_launch)(C.calloc(1, C.sizeof_peregrine_launch))
	args := C.CBytes(l.args)
	defer C.free(args)
	defer C.free(unsafe.Pointer(c))
	c.kernel = l.function.kernel
	c.memory = d.memory
	c.args = args
	c.grid = [3]C.uint32_t{C.uint32_t(l.grid.X), C.uint32_t(l.grid.Y), C.uint32_t(l.grid.Z)}
	c.threads = C.uint32_t(l.threads)
	c.shared = C.uint32_t(l.shared)
	c.allowed = C.uint32_t(l.sharedLimit)
	if d.options.Races {
		c.races = 1
	}
	c.fault = math.MaxUint64
	blocks := uint64(l.grid.X) * uint64(l.grid.Y) * uint64(l.grid.Z)
	var others sync.WaitGroup
	for i := uint64(1); i < min(blocks, uint64(d.options.Threads)); i++ {
		others.Add(1)
		go func() {
			defer others.Done()
			C.peregrine_launch_run(c)
		}()
	}
	C.peregrine_launch_run(c)
	others.Wait()
	if c.fault != math.MaxUint64 {
		return fmt.Errorf("emulator: %s", C.GoString(&c.message[0]))
	}
	return nil
}
