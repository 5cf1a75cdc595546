package model

import (
	"context"

	"peregrine/model/sample"
)

// Precision chooses between the mode in which conformance is judged and the fast one.
type Precision uint8

// The two modes of a backend.
const (
	Fast    Precision = iota // f16 KV cache; quantised activations where they pay
	Precise                  // f32 activations and KV cache
)

// LoadOptions are the choices of a backend's Load.
type LoadOptions struct {
	Context   int // tokens of KV cache to hold; 0: the model's MaxContext
	Precision Precision
	// Progress is called with bytes done and bytes in all, from Load's goroutine, not more than about 100 times.
	Progress func(done, total int64)
	// Early lets Load return before all weights are in the backend's layout, for the sake of the first token, see Settler. p must outlive
	// the executor then, and its files stay as they are until it is settled.
	Early bool
	// Repacked is where a backend may find its layout of these weights ready made, see Keeper; nil: nowhere.
	Repacked *Repacked
}

// Repacked is a file for a backend's layout of a checkpoint's weights: mapped, it saves the next Load the work and lets processes
// share the memory. One of other weights, or that is not whole, is as good as none; what its bytes are is not checked again.
type Repacked struct {
	Path  string // of the file
	Model string // path of the checkpoint, which the file names for those who look what may go
	Stamp string // of the files that hold the weights
}

// Backend is one device.
type Backend interface {
	// Load repacks and uploads p. It reports progress in bytes and stops when ctx does, leaving nothing allocated. The
	// Executor does not refer to p's memory afterwards unless the backend's documentation says so: then p must outlive it.
	Load(ctx context.Context, p *Params, opt LoadOptions) (Executor, error)
	// Name describes the device in a few words, such as "cpu (avx2, 2 threads)".
	Name() string
	Close() error
}

// Executor holds resident weights and one sequence's KV cache. One goroutine at a time.
type Executor interface {
	// Forward appends tokens at position pos and fills out. A pos below the current length forgets what lies behind it; one
	// above it is an error. It checks ctx at least once per layer on the CPU, once per token on the GPU; after an error the
	// sequence's length is pos at most.
	Forward(ctx context.Context, tokens []int32, pos int, out *Output) error
	Close() error
}

// What files of repacked weights begin with, and what stands behind their names while they are not finished, as a pattern of
// os.CreateTemp.
const (
	RepackedMagic      = "peregrine's repacked weights\n"
	RepackedUnfinished = ".part-*"
)

// Keeper is an Executor that can make the file which LoadOptions.Repacked names.
type Keeper interface {
	// Repacked returns the bytes that the weights take in the backend's layout, and whether the file is there already: it is what
	// they were loaded from.
	Repacked() (bytes int64, kept bool)
	// Keep writes the file, all of it or, on an error, nothing. Forward passes may run meanwhile; it waits while one has run
	// in the last instants. Close must not be called before it returns.
	Keep(ctx context.Context) error
}

// Settler is an Executor whose weights may not all be in the backend's layout yet, see LoadOptions.Early.
type Settler interface {
	// Settle has them so when it returns without an error.
	Settle(ctx context.Context) error
}

// Output says what is wanted of a forward pass and takes the result.
type Output = sample.Output

// Candidate is one token with its logit.
type Candidate = sample.Candidate
