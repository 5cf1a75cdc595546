package backendtest

import (
	"os"
	"path/filepath"
	"testing"

	"peregrine/model"
)

// DefaultModel is the file that `make run` and `make test` fetch into the user's cache folder.
const DefaultModel = "peregrine/models/SmolLM2-135M-Instruct.Q4_1.gguf"

// OpenDefault opens the real default model; it ends with the test. Where it was not fetched the test is skipped, or fails when
// PEREGRINE_REQUIRE_MODEL=1.
func OpenDefault(t testing.TB) *model.Checkpoint {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(cache, filepath.FromSlash(DefaultModel))
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("PEREGRINE_REQUIRE_MODEL") == "1" {
			t.Fatalf("the default model is required and not there: %v", err)
		}
		t.Skipf("the default model is not there; `make model` fetches it: %v", err)
	}
	c, err := model.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return c
}
