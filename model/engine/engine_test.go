package engine

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"peregrine/model/generate"
)

// blocked returns a fixture whose decoder waits in Forward, from the given call on, until the request ends.
func blocked(from int) *fixture {
	f := says(" hello")
	n := 0
	f.decoder.before = func(ctx context.Context, _ call) error {
		if n++; n <= from {
			return nil
		}
		<-ctx.Done()
		return ctx.Err()
	}
	return f
}

func TestCancelWhilePrefilling(t *testing.T) {
	f := blocked(0).start(t, Options{})
	s := f.begin(t, user("hi"))
	untilPhase(t, s, generate.Prefill)
	s.Cancel()
	if got := finish(t, s); got.Finish != generate.FinishCancelled || got.Err != nil || got.Text != "" {
		t.Errorf("got %q, %v, %v, want cancelled without text", got.Text, got.Finish, got.Err)
	}
}

func TestCancelWhileDecodingKeepsTheText(t *testing.T) {
	f := blocked(3).start(t, Options{})
	s := f.begin(t, user("hi"))
	for text := ""; text != " he"; {
		u, err := nextUpdate(t, s)
		if err != nil {
			t.Fatal("got the end, want three tokens first")
		}
		text += u.Text
	}
	s.Cancel()
	u := untilPhase(t, s, generate.Done)
	if u.Result.Finish != generate.FinishCancelled || u.Result.Text != " he" || len(u.Result.TokenIDs) != 3 {
		t.Errorf("got %+v, want cancelled with the three tokens", u.Result)
	}
}

func TestCancelShowsWhatWasHeldBack(t *testing.T) {
	f := blocked(5)
	f.decoder.script = []int32{'a', '\n', '#', '#', '#', ' ', 'I'}
	f.start(t, Options{})
	s := f.begin(t, user("hi"))
	for n := 0; n < 5; {
		u, err := nextUpdate(t, s)
		if err != nil {
			t.Fatal("got the end, want five tokens first")
		}
		if n += len(u.Tokens); strings.Contains(u.Text, "\n") {
			t.Errorf("got %q while it streams, want the possible stop string held back", u.Text)
		}
	}
	s.Cancel()
	if u := untilPhase(t, s, generate.Done); u.Result.Text != "a\n###" || u.Text != "\n###" {
		t.Errorf("got %q, want a\\n### with the held back part at the end", u.Result.Text)
	}
}

