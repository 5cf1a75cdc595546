package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"peregrine/model/generate"
)

// Errors with which an engine refuses requests.
var (
	ErrClosed = errors.New("engine: closed")
	// ErrBroken is wrapped after a panic in the decode goroutine, whose stack is in the log.
	ErrBroken = errors.New("engine: internal error, the stack is in the log; start the program again")
)

// Load makes the model, in the engine's goroutine. It calls progress with the part done, 0 to 1, and gives up soon after ctx
// ends, leaving nothing allocated.
type Load = func(ctx context.Context, progress func(float64)) (*Model, error)

// Options are the choices of an engine.
type Options struct {
	Log   *slog.Logger // nil: none
	Chunk int          // tokens of a prefill step, between which progress is reported; 0: 256
	// Speculate drafts what repeats from the prompt and the reply, and verifies it several tokens at a time where that is
	// faster. It changes no token.
	Speculate bool
	Info      generate.Info // what is known before the model is loaded: Model, Path, Backend …
}

// Engine makes replies, one after the other. Its methods may be called from any goroutine.
type Engine struct {
	log    *slog.Logger
	opt    Options
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	loaded chan struct{} // closed once loading has ended, in whatever way
	done   chan struct{} // closed once the goroutine has ended
	wake   chan struct{} // holds a signal when the queue may have something

	mu    sync.Mutex
	queue []*job
	info  generate.Info
	err   error // why no more requests are taken

	use      sync.RWMutex // read-locked while a Plan uses the model, locked to close it
	prompts  *prompts     // nil before loading and after closing
	closeErr error        // of Model.Close; read after done
}

// New starts an engine whose model load makes in the background. Close must be called in the end.
func New(load Load, opt Options) *Engine {
	ctx, cancel := context.WithCancel(context.Background())
	e := &Engine{
		log: opt.Log, opt: opt, ctx: ctx, cancel: cancel, info: opt.Info,
		loaded: make(chan struct{}), done: make(chan struct{}), wake: make(chan struct{}, 1),
	}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	if e.opt.Chunk <= 0 {
		e.opt.Chunk = 256
	}
	e.info.Ready, e.info.Progress, e.info.Err = false, 0, nil
	go e.run(load)
	return e
}

// Start queues a request. Its stream waits while the model loads and while earlier replies run, and ends with
// FinishCancelled when ctx does, waiting or not. An error means that the request is refused at once.
func (e *Engine) Start(ctx context.Context, r generate.Request) (*generate.Stream, error) {
	if err := r.Validate(); err != nil {
		return nil, fmt.Errorf("engine: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	// The caller may change its slices while the request waits.
	r.Messages, r.Continue, r.Stop = slices.Clone(r.Messages), slices.Clone(r.Continue), slices.Clone(r.Stop)
	ctx, cancel := context.WithCancel(ctx)
	stream, writer := generate.NewStream(cancel, r.Sampling)
	writer.Update(generate.Update{Phase: generate.Waiting})
	j := &job{ctx: ctx, request: r, writer: writer, begun: time.Now()}

	e.mu.Lock()
	defer e.mu.Unlock()
	if e.err != nil {
		cancel()
		return nil, e.err
	}
	e.enqueue(j, cancel)
	return stream, nil
}

// Plan says what r would cost, without waiting for a reply that runs. It waits for the model to load.
func (e *Engine) Plan(ctx context.Context, r generate.Request) (plan generate.Plan, err error) {
	if err := r.Validate(); err != nil {
		return generate.Plan{}, fmt.Errorf("engine: %w", err)
	}
	select {
	case <-e.loaded:
	case <-ctx.Done():
		return generate.Plan{}, ctx.Err()
	}
	e.use.RLock()
	defer e.use.RUnlock()
	if e.prompts == nil {
		e.mu.Lock()
		defer e.mu.Unlock()
		return generate.Plan{}, e.err
	}
	defer func() {
		if v := recover(); v != nil {
			e.log.Error("panic while planning", "panic", v, "stack", string(debug.Stack()))
			err = fmt.Errorf("engine: plan: %v", v)
		}
	}()
	return e.prompts.plan(ctx, r)
}

// Info describes the model and how far it is loaded.
func (e *Engine) Info() generate.Info {
	e.mu.Lock()
	defer e.mu.Unlock()
	info := e.info
	info.Templates = slices.Clone(info.Templates)
	info.Notes, info.Cannot = slices.Clone(info.Notes), slices.Clone(info.Cannot)
	return info
}

// Close cancels what loads, runs or waits, waits for it, and closes the model. Every stream still gets its Result.
func (e *Engine) Close() error {
	e.refuse(ErrClosed)
	e.cancel()
	<-e.done
	return e.closeErr
}

// run is the engine's goroutine.
func (e *Engine) run(load Load) {
	defer close(e.done)
	m, p, err := e.load(load)
	if err == nil && e.ctx.Err() == nil {
		e.ready(m, p)
		e.serve(newWorker(m, p, e.opt))
	} else {
		e.failed(err)
	}
	e.drain()
	e.closeModel(m)
}

// load calls the load function and turns a panic in it into an error. The model is returned beside an error when it has to
// be closed.
func (e *Engine) load(load Load) (m *Model, p *prompts, err error) {
	defer func() {
		if v := recover(); v != nil {
			e.log.Error("panic while loading", "panic", v, "stack", string(debug.Stack()))
			err = fmt.Errorf("%w: %v", ErrBroken, v)
		}
	}()
	begun := time.Now()
	if m, err = load(e.ctx, e.progress); err != nil {
		return m, nil, err
	}
	if err := m.check(); err != nil {
		return m, nil, err
	}
	p = newPrompts(m)
	e.log.Info("model loaded", "model", m.Info.Model, "seconds", time.Since(begun).Seconds())
	return m, p, nil
}

// progress keeps the part done; it never goes back.
func (e *Engine) progress(part float64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if part > e.info.Progress {
		e.info.Progress = min(part, 1)
	}
}

// ready publishes the loaded model.
func (e *Engine) ready(m *Model, p *prompts) {
	info := m.Info
	info.Ready, info.Progress, info.Err = true, 1, nil
	info.Templates, info.Template = p.names, p.standard
	if info.Context == 0 {
		info.Context = p.context
	}
	e.use.Lock()
	e.prompts = p
	e.use.Unlock()
	e.mu.Lock()
	e.info = info
	e.mu.Unlock()
	close(e.loaded)
}

// failed publishes why there is no model, to those who wait as well.
func (e *Engine) failed(err error) {
	if err == nil {
		err = ErrClosed
	}
	level := slog.LevelError
	if e.ctx.Err() != nil {
		level = slog.LevelInfo // by Close, not by a fault
	}
	e.log.Log(e.ctx, level, "model not loaded", "error", err)
	e.refuse(err)
	close(e.loaded)
}

// refuse turns away all requests from now on, for the first reason given.
func (e *Engine) refuse(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.err != nil {
		return
	}
	e.err = err
	if !errors.Is(err, ErrClosed) {
		e.info.Ready, e.info.Err = false, err
	}
}

// closeModel gives the model's memory back once no Plan uses it.
func (e *Engine) closeModel(m *Model) {
	e.use.Lock()
	defer e.use.Unlock()
	e.prompts = nil
	if m == nil || m.Close == nil {
		return
	}
	defer func() {
		if v := recover(); v != nil {
			e.log.Error("panic while closing the model", "panic", v, "stack", string(debug.Stack()))
			e.closeErr = fmt.Errorf("%w: %v", ErrBroken, v)
		}
	}()
	e.closeErr = m.Close()
}
