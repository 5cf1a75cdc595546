package cpu

/*
#include "model.h"
*/
import "C"

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"peregrine/model/quant"
)

// earlyPasses is within how many forward passes after the first token all weights are repacked, whether or not there is time for it
// between them: a pass over those that are not takes half as long again or more.
const earlyPasses = 4

// early are the weights of a model that are not repacked yet, see model.LoadOptions.Early: forward passes read them in the source, and
// they are repacked while no pass runs, and some of them before each pass after the first token.
type early struct {
	shapes []*shape       // what is left, in the order in which it is repacked; under the backend's lock
	bytes  int64          // of the sources of all
	begun  bool           // the first pass that was to choose a token has run
	pin    runtime.Pinner // keeps the sources where C knows them
	cancel context.CancelFunc
	ended  chan struct{} // closed when nobody repacks in the background any more
}

// loadEarly brings the sources into memory and has forward passes read them, but for GPTQ's: its words lie column by column, so that
// taking a few rows is as much work as all, and those are repacked at once.
func (l *loader) loadEarly(ctx context.Context, m *C.pg_model, progress func(done, total int64)) error {
	e := &early{}
	l.e.early = e
	sources, err := allocate[C.pg_pack](l.e, len(l.shapes))
	if err != nil {
		return err
	}
	step := l.steps(ctx, progress)
	for i, s := range l.shapes {
		if s.src.Format == quant.GPTQFormat {
			if err := s.pack(l.e.b.pool, step); err != nil {
				return err
			}
			continue
		}
		if err := s.populate(l.e.b.pool, step); err != nil {
			return err
		}
		sources[i] = s.source(&e.pin)
		s.w.source = &sources[i]
		m.window = max(m.window, C.pg_window_room(m.isa, s.w))
		e.shapes = append(e.shapes, s)
		e.bytes += sourceBytes(s.src)
	}
	return nil
}

// populate brings the matrix's source into memory, reporting as pack does.
func (s *shape) populate(pool *C.pg_pool, step func(bytes int64) error) error {
	data, left := s.src.Data, sourceBytes(s.src)
	for lo := 0; lo < len(data); lo += packStep {
		n := min(packStep, len(data)-lo)
		if C.pg_populate(pool, (*C.uint8_t)(&data[lo]), C.size_t(n)) == 0 {
			return fmt.Errorf("%s: its weights cannot be read; is the file whole, and the disk well?", s.src.Name)
		}
		told := min(int64(n), left) // Data may hold rows that are not part of the matrix
		left -= told
		if err := step(told); err != nil {
			return err
		}
	}
	return step(left)
}

// start begins to repack in the background.
func (e *executor) start() {
	if e.early == nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	e.early.cancel, e.early.ended = cancel, make(chan struct{})
	go func() {
		defer close(e.early.ended)
		for left := true; left; {
			if e.quiet(ctx) != nil {
				return
			}
			left = e.repackPart()
		}
	}()
}

// stop ends the work in the background. It waits for it, and must be called without the backend's lock.
func (e *executor) stop() {
	if e.early != nil && e.early.cancel != nil {
		e.early.cancel()
		<-e.early.ended
	}
}

// errPart ends a step of repacking.
var errPart = errors.New("a part is repacked")

// repackPart repacks some megabytes and reports whether there is more.
func (e *executor) repackPart() bool {
	e.b.mu.Lock()
	defer e.b.mu.Unlock()
	if e.m == nil || e.b.pool == nil {
		return false
	}
	_ = e.early.repack(e.b.pool, func(int64) error { return errPart })
	return len(e.early.shapes) > 0
}

// repackShare repacks what a pass has to before it runs; rows is of how many tokens the logits are wanted. The caller has the backend's
// lock.
func (e *executor) repackShare(ctx context.Context, rows int) error {
	y := e.early
	if y == nil || len(y.shapes) == 0 {
		return nil
	}
	if !y.begun { // the first token matters most
		y.begun = rows > 0
		return nil
	}
	share := (y.bytes + earlyPasses - 1) / earlyPasses
	err := y.repack(e.b.pool, func(bytes int64) error {
		if share -= bytes; share <= 0 {
			return errPart
		}
		return ctx.Err()
	})
	if errors.Is(err, errPart) {
		return nil
	}
	return err
}

// repack goes on where it was ended by an error of step, see shape.pack.
func (y *early) repack(pool *C.pg_pool, step func(bytes int64) error) error {
	for len(y.shapes) > 0 {
		s := y.shapes[0]
		err := s.pack(pool, step)
		if s.w.repacked == s.w.octets {
			s.w.source = nil
			y.shapes = y.shapes[1:]
		}
		if len(y.shapes) == 0 {
			y.shapes = nil
			y.pin.Unpin()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Settle repacks what is left. See model.Settler.
func (e *executor) Settle(ctx context.Context) error {
	e.b.mu.Lock()
	defer e.b.mu.Unlock()
	switch {
	case e.early == nil:
		return nil
	case e.m == nil || e.b.pool == nil:
		return errors.New("cpu: settle: closed")
	}
	return e.early.repack(e.b.pool, func(int64) error { return ctx.Err() })
}

// settled waits until all weights are repacked.
func (e *executor) settled(ctx context.Context) error {
	if e.early == nil {
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-e.early.ended:
	}
	e.b.mu.Lock()
	defer e.b.mu.Unlock()
	if len(e.early.shapes) > 0 {
		return errors.New("closed before all weights were repacked")
	}
	return nil
}
