package generate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

func newStream(t *testing.T) (*Stream, *Writer) {
	t.Helper()
	return NewStream(func() {}, Sampling{})
}

func next(t *testing.T, s *Stream) Update {
	t.Helper()
	u, err := s.Next(t.Context())
	if err != nil {
		t.Fatalf("Next: %v", err)
	}
	return u
}

func TestStreamConflatesWhatWasNotTaken(t *testing.T) {
	s, w := newStream(t)
	w.Update(Update{Phase: Prefill, PrefillDone: 3, PrefillTotal: 9})
	w.Update(Update{Phase: Decoding, Text: "ab", Tokens: []Token{{ID: 1}}, TokensPerSecond: 5})
	w.Update(Update{Phase: Decoding, Text: "cd", Tokens: []Token{{ID: 2}, {ID: 3}}})
	u := next(t, s)
	if u.Text != "abcd" || len(u.Tokens) != 3 || u.Tokens[2].ID != 3 {
		t.Errorf("got text %q and tokens %v, want abcd and 1 2 3", u.Text, u.Tokens)
	}
	if u.Phase != Decoding || u.PrefillDone != 3 || u.PrefillTotal != 9 || u.TokensPerSecond != 5 {
		t.Errorf("got %+v, want the newest value of each meter", u)
	}
}

func TestStreamGivesTextOnce(t *testing.T) {
	s, w := newStream(t)
	w.Update(Update{Phase: Decoding, Text: "ab", Tokens: []Token{{ID: 1}}, TokensPerSecond: 7})
	next(t, s)
	w.Update(Update{Phase: Decoding, Text: "cd"})
	u := next(t, s)
	if u.Text != "cd" || len(u.Tokens) != 0 {
		t.Errorf("got text %q and %d tokens, want cd and none", u.Text, len(u.Tokens))
	}
	if u.TokensPerSecond != 7 {
		t.Errorf("got %v tokens/s, want the last known 7", u.TokensPerSecond)
	}
}

func TestStreamEndsAfterResult(t *testing.T) {
	s, w := newStream(t)
	w.Update(Update{Phase: Decoding, Text: "ab"})
	w.Update(Update{Result: &Result{Finish: FinishStop, Text: "ab"}})
	w.Update(Update{Phase: Decoding, Text: "too late"})
	u := next(t, s)
	if u.Text != "ab" || u.Phase != Done || u.Result == nil {
		t.Errorf("got %+v, want the rest of the text with the result", u)
	}
	for range 2 {
		if _, err := s.Next(t.Context()); !errors.Is(err, io.EOF) {
			t.Errorf("got %v, want io.EOF", err)
		}
	}
	w.Update(Update{Text: "much too late"})
	if _, err := s.Next(t.Context()); !errors.Is(err, io.EOF) {
		t.Errorf("got %v after a late write, want io.EOF", err)
	}
}

func TestStreamNextEndsWithItsContextAndLosesNothing(t *testing.T) {
	s, w := newStream(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := s.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v, want the context's error", err)
	}
	w.Update(Update{Phase: Decoding, Text: "ab"})
	if u := next(t, s); u.Text != "ab" {
		t.Errorf("got %q, want ab", u.Text)
	}
}

func TestStreamNextPrefersWhatLiesThere(t *testing.T) {
	s, w := newStream(t)
	w.Update(Update{Phase: Decoding, Text: "ab"})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if u, err := s.Next(ctx); err != nil || u.Text != "ab" {
		t.Errorf("got %q, %v, want ab although the context has ended", u.Text, err)
	}
}

func TestStreamSlowReaderLosesNothing(t *testing.T) {
	const n = 20_000
	s, w := newStream(t)
	go func() {
		for i := range n {
			w.Update(Update{Phase: Decoding, Text: fmt.Sprint(i, " "), Tokens: []Token{{ID: int32(i)}}})
		}
		w.Update(Update{Result: &Result{Finish: FinishStop}})
	}()
	var text strings.Builder
	var ids []int32
	for u, err := s.Next(t.Context()); err == nil; u, err = s.Next(t.Context()) {
		text.WriteString(u.Text)
		for _, k := range u.Tokens {
			ids = append(ids, k.ID)
		}
		runtime.Gosched()
	}
	var want strings.Builder
	for i := range n {
		fmt.Fprint(&want, i, " ")
	}
	if text.String() != want.String() {
		t.Errorf("got %d bytes of text, want %d, in order", text.Len(), want.Len())
	}
	if len(ids) != n || ids[n-1] != n-1 {
		t.Errorf("got %d tokens, want %d", len(ids), n)
	}
}

// Text that nobody takes for a while must cost what its size is: appending strings would copy 5 GB here.
func TestStreamUnreadTextCostsItsSize(t *testing.T) {
	const n = 50_000
	s, w := newStream(t)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range n {
		w.Update(Update{Phase: Decoding, Text: "word"})
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 20*4*n {
		t.Errorf("got %d bytes allocated for %d bytes of text, want at most twenty times as many", got, 4*n)
	}
	if u := next(t, s); len(u.Text) != 4*n {
		t.Errorf("got %d bytes, want %d", len(u.Text), 4*n)
	}
}

func TestStreamEndWakesEveryWaitingReader(t *testing.T) {
	s, w := newStream(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	results, ends := 0, 0
	for range 4 {
		wg.Go(func() {
			for {
				u, err := s.Next(t.Context())
				mu.Lock()
				if u.Result != nil {
					results++
				}
				if err != nil {
					ends++
					mu.Unlock()
					return
				}
				mu.Unlock()
			}
		})
	}
	w.Update(Update{Result: &Result{Finish: FinishStop}})
	wg.Wait()
	if results != 1 || ends != 4 {
		t.Errorf("got %d results and %d ends, want 1 and 4", results, ends)
	}
}

func TestStreamTuneReachesTheWriterOnce(t *testing.T) {
	s, w := NewStream(func() {}, Sampling{Temperature: 0.8})
	if v, changed := w.Sampling(); changed || v.Temperature != 0.8 {
		t.Errorf("got %+v, %v, want the request's values, unchanged", v, changed)
	}
	s.Tune(Sampling{Temperature: 0.1})
	s.Tune(Sampling{Temperature: 0.2})
	if v, changed := w.Sampling(); !changed || v.Temperature != 0.2 {
		t.Errorf("got %+v, %v, want the newest values, changed", v, changed)
	}
	if _, changed := w.Sampling(); changed {
		t.Error("got changed twice, want once")
	}
}

func TestStreamTuneIgnoresValuesOutOfRange(t *testing.T) {
	s, w := NewStream(func() {}, Sampling{Temperature: 0.8})
	s.Tune(Sampling{Temperature: -1})
	if v, changed := w.Sampling(); changed || v.Temperature != 0.8 {
		t.Errorf("got %+v, %v, want the old values", v, changed)
	}
}

func TestStreamCancelCallsTheWritersFunc(t *testing.T) {
	called := 0
	s, _ := NewStream(func() { called++ }, Sampling{})
	s.Cancel()
	if called != 1 {
		t.Errorf("got %d calls, want 1", called)
	}
}

func BenchmarkStreamUpdateUnread(b *testing.B) {
	_, w := NewStream(func() {}, Sampling{})
	u := Update{Phase: Decoding, Text: "word", Tokens: []Token{{ID: 1}}}
	for b.Loop() {
		w.Update(u)
	}
}
