package cpu

/*
#include <stdlib.h>
#include "model.h"
*/
import "C"

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"time"
	"unsafe"

	"peregrine/model"
)

// executor is a model in its arenas and one sequence's KV cache. Its memory is C's.
type executor struct {
	b       *backend
	config  model.Config
	limit   int // tokens that the KV cache holds
	length  int // tokens that it has
	m       *C.pg_model
	weights arena
	kept    *kept  // the file of the weights; nil: none was named
	early   *early // weights that were not repacked by Load; nil: none
	side    arena
	memory  []unsafe.Pointer // what m consists of, for free
}

// Forward is one call into C, whatever the number of tokens. See model.Executor.
func (e *executor) Forward(ctx context.Context, tokens []int32, pos int, out *model.Output) error {
	e.b.mu.Lock()
	defer e.b.mu.Unlock()
	if e.m == nil || e.b.pool == nil {
		return errors.New("cpu: forward: closed")
	}
	if err := model.CheckForward(e.config, e.length, e.limit, tokens, pos, out); err != nil {
		return err
	}
	e.length = min(e.length, pos)
	if err := ctx.Err(); err != nil {
		return err
	}
	if out == nil {
		out = &model.Output{}
	}
	var cos, sin []float32
	if e.config.Positions == model.Rotary {
		cos, sin = e.angles(pos, len(tokens))
	}
	k := 0
	for _, top := range out.Top {
		k = max(k, len(top))
	}
	var top *C.pg_candidate
	if k > 0 {
		top = (*C.pg_candidate)(C.malloc(C.size_t(out.Rows*k) * C.sizeof_pg_candidate))
		if top == nil {
			return fmt.Errorf("cpu: forward: %w", errNoMemory)
		}
		defer C.free(unsafe.Pointer(top))
	}
	if err := e.repackShare(ctx, out.Rows); err != nil {
		return err
	}
	stop := e.watch(ctx)
	e.b.yield()
	begun := time.Now()
	status := C.pg_forward(e.m, (*C.int32_t)(unsafe.SliceData(tokens)), C.size_t(len(tokens)), C.size_t(pos),
		(*C.float)(unsafe.SliceData(cos)), (*C.float)(unsafe.SliceData(sin)), C.size_t(out.Rows),
		(*C.float)(unsafe.SliceData(out.Logits)), top, C.size_t(k), (*C.float)(unsafe.SliceData(out.LogSum)))
	e.b.ended = time.Now()
	e.b.last = e.b.ended.Sub(begun)
	stop()
	switch status {
	case C.PG_OK:
	case C.PG_CANCELLED:
		return ctx.Err()
	default:
		return fmt.Errorf("cpu: forward: %w", errNoMemory)
	}
	all := unsafe.Slice((*model.Candidate)(unsafe.Pointer(top)), out.Rows*k)
	for row := range out.Top {
		copy(out.Top[row], all[row*k:])
	}
	e.length = pos + len(tokens)
	return nil
}

// Forward reads candidates where C wrote them: this does not compile if the two sizes differ.
var _ = [1]struct{}{}[unsafe.Sizeof(model.Candidate{})-C.sizeof_pg_candidate]

// A goroutine that has not been scheduled anew for retakeAfter loses its place (P) as soon as the Go runtime's monitor finds it in C,
// and the monitor then looks for more to take every 20 us, 60 times: a millisecond of a core that the pool needs, for each
// time slice. See sysmon and retake in runtime/proc.go.
const retakeAfter = 10 * time.Millisecond

// yield has the goroutine scheduled anew before the monitor gets to it, which costs 20 to 50 us, so not for every token. Calls that
// take longer than the monitor waits gain nothing. The caller holds mu.
func (b *backend) yield() {
	if now := time.Now(); b.last < retakeAfter && now.Sub(b.yielded) > retakeAfter/2 {
		runtime.Gosched()
		b.yielded = now
	}
}

// watch sets the flag in C memory when ctx ends. The function that it returns ends the watch and clears the flag.
func (e *executor) watch(ctx context.Context) (stop func()) {
	done := make(chan struct{})
	off := context.AfterFunc(ctx, func() {
		C.pg_cancel(e.m, 1)
		close(done)
	})
	return func() {
		if !off() {
			<-done
		}
		C.pg_cancel(e.m, 0)
	}
}

// angles returns cosines and sines of n positions' rotary angles, [n, HeadDim/2] each.
func (e *executor) angles(pos, n int) (cos, sin []float32) {
	freq := e.config.Rope.InvFreq(e.config.HeadDim, pos+n)
	cos, sin = make([]float32, 0, n*len(freq)), make([]float32, 0, n*len(freq))
	for t := range n {
		for _, f := range freq {
			s, c := math.Sincos(float64(pos+t) * f)
			cos, sin = append(cos, float32(c)), append(sin, float32(s))
		}
	}
	return cos, sin
}

// Close waits for a running forward pass and gives the memory back. It may be called twice.
func (e *executor) Close() error {
	e.stop()
	e.b.mu.Lock()
	defer e.b.mu.Unlock()
	e.free()
	return nil
}

// free needs the backend's lock.
func (e *executor) free() {
	if e.m != nil {
		C.pg_model_free(e.m)
		e.m = nil
	}
	if e.early != nil {
		e.early.pin.Unpin()
	}
	e.weights.close()
	e.side.close()
	for _, p := range e.memory {
		C.free(p)
	}
	e.memory = nil
}
