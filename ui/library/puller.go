package library

import "context"

// Puller is a Library that can bring models from a hub.
type Puller interface {
	// Pullable says whether Pull takes a name: a repository's, OWNER/NAME[@REVISION]. It waits for nothing.
	Pullable(name string) bool
	// Pull brings a model and returns where it lies; one that is here already is not brought again. It calls observe some times a
	// second until it returns. When ctx ends it returns soon, and what came stays for the next Pull.
	Pull(ctx context.Context, name string, observe func(PullProgress)) (Pulled, error)
}

// PullProgress is how far a download has come.
type PullProgress struct {
	Part float64 // from 0 to 1
	Text string  // how much of what, how fast, and how long it will take
}

// Pulled is a model that has been brought.
type Pulled struct {
	Path string
	Note string // what is odd about it, for instance that the hub could not be asked; "": nothing
}
