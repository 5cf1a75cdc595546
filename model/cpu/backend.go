package cpu

/*
#cgo CFLAGS: -O3 -std=c11 -Wall -Wextra
#cgo LDFLAGS: -lm -lpthread
#include <stdlib.h>
#include <string.h>
#include "model.h"
*/
import "C"

import (
	"fmt"
	"strings"
	"sync"
	"time"
	"unsafe"

	"peregrine/model"
)

// maxThreads bounds Options.Threads: more than any machine of today has, and small enough to allocate for.
const maxThreads = 1024

// Options choose how the backend runs.
type Options struct {
	Threads int    // 0: one for each physical core that this process may use
	ISA     string // a name from [ISAs]; "": the best of them that some machine has run
}

// ISAs returns the instruction sets that this build has kernels for and this machine can run, best first. Sets that only an emulator
// has run so far are among them.
func ISAs() []string {
	var names []string
	for i := C.size_t(0); ; i++ {
		isa := C.pg_isa_at(i)
		if isa == nil {
			return names
		}
		names = append(names, C.GoString(isa.name))
	}
}

// backend owns the thread pool. One task runs on it at a time: mu is held while one does.
type backend struct {
	isa     *C.pg_isa
	threads int

	mu      sync.Mutex
	pool    *C.pg_pool // nil once closed
	yielded time.Time  // see yield
	last    time.Duration
	ended   time.Time // of the last forward pass
}

// Open starts the threads. Executors of a closed backend can only be closed.
func Open(opt Options) (model.Backend, error) { return open(opt) }

func open(opt Options) (*backend, error) {
	name := C.CString(opt.ISA)
	defer C.free(unsafe.Pointer(name))
	isa := C.pg_isa_find(name)
	if isa == nil {
		return nil, fmt.Errorf("cpu: instruction set %q is not available; this machine and build have %s",
			opt.ISA, strings.Join(ISAs(), ", "))
	}
	threads := opt.Threads
	if threads == 0 {
		threads = physicalCores()
	}
	if threads < 1 || threads > maxThreads {
		return nil, fmt.Errorf("cpu: %d threads; want 1 to %d", threads, maxThreads)
	}
	pool := C.pg_pool_new(C.uint(threads), pins())
	if pool == nil {
		return nil, fmt.Errorf("cpu: the system refuses to start %d threads; use fewer", threads)
	}
	return &backend{isa: isa, threads: threads, pool: pool}, nil
}

// pins tells the pool of the cores; nil where nobody knows them.
func pins() *C.pg_pins {
	of, cores := coresHere()
	if cores == 0 {
		return nil
	}
	return C.pg_pins_new((*C.int16_t)(unsafe.SliceData(of)), C.size_t(len(of)), C.uint(cores))
}

// Name says which instruction set and how many threads, such as "cpu (avx2, 2 threads)".
func (b *backend) Name() string {
	plural := "s"
	if b.threads == 1 {
		plural = ""
	}
	return fmt.Sprintf("cpu (%s, %d thread%s)", C.GoString(b.isa.name), b.threads, plural)
}

// Close waits for a running forward pass and ends the threads. It may be called twice.
func (b *backend) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	C.pg_pool_free(b.pool)
	b.pool = nil
	return nil
}

// ReadBandwidth returns how many GB (10⁹ bytes) a second that many threads (0: physical cores) read from memory: the median of
// seven passes over bytes of it, which should be well above the cache. It is what a token cannot be faster than. 0 means that
// there is no memory for the test.
func ReadBandwidth(threads int, bytes int64) float64 {
	b, err := open(Options{Threads: threads})
	if err != nil || bytes < 1 {
		return 0
	}
	defer b.Close()
	p := C.pg_map(C.size_t(bytes))
	if p == nil {
		return 0
	}
	defer C.pg_unmap(p, C.size_t(bytes))
	C.memset(p, 1, C.size_t(bytes)) // untouched pages are all the same page of zeros
	best := make([]float64, 0, 7)
	for range cap(best) {
		start := time.Now()
		C.pg_probe_read(b.pool, b.isa, (*C.uint8_t)(p), C.size_t(bytes))
		best = append(best, float64(bytes)/1e9/time.Since(start).Seconds())
	}
	return median(best)
}
