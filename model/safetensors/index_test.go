package safetensors

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"peregrine/model/tensor"
)

func u8(name string, data ...byte) tensor.View {
	return tensor.View{Name: name, DType: tensor.U8, Shape: []int{len(data)}, Data: data}
}

// sharded writes two shards, a and b in the first, c in the second, and the index; it returns the index's path.
func sharded(t *testing.T, index string) string {
	t.Helper()
	dir := t.TempDir()
	for file, tensors := range map[string][]tensor.View{
		"model-00001-of-00002.safetensors": {u8("a", 1), u8("b", 2)},
		"model-00002-of-00002.safetensors": {u8("c", 3)},
	} {
		if err := Write(filepath.Join(dir, file), tensors, map[string]string{"of": file, file: "only"}); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "model.safetensors.index.json")
	if err := os.WriteFile(path, []byte(index), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const (
	first  = `"model-00001-of-00002.safetensors"`
	second = `"model-00002-of-00002.safetensors"`
	good   = `{"metadata":{"total_size":3,"nested":[{}]},"weight_map":{"a":` + first + `,"b":` + first + `,"c":` + second + `}}`
)

func TestOpenIndexJoinsTheShards(t *testing.T) {
	f, err := Open(sharded(t, good))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got := fmt.Sprintf("%v %s", f.Names(), f.Shard("c")); got != "[a b c] model-00002-of-00002.safetensors" {
		t.Errorf("got %s", got)
	}
	m := f.Metadata()
	if m["of"] != "model-00001-of-00002.safetensors" || m["model-00002-of-00002.safetensors"] != "only" {
		t.Errorf("metadata: got %v, want the first shard's where both have it", m)
	}
}

func TestOpenIndexTakesTensorsThatItLeavesOut(t *testing.T) {
	f, err := Open(sharded(t, `{"weight_map":{"a":`+first+`,"c":`+second+`}}`))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if v, ok := f.Tensor("b"); !ok || v.Data[0] != 2 {
		t.Errorf("got %v, %v, want tensor b of the first shard", v, ok)
	}
}

func TestOpenIndexRefusesBadInput(t *testing.T) {
	for name, c := range map[string]struct{ index, want string }{
		"missing shard": {
			`{"weight_map":{"a":` + first + `,"d":"model-00003-of-00003.safetensors"}}`,
			`model.safetensors.index.json: shard "model-00003-of-00003.safetensors" is missing from`,
		},
		"tensor in no shard":      {`{"weight_map":{"a":` + first + `,"d":` + second + `}}`, `tensor "d" is not in shard "model-00002-of-00002.safetensors"`},
		"tensor in another shard": {`{"weight_map":{"a":` + second + `,"c":` + second + `}}`, `tensor "a" is not in shard "model-00002-of-00002.safetensors", where the index says it is (1 such tensors)`},
		"path above":              {`{"weight_map":{"a":"../x.safetensors"}}`, `shard name "../x.safetensors" is not a plain file name`},
		"path below":              {`{"weight_map":{"a":"d/x.safetensors"}}`, "not a plain file name"},
		"absolute path":           {`{"weight_map":{"a":"/etc/passwd"}}`, "not a plain file name"},
		"path of another system":  {`{"weight_map":{"a":"..\\x.safetensors"}}`, "not a plain file name"},
		"name with NUL":           {`{"weight_map":{"a":"x\u0000.safetensors"}}`, "not a plain file name"},
		"dots":                    {`{"weight_map":{"a":".."}}`, "not a plain file name"},
		"empty name":              {`{"weight_map":{"a":""}}`, "not a plain file name"},
		"pickle shard":            {`{"weight_map":{"a":"pytorch_model-00001-of-00002.bin"}}`, "is not a .safetensors file; convert"},
		"name that is a number":   {`{"weight_map":{"a":1}}`, `weight_map "a": 1 is not a string`},
		"tensor twice":            {`{"weight_map":{"a":` + first + `,"a":` + second + `}}`, `"a" appears twice`},
		"two maps":                {`{"weight_map":{},"weight_map":{}}`, `"weight_map" appears twice`},
		"no map":                  {`{"metadata":{}}`, "weight_map is missing or empty"},
		"empty map":               {`{"weight_map":{}}`, "weight_map is missing or empty"},
		"not JSON":                {`x`, "invalid character"},
		"array":                   {`[]`, "[ where { is expected"},
		"truncated":               {good[:40], "JSON ends early"},
		"more behind":             {good + `{}`, "follows the closing brace"},
		"not UTF-8":               {"{\"\xff\":1}", "not UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := Open(sharded(t, c.index))
			if err == nil {
				t.Fatalf("got a file with %v, want an error with %q", f.Names(), c.want)
			}
			if got := err.Error(); !strings.Contains(got, c.want) || strings.Contains(got, "\n") {
				t.Errorf("got %q, want one line with %q", got, c.want)
			}
		})
	}
}

func TestOpenIndexRefusesUnplacedDuplicates(t *testing.T) {
	path := sharded(t, good)
	for _, file := range []string{"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"} {
		tensors := []tensor.View{u8("a", 1), u8("b", 2), u8("extra", 9)}
		if strings.Contains(file, "00002-of") {
			tensors = []tensor.View{u8("c", 3), u8("extra", 8)}
		}
		if err := Write(filepath.Join(filepath.Dir(path), file), tensors, nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Open(path); err == nil || !strings.Contains(err.Error(), `tensor "extra" is in both`) {
		t.Errorf("got %v, want a refusal", err)
	}
}

func TestOpenIndexChecksEveryShard(t *testing.T) {
	path := sharded(t, good)
	shard := filepath.Join(filepath.Dir(path), "model-00002-of-00002.safetensors")
	if err := os.Truncate(shard, 20); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); err == nil || !strings.Contains(err.Error(), shard) || !strings.Contains(err.Error(), "truncated") {
		t.Errorf("got %v, want that %s is truncated", err, shard)
	}
}
