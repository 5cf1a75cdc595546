package hub

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// place makes empty files.
func place(t *testing.T, dir string, files ...string) {
	t.Helper()
	for _, f := range files {
		path := filepath.Join(dir, f)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestListFindsModelsByTheirFilesAlone(t *testing.T) {
	dir, shared := t.TempDir(), t.TempDir()
	place(t, dir, "a.gguf", "b/config.json", "b/model.safetensors", "c/config.json", "d/model.safetensors", "e.txt", "f.gguf/x")
	place(t, shared, "models--owner--name/snapshots/0123456789/config.json", "models--owner--name/snapshots/0123456789/x.safetensors",
		"models--o--n/snapshots/aaaaaaaaaa/q4.gguf", "models--o--n/snapshots/bbbbbbbbbb/q4.gguf", "datasets--o--n/snapshots/c/y.gguf")
	if err := os.Symlink(filepath.Join(dir, "a.gguf"), filepath.Join(dir, "same.gguf")); err != nil {
		t.Fatal(err)
	}
	got, err := List([]string{dir, filepath.Join(dir, "missing"), dir}, shared)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range got {
		names = append(names, f.Name)
	}
	want := []string{"a", "b", "o/n/q4@aaaaaaaaaa", "o/n/q4@bbbbbbbbbb", "owner/name"}
	if !slices.Equal(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
}

func TestListNamesAFolderThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	place(t, dir, "a.gguf")
	got, err := List([]string{filepath.Join(dir, "a.gguf"), dir}, "") // a file is no folder
	if err == nil || len(got) != 1 {
		t.Errorf("got %v, %v, want the model of the other folder and an error", got, err)
	}
}
