package emulator

import (
	"errors"
	"fmt"
	"sync"
	"unsafe"

	"peregrine/cuda/driver"
)

// work is what a stream does; kernels is how many it launches.
type work struct {
	run     func() error
	kernels int
	always  bool // also after the device was lost: others wait for it
}

type stream struct {
	device *device
	done   chan struct{} // closed when the goroutine ends

	mu     sync.Mutex
	change sync.Cond // of what mu guards
	queue  []work
	asked  int // work that was ever queued
	wanted int // work up to which a lazy stream goes
	ended  bool

	captured *[]work // where work goes while capturing; else nil
	refused  error   // the first call that failed while capturing
}

func (d *device) Stream() (driver.Stream, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.usable(); err != nil {
		return nil, err
	}
	s := &stream{device: d, done: make(chan struct{})}
	s.change.L = &s.mu
	d.streams[s] = true
	go s.work()
	return s, nil
}

// work does what was asked for, in order. The stream owns the goroutine; stop ends it.
func (s *stream) work() {
	defer close(s.done)
	for {
		w, ok := s.next()
		if !ok {
			return
		}
		if !w.always && s.device.state() != nil {
			continue
		}
		if err := w.run(); err != nil {
			s.device.lose(err)
		}
	}
}

// next waits for work; false if there will be none.
func (s *stream) next() (work, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		begun := s.asked - len(s.queue)
		switch {
		case len(s.queue) == 0 && s.ended:
			return work{}, false
		case len(s.queue) > 0 && (s.ended || !s.device.options.Lazy || begun < s.wanted):
			w := s.queue[0]
			s.queue = s.queue[1:]
			return w, true
		}
		s.change.Wait()
	}
}

// push queues w and returns its number, counted from 1.
func (s *stream) push(w work) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(s.queue, w)
	s.asked++
	s.change.Broadcast()
	return s.asked
}

// want tells a lazy stream that somebody waits for the work of that number.
func (s *stream) want(number int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wanted = max(s.wanted, number)
	s.change.Broadcast()
}

// stop ends the goroutine after what is queued.
func (s *stream) stop() {
	s.mu.Lock()
	s.ended = true
	s.change.Broadcast()
	s.mu.Unlock()
	<-s.done
}

func (s *stream) Close() error {
	d := s.device
	d.mu.Lock()
	state := d.usable()
	known := d.streams[s]
	delete(d.streams, s)
	d.mu.Unlock()
	if known {
		s.stop()
	}
	return state
}

// usable returns why the stream cannot take work.
func (s *stream) usable() error {
	s.mu.Lock()
	ended := s.ended
	s.mu.Unlock()
	if ended {
		return errors.New("emulator: the stream is closed")
	}
	return s.device.state()
}

// refuse remembers that a capture failed and returns err.
func (s *stream) refuse(err error) error {
	if s.captured != nil && s.refused == nil {
		s.refused = err
	}
	return err
}

// do queues w, or captures it.
func (s *stream) do(w work) error {
	if err := s.usable(); err != nil {
		return s.refuse(err)
	}
	if s.captured != nil {
		*s.captured = append(*s.captured, w)
		return nil
	}
	s.push(w)
	return nil
}

// notCaptured returns an error while capturing.
func (s *stream) notCaptured(call string) error {
	if s.captured != nil {
		return s.refuse(fmt.Errorf("emulator: %s while the stream captures", call))
	}
	return nil
}

func (s *stream) CopyToDevice(dst driver.Ptr, src []byte) error {
	if len(src) == 0 {
		return s.usable()
	}
	if !s.device.pageLocked(src) {
		return s.refuse(fmt.Errorf("emulator: copy to device: the source of %d bytes is not page-locked", len(src)))
	}
	return s.memory("copy to device", func() error {
		to, err := s.device.span(dst, int64(len(src)))
		copy(to, src)
		return err
	})
}

func (s *stream) CopyToHost(dst []byte, src driver.Ptr) error {
	if len(dst) == 0 {
		return s.usable()
	}
	if !s.device.pageLocked(dst) {
		return s.refuse(fmt.Errorf("emulator: copy to host: the target of %d bytes is not page-locked", len(dst)))
	}
	return s.memory("copy to host", func() error {
		from, err := s.device.span(src, int64(len(dst)))
		copy(dst, from)
		return err
	})
}

func (s *stream) Copy(dst, src driver.Ptr, bytes int64) error {
	if bytes < 0 {
		return s.refuse(fmt.Errorf("emulator: copy of %d bytes", bytes))
	}
	return s.memory("copy", func() error {
		from, err := s.device.span(src, bytes)
		if err != nil {
			return err
		}
		to, err := s.device.span(dst, bytes)
		copy(to, from)
		return err
	})
}

func (s *stream) Fill(dst driver.Ptr, value byte, bytes int64) error {
	if bytes < 0 {
		return s.refuse(fmt.Errorf("emulator: fill of %d bytes", bytes))
	}
	return s.memory("fill", func() error {
		to, err := s.device.span(dst, bytes)
		for i := range to {
			to[i] = value
		}
		return err
	})
}

// memory queues work on device memory; call is what it is.
func (s *stream) memory(call string, run func() error) error {
	return s.do(work{run: func() error {
		s.device.running.RLock()
		defer s.device.running.RUnlock()
		if err := run(); err != nil {
			return fmt.Errorf("emulator: %s: %w", call, err)
		}
		return nil
	}})
}

func (s *stream) Synchronize() error {
	if err := s.notCaptured("Synchronize"); err != nil {
		return err
	}
	if err := s.usable(); err != nil {
		return err
	}
	reached := make(chan struct{})
	s.want(s.push(work{always: true, run: func() error { close(reached); return nil }}))
	<-reached
	return s.device.state()
}

// LaunchEarly is Launch: kernels follow one another here.
func (s *stream) LaunchEarly(f driver.Function, grid, block driver.Dim, shared int, args unsafe.Pointer, size uintptr) error {
	return s.Launch(f, grid, block, shared, args, size)
}

func (s *stream) Launch(f driver.Function, grid, block driver.Dim, shared int, args unsafe.Pointer, size uintptr) error {
	if err := s.usable(); err != nil {
		return s.refuse(err)
	}
	l, err := newLaunch(f, grid, block, shared, args, size)
	if err != nil {
		return s.refuse(err)
	}
	return s.do(work{kernels: 1, run: func() error { return s.device.launch(l) }})
}
