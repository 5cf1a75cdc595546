package generate

import (
	"context"
	"io"
	"sync"
)

// Stream carries one reply from the decode goroutine to one reader. It conflates: text and tokens pile up until Next
// takes them, so the writer never waits. Next, Tune and Cancel may be called from different goroutines.
type Stream struct {
	mu       sync.Mutex
	pending  Update
	dirty    bool
	closed   bool
	finished bool // the reader has taken the Update with the Result
	wake     chan struct{}
	sampling Sampling
	tuned    bool
	cancel   context.CancelFunc
}

// NewStream returns the two ends of a reply: the stream for the reader and the writer for the decode goroutine. cancel is
// called by Stream.Cancel; it must make the writer finish soon. first holds the sampling values of the request.
func NewStream(cancel context.CancelFunc, first Sampling) (*Stream, *Writer) {
	s := &Stream{wake: make(chan struct{}, 1), cancel: cancel, sampling: first}
	return s, &Writer{s: s}
}

// Next waits until there is something new and returns all of it. It returns io.EOF after the Update that holds the Result,
// and ctx's error when ctx ends first; what is pending then stays for the next call.
func (s *Stream) Next(ctx context.Context) (Update, error) {
	for {
		s.mu.Lock()
		if s.dirty {
			u := s.pending
			s.pending = Update{
				Phase: u.Phase, PrefillDone: u.PrefillDone, PrefillTotal: u.PrefillTotal,
				TokensPerSecond: u.TokensPerSecond,
			}
			s.dirty = false
			s.finished = u.Result != nil
			s.mu.Unlock()
			return u, nil
		}
		done := s.finished
		s.mu.Unlock()
		if done {
			return Update{Phase: Done}, io.EOF
		}
		select {
		case <-ctx.Done():
			return Update{}, ctx.Err()
		case <-s.wake:
		}
	}
}

// Tune changes the sampling values from the next token on. A nil Seed keeps the running random sequence.
func (s *Stream) Tune(v Sampling) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sampling, s.tuned = v, true
}

// Cancel ends the reply within one token. What was written stays and the Result still comes.
func (s *Stream) Cancel() { s.cancel() }

// Writer is the decode goroutine's end of a Stream.
type Writer struct{ s *Stream }

// Update merges u into what the reader has not taken yet. Calls after the Result are ignored.
func (w *Writer) Update(u Update) {
	s := w.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	p := &s.pending
	p.Phase = u.Phase
	p.Text += u.Text
	p.Tokens = append(p.Tokens, u.Tokens...)
	if u.PrefillTotal > 0 {
		p.PrefillDone, p.PrefillTotal = u.PrefillDone, u.PrefillTotal
	}
	if u.TokensPerSecond > 0 {
		p.TokensPerSecond = u.TokensPerSecond
	}
	if u.Result != nil {
		p.Result, p.Phase = u.Result, Done
		s.closed = true
	}
	s.dirty = true
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Sampling returns the newest values and whether they changed since the last call.
func (w *Writer) Sampling() (Sampling, bool) {
	s := w.s
	s.mu.Lock()
	defer s.mu.Unlock()
	changed := s.tuned
	s.tuned = false
	return s.sampling, changed
}
