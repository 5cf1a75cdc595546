package hub

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"peregrine/model/hub/hubtest"
)

const commitA, commitB = hubtest.Commit, "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

// server is a hub and the test that uses it.
type server struct {
	*hubtest.Server
	t testing.TB
}

func serve(t testing.TB, files map[string]string) *server { return &server{hubtest.Serve(t, files), t} }

// client asks the server, with a token and without waiting between tries.
func (s *server) client() *Client {
	return &Client{Endpoint: s.Hub.URL, Token: "hf_secret", TokenSource: "HF_TOKEN", UserAgent: "peregrine-test", step: time.Millisecond}
}

// folderFiles is a small dense model and what is never fetched.
func folderFiles() map[string]string {
	return map[string]string{
		"config.json": `{"model_type":"llama"}`, "tokenizer.json": `{"version":"1.0"}`, "model.safetensors": string(hubtest.Weights(3 << 20)),
		"pytorch_model.bin": "a pickle", "modeling.py": "import os", "README.md": "about", ".gitattributes": "lfs",
	}
}

// pulled pulls o/n into a new cache.
func pulled(t *testing.T, s *server) (Cache, *Pulled) {
	t.Helper()
	k := Cache{Dir: t.TempDir()}
	p, err := s.client().Pull(t.Context(), k, Name{Repo: "o/n"}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return k, p
}

// right fails unless the cache holds o/n whole, in the layout that it should have, and nothing unfinished.
func (s *server) right(k Cache, paths ...string) {
	s.t.Helper()
	r := k.repo(Name{Repo: "o/n"})
	for _, p := range paths {
		got, err := os.ReadFile(r.file(s.Commit, p))
		if err != nil || string(got) != string(s.Body[p]) {
			s.t.Errorf("%s: %d bytes (%v), want the %d that were published", p, len(got), err, len(s.Body[p]))
		}
		target, err := os.Readlink(r.file(s.Commit, p))
		if err != nil || filepath.IsAbs(target) {
			s.t.Errorf("%s leads to %q (%v), want a relative link to its blob", p, target, err)
		}
	}
	blobs, err := os.ReadDir(filepath.Join(r.dir, "blobs"))
	if err != nil || len(blobs) != len(paths) {
		s.t.Errorf("the cache has the blobs %v (%v), want %d", blobs, err, len(paths))
	}
	if commit, err := r.ref("main"); err != nil || commit != s.Commit {
		s.t.Errorf("main is %q (%v), want %s", commit, err, s.Commit)
	}
	if seen := s.Leaked(); seen != "" {
		s.t.Errorf("the other host saw %q", seen)
	}
}

// nothing fails if the model is found, or if the cache has any file under a final name whose bytes are not the right ones.
func nothing(t *testing.T, k Cache) {
	t.Helper()
	r := k.repo(Name{Repo: "o/n"})
	if _, err := r.ref("main"); err == nil {
		t.Error("main leads to a model that is not there")
	}
	if _, err := k.Find(Name{Repo: "o/n"}); err == nil {
		t.Error("the model is found")
	}
	for _, f := range r.stored(commitA, "").Files {
		if checked, err := f.Verify(t.Context()); err != nil || !checked {
			t.Errorf("%s is there and was not verified: %v", f.Name, err)
		}
	}
}
