package hub

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestResolve(t *testing.T) {
	p := Place{Own: t.TempDir(), Shared: Cache{Dir: t.TempDir()}}
	for _, arg := range []string{"", "smollm2", "SmolLM2"} {
		path, fetch, err := p.Resolve(arg)
		if err != nil || !fetch || path != Default.Path(p.Own) {
			t.Errorf("Resolve(%q) = %q, %v, %v", arg, path, fetch, err)
		}
	}
	if path, fetch, err := p.Resolve(p.Own); err != nil || fetch || path != p.Own {
		t.Errorf("a folder: got %q, %v, %v", path, fetch, err)
	}
	place(t, p.Own, "models/mine.gguf")
	dense, quantized, broken, plain := commitA, commitB, strings.Repeat("c", 40), strings.Repeat("d", 40)
	place(t, p.Shared.Dir, "models--o--dense/snapshots/"+dense+"/config.json", "models--o--dense/snapshots/"+dense+"/model.safetensors",
		"models--o--dense/snapshots/"+plain+"/config.json", "models--o--quants/snapshots/"+quantized+"/a.Q4_0.gguf",
		"models--o--quants/snapshots/"+quantized+"/sub/a.Q8_0.gguf", "models--o--quants/snapshots/"+quantized+"/config.json",
		"models--o--broken/snapshots/"+broken+"/config.json", "models--o--broken/snapshots/"+broken+"/model-1.safetensors",
		"models--p--dense2/snapshots/x/y", "models--gpt2/snapshots/"+dense+"/only.gguf")
	for path, content := range map[string]string{
		"models--o--dense/refs/main": dense + "\n", "models--o--dense/refs/refs/pr/1": plain, "models--o--quants/refs/main": quantized,
		"models--o--broken/refs/main": broken, "models--gpt2/refs/main": dense, "models--p--dense2/refs/main": "../../../etc",
		"models--o--broken/snapshots/" + broken + "/model.safetensors.index.json": `{"weight_map":{"a":"model-1.safetensors","b":"model-2.safetensors"}}`,
	} {
		path = filepath.Join(p.Shared.Dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	repo := func(s string) string { return filepath.Join(p.Shared.Dir, s) }
	for arg, want := range map[string]string{
		"o/dense": repo("models--o--dense/snapshots/" + dense), "o/dense@main": repo("models--o--dense/snapshots/" + dense),
		"o/dense@" + dense[:8]: repo("models--o--dense/snapshots/" + dense), "dense": repo("models--o--dense/snapshots/" + dense),
		"o/quants/a.Q4_0": repo("models--o--quants/snapshots/" + quantized + "/a.Q4_0.gguf"), "a.q4_0": repo("models--o--quants/snapshots/" + quantized + "/a.Q4_0.gguf"),
		"o/quants/sub/a.Q8_0.gguf@main": repo("models--o--quants/snapshots/" + quantized + "/sub/a.Q8_0.gguf"),
		"gpt2":                          repo("models--gpt2/snapshots/" + dense + "/only.gguf"), "mine": filepath.Join(p.Own, "models", "mine.gguf"),
	} {
		if got, fetch, err := p.Resolve(arg); err != nil || fetch || got != want {
			t.Errorf("%s: got %q, %v, %v; want %q", arg, got, fetch, err, want)
		}
	}
	for arg, want := range map[string]string{
		"no/such":           "`peregrine pull no/such` fetches it",
		"./no.gguf":         "no such model file or folder",
		"nothing":           "no such model file or folder",
		"o/quants":          "the cache holds 2 of its GGUF files (a.Q4_0.gguf, sub/a.Q8_0.gguf); name one, as in o/quants/a.Q4_0.gguf",
		"o/dense@refs/pr/1": "holds no safetensors and no GGUF file; `peregrine pull o/dense@refs/pr/1` completes it",
		"o/broken":          "lacks model-2.safetensors; `peregrine pull o/broken` completes it",
		"o/dense@v2":        "`peregrine pull o/dense@v2` fetches it",
		"p/dense2":          "`peregrine pull p/dense2` fetches it",
	} {
		if got, _, err := p.Resolve(arg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %q, %v; want %q", arg, got, err, want)
		}
	}
}
