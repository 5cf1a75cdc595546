package plain

import (
	"errors"
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

func TestTheModelCannotBeChangedWhereThereIsOne(t *testing.T) {
	_, errs, err := chatting(t, Options{Generator: echoes()}, "/model x.gguf", "/model")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(errs, "cannot be changed here; start again with peregrine MODEL") || !strings.Contains(errs, "model: tiny\n") {
		t.Errorf("got %q", errs)
	}
}
