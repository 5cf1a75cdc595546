package hub

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"peregrine/model/hub/hubtest"
)

func TestPullGoesOnWhereItStopped(t *testing.T) {
	files := folderFiles()
	files["model.safetensors"] = string(hubtest.Weights(20 << 20))
	s := serve(t, files)
	ctx, cancel := context.WithCancel(t.Context())
	s.SetFault(func(w http.ResponseWriter, r *http.Request, path string, try int) bool {
		if path != "model.safetensors" || try > 1 {
			return false
		}
		http.ServeContent(&stopping{s.Counting(w), 12 << 20, cancel}, r, "", time.Time{}, strings.NewReader(string(s.Body[path])))
		return true
	})
	k := Cache{Dir: t.TempDir()}
	if _, err := s.client().Pull(ctx, k, Name{Repo: "o/n"}, nil, nil); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	nothing(t, k)
	s.Served.Store(0)
	p, err := s.client().Pull(t.Context(), k, Name{Repo: "o/n"}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.right(k, wanted...)
	if s.Served.Load() > 13<<20 || s.Served.Load() < 8<<20 || p.Bytes < 20<<20 {
		t.Errorf("the second pull took %d bytes of 20 MiB, 12 of which were there, and says %d", s.Served.Load(), p.Bytes)
	}
}

// stopping calls stop after so many bytes, and waits until the client has gone.
type stopping struct {
	http.ResponseWriter
	left int
	stop func()
}

func (w *stopping) Write(p []byte) (int, error) {
	if w.left -= len(p); w.left < 0 {
		_ = http.NewResponseController(w.ResponseWriter).Flush()
		time.Sleep(100 * time.Millisecond) // what was sent arrives
		w.stop()
		cut(w)
	}
	return w.ResponseWriter.Write(p)
}

// What an earlier pull left may be damaged: after a loss of power the journal may promise more than the disk has.
func TestPullThatResumesDamagedBytesBeginsAnew(t *testing.T) {
	s := serve(t, folderFiles())
	k := Cache{Dir: t.TempDir()}
	r := k.repo(Name{Repo: "o/n"})
	data, log := partial(r.blob(hubtest.SHA256(s.Body["model.safetensors"])))
	if err := os.MkdirAll(filepath.Dir(data), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(data, make([]byte, 3<<20), 0o600), os.WriteFile(log, []byte("0 1048576\n2097152 31457"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.client().Pull(t.Context(), k, Name{Repo: "o/n"}, nil, nil); err != nil {
		t.Fatal(err)
	}
	s.right(k, wanted...)
}

func TestPullsAtOnceFetchOnce(t *testing.T) {
	files := folderFiles()
	files["model.safetensors"] = string(hubtest.Weights(8 << 20))
	s := serve(t, files)
	k := Cache{Dir: t.TempDir()}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if _, err := s.client().Pull(t.Context(), k, Name{Repo: "o/n"}, nil, nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	s.right(k, wanted...)
	if s.Served.Load() > 9<<20 {
		t.Errorf("%d bytes were sent for four pulls of 8 MiB", s.Served.Load())
	}
}

func TestPullOfAnotherCommitKeepsSharedBlobs(t *testing.T) {
	s := serve(t, folderFiles())
	k, _ := pulled(t, s)
	served := s.Served.Load()
	s.Commit = commitB
	files := folderFiles()
	files["config.json"] = `{"model_type":"falcon"}`
	s.Replace(files)
	if _, err := s.client().Pull(t.Context(), k, Name{Repo: "o/n"}, nil, nil); err != nil {
		t.Fatal(err)
	}
	if s.Served.Load()-served > 1000 {
		t.Errorf("%d bytes came for a change of some", s.Served.Load()-served)
	}
	got, err := k.Find(Name{Repo: "o/n"})
	if err != nil || got.Commit != commitB {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, err = k.Find(Name{Repo: "o/n", Revision: commitA[:9]}); err != nil || got.Commit != commitA {
		t.Errorf("the first commit: got %+v, %v", got, err)
	}
}
