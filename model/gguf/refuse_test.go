package gguf

import (
	"math"
	"slices"
	"strings"
	"testing"
)

func refuses(t *testing.T, data []byte, want string) {
	t.Helper()
	f, err := Parse("x.gguf", data)
	if err == nil {
		t.Fatalf("got a file with %v and %v, want an error with %q", f.Names(), f.Keys(), want)
	}
	if got := err.Error(); !strings.Contains(got, want) || !strings.HasPrefix(got, "gguf: x.gguf: ") || strings.ContainsAny(got, "\n\x1b") {
		t.Errorf("got %q, want one line with file and %q", got, want)
	}
}

func TestParseRefusesOtherFiles(t *testing.T) {
	version := func(v uint32) []byte { b := sample(); b.version = v; return b.bytes() }
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"empty":           {nil, "the magic number needs 4 bytes at byte 0, 0 are left; the file is truncated"},
		"another magic":   {[]byte("GGML\x03\x00\x00\x00"), `begin with GGUF but with "GGML"`},
		"escape as magic": {[]byte("\x1b[2J\x03\x00\x00\x00"), `but with "\x1b[2J"`},
		"version 1":       {version(1), "is of version 1"},
		"version 0":       {version(0), "is of version 0; need 2 or 3"},
		"version 4":       {version(4), "is of version 4; need 2 or 3"},
		"big-endian 3":    {version(3 << 24), "is big-endian (version 3 with its bytes reversed); need a little-endian file"},
		"big-endian 2":    {version(2 << 24), "is big-endian (version 2"},
		"split": {
			build().pair("split.count", kindU16, []byte{4, 0}).bytes(), "is one of 4 parts of a split model; merge them first",
		},
	} {
		t.Run(name, func(t *testing.T) { refuses(t, c.data, c.want) })
	}
}

// However a file is cut, it is refused and says that it is truncated.
func TestParseRefusesEveryTruncation(t *testing.T) {
	data := sample().bytes()
	for n := range data {
		f, err := Parse("x.gguf", data[:n])
		if err == nil {
			t.Fatalf("cut to %d of %d bytes: got %v", n, len(data), f.Names())
		}
		if !strings.Contains(err.Error(), "truncated") {
			t.Fatalf("cut to %d of %d bytes: got %v", n, len(data), err)
		}
	}
}

func TestParseRefusesBrokenMetadata(t *testing.T) {
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"more pairs than bytes": {
			join([]byte("GGUF"), u32(3), u64(0), u64(1<<60)), "metadata count 1152921504606846976 does not fit the 0 bytes that are left",
		},
		"more tensors than bytes": {
			join([]byte("GGUF"), u32(3), u64(math.MaxUint64), u64(0), make([]byte, 100)), "tensor count 18446744073709551615 does not fit",
		},
		"key of 2^63": {
			join([]byte("GGUF"), u32(3), u64(0), u64(1), u64(1<<63), make([]byte, 100)), "a metadata key needs 9223372036854775808 bytes",
		},
		"key too long":         {build().pair(strings.Repeat("k", 1<<16), kindU8, []byte{1}).bytes(), "metadata key of 65536 bytes is too long"},
		"key that is not text": {build().pair("\xff", kindU8, []byte{1}).bytes(), "not UTF-8"},
		"key twice":            {build().pair("k", kindU8, []byte{1}).pair("k", kindU8, []byte{1}).bytes(), `metadata key "k" appears twice`},
		"unknown kind":         {build().pair("k", 13, []byte{1}).bytes(), `metadata "k": unknown value type 13`},
		"huge kind":            {build().pair("k", math.MaxUint32, []byte{1}).bytes(), "unknown value type 4294967295"},
		"string too long":      {build().pair("k", kindString, u64(1<<40)).bytes(), "a metadata string needs 1099511627776 bytes"},
		"array too long":       {build().array("k", kindU64, 1<<61).bytes(), `metadata "k": array length 2305843009213693952 does not fit`},
		"array of bytes, longer than the file": {
			build().array("k", kindU8, 1<<20).bytes(), "array length 1048576 does not fit",
		},
		"array of strings, longer than the file": {build().array("k", kindString, 1<<20, text("a")).bytes(), "array length 1048576 does not fit"},
		"array with a long string": {
			build().array("k", kindString, 2, text("a"), u64(1<<50)).bytes(), "a string of a metadata array needs 1125899906842624 bytes",
		},
		"nested array":           {build().array("k", kindArray, 1, u32(0), u64(1), []byte{1}).bytes(), `metadata "k": array of array is not supported`},
		"array of unknown kind":  {build().array("k", 99, 1, []byte{1}).bytes(), "array of unknown value type 99"},
		"alignment 0":            {build().pair("general.alignment", kindU32, u32(0)).bytes(), "general.alignment is 0; need a power of two"},
		"alignment 48":           {build().pair("general.alignment", kindU32, u32(48)).bytes(), "general.alignment is 48"},
		"alignment of 2 GiB":     {build().pair("general.alignment", kindU32, u32(1<<31)).bytes(), "general.alignment is 2147483648"},
		"alignment -32":          {build().pair("general.alignment", kindI32, u32(math.MaxUint32-31)).bytes(), "general.alignment is -32"},
		"alignment that is text": {build().pair("general.alignment", kindString, text("32")).bytes(), "general.alignment is string; need an integer"},
	} {
		t.Run(name, func(t *testing.T) { refuses(t, c.data, c.want) })
	}
}

