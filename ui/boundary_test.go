package ui

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestTheScreenKnowsNoModel holds the rooms apart: of model the screen may know the contract alone, and nothing that it
// links needs cgo.
func TestTheScreenKnowsNoModel(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{.ImportPath}} {{if .CgoFiles}}cgo{{end}} {{.Standard}}", ".").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		path := fields[0]
		if strings.HasPrefix(path, "peregrine/model") && path != "peregrine/model/generate" || strings.HasPrefix(path, "peregrine/cuda") {
			t.Errorf("ui depends on %s", path)
		}
		if slices.Contains(fields[1:], "cgo") && !slices.Contains(fields[1:], "true") {
			t.Errorf("ui depends on %s, which needs cgo", path)
		}
	}
}
