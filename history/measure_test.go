package history

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"peregrine/model/generate"
	"peregrine/ui/measure"
)

// BenchmarkList lists a thousand conversations of 40 messages of 1 KB. They have just been written, so that the disk is not
// measured.
func BenchmarkList(b *testing.B) {
	s := newStore(b)
	lines := []string{session}
	for i := range 40 {
		lines = append(lines, fmt.Sprintf(`{"type":"message","id":"%d","message":{"role":"user","content":%q}}`, i, strings.Repeat("some text ", 100)))
	}
	text := []byte(strings.Join(lines, "\n") + "\n")
	for i := range 1000 {
		if err := os.WriteFile(filepath.Join(s.Dir(), fmt.Sprintf("%d.jsonl", i)), text, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(int64(1000 * len(text)))
	measure.Medians(b, []measure.Quantity{{Name: "history/list/1000-files", Unit: "ms"}}, func() []float64 {
		start := time.Now()
		if list, err := s.List(b.Context()); err != nil || len(list) != 1000 {
			b.Fatal(len(list), err)
		}
		return []float64{measure.Milliseconds(time.Since(start))}
	})
}

// BenchmarkPartial hands over a reply of 32 KB in a conversation of 200 messages and looks at it: what a screen does for
// each frame.
func BenchmarkPartial(b *testing.B) {
	f := create(b, newStore(b), Header{})
	leaf := ""
	for range 200 {
		leaf = add(b, f, leaf, generate.User, "x").ID
	}
	m := Message{ID: NewID(), ParentID: leaf, Role: generate.Assistant, Content: strings.Repeat("größer ", 4096)}
	const frames = 100
	measure.Medians(b, []measure.Quantity{{Name: "history/partial/32-KB", Unit: "ms"}}, func() []float64 {
		start := time.Now()
		for range frames {
			if err := f.Partial(m); err != nil {
				b.Fatal(err)
			}
			f.Conversation()
		}
		return []float64{measure.Milliseconds(time.Since(start) / frames)}
	})
}
