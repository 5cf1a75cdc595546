package plain

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"peregrine/model/generate"
	"peregrine/ui/library"
)

// shelf is a generator with more than one model, of which broken ones cannot be loaded and slow ones are never loaded to the end.
type shelf struct {
	*scripted
	used  []string
	loads func() // a slow one begins to load
}

func newShelf() *shelf {
	s := &shelf{scripted: echoes()}
	s.info.Path = "/models/tiny"
	return s
}

func (s *shelf) Models() ([]library.Entry, error) {
	var list []library.Entry
	for _, name := range []string{"tiny", "large", "broken", "slow"} {
		list = append(list, library.Entry{Name: name, Path: "/models/" + name, Open: s.Info().Path == "/models/"+name})
	}
	return list, nil
}

func (s *shelf) Describe(e library.Entry) library.Entry {
	e.Size, e.About, e.Fit = "98.4 MB", "llama, Q4_1", "needs about 300.0 MB"
	return e
}

func (s *shelf) UseModel(where string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used = append(s.used, where)
	if where == "/models/none" {
		return errors.New("/models/none: no such model file or folder")
	}
	s.info = ready
	s.info.Model, s.info.Path, s.info.Defaults = path.Base(where), where, generate.Sampling{Temperature: 0.3, TopK: 7}
	switch s.info.Model {
	case "broken":
		s.info.Ready, s.info.Err = false, errors.New("cpu: out of memory")
	case "slow":
		s.info.Ready = false
		if s.loads != nil {
			s.loads()
		}
	}
	return nil
}

func TestModelsLineByLine(t *testing.T) {
	g, s := newShelf(), store(t)
	out, errs, err := chatting(t, Options{Generator: g, Store: s, Home: "/home/me"},
		"/model", "/temp 0.1", "one", "/model large", "two", "/model large", "/model /models/none", "/model ~/mine.gguf", "/about")
	if err != nil || out != "re: one\nre: two\n" {
		t.Fatalf("got %q, %v", out, err)
	}
	wantNotes(t, errs, "tiny (open): 98.4 MB, llama, Q4_1, needs about 300.0 MB, /models/tiny\nlarge: 98.4 MB",
		"opening /models/large\nlarge answers from now on\n", "large is open already\n", "error: /models/none: no such model", "path: /home/me/mine.gguf")
	if want := []string{"/models/large", "/models/none", "/home/me/mine.gguf"}; !slices.Equal(g.used, want) {
		t.Errorf("opened %v, want %v", g.used, want)
	}
	if got := g.requests[1]; len(got.Messages) != 3 || got.Sampling.Temperature != 0.1 || got.Sampling.TopK != 7 {
		t.Errorf("the second model was asked %+v, want the conversation, the user's temperature and its own top-k", got)
	}
	if h := latest(t, s).Header; h.Model != "mine.gguf" {
		t.Errorf("the file says that %q answers", h.Model)
	}
}

func TestAModelThatCannotBeLoadedBringsTheOldOneBack(t *testing.T) {
	g := newShelf()
	out, errs, err := chatting(t, Options{Generator: g}, "one", "/model broken", "two")
	if err != nil || out != "re: one\nre: two\n" {
		t.Fatalf("got %q, %v", out, err)
	}
	wantNotes(t, errs, "opening /models/broken\nerror: cpu: out of memory\ngoing back to /models/tiny\ntiny answers from now on\n")
	if n := len(g.requests[1].Messages); n != 3 {
		t.Errorf("got %d messages asked, want all 3", n)
	}
}

// An interrupt while a model loads is about that load: the one before goes on, and so does the conversation.
func TestAnInterruptWhileAModelLoadsKeepsTheOneBefore(t *testing.T) {
	for _, x := range []struct {
		name  string
		begin generate.Info // of the model at the start
		lines []string
		out   string
		used  []string
		notes string
	}{
		{
			"the one before answers", ready,
			[]string{"one", "/model slow", "two"},
			"re: one\nre: two\n",
			[]string{"/models/slow", "/models/tiny"},
			"opening /models/slow\nstopped opening /models/slow\ntiny stays; it loads again, and your next turn waits for it\n",
		},
		{
			"the one before was loading",
			generate.Info{Model: "tiny"},
			[]string{"/model slow", "two"},
			"re: two\n",
			[]string{"/models/slow", "/models/tiny"},
			"stopped opening /models/slow\ntiny stays",
		},
		{
			"there was none",
			generate.Info{Model: "tiny", Err: errors.New("no memory")},
			[]string{"/model slow", "/about"},
			"",
			[]string{"/models/slow"},
			"no longer waiting for /models/slow, which goes on loading: there is no model to go back to; /about says how far it is\nmodel: slow\n",
		},
	} {
		t.Run(x.name, func(t *testing.T) {
			g, interrupt := newShelf(), make(chan os.Signal, 1)
			g.info = x.begin
			g.info.Path = "/models/tiny"
			g.loads = func() { interrupt <- os.Interrupt }
			out, errs, err := chatting(t, Options{Generator: g, Interrupt: interrupt}, x.lines...)
			if err != nil || out != x.out {
				t.Errorf("got %q, %v, want %q and no error", out, err, x.out)
			}
			wantNotes(t, errs, x.notes)
			if !slices.Equal(g.used, x.used) {
				t.Errorf("opened %v, want %v", g.used, x.used)
			}
		})
	}
}

