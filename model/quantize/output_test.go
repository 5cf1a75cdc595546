package quantize

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestPublishPutsBackWhatWasThere when the new folder cannot take its place.
func TestPublishPutsBackWhatWasThere(t *testing.T) {
	s, err := openState(filepath.Join(t.TempDir(), "work"), map[string]string{"version": "1", "method": "rtn"})
	if err != nil {
		t.Fatal(err)
	}
	r := &Result{state: s}
	defer func() { _ = r.Close() }()
	dir := filepath.Join(t.TempDir(), "out")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	mine := filepath.Join(dir, "mine")
	if err := os.WriteFile(mine, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.publish(filepath.Join(s.dir, "missing"), dir, true); err == nil {
		t.Error("a folder that is not there was published")
	}
	if _, err := os.Stat(mine); err != nil {
		t.Error(err)
	}
}

// TestFolderFilesRefusesPipes: reading one would wait for ever.
func TestFolderFilesRefusesPipes(t *testing.T) {
	for _, name := range []string{"tokenizer.json", "additional_chat_templates/a.jinja"} {
		dir := t.TempDir()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := FolderFiles(dir); err == nil || !strings.Contains(err.Error(), filepath.Base(name)+": is no file of a tokenizer") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
