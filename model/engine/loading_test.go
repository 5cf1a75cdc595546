package engine

import (
	"context"
	"errors"
	"strings"
	"testing"

	"peregrine/model/generate"
)

// loading returns an engine whose load function waits for its context or for what the channel gives.
func loading(t *testing.T, opt Options) (*Engine, chan<- func() (*Model, error), func(float64)) {
	t.Helper()
	outcome := make(chan func() (*Model, error), 1)
	report := make(chan func(float64), 1)
	e := New(func(ctx context.Context, progress func(float64)) (*Model, error) {
		report <- progress
		select {
		case f := <-outcome:
			return f()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}, opt)
	t.Cleanup(func() { _ = e.Close() }) // the test looks at what Close returns where that is its subject
	return e, outcome, <-report
}

func TestInfoReportsLoading(t *testing.T) {
	e, outcome, progress := loading(t, Options{Info: generate.Info{Model: "tiny", Backend: "fake"}})
	if info := e.Info(); info.Ready || info.Progress != 0 || info.Model != "tiny" || info.Backend != "fake" {
		t.Errorf("got %+v, want what is known before", info)
	}
	progress(0.5)
	progress(0.25)
	if info := e.Info(); info.Progress != 0.5 {
		t.Errorf("got progress %v, want 0.5: it never goes back", info.Progress)
	}
	progress(7)
	if info := e.Info(); info.Progress != 1 || info.Ready {
		t.Errorf("got %+v, want at most 1 and not ready", info)
	}
	f := says("a")
	f.model.Info = generate.Info{Model: "tiny", Architecture: "falcon", Defaults: generate.Sampling{TopK: 50}}
	outcome <- func() (*Model, error) { return f.model, nil }
	if _, err := e.Plan(t.Context(), user("hi")); err != nil { // waits for the model
		t.Fatal(err)
	}
	info := e.Info()
	if !info.Ready || info.Progress != 1 || info.Architecture != "falcon" || info.Defaults.TopK != 50 || info.Context != 4096 {
		t.Errorf("got %+v, want the loaded model's", info)
	}
	if info.Template != "instruction" || len(info.Templates) == 0 {
		t.Errorf("got template %q of %q, want those that the prompts know", info.Template, info.Templates)
	}
}

func TestStartWhileLoadingWaits(t *testing.T) {
	e, outcome, _ := loading(t, Options{})
	s, err := e.Start(t.Context(), user("hi"))
	if err != nil {
		t.Fatal(err)
	}
	if u, err := nextUpdate(t, s); err != nil || u.Phase != generate.Waiting {
		t.Errorf("got phase %d, %v, want waiting", u.Phase, err)
	}
	outcome <- func() (*Model, error) { return says(" hello").model, nil }
	if got := finish(t, s); got.Text != " hello" {
		t.Errorf("got %q, want the reply once the model is there", got.Text)
	}
}

func TestRequestIsTakenAsItWasAtStart(t *testing.T) {
	e, outcome, _ := loading(t, Options{})
	r := user("hi")
	r.Continue = []int32{' '}
	s, err := e.Start(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	r.Messages[0].Content, r.Continue[0] = "something much longer", -1
	outcome <- func() (*Model, error) { return says(" hello").model, nil }
	want := len("### Instruction: hi\n### Response: ")
	if got := finish(t, s); got.Text != "hello" || got.Timings.PromptTokens != want {
		t.Errorf("got %q after %d tokens, want hello after %d", got.Text, got.Timings.PromptTokens, want)
	}
}

func TestCancelWhileLoading(t *testing.T) {
	e, _, _ := loading(t, Options{})
	s, err := e.Start(t.Context(), user("hi"))
	if err != nil {
		t.Fatal(err)
	}
	s.Cancel()
	if got := finish(t, s); got.Finish != generate.FinishCancelled {
		t.Errorf("got %v, want cancelled although nothing is loaded", got.Finish)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.Plan(ctx, user("hi")); !errors.Is(err, context.Canceled) {
		t.Errorf("Plan: got %v, want the context's error", err)
	}
}

func TestLoadFailureReachesEverybody(t *testing.T) {
	for _, c := range []struct {
		name    string
		outcome func() (*Model, error)
		want    string
	}{
		{"an error", func() (*Model, error) { return nil, errors.New("model: config.json: no such file") }, "config.json"},
		{"a panic", func() (*Model, error) { panic("index out of range") }, "index out of range"},
		{"nothing", func() (*Model, error) { return nil, nil }, "needs a decoder"},
		{"a context of one", func() (*Model, error) {
			f := says("")
			f.decoder.context = 1
			return f.model, nil
		}, "context of 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, outcome, _ := loading(t, Options{})
			s, err := e.Start(t.Context(), user("hi"))
			if err != nil {
				t.Fatal(err)
			}
			outcome <- c.outcome
			got := finish(t, s)
			_, startErr := e.Start(t.Context(), user("again"))
			_, planErr := e.Plan(t.Context(), user("again"))
			for who, err := range map[string]error{"result": got.Err, "Info": e.Info().Err, "Start": startErr, "Plan": planErr} {
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%s: got %v, want an error with %q", who, err, c.want)
				}
			}
			if got.Finish != generate.FinishError {
				t.Errorf("got %v, want error", got.Finish)
			}
		})
	}
}

func TestCloseWhileLoadingEndsAll(t *testing.T) {
	e, _, _ := loading(t, Options{})
	s, err := e.Start(t.Context(), user("hi"))
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if got := finish(t, s); got.Finish != generate.FinishCancelled {
		t.Errorf("got %v, want cancelled", got.Finish)
	}
	if _, err := e.Start(t.Context(), user("hi")); !errors.Is(err, ErrClosed) {
		t.Errorf("Start: got %v, want ErrClosed", err)
	}
	if _, err := e.Plan(t.Context(), user("hi")); !errors.Is(err, ErrClosed) {
		t.Errorf("Plan: got %v, want ErrClosed", err)
	}
}
