package cli

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"peregrine/model/backendtest"
	"peregrine/model/engine"
	"peregrine/model/generate"
	"peregrine/ui/library"
)

// chatOn returns a session on the CPU and waits for its model.
func chatOn(t *testing.T, path string) *session {
	t.Helper()
	s := &settings{log: slog.New(slog.DiscardHandler)}
	s.file.Backend, s.file.Precision = "cpu", "f32"
	x := newSession(s, path, use{chatting: true})
	t.Cleanup(func() {
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	})
	waitFor(t, x)
	return x
}

// waitFor waits until the model answers.
func waitFor(t *testing.T, x *session) {
	t.Helper()
	for !x.Info().Ready {
		if err := x.Info().Err; err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestModelsListsTheOpenOneItsNeighboursAndTheHubs(t *testing.T) {
	cache, shared := t.TempDir(), t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	t.Setenv("HF_HUB_CACHE", shared)
	for _, f := range []string{
		filepath.Join(cache, "peregrine", "models", "mine.gguf"), filepath.Join(shared, "models--o--n", "snapshots", "c", "q.gguf"),
	} {
		if err := os.MkdirAll(filepath.Dir(f), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(f, []byte("no model"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	x := chatOn(t, backendtest.Path(t, "falcon-40b"))
	list, err := x.Models()
	if err != nil {
		t.Fatal(err)
	}
	find := func(name string) library.Entry {
		i := slices.IndexFunc(list, func(e library.Entry) bool { return e.Name == name })
		if i < 0 {
			t.Fatalf("%s is not in %v", name, list)
		}
		return x.Describe(list[i])
	}
	if e := find("falcon-40b"); !e.Open || e.Problem != "" || !strings.Contains(e.About, "falcon") || !strings.Contains(e.Fit, "are free for it") {
		t.Errorf("got %+v for the open one", e)
	}
	if e := find("falcon-7b"); e.Open || e.Problem != "" {
		t.Errorf("got %+v for its neighbour", e)
	}
	for _, name := range []string{"mine", "o/n/q"} {
		if e := find(name); !strings.Contains(e.Problem, "gguf") {
			t.Errorf("%s: got %+v, want what is wrong with the file", name, e)
		}
	}
}

func TestAConversationGoesOnWithAnotherModel(t *testing.T) {
	x := chatOn(t, backendtest.Path(t, "falcon-40b"))
	before := reply(t, x)
	old := x.current()
	if err := x.UseModel(backendtest.Path(t, "llama-smollm2")); err != nil {
		t.Fatal(err)
	}
	if _, err := old.Start(t.Context(), generate.Request{Messages: []generate.Message{{Role: generate.User}}}); !errors.Is(err, engine.ErrClosed) {
		t.Errorf("got %v from the old engine, want that it is closed before the new one loads", err)
	}
	waitFor(t, x)
	if got := x.Info().Path; got != backendtest.Path(t, "llama-smollm2") {
		t.Errorf("got %s", got)
	}
	other := reply(t, x)
	if err := x.UseModel(backendtest.Path(t, "falcon-40b")); err != nil {
		t.Fatal(err)
	}
	if again := reply(t, x); !slices.Equal(again, before) || slices.Equal(other, before) || len(again) == 0 { // Start waits
		t.Errorf("got %v, then %v from another model, then %v", before, other, again)
	}
}

func TestAModelThatCannotBeOpenedLeavesTheOldOneLoaded(t *testing.T) {
	x := chatOn(t, backendtest.Path(t, "falcon-40b"))
	old := x.current()
	broken := filepath.Join(t.TempDir(), "x.gguf")
	if err := os.WriteFile(broken, []byte("GGUF"), 0o600); err != nil {
		t.Fatal(err)
	}
	large := *x.settings
	for path, want := range map[string]string{
		broken: "x.gguf", filepath.Join(t.TempDir(), "none"): "no such model file", backendtest.Path(t, "llama-smollm2"): "lower --context",
	} {
		if strings.Contains(want, "context") {
			large.file.Context = 1 << 40
			x.settings = &large
		}
		err := x.UseModel(path)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q in it", path, err, want)
		}
		x.settings.file.Context = 0
	}
	if x.current() != old || !x.Info().Ready {
		t.Error("the old model is gone")
	}
	if len(reply(t, x)) == 0 {
		t.Error("the old model does not answer")
	}
}
