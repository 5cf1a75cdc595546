package hub

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"testing"

	"peregrine/model/hub/hubtest"
)

// python runs testdata/check_hub.py on a cache with the interpreter that PEREGRINE_HUB_PYTHON names, and returns the SHA-256 of
// each file that it found.
func (s *server) python(k Cache, offline bool, args ...string) map[string]string {
	s.t.Helper()
	cmd := exec.CommandContext(s.t.Context(), os.Getenv("PEREGRINE_HUB_PYTHON"), append([]string{"testdata/check_hub.py"}, args...)...)
	cmd.Env = append(os.Environ(), "HF_ENDPOINT="+s.Hub.URL, "HF_HUB_CACHE="+k.Dir, "HF_HOME="+s.t.TempDir(), "HF_HUB_DISABLE_TELEMETRY=1",
		"HF_HUB_DISABLE_PROGRESS_BARS=1", "HF_TOKEN=hf_secret", "HF_HUB_OFFLINE=0", "NO_PROXY=*")
	if offline {
		cmd.Env = append(cmd.Env, "HF_HUB_OFFLINE=1")
	}
	var problems bytes.Buffer
	cmd.Stderr = &problems
	out, err := cmd.Output()
	s.t.Logf("%v: %s", args, problems.String())
	if err != nil {
		s.t.Fatalf("%v: %v", args, err)
	}
	var found map[string]string
	if err := json.Unmarshal(out, &found); err != nil {
		s.t.Fatalf("%v: %v: %s", args, err, out)
	}
	return found
}

// published fails unless Python found the files as the hub has them.
func (s *server) published(found map[string]string, names ...string) {
	s.t.Helper()
	for _, name := range names {
		if want := hubtest.SHA256(s.Body[name]); found[name] != want {
			s.t.Errorf("%s: Python found %q, want %q", name, found[name], want)
		}
	}
}

// verified fails unless each file that we find in the cache has its hash.
func verified(t *testing.T, k Cache) {
	t.Helper()
	e, err := Place{Shared: k}.Look("o/n")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range e.Commits {
		for _, f := range c.Files {
			if checked, err := f.Verify(t.Context()); err != nil || !checked {
				t.Errorf("%s at %s: checked %v, %v", f.Name, c.Commit, checked, err)
			}
		}
	}
}

// A cache that we made is one to huggingface_hub, and the other way round; both can work on one. `make check-hub` runs this with
// the package; the tests as such need none.
func TestTheCacheIsSharedWithPython(t *testing.T) {
	if os.Getenv("PEREGRINE_HUB_PYTHON") == "" {
		t.Skip("PEREGRINE_HUB_PYTHON names no interpreter with huggingface_hub; make check-hub does")
	}
	for _, revision := range []string{"main", "refs/pr/1", commitA} {
		t.Run("ours, "+revision, func(t *testing.T) {
			s := serve(t, withFolder())
			k := Cache{Dir: t.TempDir()}
			if _, err := s.client().Pull(t.Context(), k, Name{Repo: "o/n", Revision: revision}, nil, nil); err != nil {
				t.Fatal(err)
			}
			s.published(s.python(k, true, append([]string{"read", revision}, wanted...)...), wanted...)
			s.Served.Store(0)
			s.published(s.python(k, false, append([]string{"fetch", revision}, wanted...)...), wanted...)
			if n := s.Served.Load(); n != 0 {
				t.Errorf("Python fetched %d bytes again", n)
			}
			// What we do not fetch, Python adds to the same snapshot.
			s.published(s.python(k, false, "fetch", revision, "README.md", "onnx/config.json"), "README.md", "onnx/config.json")
			verified(t, k)
		})
		t.Run("theirs, "+revision, func(t *testing.T) {
			s := serve(t, withFolder())
			k := Cache{Dir: t.TempDir()}
			names := append([]string{"onnx/config.json", "README.md"}, wanted...)
			s.published(s.python(k, false, append([]string{"fetch", revision}, names...)...), names...)
			name := Name{Repo: "o/n", Revision: revision}
			found, err := k.Find(name)
			if err != nil || found.Commit != commitA {
				t.Fatalf("got %+v, %v", found, err)
			}
			verified(t, k)
			s.Served.Store(0)
			pulled, err := s.client().Pull(t.Context(), k, name, nil, nil)
			if err != nil || pulled.Path != found.Path || s.Served.Load() != 0 {
				t.Errorf("a pull gave %+v, %v and fetched %d bytes again", pulled, err, s.Served.Load())
			}
			if _, err := s.client().Pull(t.Context(), k, Name{Repo: "o/n", Revision: "v1"}, nil, nil); err != nil || s.Served.Load() != 0 {
				t.Errorf("a pull of another name of the commit: %v, %d bytes", err, s.Served.Load())
			}
			s.published(s.python(k, true, append([]string{"read", "v1"}, names...)...), names...)
		})
	}
	t.Run("removed by Python", func(t *testing.T) {
		s := serve(t, folderFiles())
		k, _ := pulled(t, s)
		s.python(k, true, "remove", commitA)
		if _, err := k.Find(Name{Repo: "o/n"}); !errors.Is(err, ErrNotCached) {
			t.Errorf("got %v, want that it is gone", err)
		}
		s.published(s.python(k, false, "fetch", "main", "config.json"), "config.json")
		if _, err := s.client().Pull(t.Context(), k, Name{Repo: "o/n"}, nil, nil); err != nil {
			t.Error(err)
		}
		s.right(k, wanted...)
	})
	t.Run("broken off by Python", func(t *testing.T) {
		s := serve(t, folderFiles())
		k, _ := pulled(t, s)
		blob := k.repo(Name{Repo: "o/n"}).blob(hubtest.SHA256(s.Body["model.safetensors"]))
		if err := os.Rename(blob, blob+".incomplete"); err != nil { // the name that it gives to what has not come whole
			t.Fatal(err)
		}
		if err := os.Truncate(blob+".incomplete", 1<<20); err != nil {
			t.Fatal(err)
		}
		if _, err := s.client().Pull(t.Context(), k, Name{Repo: "o/n"}, nil, nil); err != nil {
			t.Fatal(err)
		}
		s.published(s.python(k, true, append([]string{"read", "main"}, wanted...)...), wanted...)
	})
}

// withFolder is folderFiles with a file in a folder.
func withFolder() map[string]string {
	files := folderFiles()
	files["onnx/config.json"] = `{"in":"a folder"}`
	return files
}
