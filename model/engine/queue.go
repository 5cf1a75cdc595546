package engine

import (
	"context"
	"errors"
	"slices"
	"time"

	"peregrine/model/generate"
)

// job is one request in the queue or at work.
type job struct {
	ctx     context.Context
	request generate.Request
	writer  *generate.Writer
	inquiry *inquiry  // what is asked instead of a reply; nil: nothing
	begun   time.Time // of Start
	release func()    // ends ctx and all that hangs on it
}

// enqueue appends j. Its context ends with the engine's, and takes j out of the queue where it still waits. e.mu is held.
func (e *Engine) enqueue(j *job, cancel context.CancelFunc) {
	closing := context.AfterFunc(e.ctx, cancel)
	waiting := context.AfterFunc(j.ctx, func() { e.withdraw(j) })
	j.release = func() {
		closing()
		waiting()
		cancel()
	}
	e.queue = append(e.queue, j)
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// withdraw ends j if it still waits.
func (e *Engine) withdraw(j *job) {
	e.mu.Lock()
	i := slices.Index(e.queue, j)
	if i >= 0 {
		e.queue = slices.Delete(e.queue, i, i+1)
	}
	e.mu.Unlock()
	if i >= 0 {
		j.end(nil)
	}
}

// end closes a reply that never began: cancelled, or refused with err.
func (j *job) end(err error) {
	if j.inquiry != nil {
		if err == nil {
			err = context.Canceled
		}
		j.inquiry.answer <- answer{err: err}
		j.release()
		return
	}
	result := &generate.Result{Finish: generate.FinishCancelled, Err: err, Sampling: j.request.Sampling}
	if err != nil {
		result.Finish = generate.FinishError
	}
	j.writer.Update(generate.Update{Result: result})
	j.release()
}

// next waits for a job; it returns nil when the engine closes.
func (e *Engine) next() *job {
	for e.ctx.Err() == nil {
		if j := e.pop(); j != nil {
			return j
		}
		select {
		case <-e.ctx.Done():
		case <-e.wake:
		}
	}
	return nil
}

// pop takes the first job out of the queue, nil if there is none.
func (e *Engine) pop() *job {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.queue) == 0 {
		return nil
	}
	j := e.queue[0]
	e.queue = slices.Delete(e.queue, 0, 1)
	return j
}

// serve makes replies until the engine closes or breaks.
func (e *Engine) serve(w *worker) {
	for j := e.next(); j != nil; j = e.next() {
		if j.inquiry != nil {
			if e.reply(w, j) {
				return
			}
			continue
		}
		last := w.run(j.ctx, j.request, j.writer, j.begun)
		broken := errors.Is(last.Result.Err, ErrBroken)
		if broken { // before the reader sees the result and asks again
			e.refuse(last.Result.Err)
		}
		e.record(last.Result)
		j.writer.Update(last)
		j.release()
		if broken {
			return
		}
	}
}

// drain ends all that still waits when the goroutine ends.
func (e *Engine) drain() {
	e.mu.Lock()
	queue, err := e.queue, e.err
	e.queue = nil
	e.mu.Unlock()
	if e.ctx.Err() != nil {
		err = nil
	}
	for _, j := range queue {
		j.end(err)
	}
}

// record logs a reply's end. Texts stay out of the log: it is made to be sent with a bug report.
func (e *Engine) record(r *generate.Result) {
	var broken *panicError
	if errors.As(r.Err, &broken) {
		e.log.Error("panic in the decode goroutine", "panic", broken.value, "stack", string(broken.stack))
	}
	e.log.Info("reply", "finish", r.Finish, "error", r.Err, "dropped", r.Dropped,
		"prompt_tokens", r.Timings.PromptTokens, "cached_tokens", r.Timings.CachedTokens,
		"reply_tokens", r.Timings.ReplyTokens, "prefill_tokens_per_s", r.Timings.PrefillPerSecond,
		"decode_tokens_per_s", r.Timings.DecodePerSecond, "drafted", r.Timings.Drafted, "accepted", r.Timings.Accepted,
		"first_token_s", r.Timings.FirstToken.Seconds())
}
