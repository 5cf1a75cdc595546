package hub

import (
	"sync"
	"time"
)

// Progress is how far a pull has come.
type Progress struct {
	Done, Total int64         // bytes of the files that were not there before, what an earlier pull left counted as done
	Rate        float64       // bytes a second over the last seconds; 0 while it is not known
	Left        time.Duration // at that rate; 0 while it is not known
	Checking    string        // the file that is being hashed; "" while bytes come
}

// meter adds up what comes and tells it at a steady pace.
type meter struct {
	mu       sync.Mutex
	done     int64
	total    int64
	checking string
	samples  []sample
}

// sample is how much had come at a moment.
type sample struct {
	at   time.Time
	came int64
}

const (
	// told is the time between two calls of the observer.
	told = 200 * time.Millisecond
	// window is the time over which the rate is taken: long enough to be read, short enough to follow a change.
	window = 8 * time.Second
)

// add counts bytes; a negative number takes some back.
func (m *meter) add(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done += n
	m.checking = ""
}

// hashing notes that a file has come and is being checked.
func (m *meter) hashing(file string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.checking = file
}

// read returns the progress at a moment.
func (m *meter) read(now time.Time) Progress {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := Progress{Done: m.done, Total: m.total, Checking: m.checking}
	m.samples = append(m.samples, sample{now, m.done})
	for len(m.samples) > 2 && now.Sub(m.samples[0].at) > window {
		m.samples = m.samples[1:]
	}
	first := m.samples[0]
	if spent := now.Sub(first.at).Seconds(); spent > 0 && m.done > first.came {
		p.Rate = float64(m.done-first.came) / spent
		p.Left = time.Duration(float64(m.total-m.done) / p.Rate * float64(time.Second))
	}
	return p
}

// tell calls observe until the returned function is called, which waits for the last call.
func (m *meter) tell(observe func(Progress)) (stop func()) {
	if observe == nil {
		return func() {}
	}
	end, ended := make(chan struct{}), make(chan struct{})
	m.read(time.Now()) // the rate counts from here, not from what an earlier pull left
	go func() {
		defer close(ended)
		tick := time.NewTicker(told)
		defer tick.Stop()
		for {
			select {
			case <-end:
				observe(m.read(time.Now()))
				return
			case now := <-tick.C:
				observe(m.read(now))
			}
		}
	}()
	return func() { close(end); <-ended }
}