func TestParseRefusesBrokenTensors(t *testing.T) {
	data := func(b *builder, n int) []byte { b.data = make([]byte, n); return b.bytes() }
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"IQ4_NL": {
			data(build().info("a", 20, 0, 32), 18),
			`tensor "a": type IQ4_NL is not supported; need one of F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0 and Q2_K to Q6_K`,
		},
		"IQ2_XXS":          {data(build().info("a", 16, 0, 256), 66), "type IQ2_XXS is not supported"},
		"Q8_K":             {data(build().info("a", 15, 0, 256), 292), "type Q8_K is not supported"},
		"half a K block":   {data(build().info("a", Q6_K, 0, 128, 2), 210), "rows of 128 are not whole Q6_K blocks of 256"},
		"unknown type":     {data(build().info("a", 77, 0, 32), 24), "type unknown type 77 is not supported"},
		"five dimensions":  {data(build().info("a", F32, 0, 1, 1, 1, 1, 1), 4), `tensor "a": 5 dimensions; need at most 4`},
		"empty":            {data(build().info("a", F32, 0, 3, 0), 0), `tensor "a": shape [3 0] (fastest dimension first) is empty`},
		"product of 2^64":  {data(build().info("a", F32, 0, 1<<32, 1<<32), 4), "is empty or overflows"},
		"product of 2^63":  {data(build().info("a", F32, 0, 1<<32, 1<<31), 4), "is empty or overflows"},
		"bytes above 2^64": {data(build().info("a", F32, 0, 1<<31, 1<<31), 4), "of F32 overflows"},
		"half a block":     {data(build().info("a", Q8_0, 0, 48, 2), 102), "rows of 48 are not whole Q8_0 blocks of 32"},
		"blocks across rows": {
			data(build().info("a", Q4_1, 0, 16, 2), 20), "rows of 16 are not whole Q4_1 blocks",
		},
		"scalar of blocks": {data(build().info("a", Q4_0, 0), 18), "rows of 1 are not whole"},
		"name twice":       {build().tensor("a", F32, 0, 4, 1).tensor("a", F32, 0, 4, 1).bytes(), `tensor "a" appears twice`},
		"overlap": {
			data(build().info("a", F32, 0, 16).info("b", F32, 32, 1), 64), `tensor "b": offset 32 overlaps tensor "a", which ends at 64`,
		},
		"the same place":  {data(build().info("a", F32, 0, 1).info("b", F32, 0, 1), 32), `tensor "b": offset 0 overlaps tensor "a"`},
		"not aligned":     {data(build().info("a", F32, 4, 1), 32), "offset 4 is not a multiple of the alignment 32"},
		"past the end":    {data(build().info("a", F32, 64, 1), 32), "4 bytes at offset 64 pass the data's end 32; the file is truncated"},
		"offset of 2^64":  {data(build().info("a", F32, math.MaxUint64-31, 1), 32), "at offset 18446744073709551584 pass the data's end"},
		"escape sequence": {data(build().info("\x1b[2J", 20, 0, 32), 18), `tensor "\x1b[2J"`},
	} {
		t.Run(name, func(t *testing.T) { refuses(t, c.data, c.want) })
	}
}

func TestParseRefusesALongName(t *testing.T) {
	b := build()
	b.infos, b.tensors = slices.Concat(u64(1<<62), make([]byte, 64)), 1
	refuses(t, b.bytes(), "a tensor's name needs 4611686018427387904 bytes")
}

// FuzzOpen parses any bytes. What it accepts must be consistent, and every value readable.
func FuzzOpen(f *testing.F) {
	f.Add(sample().bytes())
	f.Add(build().bytes())
	for t, size := range blockSizes {
		f.Add(build().tensor("a", t, 1, 2*size.bytes, uint64(size.elements), 2).bytes())
	}
	f.Add(build().pair("general.alignment", kindU32, u32(1)).info("a", F32, 0, 1).bytes())
	f.Add(build().array("k", kindString, 1<<20, text("a")).bytes())
	f.Add(join([]byte("GGUF"), u32(3), u64(1<<60), u64(1<<60), u64(1<<63)))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse("fuzz", data)
		if err != nil {
			return
		}
		total := 0
		for _, name := range file.Names() {
			v, ok := file.Tensor(name)
			n := 1
			for _, d := range v.Shape {
				n *= d
			}
			elements, bytes := v.Type.Block()
			if !ok || n <= 0 || n/elements*bytes != len(v.Data) {
				t.Fatalf("tensor %q: %v %v with %d bytes", name, v.Type, v.Shape, len(v.Data))
			}
			total += len(v.Data)
		}
		if total > len(data) {
			t.Fatalf("tensors hold %d bytes of a file of %d", total, len(data))
		}
		for _, key := range file.Keys() {
			if d := file.Describe(key); d == "absent" || strings.ContainsAny(d, "\x1b\n") {
				t.Fatalf("key %q is described as %q", key, d)
			}
			if s, ok := file.Strings(key); ok && len(s)*8 > len(data) {
				t.Fatalf("key %q has %d strings in %d bytes", key, len(s), len(data))
			}
			file.String(key)
			file.Int(key)
			file.Float(key)
			file.Bool(key)
			file.Ints(key)
			file.Floats(key)
		}
	})
}

func BenchmarkStrings(b *testing.B) {
	const n = 131072
	var tokens []byte
	for range n {
		tokens = append(tokens, text("Ġtoken")...)
	}
	f, err := Parse("x", build().array("tokens", kindString, n, tokens).bytes())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if s, ok := f.Strings("tokens"); !ok || len(s) != n {
			b.Fatal(len(s), ok)
		}
	}
}
