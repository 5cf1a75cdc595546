package safetensors

import (
	"os"
	"path/filepath"
	"testing"
)

// FuzzOpen parses any bytes as a file. What it accepts must be consistent: every view inside the data, every size as type
// and shape say, no byte in two tensors, all bytes in one.
func FuzzOpen(f *testing.F) {
	f.Add(raw(`{}`, 0))
	f.Add(raw(`{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}  `, 8))
	f.Add(raw(`{"b":{"dtype":"F4","shape":[4],"data_offsets":[8,10]},"a":{"dtype":"I64","shape":[],"data_offsets":[0,8],"x":[{}]}}`, 10))
	f.Add(raw(`{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"\u0061":{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`, 0))
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\x7f{"))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse("fuzz", data)
		if err != nil {
			return
		}
		total := 0
		for _, name := range file.Names() {
			v, ok := file.Tensor(name)
			if !ok || v.Name != name || v.Elements() < 0 || len(v.Data)*8 != v.Elements()*v.DType.Bits() {
				t.Fatalf("tensor %q: %+v, %v", name, v, ok)
			}
			total += len(v.Data)
		}
		if total > len(data)-8 {
			t.Fatalf("tensors hold %d bytes of a file of %d", total, len(data))
		}
	})
}

// FuzzIndex opens any text as an index beside two shards. No name in it may lead out of the folder.
func FuzzIndex(f *testing.F) {
	dir := f.TempDir()
	for file, name := range map[string]string{"x.safetensors": "a", "y.safetensors": "b"} {
		if err := os.WriteFile(filepath.Join(dir, file), raw(`{"`+name+`":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 1), 0o600); err != nil {
			f.Fatal(err)
		}
	}
	f.Add([]byte(`{"metadata":{"total_size":2},"weight_map":{"a":"x.safetensors","b":"y.safetensors"}}`))
	f.Add([]byte(`{"weight_map":{"a":"../x.safetensors"}}`))
	f.Add([]byte(`{"weight_map":{"b":"x.safetensors"}}`))
	f.Add([]byte(`{"weight_map":{"a":"x.safetensors","a":"y.safetensors"},"x":[1,{"y":null}]}`))
	path := filepath.Join(dir, "fuzz.index.json")
	f.Fuzz(func(t *testing.T, text []byte) {
		where, err := parseIndex(text)
		if err != nil {
			return
		}
		for _, file := range where {
			if filepath.Dir(filepath.Join(dir, file)) != dir {
				t.Fatalf("shard %q leads out of the folder", file)
			}
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := openIndex(path)
		if err != nil {
			return
		}
		for name := range where {
			if _, ok := file.Tensor(name); !ok {
				t.Errorf("tensor %q of the index is missing", name)
			}
		}
		if err := file.Close(); err != nil {
			t.Error(err)
		}
	})
}
