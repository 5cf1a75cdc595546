package cli

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"peregrine/cuda"
	"peregrine/cuda/emulator"
	"peregrine/model"
	"peregrine/model/backendtest"
	"peregrine/model/cpu"
	"peregrine/model/engine"
	"peregrine/model/generate"
)

// reply asks for eight greedy tokens.
func reply(t *testing.T, x *session) []int32 {
	t.Helper()
	stream, err := x.Start(context.Background(), generate.Request{
		Messages: []generate.Message{{Role: generate.User, Content: "a falcon"}}, Raw: true, MaxTokens: 8,
	})
	if err != nil {
		t.Fatal(err)
	}
	for {
		u, err := stream.Next(context.Background())
		if u.Result != nil {
			if u.Result.Err != nil {
				t.Fatal(u.Result.Err)
			}
			return u.Result.TokenIDs
		}
		if err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
	}
}

func TestAConversationGoesOnWithAnotherBackend(t *testing.T) {
	s := &settings{log: slog.New(slog.DiscardHandler)}
	s.file.Backend, s.file.Precision = "cpu", "f32"
	x := newSession(s, backendtest.Path(t, "falcon-40b"), use{chatting: true})
	defer func() {
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	}()
	before := reply(t, x)
	if err := x.UseBackend("tpu"); err == nil || !strings.Contains(err.Error(), "auto, cuda, cpu") {
		t.Errorf("got %v, want an error with the backends there are", err)
	}
	first := x.current()
	if err := x.UseBackend("cpu"); err != nil {
		t.Fatal(err)
	}
	if x.current() == first {
		t.Error("the engine is the same as before")
	}
	if after := reply(t, x); !slices.Equal(after, before) || len(after) == 0 {
		t.Errorf("got %v on the other backend, want %v", after, before)
	}
}

// A change of backend that the user asked for just before quitting must not load a model that nobody closes.
func TestNoBackendIsLoadedAfterClose(t *testing.T) {
	s := &settings{log: slog.New(slog.DiscardHandler)}
	s.file.Backend = "cpu"
	x := newSession(s, backendtest.Path(t, "falcon-40b"), use{chatting: true})
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	last := x.current()
	if err := x.UseBackend("cpu"); !errors.Is(err, engine.ErrClosed) || x.current() != last {
		t.Errorf("got %v and another engine: %v, want a refusal and none", err, x.current() != last)
	}
}

// refusing is a backend that loads nothing.
type refusing struct {
	model.Backend
	err error
}

func (b refusing) Load(context.Context, *model.Params, model.LoadOptions) (model.Executor, error) {
	return nil, b.err
}

// A user with many files has to know which of them a backend does not take.
func TestAnErrorOfLoadingNamesTheCheckpoint(t *testing.T) {
	c, err := model.Open(backendtest.Path(t, "falcon-40b"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	s, why := &settings{log: slog.New(slog.DiscardHandler)}, errors.New("no kernels for this")
	_, err = s.sequence(t.Context(), c, refusing{err: why}, false, func(float64) {})
	if !errors.Is(err, why) || !strings.Contains(err.Error(), c.Path) {
		t.Errorf("got %v, want %v with %s before it", err, why, c.Path)
	}
}

// loadError returns why a session's model did not load.
func loadError(t *testing.T, x *session) error {
	t.Helper()
	for x.Info().Err == nil {
		if x.Info().Ready {
			t.Fatal("the model was loaded")
		}
		time.Sleep(time.Millisecond)
	}
	return x.Info().Err
}

// The CPU does without a GPU, but not without a file.
func TestTheCPUIsOfferedAfterErrorsOfAGPUAlone(t *testing.T) {
	broken := t.TempDir()
	if err := os.WriteFile(filepath.Join(broken, "config.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ backend, path, want string }{
		{"auto", broken, ""}, {"cpu", broken, ""}, {"cuda", backendtest.Path(t, "falcon-40b"), "cpu"},
	} {
		s := &settings{log: slog.New(slog.DiscardHandler)}
		s.file.Backend, s.file.Device = c.backend, 1000 // which no machine has
		x := newSession(s, c.path, use{chatting: true})
		err := loadError(t, x)
		if got := x.Instead(err); got != c.want {
			t.Errorf("%s, %v: offered %q, want %q", c.backend, err, got, c.want)
		}
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestAnErrorOfAReplyKnowsItsDevice(t *testing.T) {
	gpu := cuda.New(emulator.Open(emulator.Options{}))
	defer gpu.Close()
	c, err := model.Open(backendtest.Path(t, "falcon-40b"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	host, err := cpu.Open(cpu.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	for want, b := range map[string]model.Backend{"cpu": gpu, "": host} {
		s := &settings{log: slog.New(slog.DiscardHandler)}
		q, err := s.sequence(t.Context(), c, b, false, func(float64) {})
		if err != nil {
			t.Fatal(err)
		}
		if err := q.Close(); err != nil {
			t.Fatal(err)
		}
		err = q.Forward(t.Context(), []int32{1}, 0, nil) // a closed executor refuses
		if got := (&session{}).Instead(err); err == nil || got != want {
			t.Errorf("%s, %v: offered %q, want %q", b.Name(), err, got, want)
		}
	}
}
