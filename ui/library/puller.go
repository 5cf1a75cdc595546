package library

import (
	"context"
	"os"
)

// Puller is a Library that can bring models from a hub.
type Puller interface {
	// Pullable says whether Pull takes a name: a repository's, OWNER/NAME[@REVISION]. It waits for nothing.
	Pullable(name string) bool
	// Pull brings a model and returns where it lies; one that is here already is not brought again. It calls observe some times a
	// second until it returns, never twice at once. When ctx ends it returns soon, and what came stays for the next Pull.
	Pull(ctx context.Context, name string, observe func(PullProgress)) (Pulled, error)
}

// OnDisk reports whether a name leads to a file or folder from here, whatever that holds. It goes before a repository of the same
// name, as everywhere in the program. OnDisk waits for the disk.
func OnDisk(path string) bool {
	_, err := os.Stat(path)
	return err == nil
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
