package gguf

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func mustParse(t *testing.T, data []byte) *File {
	t.Helper()
	f, err := Parse("x.gguf", data)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestTensorsHaveReversedShapesAndTheirBytes(t *testing.T) {
	f := mustParse(t, sample().bytes())
	for _, want := range []struct {
		name  string
		t     Type
		shape string
		first byte
		size  int
	}{
		{"a", F32, "[2 3]", 0, 24},
		{"b", Q4_1, "[2 64]", 1, 80},
		{"c", Q8_0, "[32]", 2, 34},
		{"d", Q4_0, "[1 1 1 32]", 3, 18},
		{"e", BF16, "[5]", 4, 10},
		{"f", F16, "[]", 5, 2},
		{"g", Q4_K, "[2 256]", 6, 288},
		{"h", Q5_1, "[32]", 7, 24},
	} {
		got, ok := f.Tensor(want.name)
		if !ok || got.Name != want.name || got.Type != want.t || fmt.Sprint(got.Shape) != want.shape {
			t.Errorf("tensor %s: got %v %v, want %v %s", want.name, got.Type, got.Shape, want.t, want.shape)
			continue
		}
		if len(got.Data) != want.size || got.Data[0] != want.first || cap(got.Data) != want.size {
			t.Errorf("tensor %s: got %d bytes from %d, want %d from %d", want.name, len(got.Data), got.Data[0], want.size, want.first)
		}
	}
	if got := strings.Join(f.Names(), ""); got != "abcdefgh" {
		t.Errorf("names: got %s, want abcdefgh", got)
	}
	if _, ok := f.Tensor("i"); ok {
		t.Error("got a tensor i, want none")
	}
}

func TestVersionTwoIsRead(t *testing.T) {
	b := sample()
	b.version = 2
	if f := mustParse(t, b.bytes()); len(f.Names()) != 8 {
		t.Errorf("got %v", f.Names())
	}
}

func TestAlignmentIsTheFilesOwn(t *testing.T) {
	b := build()
	b.align = 128
	b.pair("general.alignment", kindU32, u32(128)).tensor("a", F32, 0, 4, 1).tensor("b", F32, 9, 4, 1)
	f := mustParse(t, b.bytes())
	if v, _ := f.Tensor("b"); v.Data[0] != 9 {
		t.Errorf("got %d, want 9", v.Data[0])
	}
}

func TestVocabularyWithoutTensors(t *testing.T) {
	data := build().pair("general.architecture", kindString, text("falcon")).bytes()
	f := mustParse(t, data)
	if len(f.Names()) != 0 || f.Size() != int64(len(data)) {
		t.Errorf("got %v of %d bytes, want none of %d", f.Names(), f.Size(), len(data))
	}
	// ggml does not pad such a file.
	mustParse(t, join([]byte("GGUF"), u32(3), u64(0), u64(1), text("k"), u32(uint32(kindBool)), []byte{1}))
}

func TestScalarsOfEveryKind(t *testing.T) {
	f := mustParse(t, sample().bytes())
	for key, want := range map[string]string{
		"u8": "200", "i8": "-2", "u16": "65535", "i16": "-2", "u32": "4294967295", "i32": "-1",
		"u64": "4611686018427387904", "u64 large": "none", "i64": "-1",
		"f32": "none", "bool": "none", "general.architecture": "none", "ints": "none", "absent": "none",
	} {
		got := "none"
		if n, ok := f.Int(key); ok {
			got = fmt.Sprint(n)
		}
		if got != want {
			t.Errorf("Int(%s): got %s, want %s", key, got, want)
		}
	}
	for key, want := range map[string]string{"f32": "0.5", "f64": "0.1", "i8": "-2", "bool": "none", "floats": "none", "absent": "none"} {
		got := "none"
		if x, ok := f.Float(key); ok {
			got = fmt.Sprint(x)
		}
		if got != want {
			t.Errorf("Float(%s): got %s, want %s", key, got, want)
		}
	}
	if v, ok := f.Bool("bool"); !v || !ok {
		t.Errorf("Bool: got %v, %v", v, ok)
	}
	if _, ok := f.Bool("u8"); ok {
		t.Error("Bool of a number: got one")
	}
	if s, ok := f.String("general.architecture"); s != "llama" || !ok {
		t.Errorf("String: got %q, %v", s, ok)
	}
	if _, ok := f.String("strings"); ok {
		t.Error("String of an array: got one")
	}
}

func TestArrays(t *testing.T) {
	f := mustParse(t, sample().bytes())
	strs, ok := f.Strings("strings")
	if !ok || !slices.Equal(strs, []string{"a", "", "bcé"}) {
		t.Errorf("Strings: got %q, %v", strs, ok)
	}
	if s, ok := f.Strings("none"); !ok || len(s) != 0 {
		t.Errorf("Strings of an empty array: got %q, %v", s, ok)
	}
	ints, ok := f.Ints("ints")
	if !ok || !slices.Equal(ints, []int64{7, -1}) {
		t.Errorf("Ints: got %v, %v", ints, ok)
	}
	floats, ok := f.Floats("floats")
	if !ok || !slices.Equal(floats, []float64{-1, 2.5}) {
		t.Errorf("Floats: got %v, %v", floats, ok)
	}
	if x, ok := f.Floats("ints"); !ok || !slices.Equal(x, []float64{7, -1}) {
		t.Errorf("Floats of integers: got %v, %v", x, ok)
	}
	for _, key := range []string{"large", "strings", "floats", "bools", "none", "u8", "absent"} {
		if x, ok := f.Ints(key); ok {
			t.Errorf("Ints(%s): got %v, want none", key, x)
		}
	}
	if x, ok := f.Strings("ints"); ok {
		t.Errorf("Strings of integers: got %q", x)
	}
}

func TestStringsOutliveTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.gguf")
	if err := os.WriteFile(path, sample().bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	strs, _ := f.Strings("strings")
	name, _ := f.String("general.architecture")
	for range 2 {
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if strs[2] != "bcé" || name != "llama" {
		t.Errorf("got %q, %q after Close", strs, name)
	}
	if _, ok := f.String("general.architecture"); ok {
		t.Error("metadata is there after Close")
	}
}

func TestDescribe(t *testing.T) {
	b := sample().pair("template", kindString, text("\x1b[2J"+strings.Repeat("x", 70)))
	f := mustParse(t, b.bytes())
	for key, want := range map[string]string{
		"general.architecture": `"llama"`, "u64 large": "u64 9223372036854775808", "i8": "i8 -2", "f32": "f32 0.5",
		"bool": "true", "strings": "array of 3 string", "absent": "absent",
		"template": `"\x1b[2J` + strings.Repeat("x", 56) + `"… (74 bytes)`,
	} {
		if got := f.Describe(key); got != want {
			t.Errorf("%s: got %s, want %s", key, got, want)
		}
	}
}

func TestTypeNames(t *testing.T) {
	got := fmt.Sprintf("%v %v %v %v %v", Q4_1, Type(12), Type(23), Type(39), Type(math.MaxUint32))
	if want := "Q4_1 Q4_K IQ4_XS MXFP4 unknown type 4294967295"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestOpenNamesTheFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.gguf")
	if err := os.WriteFile(path, []byte("GGML"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{path, dir, filepath.Join(dir, "absent")} {
		if _, err := Open(p); err == nil || !strings.HasPrefix(err.Error(), "gguf: ") || !strings.Contains(err.Error(), p) {
			t.Errorf("got %v, want an error that names %s", err, p)
		}
	}
}
