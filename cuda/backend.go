package cuda

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"

	"peregrine/cuda/driver"
	"peregrine/model"
)

// Options choose a device.
type Options struct {
	Device int // index as the driver counts
}

// Backend is one GPU. It fulfils model.Backend.
type Backend struct {
	mu     sync.Mutex // held while the device works for one of the executors
	device driver.Device
	open   map[*executor]struct{}
	closed bool
}

// Open opens a GPU. The error is a driver.ErrUnavailable, with the reason and a remedy, where there is none to use.
func Open(opt Options) (*Backend, error) {
	d, err := driver.Open(opt.Device)
	if err != nil {
		return nil, err
	}
	return New(d), nil
}

// New makes a backend of a device, which it closes in the end.
func New(d driver.Device) *Backend {
	return &Backend{device: d, open: map[*executor]struct{}{}}
}

// Name is the device's, such as "cuda (NVIDIA H100 80GB HBM3)".
func (b *Backend) Name() string {
	info := b.device.Info()
	if info.Emulated {
		return "cuda (emulator)"
	}
	return fmt.Sprintf("cuda (%s)", info.Name)
}

// Info describes the device.
func (b *Backend) Info() driver.Info { return b.device.Info() }

// Free returns how many bytes of device memory are free now.
func (b *Backend) Free() (int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return 0, errClosed
	}
	return b.device.Free()
}

var errClosed = errors.New("cuda: the backend is closed")

// Need is the device memory that a model takes, in bytes.
type Need struct {
	Weights, KV, Work int64
	// Staging is needed while loading only.
	Staging int64
}

// reserve is left free on the device beside the model: compiled kernels, the driver's own needs and a desktop.
const reserve = 192 << 20

// Total is what must be free before loading starts, with what is left free beside the model.
func (n Need) Total() int64 { return n.Weights + n.KV + n.Work + n.Staging + reserve }

// Need returns what p would take, without touching the device.
func (b *Backend) Need(p *model.Params, opt model.LoadOptions) (Need, error) {
	r, err := newResident(p, opt)
	if err != nil {
		return Need{}, during("plan", err)
	}
	return r.sizes, nil
}

// Load repacks p's matrices on the device; the executor does not refer to p's memory afterwards, and pages of mapped files
// are given back as they are done. A model that does not fit is refused before anything is allocated.
func (b *Backend) Load(ctx context.Context, p *model.Params, opt model.LoadOptions) (model.Executor, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := p.Validate(); err != nil {
		return nil, during("load", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, errClosed
	}
	r, err := newResident(p, opt)
	if err != nil {
		return nil, during("load", err)
	}
	if err := b.fits(r); err != nil {
		return nil, err
	}
	e := &executor{b: b, d: b.device, resident: r}
	if err := e.load(ctx, opt.Progress); err != nil {
		err = cmp.Or(err, e.free())
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, during("load", err)
	}
	b.open[e] = struct{}{}
	return e, nil
}

// fits says need, have and remedies when the device has no room for r.
func (b *Backend) fits(r *resident) error {
	free, err := b.device.Free()
	if err != nil {
		return during("load", err)
	}
	n := r.sizes
	if n.Total() <= free {
		return nil
	}
	return fmt.Errorf("%w: the model needs %s (weights %s, KV cache of %d tokens %s, working memory %s), %s are free on %s; "+
		"use a smaller --context, a model with fewer bits, another --device, or --backend cpu",
		driver.ErrOutOfMemory, gigabytes(n.Total()), gigabytes(n.Weights), r.limit, gigabytes(n.KV),
		gigabytes(n.Total()-n.Weights-n.KV), gigabytes(free), b.device.Info().Name)
}

func gigabytes(n int64) string { return fmt.Sprintf("%.2f GB", float64(n)/1e9) }

// Close frees the executors that are still open and ends the device. They can only be closed then.
func (b *Backend) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil
	}
	b.closed = true
	var errs []error
	for e := range b.open {
		errs = append(errs, e.free())
	}
	return cmp.Or(append(errs, b.device.Close())...)
}
