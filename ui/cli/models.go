package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"peregrine/cuda/driver"
	"peregrine/model"
	"peregrine/model/engine"
	"peregrine/model/generate"
	"peregrine/model/hub"
	"peregrine/ui"
	"peregrine/ui/library"
)

// Models lists the models that lie where this program looks: the model that is open and its neighbours, the program's own
// cache, and the hub's.
func (x *session) Models() ([]library.Entry, error) {
	here := x.where()
	found, err := place().Models(filepath.Dir(here))
	var list []library.Entry
	for _, f := range found {
		list = append(list, library.Entry{Name: f.Name, Path: f.Path, Open: same(f.Path, here)})
	}
	return list, err
}

// same reports whether two paths lead to one file or folder.
func same(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && os.SameFile(x, y)
}

// Describe reads a model's headers and says what it is and whether it fits in the place of the one that is open.
func (x *session) Describe(e library.Entry) library.Entry {
	c, err := openModel(e.Path)
	if err != nil {
		e.Problem = err.Error()
		return e
	}
	defer func() { _ = c.Close() }() // it was only read
	e.Size = size(c.FileBytes())
	e.About = c.Config.Architecture + ", " + c.Quantization
	e.Fit, err = x.room(c)
	if err != nil {
		e.Problem = err.Error()
	}
	return e
}

// room says how much memory a model needs and what there is once the open one has given its own back. An error says that it
// is too little.
func (x *session) room(c *model.Checkpoint) (string, error) {
	s := x.choices()
	tokens, err := s.context(c.Config)
	if err != nil {
		return "", err
	}
	weights, kv := c.WeightBytes(), c.KVBytes(tokens, s.precision())
	need := memoryNeed(weights, kv)
	if index, ok := x.gpu(); ok {
		list, err := driver.List()
		if err != nil || index >= len(list) {
			return "needs about " + size(need), nil //nolint:nilerr // loading says it better
		}
		if have := list[index].Memory; need > have {
			return "", fmt.Errorf("%s: needs about %s, %s has %s; lower the context or take --backend cpu",
				c.Name, size(need), list[index].Name, size(have))
		}
		return fmt.Sprintf("needs about %s of %s", size(need), size(list[index].Memory)), nil
	}
	have, ok := availableMemory()
	if !ok {
		return "needs about " + size(need), nil
	}
	have += x.held()
	if err := fits(c.Name, weights, kv, have, tokens); err != nil {
		return "", err
	}
	return fmt.Sprintf("needs about %s, %s are free for it", size(need), size(have)), nil
}

// gpu returns the GPU on which the model runs or would run.
func (x *session) gpu() (int, bool) {
	s := x.choices()
	switch s.file.Backend {
	case "cuda":
		return s.file.Device, true
	case "", "auto":
		return s.file.Device, strings.HasPrefix(x.Info().Backend, "cuda")
	}
	return 0, false
}

// held returns the bytes of host memory that the open model will give back: its weights and KV cache.
func (x *session) held() int64 {
	if _, elsewhere := x.gpu(); elsewhere || !x.Info().Ready {
		return 0
	}
	c, err := model.Open(x.where())
	if err != nil {
		return 0
	}
	defer func() { _ = c.Close() }() // it was only read
	return c.WeightBytes() + c.KVBytes(x.Info().Context, x.choices().precision())
}

// Pullable says whether a name is OWNER/NAME[/FILE][@REVISION].
func (x *session) Pullable(name string) bool {
	n, err := hub.ParseName(name)
	return err == nil && strings.Contains(n.Repo, "/") && (n.File != "" || !strings.HasSuffix(n.Repo, ".gguf"))
}

// Pull brings a model to the hub's cache.
func (x *session) Pull(ctx context.Context, name string, observe func(library.PullProgress)) (library.Pulled, error) {
	if path, _, err := resolve(name); err == nil {
		return library.Pulled{Path: path}, nil
	}
	n, err := hub.ParseName(name)
	if err != nil {
		return library.Pulled{}, err
	}
	pulled, err := pullNamed(ctx, n, nil, func(p hub.Progress) {
		observe(library.PullProgress{Part: float64(p.Done) / float64(max(p.Total, 1)), Text: describeProgress(p)})
	})
	if err != nil {
		return library.Pulled{}, err
	}
	return library.Pulled{Path: pulled.Path, Note: pulled.Note}, nil
}

// UseModel loads another model in the place of the open one. What can be known from its files is checked first, and an error
// then leaves all as it was. The old model ends, a reply that runs included, and its memory is given back before the new one
// takes any; the new one loads in the background.
func (x *session) UseModel(name string) error {
	path, fetch, err := resolve(name)
	if err != nil {
		return err
	}
	if fetch {
		return errors.New("the default model is not here yet; `peregrine pull` fetches it")
	}
	if err := x.check(path); err != nil {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closed {
		return engine.ErrClosed
	}
	x.replace(path, x.settings)
	return nil
}

// check opens a model as far as its headers and its tokenizer's description, and compares its need with the memory.
func (x *session) check(path string) error {
	c, err := openModel(path)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }() // it was only read
	if c.Tokenizer.JSONPath == "" && c.Tokenizer.GGUF == nil {
		_, err := openTokenizer(path, c.Tokenizer)
		return err
	}
	_, err = x.room(c)
	return err
}

// replace ends the engine and starts one with other settings or another model. x.mu is held.
func (x *session) replace(path string, s *settings) {
	if err := x.engine.Close(); err != nil { // a lost device cannot even free its memory; the chat goes on all the same
		x.settings.log.Warn("closing the model", "error", err)
	}
	x.path, x.settings = path, s
	x.engine = x.start(s)
}

// where returns the path of the model in force.
func (x *session) where() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.path
}

// choices returns the settings in force.
func (x *session) choices() *settings {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.settings
}

var _ interface {
	library.Library
	library.Puller
	ui.Switcher
	Info() generate.Info
} = (*session)(nil)
