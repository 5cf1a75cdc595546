package sample

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strconv"
	"testing"

	"peregrine/model/generate"
)

// TestSameAsTransformers compares what is kept, and its probabilities, with transformers' own processors (testdata/make.py).
func TestSameAsTransformers(t *testing.T) {
	raw, err := os.ReadFile("testdata/transformers.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(bytes.NewReader(raw))
	lines.Buffer(nil, 1<<20)
	n := 0
	for lines.Scan() {
		var c struct {
			Name     string             `json:"name"`
			Sampling json.RawMessage    `json:"sampling"`
			Seen     []int32            `json:"seen"`
			Logits   []*float32         `json:"logits"` // null is −Inf
			Probs    map[string]float64 `json:"probs"`  // by id, those above 0
		}
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		var v generate.Sampling
		if err := json.Unmarshal(c.Sampling, &v); err != nil {
			t.Fatal(err)
		}
		t.Run(fmt.Sprintf("%s %s", c.Name, c.Sampling), func(t *testing.T) {
			logits := make([]float32, len(c.Logits))
			for i, l := range c.Logits {
				logits[i] = float32(math.Inf(-1))
				if l != nil {
					logits[i] = *l
				}
			}
			x := New(v, 1)
			for _, id := range c.Seen {
				x.Observe(id)
			}
			if err := x.filter(logits); err != nil {
				t.Fatal(err)
			}
			if len(x.kept) != len(c.Probs) {
				t.Errorf("kept %d tokens, want %d", len(x.kept), len(c.Probs))
			}
			if v.TopP > 0 && c.Name == "with ties" {
				// Which of several equal tokens top-p cuts off is left to the sort: compare without the ids.
				var got []float64
				for _, k := range x.kept {
					got = append(got, k.prob)
				}
				slices.Sort(got)
				for i, want := range slices.Sorted(maps.Values(c.Probs)) {
					if i >= len(got) || math.Abs(got[i]-want) > 1e-5 {
						t.Fatalf("probabilities %v, want those of %v", got, c.Probs)
					}
				}
				return
			}
			for _, k := range x.kept {
				// Scores are float32 here and float64 there: scores up to 18/0.6 carry 2^-24 of themselves.
				if want := c.Probs[strconv.Itoa(int(k.id))]; math.Abs(k.prob-want) > 1e-5 || want == 0 {
					t.Errorf("token %d: probability %v, want %v", k.id, k.prob, want)
				}
			}
		})
		n++
	}
	if err := lines.Err(); err != nil || n != 72 {
		t.Errorf("%d cases, %v; want 72", n, err)
	}
}
