package exchange

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"peregrine/history"
	"peregrine/model/generate"
)

// file returns the bytes of a file in testdata.
func file(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// read imports data and returns all that is in it.
func read(t testing.TB, name string, data []byte) ([]*history.Conversation, Summary) {
	t.Helper()
	var all []*history.Conversation
	s, err := Import(name, data, func(c *history.Conversation) error {
		all = append(all, c)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if s.Conversations != len(all) {
		t.Fatalf("the summary counts %d conversations, want %d", s.Conversations, len(all))
	}
	return all, s
}

// export returns a conversation in a format, and what was left out.
func export(t testing.TB, c *history.Conversation, f Format, all bool) ([]byte, []string) {
	t.Helper()
	var b bytes.Buffer
	said, err := Export(&b, c, f, all)
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), said
}

// outline shows a conversation as a tree: two blanks a level, * for the tip that is being read.
func outline(c *history.Conversation) string {
	var b strings.Builder
	if c.Header.Name != "" {
		fmt.Fprintf(&b, "title %q\n", c.Header.Name)
	}
	if c.Header.System != "" {
		fmt.Fprintf(&b, "system %q\n", c.Header.System)
	}
	var walk func(id string, depth int)
	walk = func(id string, depth int) {
		for _, child := range c.Children(id) {
			m, _ := c.Message(child)
			fmt.Fprintf(&b, "%s%s %q", strings.Repeat("  ", depth), m.Role, m.Content)
			if m.Model != "" {
				fmt.Fprintf(&b, " by %s", m.Model)
			}
			if !m.CreatedAt.IsZero() {
				fmt.Fprintf(&b, " at %s", m.CreatedAt.Format(time.RFC3339Nano))
			}
			if m.ID == c.Leaf() {
				b.WriteString(" *")
			}
			b.WriteByte('\n')
			walk(child, depth+1)
		}
	}
	walk("", 0)
	return b.String()
}

// atMinute is a time that every format with times holds.
var atMinute = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

// sample has a title, a system prompt, times, models and two replies to each of its two questions, the second of them being
// read.
func sample(t testing.TB) *history.Conversation {
	t.Helper()
	seed := uint64(9)
	at := func(n int) time.Time { return atMinute.Add(time.Duration(n) * time.Minute) }
	c, err := history.New(history.Header{ID: "0123456789abcdef", Name: "W\u00fcrfel", System: "Be brief.", Created: atMinute},
		[]history.Message{
			{ID: "q", Role: generate.User, Content: "Roll <a> \"die\" & tell \U0001f469\u200d\U0001f680\n", CreatedAt: at(1)},
			{ID: "a", ParentID: "q", Role: generate.Assistant, Content: "six", CreatedAt: at(2), Model: "m1"},
			{ID: "b", ParentID: "q", Role: generate.Assistant, Content: "f\u00fcnf\n\n```\n\t5\n```", CreatedAt: at(3), Model: "m2", Sampling: &generate.Sampling{TopK: 4, Seed: &seed}},
			{ID: "p", ParentID: "b", Role: generate.User, Content: "\u65e5\u672c\u8a9e \u202e\x1b[31m?", CreatedAt: at(4)},
			{ID: "c", ParentID: "p", Role: generate.Assistant, Content: "ja", CreatedAt: at(5), Model: "m2"},
			{ID: "d", ParentID: "p", Role: generate.Assistant, Content: "nein", CreatedAt: at(6), Model: "m2"},
		}, "d")
	if err != nil {
		t.Fatal(err)
	}
	return c
}
