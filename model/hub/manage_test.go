package hub

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"peregrine/model/hub/hubtest"
)

// twoCommits returns a cache with o/n at two commits, which differ in config.json.
func twoCommits(t *testing.T) Place {
	t.Helper()
	s := serve(t, folderFiles())
	k, _ := pulled(t, s)
	s.Commit = commitB
	files := folderFiles()
	files["config.json"] = "{}"
	s.Replace(files)
	if _, err := s.client().Pull(t.Context(), k, Name{Repo: "o/n", Revision: "v1"}, nil, nil); err != nil {
		t.Fatal(err)
	}
	return Place{Own: t.TempDir(), Shared: k}
}

func TestLookCountsSharedContentOnce(t *testing.T) {
	p := twoCommits(t)
	for _, arg := range []string{"o/n", "n"} {
		e, err := p.Look(arg)
		if err != nil || len(e.Commits) != 2 || e.Bytes > 3<<20+100 || e.Begun != 0 || len(e.Commits[0].Files) != 3 {
			t.Fatalf("got %+v, %v", e, err)
		}
		if e.Commits[0].Revisions[0] != "main" || e.Commits[1].Revisions[0] != "v1" {
			t.Errorf("got the revisions %v and %v", e.Commits[0].Revisions, e.Commits[1].Revisions)
		}
	}
	if _, err := p.Look("o/other"); !errors.Is(err, ErrNotCached) {
		t.Errorf("got %v", err)
	}
}

func TestVerifyFindsWhatIsDamaged(t *testing.T) {
	p := twoCommits(t)
	r := p.Shared.repo(Name{Repo: "o/n"})
	damage := func(f string, change func(path string) error) {
		t.Helper()
		blob, err := filepath.EvalSymlinks(r.file(commitA, f))
		if err != nil {
			t.Fatal(err)
		}
		if err := change(blob); err != nil {
			t.Fatal(err)
		}
	}
	verify := func() map[string]error {
		e, err := p.Look("o/n@main")
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]error{}
		for _, f := range e.Commits[0].Files {
			checked, err := f.Verify(t.Context())
			if out[f.Name] = err; !checked {
				t.Errorf("%s was not checked", f.Name)
			}
		}
		return out
	}
	for name, err := range verify() {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	damage("model.safetensors", func(path string) error {
		b := hubtest.Weights(3 << 20)
		b[5] ^= 1
		return os.WriteFile(path, b, 0o600)
	})
	damage("config.json", os.Remove)
	got := verify()
	if got["tokenizer.json"] != nil || !errors.As(got["model.safetensors"], new(*hashError)) || !errors.Is(got["config.json"], os.ErrNotExist) {
		t.Errorf("got %v", got)
	}
	e, err := p.Look("o/n@main")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range e.Commits[0].Files {
		if err := f.Discard(); err != nil {
			t.Errorf("%s: %v", f.Name, err)
		}
	}
	if blobs, err := os.ReadDir(filepath.Join(r.dir, "blobs")); err != nil || len(blobs) != 1 {
		t.Errorf("%d blobs are left (%v), want the other commit's config.json", len(blobs), err)
	}
}

func TestRemove(t *testing.T) {
	blobs := func(p Place) int {
		found, err := filepath.Glob(filepath.Join(p.Shared.Dir, "models--o--n", "blobs", "*"))
		if err != nil {
			t.Fatal(err)
		}
		return len(found)
	}
	t.Run("a revision", func(t *testing.T) {
		p := twoCommits(t)
		if freed, err := p.Remove("o/n@v1"); err != nil || freed != 2 || blobs(p) != 3 {
			t.Errorf("got %d bytes, %v, %d blobs", freed, err, blobs(p))
		}
		if _, err := p.Shared.Find(Name{Repo: "o/n"}); err != nil {
			t.Errorf("the other revision: %v", err)
		}
	})
	t.Run("a file of all commits", func(t *testing.T) {
		p := twoCommits(t)
		if freed, err := p.Remove("o/n/model"); err != nil || freed != 3<<20 || blobs(p) != 3 {
			t.Errorf("got %d bytes, %v, %d blobs", freed, err, blobs(p))
		}
	})
	t.Run("all", func(t *testing.T) {
		p := twoCommits(t)
		if freed, err := p.Remove("n"); err != nil || freed < 3<<20 || blobs(p) != 0 {
			t.Errorf("got %d bytes, %v, %d blobs", freed, err, blobs(p))
		}
		if _, err := p.Remove("o/n"); !errors.Is(err, ErrNotCached) {
			t.Errorf("again: %v", err)
		}
	})
	t.Run("while it is being downloaded", func(t *testing.T) {
		p := twoCommits(t)
		l, err := lock(t.Context(), p.Shared.lockPath(Name{Repo: "o/n"}, hubtest.SHA256(hubtest.Weights(3<<20))))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Remove("o/n"); !errors.Is(err, errLocked) || blobs(p) != 4 {
			t.Errorf("got %v and %d blobs", err, blobs(p))
		}
		l.release()
	})
	t.Run("never what lies elsewhere", func(t *testing.T) {
		p := twoCommits(t)
		precious := filepath.Join(t.TempDir(), strings.Repeat("e", 64))
		r := p.Shared.repo(Name{Repo: "o/n"})
		if err := errors.Join(os.WriteFile(precious, []byte("mine"), 0o600), os.Symlink(precious, r.file(commitB, "x.gguf"))); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Remove("o/n@v1"); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(precious); err != nil {
			t.Error(err)
		}
	})
	t.Run("the program's own", func(t *testing.T) {
		p := twoCommits(t)
		place(t, p.Own, "models/"+Default.File, "models/mine.gguf")
		if _, err := p.Remove("mine"); err != nil {
			t.Error(err)
		}
		if err := os.Truncate(Default.Path(p.Own), Default.Size); err != nil {
			t.Fatal(err)
		}
		e, err := p.Look("smollm2")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Commits[0].Files[0].Verify(t.Context()); !errors.As(err, new(*hashError)) {
			t.Errorf("got %v for a file of zeros", err)
		}
		if freed, err := p.Remove("smollm2"); err != nil || freed != Default.Size {
			t.Errorf("got %d, %v", freed, err)
		}
		if left, _ := os.ReadDir(p.models()); len(left) != 0 {
			t.Errorf("%v is left", left)
		}
	})
}
