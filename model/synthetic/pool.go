package synthetic

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// pool is a stretch of address space in which the same random content follows itself again and again: as long as the largest
// tensor that is cut from it and one period more, and no more memory than one period.
type pool struct {
	region []byte
	period int
	unit   int // places are whole multiples of it
}

// newPool fills about want bytes, and maps them as often as views of up to longest bytes need.
func newPool(want, longest int, c content, seed uint64) (*pool, error) {
	p := &pool{period: period(want, c.unit()), unit: c.unit()}
	fd, err := unix.MemfdCreate("synthetic", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("synthetic: memory for random weights: %w", err)
	}
	defer unix.Close(fd)
	if err := unix.Ftruncate(fd, int64(p.period)); err != nil {
		return nil, fmt.Errorf("synthetic: %d bytes for random weights: %w", p.period, err)
	}
	if err := fillParts(fd, p.period, c, seed); err != nil {
		return nil, fmt.Errorf("synthetic: %d bytes for random weights: %w", p.period, err)
	}
	page := os.Getpagesize()
	length := (p.period + longest + page - 1) / page * page
	if p.region, err = unix.Mmap(-1, 0, length, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE); err != nil {
		return nil, fmt.Errorf("synthetic: %d bytes of address space for random weights: %w", length, err)
	}
	for at := 0; at < length; at += p.period {
		_, err := unix.MmapPtr(fd, 0, unsafe.Pointer(&p.region[at]), uintptr(min(p.period, length-at)),
			unix.PROT_READ, unix.MAP_SHARED|unix.MAP_FIXED)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("synthetic: mapping random weights at byte %d: %w", at, err), p.close())
		}
	}
	return p, nil
}

// fillParts fills the file on all processors, part by part, each with random numbers of its own, so that the number of
// processors changes nothing. It writes, since a mapped page for which there is no memory would kill the process.
func fillParts(fd, length int, c content, seed uint64) error {
	part := c.unit() << 18
	work := make(chan int)
	failed := make(chan error, runtime.GOMAXPROCS(0))
	for range cap(failed) {
		go func() {
			var first error
			b := make([]byte, part)
			for at := range work {
				b := b[:min(part, length-at)]
				c.fill(rand.NewPCG(seed, uint64(at)), b)
				for done := 0; done < len(b) && first == nil; {
					n, err := unix.Pwrite(fd, b[done:], int64(at+done))
					done, first = done+n, err
				}
			}
			failed <- first
		}()
	}
	for at := 0; at < length; at += part {
		work <- at
	}
	close(work)
	var err error
	for range cap(failed) {
		err = errors.Join(err, <-failed)
	}
	return err
}

// cut returns n bytes from a random place.
func (p *pool) cut(r *rand.Rand, n int) []byte {
	at := r.IntN(p.period/p.unit) * p.unit
	return p.region[at : at+n : at+n]
}

func (p *pool) close() error {
	if p.region == nil {
		return nil
	}
	region := p.region
	p.region = nil
	return unix.Munmap(region)
}

// period returns the first length of at least want bytes that is whole pages, whole units, and as odd as that allows: a prime
// number of the smallest such lengths, so that rows of any size come to lie elsewhere in each round and no two of them are
// equal before as many have gone by.
func period(want, unit int) int {
	step := unit
	for step%os.Getpagesize() != 0 {
		step += unit
	}
	n := max(2, (want+step-1)/step)
	for !prime(n) {
		n++
	}
	return n * step
}

func prime(n int) bool {
	for d := 2; d*d <= n; d++ {
		if n%d == 0 {
			return false
		}
	}
	return n > 1
}
