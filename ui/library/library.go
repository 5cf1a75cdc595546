// Package library is what the screen and the lines ask of a generator that can open another model.
package library

// Library is a generator that can open another model. All its methods may wait for the disk.
type Library interface {
	// Models lists what can be opened without reading any of it. Beside an error stand those that could be listed.
	Models() ([]Entry, error)
	// Describe completes an entry: what the model is, and whether it fits in the place of the one that is open.
	Describe(e Entry) Entry
	// UseModel ends what runs, waits for the memory of the open model to be given back and begins to load another, named by
	// its path. An error means that nothing has changed.
	UseModel(path string) error
}

// Entry is a model that can be opened.
type Entry struct {
	Name    string
	Path    string
	Open    bool   // it is the one that answers
	Size    string // on disk; "" until Describe has said it
	About   string // architecture and format of the weights
	Fit     string // what memory it needs and what there is
	Problem string // why it cannot be opened; "": it can
}

// Path returns the path of the model that is called name in a list; any other name is a path itself.
func Path(list []Entry, name string) string {
	for _, e := range list {
		if e.Name == name {
			return e.Path
		}
	}
	return name
}
