//go:build cuda

package driver

// #include "native.h"
import "C"

import (
	"fmt"
	"time"
	"unsafe"

	"gorgonia.org/cu"
)

// earlyDriver is the first version whose graphs keep that a kernel may begin early, CUDA 12.3.
const earlyDriver = 12030

// stream is a queue of the device's.
type stream struct {
	gpu    *gpu
	stream cu.Stream
}

func (s *stream) handle() C.CUstream { return C.CUstream(unsafe.Pointer(s.stream.C())) }

func (s *stream) Launch(f Function, grid, block Dim, shared int, args unsafe.Pointer, size uintptr) error {
	return s.launch(f, grid, block, shared, args, size, 0)
}

func (s *stream) LaunchEarly(f Function, grid, block Dim, shared int, args unsafe.Pointer, size uintptr) error {
	early := 0
	if k, ok := f.(*function); ok && k.waits && s.gpu.info.Driver >= earlyDriver {
		early = 1
	}
	return s.launch(f, grid, block, shared, args, size, early)
}

func (s *stream) launch(f Function, grid, block Dim, shared int, args unsafe.Pointer, size uintptr, early int) error {
	if dead := s.gpu.dead.Load(); dead != nil {
		return dead.err
	}
	k, ok := f.(*function)
	if !ok || k.gpu != s.gpu {
		return fmt.Errorf("cuda: launch of a kernel of another device (%T)", f)
	}
	r := C.native_launch(contextHandle(&s.gpu.context), functionHandle(&k.function), (*C.uint)(&grid.X), (*C.uint)(&block.X),
		C.uint(shared), C.int(early), s.handle(), args, C.size_t(size))
	if r == C.CUDA_SUCCESS {
		return nil
	}
	return s.gpu.check(code(r), "cuLaunchKernel(%s, grid %v, block %v, %d bytes of shared memory, %d of arguments)",
		k.kernel.name, grid, block, shared, size)
}

func (s *stream) CopyToDevice(dst Ptr, src []byte) error {
	if len(src) == 0 {
		return nil
	}
	if err := s.gpu.pageLocked(src); err != nil {
		return err
	}
	return s.gpu.do(func() error {
		return cu.MemcpyHtoDAsync(cu.DevicePtr(dst), unsafe.Pointer(&src[0]), int64(len(src)), s.stream)
	}, "cuMemcpyHtoDAsync(%#x, %d bytes)", dst, len(src))
}

func (s *stream) CopyToHost(dst []byte, src Ptr) error {
	if len(dst) == 0 {
		return nil
	}
	if err := s.gpu.pageLocked(dst); err != nil {
		return err
	}
	return s.gpu.do(func() error {
		return cu.MemcpyDtoHAsync(unsafe.Pointer(&dst[0]), cu.DevicePtr(src), int64(len(dst)), s.stream)
	}, "cuMemcpyDtoHAsync(%#x, %d bytes)", src, len(dst))
}

func (s *stream) Copy(dst, src Ptr, bytes int64) error {
	if bytes == 0 {
		return nil
	}
	return s.gpu.do(func() error {
		return cu.MemcpyDtoDAsync(cu.DevicePtr(dst), cu.DevicePtr(src), bytes, s.stream)
	}, "cuMemcpyDtoDAsync(%#x, %#x, %d bytes)", dst, src, bytes)
}

func (s *stream) Fill(dst Ptr, value byte, bytes int64) error {
	if bytes == 0 {
		return nil
	}
	return s.gpu.do(func() error {
		return cu.MemsetD8Async(cu.DevicePtr(dst), value, bytes, s.stream)
	}, "cuMemsetD8Async(%#x, %d, %d bytes)", dst, value, bytes)
}

func (s *stream) Record(e Event) error {
	own, err := s.gpu.event(e)
	if err != nil {
		return err
	}
	return s.gpu.do(func() error { return own.event.Record(s.stream) }, "cuEventRecord")
}

func (s *stream) Wait(e Event) error {
	own, err := s.gpu.event(e)
	if err != nil {
		return err
	}
	return s.gpu.do(func() error { return s.stream.Wait(own.event, 0) }, "cuStreamWaitEvent")
}

func (s *stream) Synchronize() error {
	return s.gpu.do(func() error { return s.stream.Synchronize() }, "cuStreamSynchronize")
}

func (s *stream) Close() error {
	if s.stream == (cu.Stream{}) || s.gpu.closed() {
		return nil
	}
	return s.gpu.do(func() error { return s.stream.Destroy() }, "cuStreamDestroy")
}

// event is a mark in a stream.
type event struct {
	gpu   *gpu
	event cu.Event
}

// event returns an event of this device as what it is.
func (g *gpu) event(e Event) (*event, error) {
	if own, ok := e.(*event); ok && own.gpu == g {
		return own, nil
	}
	return nil, fmt.Errorf("cuda: an event of another device (%T)", e)
}

func (e *event) Synchronize() error {
	return e.gpu.do(func() error { return e.event.Synchronize() }, "cuEventSynchronize")
}

func (e *event) Since(earlier Event) (time.Duration, error) {
	first, err := e.gpu.event(earlier)
	if err != nil {
		return 0, err
	}
	var ms float64
	err = e.gpu.do(func() (err error) {
		ms, err = first.event.Elapsed(e.event)
		return err
	}, "cuEventElapsedTime")
	return time.Duration(ms * float64(time.Millisecond)), err
}

func (e *event) Close() error {
	if e.event == (cu.Event{}) || e.gpu.closed() {
		return nil
	}
	return e.gpu.do(func() error { return cu.DestroyEvent(&e.event) }, "cuEventDestroy")
}
