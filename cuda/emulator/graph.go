package emulator

import (
	"errors"

	"peregrine/cuda/driver"
)

type graph struct {
	device *device
	work   []work
	closed bool
}

func (s *stream) Capture(record func() error) (driver.Graph, error) {
	if err := s.notCaptured("Capture"); err != nil {
		return nil, err
	}
	if err := s.usable(); err != nil {
		return nil, err
	}
	d := s.device
	d.count(&d.capturing, 1)
	var captured []work
	s.captured, s.refused = &captured, nil
	err := record()
	s.captured = nil
	d.count(&d.capturing, -1)
	if err == nil {
		err = s.refused
	}
	if err != nil {
		return nil, err
	}
	d.count(&d.graphs, 1)
	return &graph{device: d, work: captured}, nil
}

// count adds n to one of the device's counters.
func (d *device) count(counter *int, n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	*counter += n
}

func (s *stream) Replay(replayed driver.Graph) error {
	if err := s.notCaptured("Replay"); err != nil {
		return err
	}
	g, ok := replayed.(*graph)
	if !ok || g.device != s.device {
		return errors.New("emulator: the graph is another device's")
	}
	if g.closed {
		return errors.New("emulator: the graph is closed")
	}
	for _, w := range g.work {
		if err := s.do(w); err != nil {
			return err
		}
	}
	return nil
}

func (g *graph) Kernels() int {
	n := 0
	for _, w := range g.work {
		n += w.kernels
	}
	return n
}

func (g *graph) Close() error {
	if !g.closed {
		g.closed = true
		g.device.count(&g.device.graphs, -1)
	}
	return nil
}
