package ui

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"peregrine/history"
	"peregrine/ui/measure"
)

// BenchmarkPicker measures the list of 10,000 conversations of 20 messages: from the key to a frame with the newest of them, in a
// program that has just started, and the slowest key of a search in titles and texts until what it finds is shown. The files have
// just been written, so that the disk is not measured.
func BenchmarkPicker(b *testing.B) {
	const files = 10_000
	store := openStore(b)
	fill(b, store.Dir(), create(b, store, "", 20, func(i int) string {
		if i == 0 {
			return placeholder + ": which bird is the fastest, and how fast does it dive?"
		}
		return strings.Repeat(fmt.Sprintf("Sentence %d of an answer about falcons. ", i), 10)
	}), files)
	read := newBench(b, Options{Store: store}) // an earlier run has seen the files
	read.keys("f3")
	read.until("the whole list", func() bool { p, ok := read.m.overlay.(*picker); return ok && p.read })
	read.idle()
	measure.Medians(b, []measure.Quantity{
		{Name: "picker/10000-files/first-frame", Unit: "ms", Goal: "<= 50"},
		{Name: "picker/10000-files/search", Unit: "ms", Goal: "<= 100"},
	}, func() []float64 {
		again, err := history.OpenStore(store.Dir())
		if err != nil {
			b.Fatal(err)
		}
		chat := newBench(b, Options{Store: again})
		chat.send(tea.WindowSizeMsg{Width: 120, Height: 40})
		start := time.Now()
		chat.keys("f3")
		chat.until("the list", func() bool { return strings.Contains(chat.screen(), question(0)) })
		first := time.Since(start)
		chat.until("the whole list", func() bool { return chat.m.overlay.(*picker).read })
		chat.idle()
		var keys []time.Duration
		for _, letter := range fmt.Sprintf("answer %d", 100_000+files/2) { // a word of every text, and one of a single title

			start := time.Now()
			chat.keys(string(letter))
			p := chat.m.overlay.(*picker)
			chat.until("the end of the search", func() bool { return !p.waiting() })
			keys = append(keys, time.Since(start))
		}
		chat.idle()
		chat.wantScreen(question(files / 2))
		return []float64{measure.Milliseconds(first), measure.Milliseconds(measure.Quantile(keys, 1))}
	})
}

// placeholder is what every copy says in its own way; see question.
const placeholder = "Question 000000"

func question(i int) string { return fmt.Sprintf("Question %06d", 100_000+i) }

// fill makes n conversations of one, each with an id and a question of its own, the first the newest. The one is removed.
func fill(b *testing.B, dir, path string, n int) {
	b.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		b.Fatal(err)
	}
	name := strings.TrimSuffix(filepath.Base(path), ".jsonl")
	id := name[strings.LastIndex(name, "-")+1:]
	for i := range n {
		own := fmt.Sprintf("%0*d", len(id), i)
		copied := bytes.ReplaceAll(bytes.ReplaceAll(text, []byte(id), []byte(own)), []byte(placeholder), []byte(question(i)))
		file := filepath.Join(dir, own+".jsonl")
		if err := os.WriteFile(file, copied, 0o600); err != nil {
			b.Fatal(err)
		}
		at := testNow.Add(-time.Duration(i) * time.Minute)
		if err := os.Chtimes(file, at, at); err != nil {
			b.Fatal(err)
		}
	}
	if err := os.Remove(path); err != nil {
		b.Fatal(err)
	}
}
