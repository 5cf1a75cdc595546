package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"peregrine/history"
)

func TestTheScreenImportsAndExports(t *testing.T) {
	store, err := history.OpenStore(filepath.Join(t.TempDir(), "store"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	in := filepath.Join(dir, "in.json")
	const text = `[{"messages":[{"role":"user","content":"Which bird?"},{"role":"assistant","content":"The peregrine."}]}]`
	if err := os.WriteFile(in, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	x := exchanger{store}
	for _, want := range [][2]int{{1, 0}, {0, 1}} {
		done, err := x.Import(t.Context(), in)
		if err != nil || done.Saved != want[0] || done.Known != want[1] || done.Format != "openai" {
			t.Errorf("got %+v, %v, want %d saved and %d known", done, err, want[0], want[1])
		}
	}
	path, err := store.Latest()
	if err != nil {
		t.Fatal(err)
	}
	c, err := history.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, format := range map[string]string{"a.md": "markdown", "a.JSONL": "sts", "a.json": "openai", "b.json": "chatgpt"} {
		out, asked := filepath.Join(dir, name), ""
		if format == "chatgpt" {
			asked = format
		}
		done, err := x.Export(c, out, asked, false)
		if err != nil || done.Format != format {
			t.Errorf("%s: got %+v, %v, want format %s", name, done, err, format)
		}
		if written, err := os.ReadFile(out); err != nil || !strings.Contains(string(written), "The peregrine.") {
			t.Errorf("%s: got %q, %v", name, written, err)
		}
		before, _ := os.ReadFile(out)
		if _, err := x.Export(c, out, asked, false); err == nil || !strings.Contains(err.Error(), out+": there is a file already") {
			t.Errorf("%s: got %v, want that it is not overwritten", name, err)
		}
		if after, _ := os.ReadFile(out); string(after) != string(before) {
			t.Errorf("%s was changed", name)
		}
	}
	if _, err := x.Import(t.Context(), filepath.Join(dir, "none")); err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v, want an error on one line", err)
	}
	if _, err := (exchanger{}).Import(t.Context(), in); err == nil {
		t.Error("got no error without a store")
	}
}
