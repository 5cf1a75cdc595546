package safetensors

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"peregrine/model/tensor"
)

func TestWriteRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.safetensors")
	tensors := []tensor.View{
		u8("z", 1, 2, 3),
		{Name: "logits", DType: tensor.F32, Shape: []int{2, 1}, Data: []byte{1, 2, 3, 4, 5, 6, 7, 8}},
		{Name: "scalar \"é\n", DType: tensor.I64, Data: make([]byte, 8)},
		{Name: "empty", DType: tensor.BF16, Shape: []int{0, 3}},
	}
	metadata := map[string]string{"format": "pt", "a": "\x1b"}
	if err := Write(path, tensors, metadata); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, want := range tensors {
		got, ok := f.Tensor(want.Name)
		if !ok || got.DType != want.DType || fmt.Sprint(got.Shape) != fmt.Sprint(want.Shape) || !bytes.Equal(got.Data, want.Data) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	if got := f.Metadata(); len(got) != 2 || got["format"] != "pt" || got["a"] != "\x1b" {
		t.Errorf("metadata: got %q, want %q", got, metadata)
	}
}

func TestWriteIsDeterministicAndAligned(t *testing.T) {
	dir := t.TempDir()
	a := tensor.View{Name: "a", DType: tensor.F16, Shape: []int{1}, Data: []byte{1, 2}}
	b := tensor.View{Name: "b", DType: tensor.F32, Shape: []int{1}, Data: []byte{3, 4, 5, 6}}
	c := tensor.View{Name: "c", DType: tensor.F16, Shape: []int{1}, Data: []byte{7, 8}}
	var files [2][]byte
	for i, order := range [][]tensor.View{{a, b, c}, {c, a, b}} {
		path := filepath.Join(dir, fmt.Sprint(i))
		if err := Write(path, order, map[string]string{"x": "1", "y": "2"}); err != nil {
			t.Fatal(err)
		}
		var err error
		if files[i], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(files[0], files[1]) {
		t.Error("another order of the same tensors gave another file")
	}
	n := binary.LittleEndian.Uint64(files[0])
	if n%8 != 0 {
		t.Errorf("data begins at %d, want a multiple of 8", 8+n)
	}
	if got, want := files[0][8+n:], []byte{3, 4, 5, 6, 1, 2, 7, 8}; !bytes.Equal(got, want) {
		t.Errorf("data: got %v, want the widest type first, then by name: %v", got, want)
	}
}

func TestWriteReplacesAndLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.safetensors")
	for i := range 2 {
		if err := Write(path, []tensor.View{u8("a", byte(i))}, nil); err != nil {
			t.Fatal(err)
		}
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if v, _ := f.Tensor("a"); v.Data[0] != 1 {
		t.Errorf("got %d, want the second file's 1", v.Data[0])
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("got %v, %v, want only the file", entries, err)
	}
}

func TestWriteRefusesAndChangesNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.safetensors")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		path    string
		tensors []tensor.View
		want    string
	}{
		"name twice":     {path, []tensor.View{u8("a", 1), u8("a", 2)}, `tensor name "a" is taken`},
		"reserved name":  {path, []tensor.View{u8("__metadata__", 1)}, "is taken"},
		"not UTF-8":      {path, []tensor.View{u8("\xff", 1)}, "not UTF-8"},
		"wrong size":     {path, []tensor.View{{Name: "a", DType: tensor.F32, Shape: []int{2}, Data: make([]byte, 4)}}, "F32 [2] needs 8 bytes, got 4"},
		"no type":        {path, []tensor.View{{Name: "a", Shape: []int{0}}}, "invalid [0]"},
		"negative shape": {path, []tensor.View{{Name: "a", DType: tensor.U8, Shape: []int{-1}}}, "overflows"},
		"folder":         {dir, nil, "is not a regular file"},
		"device":         {os.DevNull, nil, "is not a regular file"},
		"no folder":      {filepath.Join(dir, "absent", "x"), nil, "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := Write(c.path, c.tensors, nil); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("got %v, %v, want only the old file", entries, err)
	}
	if old, err := os.ReadFile(path); err != nil || string(old) != "old" {
		t.Errorf("got %q, %v, want the old file as it was", old, err)
	}
}

func TestWriteContextReportsAndStops(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.safetensors")
	tensors := []tensor.View{u8("a", make([]byte, 2*writeStep+1)...), u8("b", 1)}
	var told []int64
	if err := WriteContext(t.Context(), path, tensors, nil, func(done int64) { told = append(told, done) }); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(told) != 5 || told[4] != info.Size() || told[1]-told[0] != writeStep {
		t.Errorf("told %v, want the header, three parts of a, b: %d bytes", told, info.Size())
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err = WriteContext(ctx, path, tensors, nil, func(int64) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want it cancelled", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("got %v, %v, want an empty folder", entries, err)
	}
}
