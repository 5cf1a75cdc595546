//go:build cuda

package driver

// #include "native.h"
import "C"

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"

	"gorgonia.org/cu"
)

// gpu is a real device with the one context that it owns.
type gpu struct {
	info    Info
	context cu.CUContext
	dead    atomic.Pointer[failure] // set once: why every further call fails

	modules sync.Mutex // over loaded and known
	loaded  map[string]*module
	known   map[kernel]*function
	compile sync.WaitGroup // what Compile began

	memory sync.Mutex    // over host
	host   map[*byte]int // page-locked memory: where it begins, and its bytes
}

type failure struct{ err error }

// module is one that is compiled, or was: done is closed then, and the rest is set.
type module struct {
	done   chan struct{}
	err    error
	module cu.Module
	waits  bool // see kernels.Waits
}

// kernel names one.
type kernel struct{ module, name string }

var errClosed = errors.New("cuda: the device is closed")

func newDevice(info Info, context cu.CUContext) *gpu {
	return &gpu{
		info: info, context: context,
		loaded: map[string]*module{}, known: map[kernel]*function{}, host: map[*byte]int{},
	}
}

// do makes the context current on this thread and calls f there. An error of CUDA's is returned with the call's name, which
// format and args make.
func (g *gpu) do(f func() error, format string, args ...any) error {
	if dead := g.dead.Load(); dead != nil {
		return dead.err
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := cu.SetCurrentContext(g.context)
	if err == nil {
		err = f()
	}
	return g.check(codeOf(err), format, args...)
}

// check makes an error of a code and remembers one that the context does not survive.
func (g *gpu) check(c code, format string, args ...any) error {
	if c == C.CUDA_SUCCESS {
		return nil
	}
	err := c.wrap(fmt.Sprintf(format, args...))
	if errors.Is(err, ErrLost) && !g.dead.CompareAndSwap(nil, &failure{err}) {
		return g.dead.Load().err
	}
	return err
}

func (g *gpu) closed() bool {
	dead := g.dead.Load()
	return dead != nil && errors.Is(dead.err, errClosed)
}

func (g *gpu) Info() Info { return g.info }

func (g *gpu) Free() (free int64, err error) {
	err = g.do(func() (err error) {
		free, _, err = cu.MemInfo()
		return err
	}, "cuMemGetInfo")
	return free, err
}

func (g *gpu) Alloc(bytes int64) (Ptr, error) {
	if bytes <= 0 {
		return 0, fmt.Errorf("cuda: cannot allocate %d bytes", bytes)
	}
	var p cu.DevicePtr
	err := g.do(func() (err error) {
		p, err = cu.MemAlloc(bytes)
		return err
	}, "cuMemAlloc(%d bytes)", bytes)
	return Ptr(p), err
}

func (g *gpu) Release(p Ptr) error {
	return g.do(func() error { return cu.MemFree(cu.DevicePtr(p)) }, "cuMemFree(%#x)", p)
}

func (g *gpu) AllocHost(bytes int) ([]byte, error) {
	if bytes <= 0 {
		return nil, fmt.Errorf("cuda: cannot allocate %d bytes of page-locked memory", bytes)
	}
	var p unsafe.Pointer
	err := g.do(func() error {
		return native(C.cuMemHostAlloc(&p, C.size_t(bytes), 0))
	}, "cuMemHostAlloc(%d bytes)", bytes)
	if err != nil {
		return nil, err
	}
	b := unsafe.Slice((*byte)(p), bytes)
	g.memory.Lock()
	defer g.memory.Unlock()
	g.host[&b[0]] = bytes
	return b, nil
}

func (g *gpu) ReleaseHost(b []byte) error {
	g.memory.Lock()
	start := unsafe.SliceData(b)
	_, ours := g.host[start]
	delete(g.host, start)
	g.memory.Unlock()
	if !ours {
		return fmt.Errorf("cuda: %d bytes to release are not what AllocHost returned", len(b))
	}
	return g.do(func() error { return cu.MemFreeHost(unsafe.Pointer(start)) }, "cuMemFreeHost(%d bytes)", len(b))
}

// pageLocked makes sure that a copy in the background reads or writes memory of AllocHost: any other may have moved on by
// the time it runs.
func (g *gpu) pageLocked(b []byte) error {
	at := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	g.memory.Lock()
	defer g.memory.Unlock()
	for start, bytes := range g.host {
		if from := uintptr(unsafe.Pointer(start)); at >= from && at+uintptr(len(b)) <= from+uintptr(bytes) {
			return nil
		}
	}
	return fmt.Errorf("cuda: a copy of %d bytes needs page-locked memory; take it from AllocHost", len(b))
}

func (g *gpu) Stream() (Stream, error) {
	s := &stream{gpu: g}
	err := g.do(func() (err error) {
		s.stream, err = cu.MakeStream(cu.NonBlocking)
		return err
	}, "cuStreamCreate")
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (g *gpu) Event() (Event, error) {
	e := &event{gpu: g}
	err := g.do(func() (err error) {
		e.event, err = cu.MakeEvent(cu.DefaultEvent)
		return err
	}, "cuEventCreate")
	if err != nil {
		return nil, err
	}
	return e, nil
}

// Close destroys the context, and with it all that was made on the device. The error of a lost device is not repeated.
func (g *gpu) Close() error {
	g.compile.Wait()
	before := g.dead.Swap(&failure{errClosed})
	if before != nil && errors.Is(before.err, errClosed) {
		return nil
	}
	g.memory.Lock()
	clear(g.host)
	g.memory.Unlock()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c := codeOf(g.context.Destroy())
	if c == C.CUDA_SUCCESS || before != nil {
		return nil
	}
	return c.wrap("cuCtxDestroy")
}

// native makes an error of what an own call returned, of the kind that codeOf reads.
func native(r C.CUresult) error {
	if r == C.CUDA_SUCCESS {
		return nil
	}
	return code(r)
}

// Error lets a code travel like the errors of gorgonia.org/cu.
func (c code) Error() string { return c.String() }
