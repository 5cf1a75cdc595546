package history

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"peregrine/model/generate"
)

// newStore returns an empty store.
func newStore(t testing.TB) *Store {
	t.Helper()
	s, err := OpenStore(filepath.Join(t.TempDir(), "store"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// create starts a conversation that is closed with the test.
func create(t testing.TB, s *Store, h Header) *File {
	t.Helper()
	f, err := s.Create(h)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// add appends a message below parent.
func add(t testing.TB, f *File, parent string, role generate.Role, text string) Message {
	t.Helper()
	m, err := f.Append(Message{ParentID: parent, Role: role, Content: text})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// reopen closes f and opens its file again.
func reopen(t testing.TB, f *File) *File {
	t.Helper()
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return open(t, f.Path())
}

func open(t testing.TB, path string) *File {
	t.Helper()
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// write makes a file of the given lines.
func write(t testing.TB, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "c.jsonl")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func bytesOf(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// texts returns what a reader of the current branch sees.
func texts(c *Conversation) string {
	var all []string
	for _, m := range c.Path(c.Leaf()) {
		all = append(all, string(m.Role)+": "+m.Content)
	}
	return strings.Join(all, "\n")
}

// session is the first line of our files.
const session = `{"type":"session","harness":"peregrine","id":"0123456789abcdef","name":"","schema":1,"created_at":"2026-11-23T22:30:00Z"}`

func wantNoError(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
