package safetensors

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"peregrine/model/tensor"
)

// raw is a file with the given header and as many data bytes, counting up.
func raw(header string, data int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	b = append(b, header...)
	for i := range data {
		b = append(b, byte(i))
	}
	return b
}

// refuses checks that a file with the header is refused with a one-line error that has want in it.
func refuses(t *testing.T, data []byte, want string) {
	t.Helper()
	f, err := Parse("x.safetensors", data)
	if err == nil {
		t.Fatalf("got a file with %v, want an error with %q", f.Names(), want)
	}
	if got := err.Error(); !strings.Contains(got, want) || !strings.HasPrefix(got, "safetensors: x.safetensors: ") || strings.Contains(got, "\n") {
		t.Errorf("got %q, want one line with file and %q", got, want)
	}
}

func TestParseRefusesBrokenLengths(t *testing.T) {
	whole := raw(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 8)
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"empty file":               {nil, "header too small: 0 bytes"},
		"seven bytes":              {whole[:7], "header too small: 7 bytes"},
		"header of 2^63":           {binary.LittleEndian.AppendUint64(nil, 1<<63), "9223372036854775808 bytes is too large; the limit is 100000000"},
		"header of 2^64-1":         {binary.LittleEndian.AppendUint64(nil, math.MaxUint64), "too large"},
		"header above the limit":   {binary.LittleEndian.AppendUint64(nil, maxHeader+1), "header of 100000001 bytes is too large"},
		"header at the limit":      {binary.LittleEndian.AppendUint64(nil, maxHeader), "passes the file's end at 8; the file is truncated"},
		"truncated in the header":  {whole[:20], "passes the file's end at 20; the file is truncated"},
		"truncated in the data":    {whole[:len(whole)-1], `tensor "a": offsets [0, 8) pass the data's end 7; the file is truncated`},
		"bytes after the data":     {append(slices.Clone(whole), 1), "1 bytes follow the last tensor's end 8"},
		"no header":                {make([]byte, 8), "does not begin with {"},
		"header that is an array":  {raw(`[]`, 0), "does not begin with {"},
		"header behind a space":    {raw(` {}`, 0), "does not begin with {"},
		"header that is not UTF-8": {raw("{\"\xff\":1}", 0), "not UTF-8"},
		"header that ends early":   {raw(`{"a":{"dtype":"F32"`, 0), "JSON ends early"},
		"header after its end":     {raw(`{}{}`, 0), "{ follows the closing brace"},
		"header with other ends":   {raw(`{]`, 0), "invalid character ']'"},
		"no data for the tensors":  {raw(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 0), "pass the data's end 0"},
	} {
		t.Run(name, func(t *testing.T) { refuses(t, c.data, c.want) })
	}
}

