package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Work that goes on asks for the space that it does not have yet.
func TestUnfinishedWorkHasItsShareOfTheDisk(t *testing.T) {
	dir := t.TempDir()
	for name, n := range map[string]int{"layer-0000.safetensors": 100, "checkpoint/config.json": 20} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, make([]byte, n), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ disk, want int64 }{{200, 80}, {120, 0}, {100, 0}} {
		if got := stillNeeded(c.disk, dir); got != c.want {
			t.Errorf("of %d bytes %d are needed, want %d", c.disk, got, c.want)
		}
	}
	if got := stillNeeded(200, filepath.Join(dir, "none")); got != 200 {
		t.Errorf("without work %d bytes are needed, want all", got)
	}
}

// A full disk is not the end of the work.
func TestAFullDiskKeepsTheWork(t *testing.T) {
	full := fmt.Errorf("safetensors: %w", &os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC})
	if got := kept(full, "out.part"); !errors.Is(got, syscall.ENOSPC) || !strings.Contains(got.Error(), "out.part keeps what is done: make room") {
		t.Errorf("got %v", got)
	}
	if other := errors.New("other"); kept(other, "out.part") != other { //nolint:errorlint // the same error, not one like it
		t.Error("another error has changed")
	}
}

// lateStopper cancels when the weights are written, and nothing is left that would look.
type lateStopper struct {
	bytes.Buffer
	stop func()
}

func (s *lateStopper) Write(p []byte) (int, error) {
	if done, total, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(string(p)), "writing "), " of "); ok && done == total {
		s.stop()
	}
	return s.Buffer.Write(p)
}

// An interrupt that comes after the last look at it does not make a finished folder unfinished.
func TestQuantizeInterruptedAtTheEnd(t *testing.T) {
	home(t)
	out := filepath.Join(t.TempDir(), "out")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	errs := &lateStopper{stop: cancel}
	code := run(ctx, []string{"quantize", small(t), "--text", sentences(t, 40), "--samples", "4", "--length", "16", "--out", out},
		streams{in: strings.NewReader(""), out: &bytes.Buffer{}, err: errs})
	if ctx.Err() == nil {
		t.Fatalf("nothing was interrupted: %s", errs)
	}
	if _, err := os.Stat(filepath.Join(out, "config.json")); err != nil || code != ExitOK || strings.Contains(errs.String(), "stopped") {
		t.Errorf("exit code %d (%v): %s", code, err, errs)
	}
}
