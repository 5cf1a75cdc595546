package cuda

import (
	"cmp"
	"fmt"
	"slices"

	"peregrine/cuda/driver"
)

const (
	// readBytes is far above any cache of a GPU (50 MB on an H100).
	readBytes = 4 << 30
	// readBlocks keeps every multiprocessor full of blocks that load.
	readBlocks = 8
	readRounds = 15
)

// ReadBandwidth returns how many GB (10⁹ bytes) a second a kernel that only reads gets out of device memory: the median of
// several passes over memory far larger than the cache. It is what no token can be faster than.
func (b *Backend) ReadBandwidth() (_ float64, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return 0, errClosed
	}
	free, err := b.device.Free()
	if err != nil {
		return 0, err
	}
	bytes := min(int64(readBytes), free/2) &^ (1<<20 - 1)
	if bytes == 0 {
		return 0, fmt.Errorf("%w: %d bytes free are too few to measure with", driver.ErrOutOfMemory, free)
	}
	blocks := max(1, b.device.Info().Multiprocessor) * readBlocks
	var memory arena
	from, sum := memory.take(bytes), memory.take(int64(4*blocks))
	if err := memory.open(b.device); err != nil {
		return 0, err
	}
	defer func() { err = cmp.Or(err, memory.close(b.device)) }()
	r := reading{bytes: bytes, args: readArgs{from: address(memory.at(from)), sum: address(memory.at(sum)), bytes: wide(bytes)}}
	r.grid = grid(blocks, 1)
	return r.measure(b.device, memory.at(from))
}

// reading is one measurement.
type reading struct {
	bytes int64
	grid  driver.Dim
	args  readArgs
}

func (r *reading) measure(d driver.Device, from driver.Ptr) (_ float64, err error) {
	f, err := d.Function("read", "read")
	if err != nil {
		return 0, err
	}
	s, err := d.Stream()
	if err != nil {
		return 0, err
	}
	defer func() { err = cmp.Or(err, s.Close()) }()
	var mark [2]driver.Event
	for i := range mark {
		if mark[i], err = d.Event(); err != nil {
			return 0, err
		}
		defer func() { err = cmp.Or(err, mark[i].Close()) }()
	}
	if err := s.Fill(from, 1, r.bytes); err != nil {
		return 0, err
	}
	l := newLaunch(f, r.grid, threads, 0, r.args)
	rates := make([]float64, readRounds)
	for i := range rates {
		if err := cmp.Or(s.Record(mark[0]), l.on(s), s.Record(mark[1]), s.Synchronize()); err != nil {
			return 0, err
		}
		took, err := mark[1].Since(mark[0])
		if err != nil {
			return 0, err
		}
		rates[i] = float64(r.bytes) / 1e9 / took.Seconds()
	}
	slices.Sort(rates)
	return rates[len(rates)/2], nil
}
