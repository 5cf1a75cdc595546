package ui

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"peregrine/model/generate"
	"peregrine/ui/library"
)

// shelf is a script with more than one model. A model loads when the test says so.
type shelf struct {
	*script
	list []library.Entry
	used []string
	err  error // of UseModel
}

func newShelf() *shelf {
	return &shelf{script: newScript("hello there"), list: []library.Entry{
		{Name: "tiny-falcon", Path: "/models/tiny-falcon", Open: true},
		{Name: "large-llama", Path: "/models/large-llama"},
		{Name: "huge-falcon", Path: "/models/huge-falcon"},
		{Name: "broken", Path: "/models/broken"},
	}}
}

func (s *shelf) Models() ([]library.Entry, error) { return slices.Clone(s.list), nil }

func (s *shelf) Describe(e library.Entry) library.Entry {
	switch e.Name {
	case "broken":
		e.Problem = "gguf: broken.gguf: cut short"
	case "huge-falcon":
		e.Size, e.Problem = "98.00 GB", "huge-falcon: needs 99.00 GB of memory, 8.00 GB are free"
	default:
		e.Size, e.About, e.Fit = "98.4 MB", "llama, Q4_1", "needs about 300.0 MB, 8.00 GB are free for it"
	}
	return e
}

func (s *shelf) UseModel(path string) error {
	s.mu.Lock()
	s.used = append(s.used, path)
	s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	s.set(func(i *generate.Info) {
		*i = generate.Info{Model: path[strings.LastIndexByte(path, '/')+1:], Path: path, Backend: "cpu", Progress: 0.1}
	})
	return nil
}

// asked returns the paths of the models that were asked for.
func (s *shelf) asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.used)
}

// loaded ends loading, well or not.
func (s *shelf) loaded(err error) {
	s.set(func(i *generate.Info) {
		i.Ready, i.Err, i.Progress, i.Context = err == nil, err, 1, 4096
		i.Defaults = generate.Sampling{Temperature: 0.3, TopK: 7}
	})
}

func onShelf(t *testing.T) (*bench, *shelf) {
	t.Helper()
	s := newShelf()
	b := newBench(t, Options{Generator: s, Store: openStore(t)})
	b.gen = s.script
	return b, s
}

func TestThePickerOfModelsSaysWhatFits(t *testing.T) {
	b, _ := onShelf(t)
	b.keys("f4")
	b.until("the descriptions", func() bool { return strings.Contains(b.screen(), "cannot be opened") })
	b.wantScreen("❯ tiny-falcon", "open  98.4 MB  fits", "98.00 GB  does not fit", "llama, Q4_1 · needs about 300.0 MB")
	b.keys("hug")
	b.wantScreen("❯ huge-falcon", "needs 99.00 GB of memory")
	b.wantNotScreen("large-llama")
	b.keys("enter")
	if b.m.overlay == nil || !b.m.info.Ready {
		t.Error("a model that does not fit was opened")
	}
	b.keys("ctrl+u", "tiny", "enter")
	b.wantScreen("tiny-falcon is open already")
}

func TestAnotherModelLoadsWhileTheConversationStaysAndTurnsWait(t *testing.T) {
	b, s := onShelf(t)
	b.say("to the first")
	b.keys("f7") // the user's choice stays, the rest is the new model's
	b.keys("f4")
	b.until("the list", func() bool { return strings.Contains(b.screen(), "large-llama") })
	b.keys("large", "enter")
	b.until("loading", func() bool { return b.m.info.Progress > 0 && !b.m.info.Ready })
	b.wantScreen("to the first", "large-llama", "loading ")
	if p := b.m.View().ProgressBar; p == nil || p.Value != 10 {
		t.Errorf("got progress %+v for the terminal, want 10", p)
	}
	b.gen.plan.Limit = 4096
	s.mu.Lock()
	s.script.loaded = make(chan struct{})
	s.mu.Unlock()
	b.keys("to the second", "enter")
	b.until("the wait", func() bool { return strings.Contains(b.screen(), "waiting for the model: 10 % loaded") })
	b.keys("f4")
	b.until("the list", func() bool { return strings.Contains(b.screen(), "huge-falcon") })
	b.keys("tiny", "enter")
	b.wantScreen("still answering")
	s.loaded(nil)
	close(s.script.loaded)
	b.ended()
	b.wantScreen("to the first", "to the second", "large-llama")
	if v := b.gen.last().Sampling; v.Temperature != 0.3 || v.TopK != 30 {
		t.Errorf("got %+v, want the new model's temperature and the user's top-k", v)
	}
	if b.m.meters.limit != 4096 || !slices.Equal(s.asked(), []string{"/models/large-llama"}) {
		t.Errorf("got limit %d and %v", b.m.meters.limit, s.asked())
	}
	if h := b.m.chat.file.Conversation().Header; h.Model != "large-llama" {
		t.Errorf("the file says %q", h.Model)
	}
}

func TestAModelThatIsRefusedLeavesTheOldOne(t *testing.T) {
	b, s := onShelf(t)
	s.err = errors.New("gguf: x.gguf: no such file")
	b.obey("/model ~/x.gguf")
	b.until("the refusal", func() bool { return b.m.info.Ready })
	b.wantScreen("gguf: x.gguf: no such file")
	b.say("hi")
	b.wantScreen("hello there")
	if strings.HasPrefix(s.asked()[0], "~") {
		t.Errorf("got path %q, want the home folder in it", s.asked()[0])
	}
}

func TestAModelThatCannotBeLoadedBringsTheOldOneBack(t *testing.T) {
	b, s := onShelf(t)
	b.obey("/model large-llama")
	b.until("loading", func() bool { return b.m.info.Model == "large-llama" })
	s.loaded(errors.New("cpu: out of memory"))
	b.until("going back", func() bool { return len(s.asked()) == 2 })
	if want := []string{"/models/large-llama", "/models/tiny-falcon"}; !slices.Equal(s.asked(), want) {
		t.Errorf("got %v, want %v", s.asked(), want)
	}
	b.wantScreen("cpu: out of memory", "going back to /models/tiny-falcon")
	b.until("loading", func() bool { return b.m.info.Model == "tiny-falcon" && !b.m.info.Ready })
	s.loaded(errors.New("cpu: out of memory again"))
	b.until("the failure", func() bool { return b.m.info.Err != nil })
	b.idle()
	if len(s.asked()) != 2 {
		t.Errorf("went back more than once: %v", s.asked())
	}
	b.wantScreen("not loaded")
}

func TestModelsCannotBeChangedWhereThereIsOne(t *testing.T) {
	b := newBench(t, Options{})
	b.obey("/model x.gguf")
	b.wantScreen("cannot be changed here; start again with peregrine MODEL")
	b.keys("f4")
	b.wantScreen("The model", "/models/tiny-falcon")
}

func TestModelsAreCompletedByName(t *testing.T) {
	b, s := onShelf(t)
	b.keys("/model lar")
	b.wantScreen("❯ large-llama")
	b.keys("enter")
	b.until("loading", func() bool { return len(s.asked()) == 1 })
	if s.asked()[0] != "/models/large-llama" {
		t.Errorf("got %v", s.asked())
	}
	s.loaded(nil)
	b.until("the model", func() bool { return b.m.info.Ready })
	b.wantScreen("large-llama answers from now on")
	b.keys("f4")
	b.idle()
	b.keys("tab")
	b.wantScreen("The model", "/model opens another model")
}
