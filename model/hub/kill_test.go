package hub

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"peregrine/model/hub/hubtest"
)

// TestMain lets the test program be the process that TestPullAfterAKill kills.
func TestMain(m *testing.M) {
	if endpoint := os.Getenv("PEREGRINE_TEST_PULL"); endpoint != "" {
		c := &Client{Endpoint: endpoint}
		if _, err := c.Pull(context.Background(), Cache{Dir: os.Getenv("PEREGRINE_TEST_CACHE")}, Name{Repo: "o/n"}, nil, nil); err != nil {
			println(err.Error())
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// A pull that is killed at any moment leaves nothing that looks like a model, and the next one goes on from there.
func TestPullAfterAKill(t *testing.T) {
	files := folderFiles()
	files["model.safetensors"] = string(hubtest.Weights(24 << 20))
	s := serve(t, files)
	k := Cache{Dir: t.TempDir()}
	var mu sync.Mutex // of running, which the server kills
	var running *exec.Cmd
	s.SetFault(func(w http.ResponseWriter, r *http.Request, path string, try int) bool {
		if path != "model.safetensors" || try > 3 {
			return false
		}
		mu.Lock()
		kill := running.Process.Kill
		mu.Unlock()
		http.ServeContent(&stopping{s.Counting(w), 6 << 20, func() { _ = kill() }}, r, "", time.Time{}, strings.NewReader(string(s.Body[path])))
		return true
	})
	for range 3 {
		process := exec.CommandContext(t.Context(), os.Args[0])
		process.Stderr = os.Stderr
		process.Env = append(os.Environ(), "PEREGRINE_TEST_PULL="+s.Hub.URL, "PEREGRINE_TEST_CACHE="+k.Dir)
		mu.Lock()
		err := process.Start()
		running = process
		mu.Unlock()
		if err != nil {
			t.Fatal(err)
		}
		if err := process.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
			t.Fatalf("got %v, want a kill", err)
		}
		nothing(t, k)
	}
	s.Served.Store(0)
	if _, err := s.client().Pull(t.Context(), k, Name{Repo: "o/n"}, nil, nil); err != nil {
		t.Fatal(err)
	}
	s.right(k, wanted...)
	if s.Served.Load() > 12<<20 {
		t.Errorf("%d bytes came after three kills that had left about 18 of 24 MiB", s.Served.Load())
	}
}