func TestCancelByTheRequestsContext(t *testing.T) {
	f := blocked(1).start(t, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	s, err := f.Start(ctx, user("hi"))
	if err != nil {
		t.Fatal(err)
	}
	untilPhase(t, s, generate.Decoding)
	cancel()
	if got := untilPhase(t, s, generate.Done).Result; got.Finish != generate.FinishCancelled || got.Err != nil {
		t.Errorf("got %v, %v, want cancelled", got.Finish, got.Err)
	}
}

func TestCancelKeepsTheCacheUpToTheLastForward(t *testing.T) {
	f := says(" hello")
	var stop context.CancelFunc
	f.decoder.before = func(_ context.Context, c call) error {
		if stop != nil && c.pos > 0 && c.tokens == 1 && f.decoder.seq[len(f.decoder.seq)-1] == 'h' {
			stop()
		}
		return nil
	}
	f.start(t, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stop = cancel
	s, err := f.Start(ctx, user("hi"))
	if err != nil {
		t.Fatal(err)
	}
	partial := finish(t, s)
	if partial.Text != " he" {
		t.Fatalf("got %q, want the reply up to the cancelled Forward", partial.Text)
	}
	stop = nil
	f.decoder.taken()
	f.decoder.script = []int32{' ', 'y', 'e', 's'}
	got := f.answer(t, follow(user("hi"), partial.Text, "more"))
	if got.Text != " yes" {
		t.Errorf("got %q, want the next reply unharmed", got.Text)
	}
	if want := len("e\n\n### Instruction: more\n### Response:"); prefilled(f.decoder.taken()) != want {
		t.Errorf("got %d of %d tokens cached, want all but the last %d", got.Timings.CachedTokens, got.Timings.PromptTokens, want)
	}
}

func TestCancelBeforeStartIsAnError(t *testing.T) {
	f := says("a").start(t, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.Start(ctx, user("hi")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
}

func TestSecondRequestWaitsItsTurn(t *testing.T) {
	f := says(" hello")
	release := make(chan struct{})
	f.decoder.before = func(context.Context, call) error { <-release; return nil }
	f.start(t, Options{})
	first, second := f.begin(t, user("one")), f.begin(t, user("two"))
	untilPhase(t, first, generate.Prefill)
	if u, err := nextUpdate(t, second); err != nil || u.Phase != generate.Waiting {
		t.Errorf("got phase %d, %v, want waiting", u.Phase, err)
	}
	close(release)
	if got := finish(t, first); got.Text != " hello" {
		t.Errorf("first: got %q, want its reply", got.Text)
	}
	if got := finish(t, second); got.Text != " hello" {
		t.Errorf("second: got %q, want its reply", got.Text)
	}
}

func TestCancelWhileWaitingForAnEarlierReply(t *testing.T) {
	f := blocked(0).start(t, Options{})
	first, second := f.begin(t, user("one")), f.begin(t, user("two"))
	untilPhase(t, first, generate.Prefill)
	second.Cancel()
	if got := finish(t, second); got.Finish != generate.FinishCancelled {
		t.Errorf("got %v, want cancelled at once", got.Finish)
	}
	first.Cancel()
	finish(t, first)
}

func TestReaderThatNeverReadsDoesNotStopTheDecoder(t *testing.T) {
	f := says(strings.Repeat("word ", 200)).start(t, Options{})
	unread := f.begin(t, user("one"))
	if got := f.answer(t, user("two")); len(got.Text) != 1000 {
		t.Errorf("got %d bytes of the second reply, want 1000 though nobody reads the first", len(got.Text))
	}
	if got := finish(t, unread); len(got.Text) != 1000 {
		t.Errorf("got %d bytes of the first reply, want all of it in the end", len(got.Text))
	}
}

func TestCloseWhileDecodingKeepsTheText(t *testing.T) {
	f := blocked(3)
	closed := 0
	f.model.Close = func() error { closed++; return errors.New("device busy") }
	e := New(func(context.Context, func(float64)) (*Model, error) { return f.model, nil }, Options{})
	f.Engine = e
	running, waiting := f.begin(t, user("one")), f.begin(t, user("two"))
	for n := 0; n < 3; {
		u, _ := nextUpdate(t, running)
		n += len(u.Tokens)
	}
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			if err := e.Close(); err == nil || err.Error() != "device busy" {
				t.Errorf("Close: got %v, want the model's error", err)
			}
		})
	}
	wg.Wait()
	if u := untilPhase(t, running, generate.Done); u.Result.Finish != generate.FinishCancelled || u.Result.Text != " he" {
		t.Errorf("got %+v, want cancelled with the text so far", u.Result)
	}
	if got := finish(t, waiting); got.Finish != generate.FinishCancelled {
		t.Errorf("waiting: got %v, want cancelled", got.Finish)
	}
	if closed != 1 {
		t.Errorf("got %d closes of the model, want 1", closed)
	}
}

func TestPanicEndsTheReplyAndTheEngine(t *testing.T) {
	f := says(" hello")
	begun := make(chan struct{}) // a request that comes after the panic is refused by Start instead
	f.decoder.before = func(context.Context, call) error {
		if len(f.decoder.calls) == 4 {
			<-begun
			panic("index out of range [7]")
		}
		return nil
	}
	closed := make(chan struct{})
	f.model.Close = func() error { close(closed); return nil }
	var log bytes.Buffer
	f.start(t, Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	running, waiting := f.begin(t, user("one")), f.begin(t, user("two"))
	close(begun)
	got := finish(t, running)
	if got.Finish != generate.FinishError || !errors.Is(got.Err, ErrBroken) || got.Text != " he" {
		t.Errorf("got %q, %v, %v, want the text so far and ErrBroken", got.Text, got.Finish, got.Err)
	}
	if _, err := f.Start(t.Context(), user("three")); !errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), "[7]") {
		t.Errorf("Start: got %v, want ErrBroken with its cause", err)
	}
	if got := finish(t, waiting); !errors.Is(got.Err, ErrBroken) {
		t.Errorf("waiting: got %v, want ErrBroken", got.Err)
	}
	<-closed
	if info := f.Info(); info.Ready || !errors.Is(info.Err, ErrBroken) {
		t.Errorf("got %+v, want not ready and why", info)
	}
	if err := f.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if !strings.Contains(log.String(), "fakeDecoder") || !strings.Contains(log.String(), "[7]") {
		t.Errorf("got log %q, want the panic with its stack", log.String())
	}
}

