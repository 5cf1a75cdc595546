package ui

import (
	"strings"
	"testing"

	"peregrine/ui/preset"
)

func TestNoSizePanicsWithPanelsAndPickersOpen(t *testing.T) {
	s := newShelf()
	s.list[1].Name = "漢字👩‍👩‍👧 " + strings.Repeat("long ", 30)
	warmth, system := 0.5, strings.Repeat("be kind ", 40)
	b := newBench(t, Options{Generator: s, Store: openStore(t), Presets: &drawer{list: []preset.Preset{{Name: "x", Temperature: &warmth, System: &system}}}})
	b.say("hello world 漢字漢字漢字")
	b.m.markOldest(1, 2)
	for _, view := range [][]string{{"alt+s"}, {"alt+s", "enter"}, {"f4"}, {"f4", "漢"}, {"/preset", "enter"}, {"/details", "enter"}, {"/"}} {
		b.keys(view...)
		b.idle()
		for w := 1; w <= 30; w++ {
			for h := 1; h <= 14; h++ {
				b.send(sized(w, h))
				checkScreen(t, b, w, h)
			}
		}
		b.keys("esc", "esc", "ctrl+u")
		b.m.overlay = nil
	}
}

func TestNamesOfModelsAndPresetsAreShownNotSent(t *testing.T) {
	evil := "evil\x1b[2J\x07\u202e\u009b5n"
	s := newShelf()
	s.list[1].Name, s.list[1].Path = evil, "/"+evil
	b := newBench(t, Options{Generator: s, Presets: &drawer{list: []preset.Preset{{Name: evil, System: &evil, Template: &evil}}}})
	var views string
	look := func(keys ...string) {
		b.keys(keys...)
		b.idle()
		views += b.m.View().Content + b.m.View().WindowTitle
	}
	b.m.sampling.presets = append(b.m.sampling.presets, preset.Preset{Name: evil})
	look("/preset ")
	look("esc", "ctrl+u", "/preset", "enter")
	look("esc", "f4")
	look("down", "esc", "/model ")
	look("esc", "ctrl+u")
	b.run(b.m.usePreset(preset.Preset{Name: evil, System: &evil, Template: &evil}))
	look("alt+s")
	b.run(b.m.useModel("/" + evil))
	look("esc")
	for _, bad := range []string{"\x1b[2J", "\x07", "\u202e", "\u009b"} {
		if strings.Contains(views, bad) {
			t.Errorf("the screen has %q", bad)
		}
	}
}
