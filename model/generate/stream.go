package generate

import (
	"context"
	"io"
	"strings"
	"sync"
)

// Stream carries one reply from the decode goroutine to one reader. It conflates: text and tokens pile up until Next
// takes them, so the writer never waits. Next, Tune and Cancel may be called from different goroutines.
type Stream struct {
	mu       sync.Mutex
	pending  Update          // all but its Text
	text     strings.Builder // the pending text: appending to a string would copy all of it for each token
	dirty    bool
	closed   bool          // the writer has given the Result
	finished bool          // the reader has taken it
	wake     chan struct{} // holds at most one signal; closed once finished
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
// and ctx's error when ctx ends first; what is pending then stays for the next call. What already lies there is returned
// even when ctx has ended.
func (s *Stream) Next(ctx context.Context) (Update, error) {
	for {
		u, fresh, finished := s.take()
		if fresh {
			return u, nil
		}
		if finished {
			return Update{Phase: Done}, io.EOF
		}
		select {
		case <-ctx.Done():
			return Update{}, ctx.Err()
		case <-s.wake:
		}
	}
}

// take returns what is pending and whether there was anything, and whether the reply had been taken to its end before.
func (s *Stream) take() (u Update, fresh, finished bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.dirty {
		return Update{}, false, s.finished
	}
	u = s.pending
	u.Text = s.text.String()
	s.text.Reset()
	s.pending = Update{
		Phase: u.Phase, PrefillDone: u.PrefillDone, PrefillTotal: u.PrefillTotal,
		TokensPerSecond: u.TokensPerSecond,
	}
	s.dirty = false
	if u.Result != nil {
		s.finished = true
		close(s.wake) // so that a second call of Next that waits already ends too; the writer sends nothing any more
	}
	return u, true, false
}

// Tune changes the sampling values from the next token on. A nil Seed keeps the running random sequence. Values that
// Sampling.Validate refuses are ignored.
func (s *Stream) Tune(v Sampling) {
	if v.Validate() != nil {
		return
	}
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
	s.text.WriteString(u.Text)
	p.Tokens = append(p.Tokens, u.Tokens...)
	if u.PrefillTotal > 0 {
		p.PrefillDone, p.PrefillTotal = u.PrefillDone, u.PrefillTotal
	}
	if u.TokensPerSecond > 0 {
		p.TokensPerSecond = u.TokensPerSecond
	}
	if u.Sampling != nil {
		p.Sampling, p.Earlier = u.Sampling, u.Earlier
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
