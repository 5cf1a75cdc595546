package driver

import (
	"errors"
	"fmt"
	"time"
	"unsafe"
)

// Errors that callers tell apart; they are wrapped with the call and the values.
var (
	// ErrUnavailable: no usable device; the text says what is missing and what helps.
	ErrUnavailable = errors.New("cuda: not available")
	// ErrOutOfMemory: the device has no room for an allocation; nothing changed.
	ErrOutOfMemory = errors.New("cuda: out of device memory")
	// ErrLost: the device or its context died (a kernel fault, a reset, an unplugged card); every later call fails with it too.
	ErrLost = errors.New("cuda: the device is lost")
)

// Ptr is an address in device memory; 0 is none.
type Ptr uint64

// Info describes a device.
type Info struct {
	Index          int
	Name           string
	Major, Minor   int   // compute capability
	Multiprocessor int   // how many
	Memory         int64 // bytes in all
	Driver         int   // version of the CUDA API that the driver has, 13000 for 13.0
	BlockShared    int   // bytes of shared memory that a block may ask for
	Emulated       bool
}

// Compute capability and driver that the kernels need.
const (
	minMajor  = 8
	minDriver = 12000 // CUDA 12.0 came with driver 525
)

// Usable returns nil if the kernels run on the device, else ErrUnavailable with what is missing and what helps.
func (i Info) Usable() error {
	switch {
	case i.Driver < minDriver:
		return fmt.Errorf("%w: the NVIDIA driver has CUDA %d.%d, 12.0 is needed; update the driver to 525 or newer, or use --backend cpu",
			ErrUnavailable, i.Driver/1000, i.Driver%1000/10)
	case i.Major < minMajor:
		return fmt.Errorf("%w: device %d (%s) has compute capability %d.%d, %d.0 is needed; use --backend cpu",
			ErrUnavailable, i.Index, i.Name, i.Major, i.Minor, minMajor)
	}
	return nil
}

// Dim is a grid's or block's size.
type Dim struct{ X, Y, Z uint32 }

// Device is one GPU, or the emulator. Its methods may be called from any goroutine; what it makes ends with it.
type Device interface {
	Info() Info
	// Free returns how many bytes are free now, other processes' use considered.
	Free() (int64, error)
	// Alloc returns device memory of undefined content, aligned to 256 bytes.
	Alloc(bytes int64) (Ptr, error)
	Release(p Ptr) error
	// AllocHost returns page-locked host memory, from and to which copies run in the background.
	AllocHost(bytes int) ([]byte, error)
	ReleaseHost(b []byte) error
	// Function returns a kernel of an embedded module, which is compiled for the device at its first use.
	Function(module, name string) (Function, error)
	Stream() (Stream, error)
	Event() (Event, error)
	// Close frees what is left. No call may be under way.
	Close() error
}

// Compiler is a Device that compiles modules.
type Compiler interface {
	// Compile begins to compile modules in the background, one after the other, so that Function need not. Errors show there.
	Compile(modules []string)
}

// Function is a kernel.
type Function interface {
	// SetShared allows launches with that many bytes of dynamic shared memory; needed above 48 KiB.
	SetShared(bytes int) error
	// PreferShared asks for multiprocessors with as much shared memory as they can have, at the cost of their cache. Kernels that
	// run side by side must agree on that: a multiprocessor changes it only while it is idle.
	PreferShared() error
}

// Stream runs what it is given in order, in the background. One goroutine at a time.
type Stream interface {
	// Launch runs a kernel whose one argument is the struct of size bytes at args, which is copied before Launch returns.
	Launch(f Function, grid, block Dim, shared int, args unsafe.Pointer, size uintptr) error
	// LaunchEarly is Launch of a kernel that waits by itself for those ahead of it in the stream, before it touches anything
	// that they may write: it may begin while they still run, so that what it does without them costs no time of its own.
	// Devices, drivers and modules that cannot do so let it wait.
	LaunchEarly(f Function, grid, block Dim, shared int, args unsafe.Pointer, size uintptr) error
	// CopyToDevice reads src when the stream gets there: src must be page-locked and stay as it is until then.
	CopyToDevice(dst Ptr, src []byte) error
	// CopyToHost writes dst when the stream gets there; dst must be page-locked.
	CopyToHost(dst []byte, src Ptr) error
	Copy(dst, src Ptr, bytes int64) error
	Fill(dst Ptr, value byte, bytes int64) error
	Record(e Event) error
	// Wait makes what follows in this stream wait for e's last Record.
	Wait(e Event) error
	// Synchronize waits for all of it. A fault of a kernel shows here.
	Synchronize() error
	// Capture runs record, which may use this stream alone, and turns what it asked for into a graph instead of doing it.
	Capture(record func() error) (Graph, error)
	// Replay runs a graph that was captured on the same device.
	Replay(g Graph) error
	Close() error
}

// Graph is a fixed sequence of a stream's work. Addresses and arguments are those of the capture.
type Graph interface {
	// Kernels returns how many kernels one replay launches.
	Kernels() int
	Close() error
}

// Event marks a place in a stream.
type Event interface {
	Synchronize() error
	// Since returns the time between two recorded events that have both come to pass.
	Since(earlier Event) (time.Duration, error)
	Close() error
}
