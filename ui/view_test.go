package ui

import (
	"maps"
	"reflect"
	"testing"
)

// TestViewChangesNothing shows each scene once after every message, as a fast terminal does, and once at its end alone, as
// happens where keys come faster than frames.
func TestViewChangesNothing(t *testing.T) {
	all := maps.Clone(scenes)
	all["recall"] = func(b *bench) {
		b.say("one thing")
		b.say("and another")
		b.keys("ctrl+r", "n")
	}
	all["search"] = func(b *bench) {
		b.gen.says(sample + sample)
		b.say("Tell me about falcons.")
		b.obey("/search falcon")
	}
	for name, scene := range all {
		for _, more := range [][]string{nil, {"pgdown"}, {"pgdown", "pgdown", "up"}, {"end", "pgup"}, {"down", "down", "home"}} {
			var seen [2]any
			for i, blind := range []bool{false, true} {
				b := newBench(t, Options{Store: openStore(t)})
				b.blind = blind
				scene(b)
				b.keys(more...)
				b.idle()
				seen[i] = b.m.View()
			}
			if !reflect.DeepEqual(seen[0], seen[1]) {
				t.Errorf("%s, then %v: seen all the time the screen is\n%v\nseen at the end alone\n%v", name, more, seen[0], seen[1])
			}
		}
	}
}
