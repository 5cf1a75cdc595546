package gguf

import (
	"encoding/binary"
	"math"
)

// builder writes a GGUF file piece by piece, so that a test can make any piece wrong.
type builder struct {
	head    []byte // metadata pairs
	pairs   uint64
	infos   []byte
	tensors uint64
	data    []byte
	version uint32
	align   int
}

func build() *builder { return &builder{version: 3, align: 32} }

func u32(x uint32) []byte { return binary.LittleEndian.AppendUint32(nil, x) }
func u64(x uint64) []byte { return binary.LittleEndian.AppendUint64(nil, x) }
func f32(x float32) []byte {
	return binary.LittleEndian.AppendUint32(nil, math.Float32bits(x))
}
func text(s string) []byte { return append(u64(uint64(len(s))), s...) }

func join(parts ...[]byte) []byte {
	var all []byte
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

// pair adds a metadata value of the given kind with its bytes.
func (b *builder) pair(key string, k kind, value ...[]byte) *builder {
	b.head = join(b.head, text(key), u32(uint32(k)), join(value...))
	b.pairs++
	return b
}

func (b *builder) array(key string, k kind, n uint64, values ...[]byte) *builder {
	return b.pair(key, kindArray, u32(uint32(k)), u64(n), join(values...))
}

// info adds a tensor's description; dims are ggml's, fastest first.
func (b *builder) info(name string, t Type, offset uint64, dims ...uint64) *builder {
	b.infos = join(b.infos, text(name), u32(uint32(len(dims))))
	for _, d := range dims {
		b.infos = append(b.infos, u64(d)...)
	}
	b.infos = join(b.infos, u32(uint32(t)), u64(offset))
	b.tensors++
	return b
}

// tensor adds a description and data that counts up from first, aligned.
func (b *builder) tensor(name string, t Type, first byte, size int, dims ...uint64) *builder {
	b.pad()
	b.info(name, t, uint64(len(b.data)), dims...)
	for i := range size {
		b.data = append(b.data, first+byte(i))
	}
	return b
}

func (b *builder) pad() {
	for len(b.data)%b.align != 0 {
		b.data = append(b.data, 0)
	}
}

func (b *builder) bytes() []byte {
	file := join([]byte("GGUF"), u32(b.version), u64(b.tensors), u64(b.pairs), b.head, b.infos)
	for len(file)%b.align != 0 {
		file = append(file, 0)
	}
	return append(file, b.data...)
}

// sample is a small file with a value of each kind and a tensor of each supported type.
func sample() *builder {
	return build().
		pair("general.architecture", kindString, text("llama")).
		pair("u8", kindU8, []byte{200}).
		pair("i8", kindI8, []byte{0xfe}).
		pair("u16", kindU16, []byte{0xff, 0xff}).
		pair("i16", kindI16, []byte{0xfe, 0xff}).
		pair("u32", kindU32, u32(math.MaxUint32)).
		pair("i32", kindI32, u32(math.MaxUint32)).
		pair("u64", kindU64, u64(1<<62)).
		pair("u64 large", kindU64, u64(1<<63)).
		pair("i64", kindI64, u64(math.MaxUint64)).
		pair("f32", kindF32, f32(0.5)).
		pair("f64", kindF64, u64(math.Float64bits(0.1))).
		pair("bool", kindBool, []byte{1}).
		array("strings", kindString, 3, text("a"), text(""), text("bcé")).
		array("ints", kindI32, 2, u32(7), u32(math.MaxUint32)).
		array("large", kindU64, 2, u64(7), u64(math.MaxUint64)).
		array("floats", kindF32, 2, f32(-1), f32(2.5)).
		array("none", kindString, 0).
		array("bools", kindBool, 2, []byte{0, 1}).
		tensor("a", F32, 0, 24, 3, 2).
		tensor("b", Q4_1, 1, 2*2*20, 64, 2).
		tensor("c", Q8_0, 2, 34, 32).
		tensor("d", Q4_0, 3, 18, 32, 1, 1, 1).
		tensor("e", BF16, 4, 10, 5).
		tensor("f", F16, 5, 2).
		tensor("g", Q4_K, 6, 2*144, 256, 2).
		tensor("h", Q5_1, 7, 24, 32)
}
