package cuda

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"peregrine/cuda/driver"
)

// Phase is what the launches of a pass that do the same thing took, each by itself: with the kernel before it finished.
type Phase struct {
	Name     string // of the kernel, and how many weights it reads
	Launches int
	Time     time.Duration // of all of them
	Bytes    int64         // of weights that all of them read
}

// phaseRounds is how often a pass is timed; the median of each launch counts.
const phaseRounds = 5

// Phases times every launch of one pass of n tokens at position pos with the logits of the last one, also where Forward would
// take them in passes of few, and adds up those that are alike. The sequence's tokens from pos on are overwritten.
func (e *executor) Phases(n, pos int) (_ []Phase, err error) {
	e.b.mu.Lock()
	defer e.b.mu.Unlock()
	if e.closed {
		return nil, errors.New("cuda: phases: closed")
	}
	if n < 1 || n > chunkTokens || pos < 0 || pos+n > e.limit {
		return nil, fmt.Errorf("cuda: phases of %d tokens at position %d; want 1 to %d within a context of %d", n, pos, chunkTokens, e.limit)
	}
	e.length = min(e.length, pos)
	e.rope(pos + n)
	e.fill(make([]int32, n), pos)
	list, err := e.plan.launches(pass{n, 1})
	if err != nil {
		return nil, err
	}
	marks := make([]driver.Event, len(list)+1)
	defer func() {
		if err != nil {
			_ = e.stream.Synchronize() // what was issued reads e.upload, which the next pass fills
		}
		for _, m := range marks {
			if m != nil {
				err = cmp.Or(err, m.Close())
			}
		}
	}()
	for i := range marks {
		if marks[i], err = e.d.Event(); err != nil {
			return nil, err
		}
	}
	u := uploadLayout(n, &e.config)
	times := make([][]time.Duration, len(list))
	for range phaseRounds {
		if err := e.stream.CopyToDevice(e.at(e.work.upload), e.upload[:u.bytes]); err != nil {
			return nil, err
		}
		if err := e.timeLaunches(list, marks, times); err != nil {
			return nil, err
		}
	}
	return addPhases(list, times), nil
}

// timeLaunches runs list with a mark before and behind each and appends what they took to times.
func (e *executor) timeLaunches(list []kernelLaunch, marks []driver.Event, times [][]time.Duration) error {
	if err := e.stream.Record(marks[0]); err != nil {
		return err
	}
	for i, l := range list {
		l.early = false
		if err := cmp.Or(l.on(e.stream), e.stream.Record(marks[i+1])); err != nil {
			return err
		}
	}
	if err := e.stream.Synchronize(); err != nil {
		return err
	}
	for i := range list {
		took, err := marks[i+1].Since(marks[i])
		if err != nil {
			return err
		}
		times[i] = append(times[i], took)
	}
	return nil
}

func addPhases(list []kernelLaunch, times [][]time.Duration) (phases []Phase) {
	for i, l := range list {
		slices.Sort(times[i])
		name := l.name
		if l.bytes > 0 {
			name = fmt.Sprintf("%s %.1f MB", l.name, float64(l.bytes)/1e6)
		}
		at := slices.IndexFunc(phases, func(p Phase) bool { return p.Name == name })
		if at < 0 {
			at = len(phases)
			phases = append(phases, Phase{Name: name})
		}
		p := &phases[at]
		p.Launches++
		p.Time += times[i][len(times[i])/2]
		p.Bytes += l.bytes
	}
	return phases
}
