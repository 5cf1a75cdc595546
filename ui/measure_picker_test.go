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

	"peregrine/ui/measure"
)

// BenchmarkPicker measures the list of 10,000 conversations of 20 messages: from the key to a frame with the newest of them,
// and the slowest key of a search. The files have just been written, so that the disk is not measured.
func BenchmarkPicker(b *testing.B) {
	const files = 10_000
	store := openStore(b)
	fill(b, store.Dir(), create(b, store, "", 20, func(i int) string {
		if i == 0 {
			return placeholder + ": which bird is the fastest, and how fast does it dive?"
		}
		return strings.Repeat(fmt.Sprintf("Sentence %d of an answer about falcons. ", i), 10)
	}), files)
	measure.Medians(b, []measure.Quantity{
		{Name: "picker/10000-files/first-frame", Unit: "ms", Goal: "<= 50"},
		{Name: "picker/10000-files/search", Unit: "ms", Goal: "<= 100"},
	}, func() []float64 {
		chat := newBench(b, Options{Store: store})
		chat.send(tea.WindowSizeMsg{Width: 100, Height: 40})
		start := time.Now()
		chat.keys("f3")
		chat.until("the list", func() bool { return strings.Contains(chat.screen(), question(0)) })
		first := time.Since(start)
		chat.idle()
		var keys []time.Duration
		for _, letter := range question(files / 2) {
			start := time.Now()
			chat.keys(string(letter))
			chat.idle()
			keys = append(keys, time.Since(start))
		}
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
