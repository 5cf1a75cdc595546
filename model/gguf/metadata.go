package gguf

import (
	"encoding/binary"
	"fmt"
	"math"
	"unicode/utf8"
)

// kind is the type of a metadata value.
type kind uint32

const (
	kindU8 kind = iota
	kindI8
	kindU16
	kindI16
	kindU32
	kindI32
	kindF32
	kindBool
	kindString
	kindArray
	kindU64
	kindI64
	kindF64
)

var kindNames = [...]string{"u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "string", "array", "u64", "i64", "f64"}

func (k kind) String() string {
	if int64(k) < int64(len(kindNames)) {
		return kindNames[k]
	}
	return fmt.Sprintf("unknown value type %d", uint32(k))
}

// size returns the bytes of a value, 0 for strings and arrays.
func (k kind) size() int {
	switch k {
	case kindU8, kindI8, kindBool:
		return 1
	case kindU16, kindI16:
		return 2
	case kindU32, kindI32, kindF32:
		return 4
	case kindU64, kindI64, kindF64:
		return 8
	case kindString, kindArray:
	}
	return 0
}

// value is a metadata value where it lies in the file: the bytes of a number or string, or of all elements of an array. The
// lengths of an array's strings were checked when the file was opened.
type value struct {
	kind  kind
	array kind // the elements' kind when kind is kindArray
	count int
	raw   []byte
}

// pair reads one key and its value.
func (f *File) pair(r *reader) {
	key := string(r.text("a metadata key"))
	v := value{kind: kind(r.u32("a metadata value's type"))}
	if r.err != nil {
		return
	}
	_, twice := f.values[key]
	switch {
	case len(key) >= maxKey || !utf8.ValidString(key):
		r.err = fmt.Errorf("metadata key of %d bytes is too long or not UTF-8; the file is damaged: fetch it again", len(key))
	case twice:
		r.err = fmt.Errorf("metadata key %q appears twice; the file is damaged: fetch it again", key)
	case int(v.kind) >= len(kindNames):
		r.err = fmt.Errorf("metadata %q: %v; the file is damaged, or newer than this program: fetch it again, or convert it to version 3", key, v.kind)
	case v.kind == kindArray:
		r.array(key, &v)
	case v.kind == kindString:
		v.raw = r.text("a metadata string")
	default:
		v.raw = r.take(uint64(v.kind.size()), "a metadata value")
	}
	if r.err != nil {
		return
	}
	f.values[key] = v
	f.keys = append(f.keys, key)
}

// array reads the elements' kind, their count, and passes over them.
func (r *reader) array(key string, v *value) {
	v.array = kind(r.u32("a metadata array's type"))
	if r.err == nil && (v.array == kindArray || int(v.array) >= len(kindNames)) {
		r.err = fmt.Errorf("metadata %q: array of %v is not supported; convert the model again without it", key, v.array)
		return
	}
	if v.array != kindString {
		size := v.array.size()
		v.count = r.count(fmt.Sprintf("metadata %q: array length", key), size)
		v.raw = r.take(uint64(v.count)*uint64(size), "a metadata array")
		return
	}
	v.count = r.count(fmt.Sprintf("metadata %q: array length", key), 8)
	start := r.at
	for range v.count {
		if r.text("a string of a metadata array"); r.err != nil {
			return
		}
	}
	v.raw = r.data[start:r.at:r.at]
}

// Keys returns the metadata keys in the file's order. The caller must not change it.
func (f *File) Keys() []string { return f.keys }

// String returns a string value. It is a copy and may hold any bytes.
func (f *File) String(key string) (string, bool) {
	v, ok := f.values[key]
	if !ok || v.kind != kindString {
		return "", false
	}
	return string(v.raw), true
}

// Int returns a value of any integer type that fits an int64.
func (f *File) Int(key string) (int64, bool) {
	v, ok := f.values[key]
	if !ok {
		return 0, false
	}
	return integer(v.kind, v.raw)
}

// Float returns a value of any floating-point or integer type.
func (f *File) Float(key string) (float64, bool) {
	v, ok := f.values[key]
	if !ok {
		return 0, false
	}
	return float(v.kind, v.raw)
}

// Bool returns a bool value.
func (f *File) Bool(key string) (value, ok bool) {
	v, ok := f.values[key]
	if !ok || v.kind != kindBool {
		return false, false
	}
	return v.raw[0] != 0, true
}

// Strings returns an array of strings. They share one copy of the file's bytes, so that a vocabulary costs two allocations.
func (f *File) Strings(key string) ([]string, bool) {
	v, ok := f.values[key]
	if !ok || v.kind != kindArray || v.array != kindString {
		return nil, false
	}
	all := string(v.raw)
	list := make([]string, v.count)
	at := 0
	for i := range list {
		n := int(binary.LittleEndian.Uint64(v.raw[at:]))
		list[i] = all[at+8 : at+8+n]
		at += 8 + n
	}
	return list, true
}

// Ints returns an array of any integer type whose values all fit an int64.
func (f *File) Ints(key string) ([]int64, bool) { return array(f, key, integer) }

// Floats returns an array of any floating-point or integer type.
func (f *File) Floats(key string) ([]float64, bool) { return array(f, key, float) }

// Describe returns a value in a few words for listings, such as "u32 2048" or "array of 49152 string". Strings are quoted
// and cut after 60 bytes.
func (f *File) Describe(key string) string {
	v, ok := f.values[key]
	if !ok {
		return "absent"
	}
	switch v.kind {
	case kindArray:
		return fmt.Sprintf("array of %d %v", v.count, v.array)
	case kindString:
		if len(v.raw) > 60 {
			return fmt.Sprintf("%q… (%d bytes)", v.raw[:60], len(v.raw))
		}
		return fmt.Sprintf("%q", v.raw)
	case kindBool:
		return fmt.Sprint(v.raw[0] != 0)
	case kindU64:
		return fmt.Sprintf("u64 %d", binary.LittleEndian.Uint64(v.raw))
	case kindF32, kindF64:
		x, _ := float(v.kind, v.raw)
		return fmt.Sprintf("%v %g", v.kind, x)
	default:
		x, _ := integer(v.kind, v.raw)
		return fmt.Sprintf("%v %d", v.kind, x)
	}
}

func array[T any](f *File, key string, read func(kind, []byte) (T, bool)) ([]T, bool) {
	v, ok := f.values[key]
	if !ok || v.kind != kindArray || v.array.size() == 0 {
		return nil, false
	}
	if _, ok := read(v.array, make([]byte, 8)); !ok {
		return nil, false // not an array of that sort, even when it is empty
	}
	list := make([]T, v.count)
	for i := range list {
		if list[i], ok = read(v.array, v.raw[i*v.array.size():]); !ok {
			return nil, false
		}
	}
	return list, true
}

func integer(k kind, b []byte) (int64, bool) {
	switch k { //nolint:exhaustive // the rest is no integer
	case kindU8:
		return int64(b[0]), true
	case kindI8:
		return int64(int8(b[0])), true
	case kindU16:
		return int64(binary.LittleEndian.Uint16(b)), true
	case kindI16:
		return int64(int16(binary.LittleEndian.Uint16(b))), true
	case kindU32:
		return int64(binary.LittleEndian.Uint32(b)), true
	case kindI32:
		return int64(int32(binary.LittleEndian.Uint32(b))), true
	case kindU64:
		n := binary.LittleEndian.Uint64(b)
		return int64(n), n <= math.MaxInt64
	case kindI64:
		return int64(binary.LittleEndian.Uint64(b)), true
	}
	return 0, false
}

func float(k kind, b []byte) (float64, bool) {
	switch k { //nolint:exhaustive // the rest are integers or no numbers
	case kindF32:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(b))), true
	case kindF64:
		return math.Float64frombits(binary.LittleEndian.Uint64(b)), true
	}
	n, ok := integer(k, b)
	return float64(n), ok
}
