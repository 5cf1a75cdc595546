package ui

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"

	"peregrine/history"
	"peregrine/model/generate"
)

var update = flag.Bool("update", false, "rewrite the golden screens")

// sample is a reply with one of everything.
const sample = "# Falcons\n\nThe **peregrine falcon** (*Falco peregrinus*) dives at over `320 km/h`, which makes it the fastest " +
	"animal.\n\n1. It climbs high above its prey.\n2. It folds its wings and **stoops**: a long explanation that has to wrap " +
	"at the width of the screen.\n   - nested\n\n```go\n// Stoop returns the speed after t seconds.\nfunc Stoop(t float64) float64 {\n" +
	"\treturn 9.81 * t\n}\n```\n\n| bird | speed |\n|---|--:|\n| peregrine | 389 km/h |\n| swift | 170 km/h |\n\n" +
	"> Speed is the form of ecstasy.\n\n漢字も 👍 ok. \x1b[31mnot red. [A link](https://example.org/falcon)."

// scenes are what the golden screens show.
var scenes = map[string]func(b *bench){
	"welcome": func(*bench) {},
	"loading": func(b *bench) {
		b.gen.set(func(i *generate.Info) { i.Ready, i.Progress = false, 0.37 })
		infoMsg{b.gen.Info()}.handle(b.m)
	},
	"chat": func(b *bench) {
		b.gen.says(sample)
		b.say("Tell me about falcons.\nWhat makes them fast?")
		b.keys("and then")
	},
	"scrolled": func(b *bench) {
		b.gen.says(sample + "\n\n" + sample)
		b.say("Tell me about falcons.")
		words := b.gen.drip()
		b.keys("More", "enter")
		b.until("the start", func() bool { return b.m.turn.feed != nil })
		words <- "Some more"
		b.until("the words", func() bool { return b.m.turn.item.message.Content != "" })
		b.keys("pgup", "f6")
	},
	"notices": func(b *bench) {
		b.gen.plan = generate.Plan{Tokens: 1900, Limit: 2048, Dropped: 2}
		b.gen.reply = func(_ context.Context, r generate.Request, w *generate.Writer) {
			w.Update(generate.Update{Text: "Cut in the mid", Result: result(generate.FinishLength, "Cut in the mid", []int32{1, 2, 3}, r.Sampling)})
		}
		b.say("A question")
		b.keys("/frobnicate", "enter")
	},
	"failure": func(b *bench) {
		b.gen.says("```diff\n-old line\n+new line\n```\n\n```python\nprint(\"a text\")\n```")
		b.say("Show a change")
		b.gen.reply = func(_ context.Context, r generate.Request, w *generate.Writer) {
			res := result(generate.FinishError, "Cut in", []int32{1, 2}, r.Sampling)
			res.Err = errors.New("cuda: device 0 was lost")
			w.Update(generate.Update{Text: "Cut in", Result: res})
		}
		b.say("And another")
	},
	"palette": func(b *bench) {
		b.say("hi")
		b.keys("/te")
	},
	"versions": func(b *bench) {
		b.gen.says("The peregrine falcon dives at 320 km/h.")
		b.say("What is the fastest bird?")
		b.gen.says("It is the peregrine falcon, in a dive.")
		b.keys("/regenerate", "enter")
		b.ended()
		b.gen.says("Pigeons, ducks and parrots.")
		b.say("What does it hunt?")
		b.keys("shift+tab", "up", "up")
	},
	"inspector": func(b *bench) {
		b.gen.says("The peregrine falcon 漢字 dives at over 320 km/h, which makes it the fastest animal on Earth.\n\nIt hunts birds.")
		b.say("What is the fastest bird?")
		b.keys("alt+w")
		b.idle()
		b.keys("right", "right", "right")
		b.idle()
		b.keys("up")
	},
	"prompt": func(b *bench) { b.keys("shift+f5") },
	"sampling": func(b *bench) {
		b.say("Tell me about falcons.")
		b.keys("f6", "f10", "alt+s", "down", "down")
	},
	"presets": func(b *bench) { b.obey("/preset") },
	"leftout": func(b *bench) {
		b.say("Tell me about falcons and what they eat")
		b.say("And about owls?")
		b.gen.plan = generate.Plan{Tokens: 1900, Limit: 2048, Dropped: 2}
		b.say("And about storks?")
	},
	"models": func(b *bench) {
		s := newShelf()
		b.m.opt.Generator = s
		b.keys("f4")
		b.until("the descriptions", func() bool {
			p := b.m.overlay.(*modelPicker)
			return p.read && p.entries[len(p.entries)-1].Problem != ""
		})
	},
	"help":  func(b *bench) { b.keys("f1") },
	"model": func(b *bench) { b.keys("f4") },
	"picker": func(b *bench) {
		store := b.m.opt.Store
		for i, name := range []string{"Falcon facts", "漢字の練習", ""} {
			f, err := store.Create(history.Header{Name: name, Created: testNow, ID: fmt.Sprintf("%016d", i)})
			if err == nil {
				_, err = f.Append(history.Message{Role: generate.User, Content: "What is the fastest bird, and how fast does it dive?"})
			}
			if err == nil {
				err = f.Close()
			}
			if err != nil {
				b.t.Fatal(err)
			}
			at := testNow.Add(-time.Duration(i*i) * 7 * time.Hour)
			if err := os.Chtimes(f.Path(), at, at); err != nil {
				b.t.Fatal(err)
			}
		}
		b.keys("f3")
		b.until("the list", func() bool { p, ok := b.m.overlay.(*picker); return ok && p.read })
	},
}

// lightScenes are those that are looked at in light colours, too: together they have all of them.
var lightScenes = []string{"chat", "notices", "failure", "palette", "picker", "sampling"}

func TestGoldenScreens(t *testing.T) {
	for name, scene := range scenes {
		for _, s := range []size{{80, 24}, {120, 40}, {40, 12}} {
			for _, look := range []string{"dark", "light", "plain"} {
				if look == "light" && !slices.Contains(lightScenes, name) {
					continue // the layout is the same
				}
				file := fmt.Sprintf("%s-%dx%d-%s", name, s.width, s.height, look)
				t.Run(file, func(t *testing.T) {
					b := newBench(t, Options{Store: openStore(t), Theme: map[string]string{"light": "light"}[look], Version: "0.1.0"})
					b.send(tea.WindowSizeMsg{Width: s.width, Height: s.height})
					profile := colorprofile.TrueColor
					if look == "plain" {
						profile = colorprofile.ASCII
					}
					b.send(tea.ColorProfileMsg{Profile: profile})
					scene(b)
					golden(t, file, b.m.View(), profile)
				})
			}
		}
	}
}

// golden compares a screen, as it is sent to a terminal with these colours, with the file of that name.
func golden(t *testing.T, name string, v tea.View, profile colorprofile.Profile) {
	t.Helper()
	var out bytes.Buffer
	w := colorprofile.Writer{Forward: &out, Profile: profile}
	if _, err := w.Write([]byte(v.Content)); err != nil {
		t.Fatal(err)
	}
	if v.Cursor != nil {
		fmt.Fprintf(&out, "\ncursor %d,%d", v.Cursor.X, v.Cursor.Y)
	}
	fmt.Fprintf(&out, "\ntitle %s\n", v.WindowTitle)
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; go test ./ui -update makes it", err)
	}
	if got := out.Bytes(); !bytes.Equal(got, want) {
		t.Errorf("the screen differs from %s; look at it, then go test ./ui -update\n got:\n%s\nwant:\n%s", path, got, want)
	}
}
