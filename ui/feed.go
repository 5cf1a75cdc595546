package ui

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"

	"peregrine/history"
	"peregrine/model/generate"
)

// feed is where a stream's reader leaves what it has read. It holds text that the program has not seen yet when it ends, so
// that none is lost then.
type feed struct {
	mu      sync.Mutex // held while waiting for the stream
	stream  *generate.Stream
	updates []generate.Update
	ended   bool
	last    time.Time // when next read something
	rate    float64   // tokens per second, 0: not known
}

// The shortest and the longest time between two looks at a stream.
const (
	leastFrame = 30 * time.Millisecond
	mostFrame  = 100 * time.Millisecond
)

// frame returns the time between two looks at a stream of so many tokens a second. Each look draws the screen anew, which takes
// 1 to 2 ms of a core that a model on the CPU would have. What comes faster than anybody reads is therefore drawn less often:
// at 50 tokens a second 33 times, at 100 20 times, from 200 on ten times.
func frame(rate float64) time.Duration {
	return min(max(time.Duration(rate*float64(time.Millisecond)/2), leastFrame), mostFrame)
}

// next waits for what is new. It returns false when the stream has ended or ctx has.
func (f *feed) next(ctx context.Context) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended {
		return false
	}
	u, err := f.stream.Next(ctx)
	switch {
	case errors.Is(err, io.EOF):
		f.ended = true
		return false
	case err != nil:
		return false
	}
	f.last = time.Now()
	f.updates = append(f.updates, u)
	f.ended = u.Result != nil
	if u.TokensPerSecond > 0 {
		f.rate = u.TokensPerSecond
	}
	return true
}

// rest returns how long the next look at the stream has still to wait.
func (f *feed) rest() time.Duration {
	f.mu.Lock() // a turn that is left is read by settle too
	defer f.mu.Unlock()
	return frame(f.rate) - time.Since(f.last)
}

// take returns what was read since the last call.
func (f *feed) take() []generate.Update {
	f.mu.Lock()
	defer f.mu.Unlock()
	u := f.updates
	f.updates = nil
	return u
}

// peek returns what was read since take was called last, and what can be read without waiting, and leaves it there.
func (f *feed) peek() []generate.Update {
	if !f.mu.TryLock() {
		return nil // wait is reading: what it gets is seen the next time
	}
	defer f.mu.Unlock()
	if !f.ended {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if u, err := f.stream.Next(ctx); err == nil {
			f.updates = append(f.updates, u)
			f.ended = u.Result != nil
		}
	}
	return slices.Clone(f.updates)
}

// wait returns the command that waits for the next piece of a stream.
func (f *feed) wait(id string) tea.Cmd {
	return func() tea.Msg {
		time.Sleep(f.rest())
		f.next(context.Background())
		return tokensMsg{id}
	}
}

// settleWithin bounds how long a turn may take to end once it is cancelled.
const settleWithin = 3 * time.Second

// settle cancels a turn and waits for its last text. It is for turns that Update sees no more. It returns the reply, and
// whether anything was said.
func (t *turn) settle() (history.Message, bool) {
	if t.cancel != nil {
		t.cancel()
	}
	reply := t.reply
	reply.Finish = generate.FinishCancelled
	if t.feed != nil {
		t.feed.stream.Cancel()
		t.drain(&reply)
	}
	if reply.Content == t.base.Content {
		return t.base, t.base.ID != ""
	}
	return reply, true
}

// drain adds to the reply what has not been read yet.
func (t *turn) drain(reply *history.Message) {
	ctx, cancel := context.WithTimeout(context.Background(), settleWithin)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for t.feed.next(ctx) {
		}
	}()
	select {
	case <-done:
	case <-ctx.Done():
		return
	}
	for _, u := range t.feed.take() {
		reply.Content += u.Text
		for _, token := range u.Tokens {
			reply.TokenIDs = append(reply.TokenIDs, token.ID)
		}
		if r := u.Result; r != nil {
			reply.Finish = r.Finish
			timings, values := r.Timings, r.Sampling
			reply.Timings, reply.Sampling, reply.Earlier = &timings, &values, history.Stretches(t.base, *r)
		}
	}
}
