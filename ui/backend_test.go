package ui

import (
	"context"
	"errors"
	"slices"
	"testing"

	"peregrine/model/generate"
)

// twoBackends is a script that loads its model anew when asked to.
type twoBackends struct {
	*script
	used []string
	err  error
}

func (s *twoBackends) Backends() []string { return []string{"auto", "cuda", "cpu"} }

var errGPU = errors.New("cuda: the device is lost")

func (s *twoBackends) Instead(err error) string {
	if errors.Is(err, errGPU) {
		return "cpu"
	}
	return ""
}

func (s *twoBackends) UseBackend(name string) error {
	s.used = append(s.used, name)
	if s.err == nil {
		s.set(func(i *generate.Info) { i.Backend, i.Ready, i.Progress, i.Context = name, true, 1, 1024 })
	}
	return s.err
}

func TestALostGPUOffersTheCPU(t *testing.T) {
	gen := &twoBackends{script: newScript("")}
	gen.info.Backend = "cuda (H100)"
	gen.reply = func(_ context.Context, r generate.Request, w *generate.Writer) {
		w.Update(generate.Update{Text: "half a "})
		res := result(generate.FinishError, "half a ", []int32{1}, r.Sampling)
		res.Err = errGPU
		w.Update(generate.Update{Result: res})
	}
	b := newBench(t, Options{Generator: gen, Store: openStore(t)})
	b.say("hi")
	b.wantScreen("half a", "the device is lost", "/backend cpu goes on")
	b.keys("/backend cpu", "enter")
	b.until("the other backend", func() bool { return b.m.info.Backend == "cpu" && b.m.info.Ready })
	if !slices.Equal(gen.used, []string{"cpu"}) || b.m.meters.limit != 1024 {
		t.Errorf("asked for %v, context %d; want cpu once, and its context of 1024", gen.used, b.m.meters.limit)
	}
	b.gen.says("whole")
	b.keys("/regenerate", "enter")
	b.until("the reply", func() bool { return b.m.turn == nil })
	b.wantScreen("whole")
}

// A broken file is broken on every backend.
func TestOnlyErrorsOfAGPUOfferTheCPU(t *testing.T) {
	for err, offered := range map[error]bool{errors.New("gguf: x.gguf: cut short"): false, errGPU: true} {
		gen := &twoBackends{script: newScript("")}
		gen.info.Ready, gen.info.Backend = false, "auto"
		b := newBench(t, Options{Generator: gen})
		gen.set(func(i *generate.Info) { i.Err = err })
		b.until("the failure", func() bool { return b.m.info.Err != nil })
		b.wantScreen(err.Error())
		if offered {
			b.wantScreen("/backend cpu goes on")
		} else {
			b.wantNotScreen("/backend cpu")
		}
	}
}

func TestBackendCommandSaysWhatItCannot(t *testing.T) {
	b := newBench(t, Options{})
	b.keys("/backend cpu", "enter")
	b.wantScreen("start again with --backend")
	gen := &twoBackends{script: newScript("x"), err: errors.New(`backend is "gpu"; want one of auto, cuda, cpu`)}
	b = newBench(t, Options{Generator: gen})
	b.keys("/backend", "enter")
	b.wantScreen("there are auto, cuda, cpu")
	b.keys("/backend gpu", "enter")
	b.until("the refusal", func() bool { return b.m.info.Ready })
	b.wantScreen(`backend is "gpu"`)
}
