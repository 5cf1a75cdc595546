package exchange

import (
	"bytes"
	"strings"
	"testing"

	"peregrine/history"
)

// fuzz imports any bytes, seeded with files of one format: no panic, errors of one line, trees that are trees, and what was
// read can be written in every format and read again.
func fuzz(f *testing.F, files ...string) {
	for _, name := range files {
		f.Add(file(f, name))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Import("f", data, func(c *history.Conversation) error {
			checkTree(t, c)
			for _, format := range Formats() {
				checkExport(t, c, format)
			}
			return nil
		})
		if err != nil && strings.ContainsAny(err.Error(), "\n\x1b") {
			t.Fatalf("not one harmless line: %q", err)
		}
		if len(s.Notes) > maxNotes+1 {
			t.Fatalf("%d notes", len(s.Notes))
		}
	})
}

// checkTree fails unless parents stand before their children and the tip is one of the messages.
func checkTree(t *testing.T, c *history.Conversation) {
	t.Helper()
	seen := map[string]bool{"": true}
	for _, m := range c.Messages {
		if !seen[m.ParentID] || m.ID == "" || seen[m.ID] {
			t.Fatalf("message %q below %q: twice, or before its parent", m.ID, m.ParentID)
		}
		seen[m.ID] = true
	}
	if !seen[c.Leaf()] {
		t.Fatalf("the tip %q is no message", c.Leaf())
	}
}

// checkExport writes a conversation and, in the format that holds everything, reads it again.
func checkExport(t *testing.T, c *history.Conversation, f Format) {
	t.Helper()
	var b bytes.Buffer
	if _, err := Export(&b, c, f, f != Ollama); err != nil && !strings.Contains(err.Error(), "are the most") {
		t.Fatal(err)
	}
	if f != STS {
		return
	}
	again, err := history.Decode(&b)
	if err != nil {
		t.Fatal(err)
	}
	if len(again.Messages) != len(c.Messages) || again.Leaf() != c.Leaf() || len(again.Warnings) > 0 {
		t.Fatalf("read again: %d messages, tip %q, %q; want %d, %q", len(again.Messages), again.Leaf(), again.Warnings, len(c.Messages), c.Leaf())
	}
	for i, m := range c.Messages {
		if a := again.Messages[i]; a.Content != m.Content || a.Role != m.Role || a.ParentID != m.ParentID || !a.CreatedAt.Equal(m.CreatedAt) {
			t.Fatalf("read again: message %d is %+v, want %+v", i, a, m)
		}
	}
}

func FuzzOpenAI(f *testing.F)   { fuzz(f, "openai.json", "openai.jsonl") }
func FuzzShareGPT(f *testing.F) { fuzz(f, "sharegpt.json") }
func FuzzTextgen(f *testing.F)  { fuzz(f, "textgen.json", "textgen-old.json") }
func FuzzOllama(f *testing.F)   { fuzz(f, "ollama.json") }
func FuzzChatGPT(f *testing.F)  { fuzz(f, "chatgpt.json") }
func FuzzSTS(f *testing.F)      { fuzz(f, "llama.app.jsonl", "own.jsonl") }
