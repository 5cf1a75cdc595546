//go:build cuda

package driver

// #include "native.h"
import "C"

import (
	"errors"
	"fmt"
	"runtime"
)

// graph is a captured sequence, ready to run.
type graph struct {
	gpu     *gpu
	graph   C.CUgraphExec
	kernels int
}

// Capture holds the thread, and captures in the relaxed mode, so that record may compile a kernel at its first use and other
// goroutines may allocate meanwhile.
func (s *stream) Capture(record func() error) (Graph, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := s.gpu.do(func() error {
		return native(C.cuStreamBeginCapture(s.handle(), C.CU_STREAM_CAPTURE_MODE_RELAXED))
	}, "cuStreamBeginCapture")
	if err != nil {
		return nil, err
	}
	captured, err := s.recorded(record)
	if err != nil {
		return nil, err
	}
	g := &graph{gpu: s.gpu}
	var count C.size_t
	err = s.gpu.do(func() error {
		return native(C.native_instantiate(captured, s.handle(), &g.graph, &count))
	}, "cuGraphInstantiate")
	if err != nil {
		return nil, err
	}
	g.kernels = int(count)
	return g, nil
}

// recorded runs record and ends the capture, whatever record does, so that the stream can be used again.
func (s *stream) recorded(record func() error) (captured C.CUgraph, err error) {
	defer func() {
		ended := s.gpu.do(func() error { return native(C.cuStreamEndCapture(s.handle(), &captured)) }, "cuStreamEndCapture")
		switch {
		case err == nil && ended == nil && captured == nil:
			err = errors.New("cuda: nothing was captured")
		case err == nil:
			err = ended
		}
		if err != nil && captured != nil {
			// What fails while cleaning up is a consequence; a lost device says so at the next call.
			_ = s.gpu.do(func() error { return native(C.cuGraphDestroy(captured)) }, "cuGraphDestroy")
		}
	}()
	return nil, record()
}

func (s *stream) Replay(g Graph) error {
	if dead := s.gpu.dead.Load(); dead != nil {
		return dead.err
	}
	own, ok := g.(*graph)
	if !ok || own.gpu != s.gpu || own.graph == nil {
		return fmt.Errorf("cuda: replay of a graph that is closed or of another device (%T)", g)
	}
	r := C.native_replay(contextHandle(&s.gpu.context), own.graph, s.handle())
	if r == C.CUDA_SUCCESS {
		return nil
	}
	return s.gpu.check(code(r), "cuGraphLaunch(%d kernels)", own.kernels)
}

func (g *graph) Kernels() int { return g.kernels }

func (g *graph) Close() error {
	if g.graph == nil || g.gpu.closed() {
		return nil
	}
	exec := g.graph
	g.graph = nil
	return g.gpu.do(func() error { return native(C.cuGraphExecDestroy(exec)) }, "cuGraphExecDestroy")
}
