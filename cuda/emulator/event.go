package emulator

import (
	"errors"
	"sync"
	"time"

	"peregrine/cuda/driver"
)

// mark is one Record of an event, work of that number in a stream; at is valid once reached is closed.
type mark struct {
	stream  *stream
	number  int
	reached chan struct{}
	at      time.Time
}

// wait returns when the stream has got there.
func (m *mark) wait() {
	m.stream.want(m.number)
	<-m.reached
}

type event struct {
	device *device
	mu     sync.Mutex
	last   *mark // nil: never recorded
	closed bool
}

func (d *device) Event() (driver.Event, error) {
	if err := d.state(); err != nil {
		return nil, err
	}
	d.count(&d.events, 1)
	return &event{device: d}, nil
}

// mine returns e as an event of this device.
func (s *stream) mine(e driver.Event) (*event, error) {
	own, ok := e.(*event)
	if !ok || own.device != s.device {
		return nil, errors.New("emulator: the event is another device's")
	}
	return own, nil
}

func (s *stream) Record(e driver.Event) error {
	if err := s.notCaptured("Record"); err != nil {
		return err
	}
	own, err := s.mine(e)
	if err != nil {
		return err
	}
	if err := s.usable(); err != nil {
		return err
	}
	m := &mark{stream: s, reached: make(chan struct{})}
	m.number = s.push(work{always: true, run: func() error {
		m.at = time.Now()
		close(m.reached)
		return nil
	}})
	own.mu.Lock()
	defer own.mu.Unlock()
	own.last = m
	return nil
}

func (s *stream) Wait(e driver.Event) error {
	if err := s.notCaptured("Wait"); err != nil {
		return err
	}
	own, err := s.mine(e)
	if err != nil {
		return err
	}
	m := own.mark()
	if m == nil {
		return s.usable()
	}
	return s.do(work{always: true, run: func() error { m.wait(); return nil }})
}

func (e *event) mark() *mark {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.last
}

func (e *event) Synchronize() error {
	if m := e.mark(); m != nil {
		m.wait()
	}
	return e.device.state()
}

func (e *event) Since(earlier driver.Event) (time.Duration, error) {
	other, ok := earlier.(*event)
	if !ok || other.device != e.device {
		return 0, errors.New("emulator: the event is another device's")
	}
	if err := e.device.state(); err != nil {
		return 0, err
	}
	from, to := other.mark(), e.mark()
	if from == nil || to == nil {
		return 0, errors.New("emulator: time since an event that was never recorded")
	}
	for _, m := range []*mark{from, to} {
		select {
		case <-m.reached:
		default:
			return 0, errors.New("emulator: time since an event that has not come to pass")
		}
	}
	return to.at.Sub(from.at), nil
}

func (e *event) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.closed {
		e.closed = true
		e.device.count(&e.device.events, -1)
	}
	return nil
}