func TestAnInterruptWhileTheOldModelComesBackEndsNothing(t *testing.T) {
	g, interrupt := newShelf(), make(chan os.Signal, 1)
	g.info.Path = "/models/slow"
	g.loads = func() { interrupt <- os.Interrupt }
	_, errs, err := chatting(t, Options{Generator: g, Interrupt: interrupt}, "/model broken", "/about")
	if err != nil {
		t.Fatal(err)
	}
	wantNotes(t, errs, "error: cpu: out of memory\ngoing back to /models/slow\ntiny stays; it loads again", "loading: 0 %")
}

// hubShelf is a shelf beside a hub.
type hubShelf struct {
	*shelf
	went []string
	pull func(ctx context.Context, observe func(library.PullProgress)) error
}

func (s *hubShelf) Pullable(name string) bool { return strings.HasPrefix(name, "o/") }

func (s *hubShelf) Pull(ctx context.Context, name string, observe func(library.PullProgress)) (library.Pulled, error) {
	s.went = append(s.went, name)
	if err := s.pull(ctx, observe); err != nil {
		return library.Pulled{}, err
	}
	return library.Pulled{Path: "/cache/" + name, Note: "it is old"}, nil
}

func TestARepositoryIsDownloadedLineByLine(t *testing.T) {
	interrupt := make(chan os.Signal, 1)
	steps := func(_ context.Context, observe func(library.PullProgress)) error {
		for _, part := range []float64{0, 0.05, 0.1, 0.15, 0.5, 1} {
			observe(library.PullProgress{Part: part, Text: fmt.Sprintf("%.0f %%", 100*part)})
		}
		return nil
	}
	stopped := func(ctx context.Context, _ func(library.PullProgress)) error {
		interrupt <- os.Interrupt
		<-ctx.Done()
		return ctx.Err()
	}
	for _, x := range []struct {
		name  string
		line  string
		pull  func(ctx context.Context, observe func(library.PullProgress)) error
		used  []string
		notes string
	}{
		{
			"to its end", "/model o/name", steps,
			[]string{"/cache/o/name"},
			"downloading o/name; ctrl+c stops that\n10 %\n50 %\n100 %\nnote: it is old\nopening /cache/o/name\nname answers from now on\n",
		},
		{"stopped", "/model o/name", stopped, nil, "stopped downloading o/name; what came stays, and /model o/name goes on from there\n"},
		{
			"stopped too late", "/model o/name", func(ctx context.Context, observe func(library.PullProgress)) error {
				_ = stopped(ctx, observe)
				return nil
			}, nil, "o/name is here; /model o/name opens it\n",
		},
		{
			"refused", "/model o/name", func(context.Context, func(library.PullProgress)) error {
				return errors.New("hub: o/name: no such repository")
			}, nil,
			"error: hub: o/name: no such repository\n",
		},
		{"a path of that name", "/model o/here", nil, []string{"o/here"}, "opening o/here\nhere answers from now on\n"},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			if err := os.MkdirAll("o/here", 0o700); err != nil {
				t.Fatal(err)
			}
			g := &hubShelf{shelf: newShelf(), pull: x.pull}
			out, errs, err := chatting(t, Options{Generator: g, Interrupt: interrupt}, x.line, "one")
			if err != nil || out != "re: one\n" {
				t.Errorf("got %q, %v; the chat should go on", out, err)
			}
			wantNotes(t, errs, x.notes)
			if !slices.Equal(g.used, x.used) {
				t.Errorf("opened %v, want %v", g.used, x.used)
			}
		})
	}
}

func TestTheModelCannotBeChangedWhereThereIsOne(t *testing.T) {
	_, errs, err := chatting(t, Options{Generator: echoes()}, "/model x.gguf", "/model")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(errs, "cannot be changed here; start again with peregrine MODEL") || !strings.Contains(errs, "model: tiny\n") {
		t.Errorf("got %q", errs)
	}
}
