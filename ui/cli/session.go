package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"peregrine/model"
	"peregrine/model/engine"
	"peregrine/model/generate"
)

// session is the engine of a chat, which can be exchanged for one on another backend, since a GPU may be lost in the middle of
// a conversation, and for one with another model. The conversation goes on.
type session struct {
	mu       sync.Mutex
	settings *settings
	path     string // of the model
	use      use
	engine   *engine.Engine
	closed   bool
}

func newSession(s *settings, path string, u use) *session {
	x := &session{settings: s, path: path, use: u}
	x.engine = x.start(s)
	return x
}

// start makes an engine, which loads the model in the background.
func (x *session) start(s *settings) *engine.Engine {
	return engine.New(s.loader(x.path, x.use), engine.Options{Log: s.log, Speculate: s.file.Speculation != "off", Info: generate.Info{
		Model: modelName(x.path), Path: x.path, Backend: s.file.Backend, Defaults: s.sampling(model.GenerationConfig{}),
	}})
}

func (x *session) current() *engine.Engine {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.engine
}

// Start is the engine's in force.
func (x *session) Start(ctx context.Context, r generate.Request) (*generate.Stream, error) {
	return x.current().Start(ctx, r)
}

// Plan is the engine's.
func (x *session) Plan(ctx context.Context, r generate.Request) (generate.Plan, error) {
	return x.current().Plan(ctx, r)
}

// Explain is the engine's.
func (x *session) Explain(ctx context.Context, q generate.Inquiry) (generate.Explanation, error) {
	return x.current().Explain(ctx, q)
}

// Info is the engine's.
func (x *session) Info() generate.Info { return x.current().Info() }

// Backends lists what UseBackend takes.
func (x *session) Backends() []string { return chatBackends() }

// Instead returns the CPU after an error of a GPU, "" after any other.
func (x *session) Instead(err error) string {
	if gpu := (*gpuError)(nil); errors.As(err, &gpu) {
		return "cpu"
	}
	return ""
}

// UseBackend ends the engine, a reply that runs included, gives its memory back and loads the model anew on another backend.
// It returns when the old engine is gone; the new one loads in the background.
func (x *session) UseBackend(name string) error {
	if !slices.Contains(chatBackends(), name) {
		return fmt.Errorf("backend is %q; want one of %s", name, strings.Join(chatBackends(), ", "))
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closed {
		return engine.ErrClosed
	}
	other := *x.settings
	other.file.Backend = name
	x.replace(x.path, &other)
	return nil
}

// Close ends the engine. There is no other afterwards: a change of backend that comes too late is refused.
func (x *session) Close() error {
	x.mu.Lock()
	x.closed = true
	x.mu.Unlock()
	return x.current().Close()
}
