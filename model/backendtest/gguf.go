package backendtest

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"testing"

	"peregrine/model/gguf"
)

// EncodeGGUF returns the bytes of a GGUF file, version 3, alignment 32. Metadata values are uint32, int32, uint64, float32,
// bool, string, []string, []int32 or []float32. Tensors need Name, Type, Shape (C order) and Data.
func EncodeGGUF(metadata map[string]any, tensors []gguf.Tensor) []byte {
	le := binary.LittleEndian
	text := func(b []byte, s string) []byte { return append(le.AppendUint64(b, uint64(len(s))), s...) }
	b := le.AppendUint64(le.AppendUint64(le.AppendUint32([]byte("GGUF"), 3), uint64(len(tensors))), uint64(len(metadata)))
	for _, name := range slices.Sorted(maps.Keys(metadata)) {
		b = text(b, name)
		kind, payload := encodeValue(metadata[name])
		b = append(le.AppendUint32(b, kind), payload...)
	}
	offset := 0
	for _, t := range tensors {
		b = le.AppendUint32(text(b, t.Name), uint32(len(t.Shape)))
		for i := len(t.Shape) - 1; i >= 0; i-- {
			b = le.AppendUint64(b, uint64(t.Shape[i]))
		}
		b = le.AppendUint64(le.AppendUint32(b, uint32(t.Type)), uint64(offset))
		offset += (len(t.Data) + 31) &^ 31
	}
	for _, t := range tensors {
		b = append(b, make([]byte, -len(b)&31)...)
		b = append(b, t.Data...)
	}
	return append(b, make([]byte, -len(b)&31)...)
}

// encodeValue returns GGUF's number of a value's type, and the value.
func encodeValue(v any) (kind uint32, b []byte) {
	le := binary.LittleEndian
	array := func(of uint32, n int) []byte { return le.AppendUint64(le.AppendUint32(nil, of), uint64(n)) }
	switch v := v.(type) {
	case uint32:
		return 4, le.AppendUint32(nil, v)
	case int32:
		return 5, le.AppendUint32(nil, uint32(v))
	case float32:
		return 6, le.AppendUint32(nil, math.Float32bits(v))
	case bool:
		if v {
			return 7, []byte{1}
		}
		return 7, []byte{0}
	case string:
		return 8, append(le.AppendUint64(nil, uint64(len(v))), v...)
	case uint64:
		return 10, le.AppendUint64(nil, v)
	case []string:
		b = array(8, len(v))
		for _, s := range v {
			b = append(le.AppendUint64(b, uint64(len(s))), s...)
		}
	case []int32:
		b = array(5, len(v))
		for _, x := range v {
			b = le.AppendUint32(b, uint32(x))
		}
	case []float32:
		b = array(6, len(v))
		for _, x := range v {
			b = le.AppendUint32(b, math.Float32bits(x))
		}
	default:
		panic(fmt.Sprintf("backendtest: GGUF value of type %T", v))
	}
	return 9, b
}

// WriteGGUF writes a GGUF file.
func WriteGGUF(t testing.TB, path string, metadata map[string]any, tensors []gguf.Tensor) {
	t.Helper()
	if err := os.WriteFile(path, EncodeGGUF(metadata, tensors), 0o600); err != nil {
		t.Fatal(err)
	}
}