func TestPlanPanicIsAnError(t *testing.T) {
	f := says("a").start(t, Options{})
	if _, err := f.Plan(t.Context(), user("hi")); err != nil {
		t.Fatal(err)
	}
	f.tokens.mu.Lock()
	f.tokens.broken = true
	f.tokens.mu.Unlock()
	if _, err := f.Plan(t.Context(), user("hi")); err == nil || !strings.Contains(err.Error(), "used after Close") {
		t.Errorf("got %v, want the panic as an error", err)
	}
}

func TestLogHoldsNoText(t *testing.T) {
	var log bytes.Buffer
	f := says(" a secret answer")
	e := New(func(context.Context, func(float64)) (*Model, error) { return f.model, nil },
		Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	f.Engine = e
	f.answer(t, user("a secret question"))
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if s := log.String(); strings.Contains(s, "secret") || !strings.Contains(s, "finish=stop") {
		t.Errorf("got log %q, want the reply's meters without its text", s)
	}
}

func TestNoGoroutineIsLeft(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 20 {
		f := blocked(2)
		f.Engine = New(func(context.Context, func(float64)) (*Model, error) { return f.model, nil }, Options{})
		running, waiting, withdrawn := f.begin(t, user("one")), f.begin(t, user("two")), f.begin(t, user("three"))
		untilPhase(t, running, generate.Decoding)
		withdrawn.Cancel()
		finish(t, withdrawn)
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		finish(t, waiting)
	}
	for range 100 { // contexts end in goroutines of their own, soon
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("got %d goroutines, want the %d from before", runtime.NumGoroutine(), before)
}

func TestManyRequestsFromManyGoroutines(t *testing.T) {
	f := says(" hello").start(t, Options{Chunk: 7})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 10 {
				s, err := f.Start(t.Context(), user(strings.Repeat("x", 1+i)))
				if err != nil {
					t.Errorf("Start: %v", err)
					return
				}
				if _, err := f.Plan(t.Context(), user("hi")); err != nil {
					t.Errorf("Plan: %v", err)
				}
				if (i+j)%3 == 0 {
					s.Cancel()
				}
				_ = f.Info()
				if got := finish(t, s); got.Finish == generate.FinishStop && got.Text != " hello" {
					t.Errorf("got %q, want \" hello\"", got.Text)
				}
			}
		})
	}
	wg.Wait()
}

// brokenDetokenizer panics whatever is asked of it.
type brokenDetokenizer struct{}

func (brokenDetokenizer) Push(int32) string { panic("no such id") }
func (brokenDetokenizer) Flush() string     { panic("broken before") }

func TestPanicOfTheDetokenizerIsNotAskedAgain(t *testing.T) {
	f := says(" hello")
	f.model.Detokenizer = func(bool) Detokenizer { return brokenDetokenizer{} }
	f.start(t, Options{})
	got := f.ask(t, user("hi"))
	if !errors.Is(got.Err, ErrBroken) || !strings.Contains(got.Err.Error(), "no such id") {
		t.Errorf("got %v, want ErrBroken with the first cause", got.Err)
	}
}
