package ui

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"peregrine/model/generate"
	"peregrine/ui/preset"
)

// drawer keeps presets in memory.
type drawer struct {
	list []preset.Preset
	err  error
}

func (d *drawer) List() ([]preset.Preset, error) { return slices.Clone(d.list), d.err }

func (d *drawer) Save(p preset.Preset) (string, error) {
	if p.Name == "bad" {
		return "", errors.New(`presets: "bad" is no name`)
	}
	d.list = append(d.list, p)
	return "kept " + p.Name, nil
}

// obey types a command.
func (b *bench) obey(command string) {
	b.t.Helper()
	b.m.composer.set(command)
	b.keys("enter")
	b.idle()
}

func TestEveryPresetIsValidAndComplete(t *testing.T) {
	for _, p := range preset.BuiltIn() {
		if err := p.Validate(); err != nil {
			t.Error(err)
		}
		var s generate.Sampling
		if got := len(p.Apply(&s)); got != len(parameters())-1 {
			t.Errorf("%s sets %d values, want all but the seed: what was there before must not show", p.Name, got)
		}
	}
}

func TestAPresetCountsFromTheNextTokenOn(t *testing.T) {
	b := newBench(t, Options{Store: openStore(t)})
	words := b.gen.drip()
	b.keys("hi", "enter")
	b.until("the start", func() bool { return b.m.turn.feed != nil })
	b.obey("/preset precise")
	b.wantScreen("preset precise: temp 0.2 · top-k 20 · top-p 0.9")
	b.send(sized(160, 24))
	if !strings.Contains(b.status(), "precise") {
		t.Errorf("the status line does not name the preset: %s", b.status())
	}
	words <- "a"
	close(words)
	b.ended()
	if s := b.saved()[1].Sampling; s.Temperature != 0.2 || s.TopK != 20 || s.TopP != 0.9 {
		t.Errorf("got %+v recorded, want the preset's values", s)
	}
	b.keys("f6")
	if strings.Contains(b.status(), "precise") {
		t.Errorf("after a change the status line still names the preset: %s", b.status())
	}
}

func TestOwnPresetsBringSystemTextAndTemplate(t *testing.T) {
	warmth, system, template := 0.3, "Talk like a pirate.", "falcon"
	d := &drawer{list: []preset.Preset{{Name: "pirate", Temperature: &warmth, System: &system, Template: &template}}}
	b := newBench(t, Options{Store: openStore(t), Presets: d})
	b.keys("/preset pi")
	b.wantScreen("❯ pirate")
	b.keys("enter")
	b.idle()
	b.say("hi")
	r := b.gen.last()
	if r.Template != "falcon" || r.Messages[0].Content != system || r.Sampling.Temperature != 0.3 || r.Sampling.TopK != 40 {
		t.Errorf("got request %+v, want the preset's, and top-k as it was", r)
	}
	b.obey("/preset")
	b.wantScreen("pirate", "temp 0.3 · template falcon · system: Talk like a pirate.", "precise", "creative", "in force")
}

func TestSavingAPresetKeepsAllThatIsInForce(t *testing.T) {
	d := &drawer{}
	b := newBench(t, Options{Presets: d})
	for _, c := range []string{"/temp 0.42", "/seed 7", "/system Be brief.", "/preset save mine"} {
		b.obey(c)
	}
	b.wantScreen("kept mine")
	b.obey("/preset creative")
	b.obey("/system -")
	b.obey("/preset mine")
	if s := b.m.sampling.now; s.Temperature != 0.42 || s.TopK != 40 || s.Seed == nil || *s.Seed != 7 || b.m.chat.system != "Be brief." {
		t.Errorf("got %+v and system %q, want what was saved", s, b.m.chat.system)
	}
	b.obey("/preset save")
	b.keys("bad", "enter")
	b.idle()
	b.wantScreen(`"bad" is no name`)
	b.obey("/preset wings")
	b.wantScreen(`there is no preset "wings"; there are precise, balanced, creative, mine`)
}

func TestAPresetWithAValueOutOfRangeChangesNothing(t *testing.T) {
	bad := 7.0
	b := newBench(t, Options{Presets: &drawer{list: []preset.Preset{{Name: "odd", Temperature: new(float64), TopP: &bad}}}})
	b.obey("/preset odd")
	b.wantScreen("preset odd: top-p 7: want 0 to 1")
	if b.m.sampling.now.Temperature != 0.7 {
		t.Errorf("got temperature %v", b.m.sampling.now.Temperature)
	}
}