func TestParseRefusesBrokenTensors(t *testing.T) {
	for name, c := range map[string]struct {
		header string
		data   int
		want   string
	}{
		"unknown type":       {`{"a":{"dtype":"F128","shape":[1],"data_offsets":[0,16]}}`, 16, `tensor "a": dtype: unknown element type "F128"`},
		"type in lower case": {`{"a":{"dtype":"f32","shape":[1],"data_offsets":[0,4]}}`, 4, `unknown element type "f32"`},
		"size that is not the shape's": {
			`{"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,20]}}`, 20,
			`tensor "a": F32 [2 3] needs 24 bytes, its offsets [0, 20) hold 20`,
		},
		"shape that overflows": {
			`{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`, 0, "shape [4294967296 4294967296] overflows",
		},
		"bits that overflow": {`{"a":{"dtype":"F64","shape":[4611686018427387904],"data_offsets":[0,0]}}`, 0, "of F64 overflows"},
		"overflow before a zero": {
			`{"a":{"dtype":"U8","shape":[4294967296,4294967296,0],"data_offsets":[0,0]}}`, 0, "overflows",
		},
		"dimension of 2^63":        {`{"a":{"dtype":"U8","shape":[9223372036854775808],"data_offsets":[0,0]}}`, 0, "dimension 9223372036854775808 overflows"},
		"dimension of 2^64":        {`{"a":{"dtype":"U8","shape":[18446744073709551616],"data_offsets":[0,0]}}`, 0, "18446744073709551616 is not an unsigned 64-bit"},
		"negative dimension":       {`{"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,0]}}`, 0, "shape: -1 is not an unsigned"},
		"dimension with a point":   {`{"a":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}}`, 1, "shape: 1.0 is not an unsigned"},
		"dimension that is text":   {`{"a":{"dtype":"U8","shape":["1"],"data_offsets":[0,1]}}`, 1, `shape: "1" is not a number`},
		"shape that is a number":   {`{"a":{"dtype":"U8","shape":1,"data_offsets":[0,1]}}`, 1, "shape: 1 where [ is expected"},
		"four bits":                {`{"a":{"dtype":"F4","shape":[3],"data_offsets":[0,1]}}`, 1, "12 bits, not whole bytes"},
		"three offsets":            {`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,2]}}`, 1, "data_offsets: 3 numbers, want 2"},
		"very many offsets":        {`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,2,3,4]}}`, 1, "data_offsets: more than 2 numbers"},
		"one offset":               {`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0]}}`, 1, "data_offsets: 1 numbers, want 2"},
		"offsets the wrong way":    {`{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,-1]}}`, 0, "-1 is not an unsigned"},
		"offsets of 2^64-1":        {`{"a":{"dtype":"U8","shape":[1],"data_offsets":[18446744073709551614,18446744073709551615]}}`, 1, "do not follow"},
		"end before begin":         {`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[0],"data_offsets":[1,0]}}`, 1, "do not follow"},
		"hole at the beginning":    {`{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, 2, `tensor "a": offsets [1, 2) do not follow the previous tensor's end 0`},
		"hole":                     {`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}}`, 3, `tensor "b": offsets [2, 3)`},
		"overlap":                  {`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}`, 3, "do not follow"},
		"two tensors on one place": {`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}`, 2, "do not follow"},
		"no type":                  {`{"a":{"shape":[1],"data_offsets":[0,1]}}`, 1, `tensor "a": dtype is missing`},
		"no shape":                 {`{"a":{"dtype":"U8","data_offsets":[0,1]}}`, 1, "shape is missing"},
		"no offsets":               {`{"a":{"dtype":"U8","shape":[0]}}`, 0, "data_offsets is missing"},
		"tensor that is null":      {`{"a":null}`, 0, `tensor "a": null where { is expected`},
		"name twice":               {`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, 2, `"a" appears twice`},
		"name twice, once escaped": {`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"\u0061":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, 2, `"a" appears twice`},
		"type twice":               {`{"a":{"dtype":"U8","dtype":"I8","shape":[1],"data_offsets":[0,1]}}`, 1, `"dtype" appears twice`},
		"metadata twice":           {`{"__metadata__":{},"__metadata__":{}}`, 0, `"__metadata__" appears twice`},
		"metadata key twice":       {`{"__metadata__":{"k":"1","k":"2"}}`, 0, `"k" appears twice`},
		"metadata with a number":   {`{"__metadata__":{"k":1}}`, 0, `__metadata__ "k": 1 is not a string`},
		"metadata with an object":  {`{"__metadata__":{"k":{}}}`, 0, `__metadata__ "k": { is not a string`},
		"escape sequence in name":  {`{"\u001b[2J":{"dtype":"\u001b","shape":[1],"data_offsets":[0,1]}}`, 1, `tensor "\x1b[2J": dtype: unknown element type "\x1b"`},
	} {
		t.Run(name, func(t *testing.T) { refuses(t, raw(c.header, c.data), c.want) })
	}
}

func TestParseAllowsWhatTheReferenceAllows(t *testing.T) {
	for name, c := range map[string]struct {
		header string
		data   int
		names  string
	}{
		"no tensor":               {`{}`, 0, "[]"},
		"padding":                 {`{}      `, 0, "[]"},
		"scalar":                  {`{"a":{"dtype":"I64","shape":[],"data_offsets":[0,8]}}`, 8, "[a]"},
		"empty tensor":            {`{"a":{"dtype":"F32","shape":[0,5],"data_offsets":[0,0]}}`, 0, "[a]"},
		"empty tensor in between": {`{"c":{"dtype":"U8","shape":[1],"data_offsets":[1,2]},"b":{"dtype":"U8","shape":[0],"data_offsets":[1,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 2, "[a b c]"},
		"any order":               {`{"b":{"dtype":"U8","shape":[1],"data_offsets":[1,2]},"a":{"data_offsets":[0,1],"shape":[1],"dtype":"U8"}}`, 2, "[a b]"},
		"another key":             {`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"more":{"deep":[1,[2]]}}}`, 1, "[a]"},
		"unaligned data":          {`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"F32","shape":[1],"data_offsets":[1,5]}}`, 5, "[a b]"},
		"two values in a byte":    {`{"a":{"dtype":"F4","shape":[4],"data_offsets":[0,2]}}`, 2, "[a]"},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := Parse("x", raw(c.header, c.data))
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(f.Names()); got != c.names {
				t.Errorf("got %s, want %s", got, c.names)
			}
		})
	}
}

func TestParseKnowsEveryType(t *testing.T) {
	for d := tensor.Bool; d <= tensor.F4; d++ {
		header := fmt.Sprintf(`{"a":{"dtype":%q,"shape":[8],"data_offsets":[0,%d]}}`, d, d.Bits())
		f, err := Parse("x", raw(header, d.Bits()))
		if err != nil {
			t.Error(err)
			continue
		}
		if v, _ := f.Tensor("a"); v.DType != d {
			t.Errorf("got %v, want %v", v.DType, d)
		}
	}
}

func TestTensorViewsTheFilesBytes(t *testing.T) {
	f, err := Parse("x", raw(`{"__metadata__":{"format":"pt"},"b":{"dtype":"U8","shape":[3],"data_offsets":[2,5]},"a":{"dtype":"I16","shape":[1],"data_offsets":[0,2]}}`, 5))
	if err != nil {
		t.Fatal(err)
	}
	v, ok := f.Tensor("b")
	if !ok || v.Name != "b" || v.DType != tensor.U8 || !slices.Equal(v.Shape, []int{3}) || string(v.Data) != "\x02\x03\x04" {
		t.Errorf("got %+v, %v", v, ok)
	}
	if cap(v.Data) != len(v.Data) {
		t.Errorf("an append to the view would write into the file's bytes: capacity %d of %d", cap(v.Data), len(v.Data))
	}
	if got := f.Metadata()["format"]; got != "pt" {
		t.Errorf("metadata: got %q, want pt", got)
	}
	if _, ok := f.Tensor("c"); ok || f.Shard("c") != "" || f.Shard("a") != "x" {
		t.Errorf("got tensor c or the wrong shards %q, %q", f.Shard("c"), f.Shard("a"))
	}
}

func TestOpenNamesTheMissingFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "absent.safetensors")
	if _, err := Open(path); err == nil || !strings.Contains(err.Error(), path) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want that %s does not exist", err, path)
	}
}

// BenchmarkParse reads the header of a model with as many tensors as Falcon 180B has in GPTQ, about 2000.
func BenchmarkParse(b *testing.B) {
	var tensors []tensor.View
	for layer := range 80 {
		for i := range 25 {
			tensors = append(tensors, tensor.View{
				Name: fmt.Sprintf("transformer.h.%d.self_attention.query_key_value.%d", layer, i), DType: tensor.U8, Shape: []int{1, 1}, Data: []byte{1},
			})
		}
	}
	path := filepath.Join(b.TempDir(), "x.safetensors")
	if err := Write(path, tensors, nil); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		f, err := Open(path)
		if err != nil {
			b.Fatal(err)
		}
		if err := f.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
