package cli

import (
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"peregrine/model/backendtest"
	"peregrine/model/generate"
)

// loadsMapped says whether bench finds the model's weights repacked.
func loadsMapped(t *testing.T, path string, flags ...string) bool {
	t.Helper()
	args := append([]string{"bench", path, "--backend", "cpu", "--prefill", "2", "--decode", "2", "--repeat", "1", "--json"}, flags...)
	var r report
	if err := json.Unmarshal([]byte(succeed(t, "", args...)), &r); err != nil {
		t.Fatal(err)
	}
	return r.Mapped
}

func TestRepackListAndRemove(t *testing.T) {
	home(t)
	path := backendtest.Path(t, "llama-smollm2")
	if loadsMapped(t, path) {
		t.Fatal("repacked weights are there before they were made")
	}
	out := succeed(t, "", "models", "repack", path)
	file, _, _ := strings.Cut(strings.TrimSpace(out), "  ")
	if info, err := os.Stat(file); err != nil || info.Size() == 0 {
		t.Fatalf("printed %q; the file: %v", out, err)
	}
	if out := succeed(t, "", "models", "repack", path); !strings.Contains(out, file) || !strings.Contains(out, "made before") {
		t.Errorf("the second time: printed %q", out)
	}
	if !loadsMapped(t, path) {
		t.Error("the file is not used")
	}
	if loadsMapped(t, path, "--keep-repacked", "off") {
		t.Error("the file is used with --keep-repacked off")
	}
	if out := succeed(t, "", "models", "repacked"); !strings.Contains(out, path) {
		t.Errorf("the list %q does not name %s", out, path)
	}
	if out := succeed(t, "", "models", "repacked", "--rm"); !strings.Contains(out, "removed") {
		t.Errorf("removing printed %q", out)
	}
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("the file is still there: %v", err)
	}
	if out := succeed(t, "", "models", "repacked"); out != "" || loadsMapped(t, path) {
		t.Errorf("after removing: listed %q", out)
	}
}

// whenLoaded waits until a session's model is loaded.
func whenLoaded(t *testing.T, x *session) generate.Info {
	t.Helper()
	for {
		if info := x.Info(); info.Ready || info.Err != nil {
			if info.Err != nil {
				t.Fatal(info.Err)
			}
			return info
		}
		time.Sleep(time.Millisecond)
	}
}

func TestAChatKeepsLargeWeightsForTheNext(t *testing.T) {
	dir := filepath.Join(home(t), "XDG_CACHE_HOME", "peregrine", "repacked")
	if err := repackedDir().Room(1 << 20); err != nil {
		t.Skip(err)
	}
	least, after := keepFrom, keepAfter
	keepFrom, keepAfter = 1000, 0
	t.Cleanup(func() { keepFrom, keepAfter = least, after })
	files := func(pattern string) []string {
		list, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	start := func(u use, keep string) (*session, generate.Info) {
		s := &settings{log: slog.New(slog.DiscardHandler)}
		s.file.Backend, s.file.KeepRepacked = "cpu", keep
		x := newSession(s, backendtest.Path(t, "llama-smollm2"), u)
		return x, whenLoaded(t, x)
	}
	end := func(x *session) {
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, quiet := range []struct {
		use  use
		keep string
	}{{use{}, "on"}, {use{chatting: true}, "off"}} {
		x, info := start(quiet.use, quiet.keep)
		end(x)
		if len(info.Notes) > 0 || len(files("*")) > 0 {
			t.Errorf("%+v: notes %q, files %q, want none", quiet, info.Notes, files("*"))
		}
	}
	x, info := start(use{chatting: true}, "on")
	if len(info.Notes) != 1 || !strings.Contains(info.Notes[0], "kB") || !strings.Contains(info.Notes[0], "--keep-repacked off") {
		t.Errorf("notes %q, want what is kept and how to do without", info.Notes)
	}
	for begun := time.Now(); len(files("*.weights")) == 0; time.Sleep(time.Millisecond) {
		if time.Since(begun) > time.Minute {
			t.Fatal("no file after a minute")
		}
	}
	end(x)
	x, info = start(use{chatting: true}, "on")
	if len(info.Notes) > 0 {
		t.Errorf("notes %q, though the weights are there", info.Notes)
	}
	end(x)
	if left := files("*.part-*"); len(left) > 0 {
		t.Errorf("left unfinished: %q", left)
	}
}
