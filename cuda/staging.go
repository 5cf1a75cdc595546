package cuda

import (
	"cmp"
	"context"
	"sync"

	"peregrine/cuda/driver"
)

// stagingBytes is the size of one page-locked buffer. Small ones stay in the processor's cache between being filled and
// being read by the copy engine: 2 × 2 MiB for each of 8 to 16 readers reached 35 to 40 GB/s, larger ones 17 to 29.
const stagingBytes = 2 << 20

// piece is a run of bytes on its way to the device.
type piece struct {
	to    driver.Ptr
	bytes int
	fill  func(dst []byte) // writes all of dst
}

// stager copies pieces to the device: readers fill page-locked buffers side by side, each with a stream and two buffers of its
// own, so that filling one overlaps with sending the other.
type stager struct {
	d       driver.Device
	readers []*reader
	work    chan piece
	wait    sync.WaitGroup // pieces given and not yet issued
	done    sync.WaitGroup // goroutines

	mu  sync.Mutex
	err error
}

// reader is one of the stager's goroutines.
type reader struct {
	stream driver.Stream
	buffer [2][]byte
	sent   [2]driver.Event // the buffer has been read
	issued driver.Event    // recorded when a job's last piece is on its way
}

// newStager starts so many readers. close must be called, also after an error.
func newStager(d driver.Device, readers int) (*stager, error) {
	s := &stager{d: d, work: make(chan piece)}
	for range readers {
		r := &reader{}
		s.readers = append(s.readers, r)
		if err := r.open(d); err != nil {
			return s, err
		}
	}
	for _, r := range s.readers {
		s.done.Go(func() { s.run(r) })
	}
	return s, nil
}

func (r *reader) open(d driver.Device) (err error) {
	if r.stream, err = d.Stream(); err != nil {
		return err
	}
	for i := range r.buffer {
		if r.buffer[i], err = d.AllocHost(stagingBytes); err != nil {
			return err
		}
		if r.sent[i], err = d.Event(); err != nil {
			return err
		}
	}
	r.issued, err = d.Event()
	return err
}

func (r *reader) close(d driver.Device) error {
	var errs []error
	if r.stream != nil {
		errs = append(errs, r.stream.Synchronize(), r.stream.Close())
	}
	for i := range r.buffer {
		if r.sent[i] != nil {
			errs = append(errs, r.sent[i].Close())
		}
		if r.buffer[i] != nil {
			errs = append(errs, d.ReleaseHost(r.buffer[i]))
		}
	}
	if r.issued != nil {
		errs = append(errs, r.issued.Close())
	}
	return cmp.Or(errs...)
}

func (s *stager) run(r *reader) {
	used := [2]bool{}
	for i := 0; ; i ^= 1 {
		p, ok := <-s.work
		if !ok {
			return
		}
		err := s.failed()
		if err == nil && used[i] {
			err = r.sent[i].Synchronize()
		}
		if err == nil {
			dst := r.buffer[i][:p.bytes]
			p.fill(dst)
			used[i] = true
			err = cmp.Or(r.stream.CopyToDevice(p.to, dst), r.stream.Record(r.sent[i]))
		}
		s.fail(err)
		s.wait.Done()
	}
}

func (s *stager) fail(err error) {
	if err == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
	}
}

func (s *stager) failed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// send copies pieces and makes stream wait until all of them have arrived. It returns when their sources have been read,
// while the last copies may still be under way, or soon after ctx ends. A piece is stagingBytes at most.
func (s *stager) send(ctx context.Context, stream driver.Stream, pieces []piece) error {
	for _, p := range pieces {
		if ctx.Err() != nil || s.failed() != nil {
			break
		}
		s.wait.Add(1)
		s.work <- p
	}
	s.wait.Wait()
	if err := cmp.Or(ctx.Err(), s.failed()); err != nil {
		return err
	}
	for _, r := range s.readers {
		if err := r.stream.Record(r.issued); err != nil {
			return err
		}
		if err := stream.Wait(r.issued); err != nil {
			return err
		}
	}
	return nil
}

// close waits for what is under way and frees everything.
func (s *stager) close() error {
	close(s.work)
	s.done.Wait()
	var errs []error
	for _, r := range s.readers {
		errs = append(errs, r.close(s.d))
	}
	return cmp.Or(errs...)
}

// pieces cuts a copy of data to the device into pieces.
func pieces(list []piece, to driver.Ptr, data []byte) []piece {
	for at := 0; at < len(data); at += stagingBytes {
		part := data[at:min(at+stagingBytes, len(data))]
		list = append(list, piece{to + driver.Ptr(at), len(part), func(dst []byte) { copy(dst, part) }})
	}
	return list
}
