package safetensors

import (
	"os"
	"path/filepath"
	"testing"
)

// fixtures is where the whole-model fixtures of all rooms live.
const fixtures = "../backendtest/testdata/fixtures"

// fixtureFiles returns every safetensors file and index of the fixtures.
func fixtureFiles(t *testing.T) []string {
	t.Helper()
	var files []string
	for _, pattern := range []string{"*.safetensors", "*.safetensors.index.json"} {
		found, err := filepath.Glob(filepath.Join(fixtures, "*", pattern))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	if len(files) == 0 {
		t.Fatalf("no safetensors file in %s", fixtures)
	}
	return files
}

func TestOpenEveryFixture(t *testing.T) {
	for _, path := range fixtureFiles(t) {
		f, err := Open(path)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, name := range f.Names() {
			if v, ok := f.Tensor(name); !ok || len(v.Data)*8 != v.Elements()*v.DType.Bits() {
				t.Errorf("%s: tensor %q: %v %v with %d bytes", path, name, v.DType, v.Shape, len(v.Data))
			}
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestOpenShardedFixtureAsOneFile(t *testing.T) {
	dir := filepath.Join(fixtures, "falcon-40b-sharded")
	sharded, err := Open(filepath.Join(dir, "model.safetensors.index.json"))
	if err != nil {
		t.Fatal(err)
	}
	defer sharded.Close()
	whole, err := Open(filepath.Join(fixtures, "falcon-40b-bf16", "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer whole.Close()
	shards := make(map[string]bool)
	for _, name := range whole.Names() {
		want, _ := whole.Tensor(name)
		got, ok := sharded.Tensor(name)
		if !ok || got.DType != want.DType || string(got.Data) != string(want.Data) {
			t.Errorf("tensor %q: got %v %v, want the %v %v of the single file", name, got.DType, got.Shape, want.DType, want.Shape)
		}
		shards[sharded.Shard(name)] = true
	}
	if len(shards) != 3 || len(sharded.Names()) != len(whole.Names()) {
		t.Errorf("got %d tensors in %d shards, want %d in 3", len(sharded.Names()), len(shards), len(whole.Names()))
	}
	var size int64
	for shard := range shards {
		info, err := os.Stat(filepath.Join(dir, shard))
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
	}
	if sharded.Size() != size {
		t.Errorf("got size %d, want %d", sharded.Size(), size)
	}
}
