package cli

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// deps returns the packages that pkg needs, itself left out.
func deps(t *testing.T, pkg string) []string {
	t.Helper()
	out, err := exec.Command("go", "list", "-tags", "cuda", "-deps", pkg).Output()
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for line := range strings.Lines(string(out)) {
		if dep := strings.TrimSpace(line); dep != pkg {
			list = append(list, dep)
		}
	}
	return list
}

// The table of rooms in the design: who may know what, over whole dependency trees.
func TestRoomsKnowOnlyWhatTheyMay(t *testing.T) {
	const module = "peregrine/"
	formats := []string{"model/tensor", "model/quant", "model/gptq", "model/gguf", "model/safetensors"}
	cases := []struct {
		pkg string
		may []string // rooms, without the module's name
	}{
		{"ui", []string{"ui/markdown", "ui/escape", "ui/cells", "ui/clipboard", "ui/library", "ui/preset", "ui/trade", "history", "history/words", "model/generate"}},
		{"ui/markdown", []string{"ui/escape", "ui/cells"}},
		{"ui/cells", nil},
		{"ui/clipboard", nil},
		{"ui/library", nil},
		{"ui/preset", []string{"model/generate"}},
		{"ui/trade", []string{"history", "history/words", "model/generate"}},
		{"ui/plain", []string{"ui/escape", "ui/library", "ui/preset", "ui/trade", "history", "history/words", "model/generate"}},
		{"history", []string{"history/words", "model/generate"}},
		{"history/words", nil},
		{"history/exchange", []string{"history", "history/words", "model/generate"}},
		{"model/generate", nil},
		{"model/sample", []string{"model/generate"}},
		{"model/prompt/jinja", nil},
		{"model/prompt", []string{"model/generate", "model/prompt/jinja"}},
		{"model/tokenizer", nil},
		{"model/engine", []string{"model/generate", "model/sample", "model/prompt", "model/prompt/jinja", "model/tokenizer"}},
		{"model/tensor", nil},
		{"model/quant", []string{"model/tensor"}},
		{"model/gguf", []string{"model/tensor"}},
		{"model/safetensors", []string{"model/tensor"}},
		{"model/gptq", []string{"model/tensor", "model/quant", "model/safetensors"}},
		{"model", append([]string{"model/sample", "model/generate"}, formats...)},
		{"model/oracle", append([]string{"model", "model/sample", "model/generate"}, formats...)},
		{"model/cpu", append([]string{"model", "model/sample", "model/generate"}, formats...)},
		{"model/synthetic", append([]string{"model", "model/sample", "model/generate"}, formats...)},
		{"model/quantize/product", nil},
		{"model/quantize", append([]string{"model", "model/quantize/product", "model/sample", "model/generate"}, formats...)},
		{"model/quantize/vocabulary", []string{"model/tokenizer"}},
		{"model/eval", []string{"model/sample", "model/generate"}},
		{"model/hub", nil},
		{"cuda/driver", []string{"cuda/kernels"}},
		{"cuda/kernels", nil},
		{"cuda/emulator", []string{"cuda/driver", "cuda/kernels"}},
		{"cuda", append([]string{"cuda/driver", "cuda/kernels", "model", "model/sample", "model/generate"}, formats...)},
	}
	for _, c := range cases {
		t.Run(c.pkg, func(t *testing.T) {
			allowed := map[string]bool{}
			for _, room := range c.may {
				allowed[module+room] = true
			}
			for _, dep := range deps(t, module+c.pkg) {
				if strings.HasPrefix(dep, module) && !allowed[dep] {
					t.Errorf("%s needs %s, which it must not know", c.pkg, dep)
				}
			}
		})
	}
}

// The screen builds without a C compiler: no cgo library hides below it.
func TestScreenNeedsNoCgo(t *testing.T) {
	for _, dep := range deps(t, "peregrine/ui") {
		for _, library := range []string{"gorgonia.org/cu", "github.com/daulet/tokenizers"} {
			if dep == library {
				t.Errorf("the screen needs %s", library)
			}
		}
	}
}

// One room talks to the GPU; all others have the interfaces of package driver.
func TestOnlyTheDriverKnowsCUDA(t *testing.T) {
	out, err := exec.Command("go", "list", "-tags", "cuda", "-f", `{{.ImportPath}} {{join .Imports " "}} {{join .TestImports " "}}`, "peregrine/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	var users []string
	for line := range strings.Lines(string(out)) {
		if fields := strings.Fields(line); slices.Contains(fields[1:], "gorgonia.org/cu") {
			users = append(users, fields[0])
		}
	}
	if !slices.Equal(users, []string{"peregrine/cuda/driver"}) {
		t.Errorf("gorgonia.org/cu is imported by %v", users)
	}
}
