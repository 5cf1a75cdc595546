package gguf

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"slices"
)

const (
	maxDims          = 4       // ggml's GGML_MAX_DIMS
	maxKey           = 1 << 16 // bytes of a key, by the format's document
	defaultAlignment = 32
	maxAlignment     = 1 << 20 // far above any file's; bounds the padding

	// The least bytes of one metadata pair (empty key, one-byte value) and of one tensor's description (empty name, no
	// dimension): a count must fit what is left of the file.
	minPair   = 8 + 4 + 1
	minTensor = 8 + 4 + 4 + 8
)

// reader takes values from the front of the file. After its first error every value is zero.
type reader struct {
	data []byte
	at   int
	err  error
}

func (r *reader) left() int { return len(r.data) - r.at }

// take returns the next n bytes, nil if there are not so many.
func (r *reader) take(n uint64, what string) []byte {
	if r.err != nil {
		return nil
	}
	if n > uint64(r.left()) {
		r.err = fmt.Errorf("%s needs %d bytes at byte %d, %d are left; the file is truncated or damaged: fetch it again", what, n, r.at, r.left())
		return nil
	}
	b := r.data[r.at : r.at+int(n) : r.at+int(n)]
	r.at += int(n)
	return b
}

func (r *reader) u32(what string) uint32 {
	if b := r.take(4, what); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (r *reader) u64(what string) uint64 {
	if b := r.take(8, what); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// text takes a string: its length, then its bytes.
func (r *reader) text(what string) []byte { return r.take(r.u64(what), what) }

// count takes a count of things of at least size bytes each.
func (r *reader) count(what string, size int) int {
	n := r.u64(what)
	if r.err == nil && n > uint64(r.left()/size) {
		r.err = fmt.Errorf("%s %d does not fit the %d bytes that are left; the file is truncated or damaged: fetch it again", what, n, r.left())
	}
	if r.err != nil {
		return 0
	}
	return int(n)
}

func (f *File) parse(data []byte) error {
	r := &reader{data: data}
	if err := r.version(); err != nil {
		return err
	}
	tensors := r.count("tensor count", minTensor)
	pairs := r.count("metadata count", minPair)
	f.values = make(map[string]value)
	for range pairs {
		if r.err != nil {
			break
		}
		f.pair(r)
	}
	if r.err != nil {
		return r.err
	}
	if n, ok := f.Int("split.count"); ok && n > 1 {
		return fmt.Errorf("is one of %d parts of a split model; merge them first (llama-gguf-split --merge)", n)
	}
	alignment, err := f.alignment()
	if err != nil {
		return err
	}
	var infos []info
	for range tensors {
		i := r.info()
		if r.err != nil {
			return r.err
		}
		infos = append(infos, i)
	}
	start := (r.at + alignment - 1) / alignment * alignment
	return f.place(infos, data, start, alignment)
}

func (r *reader) version() error {
	magic := r.take(4, "the magic number")
	version := r.u32("the version")
	if r.err != nil {
		return r.err
	}
	switch {
	case string(magic) != "GGUF":
		return fmt.Errorf("does not begin with GGUF but with %q; is this a GGUF file?", magic)
	case version == 1:
		return errors.New("is of version 1, which is no longer in use; convert it again to version 2 or 3")
	case version != 0 && version<<16 == 0:
		return fmt.Errorf("is big-endian (version %d with its bytes reversed); need a little-endian file", bits.ReverseBytes32(version))
	case version != 2 && version != 3:
		return fmt.Errorf("is of version %d; need 2 or 3", version)
	}
	return nil
}

// alignment returns the alignment of tensor data in bytes, a power of two.
func (f *File) alignment() (int, error) {
	v, ok := f.values["general.alignment"]
	if !ok {
		return defaultAlignment, nil
	}
	n, ok := f.Int("general.alignment")
	if !ok {
		return 0, fmt.Errorf("general.alignment is %v; need an integer", v.kind)
	}
	if n <= 0 || n > maxAlignment || n&(n-1) != 0 {
		return 0, fmt.Errorf("general.alignment is %d; need a power of two up to %d", n, maxAlignment)
	}
	return int(n), nil
}

// info is a tensor's description.
type info struct {
	Tensor
	offset uint64 // from the data's start
	size   uint64
}

func (r *reader) info() info {
	var i info
	i.Name = string(r.text("a tensor's name"))
	dims := r.u32("the dimensions of a tensor")
	if r.err == nil && dims > maxDims {
		r.err = fmt.Errorf("tensor %q: %d dimensions; need at most %d; the file is damaged: fetch it again", i.Name, dims, maxDims)
	}
	if r.err != nil {
		return i
	}
	sizes := make([]uint64, dims)
	for d := range sizes {
		sizes[d] = r.u64("a tensor's shape")
	}
	i.Type = Type(r.u32("a tensor's type"))
	i.offset = r.u64("a tensor's offset")
	if r.err == nil {
		r.err = i.measure(sizes)
	}
	return i
}

// measure sets Shape and size from ggml's dimensions, fastest first, after checking type and products.
func (i *info) measure(sizes []uint64) error {
	elements, bytes := i.Type.Block()
	if elements == 0 {
		return fmt.Errorf("tensor %q: type %v is not supported; need one of %s", i.Name, i.Type, supported)
	}
	i.Shape = make([]int, len(sizes))
	total := uint64(1)
	for d, n := range sizes {
		hi, lo := bits.Mul64(total, n)
		if n == 0 || hi != 0 || int64(lo) < 0 {
			return fmt.Errorf("tensor %q: shape %v (fastest dimension first) is empty or overflows; the file is damaged: fetch it again", i.Name, sizes)
		}
		total = lo
		i.Shape[len(sizes)-1-d] = int(n)
	}
	row := uint64(1)
	if len(sizes) > 0 {
		row = sizes[0]
	}
	if row%uint64(elements) != 0 {
		return fmt.Errorf("tensor %q: rows of %d are not whole %v blocks of %d; convert the model again", i.Name, row, i.Type, elements)
	}
	hi, size := bits.Mul64(total/uint64(elements), uint64(bytes))
	if hi != 0 {
		return fmt.Errorf("tensor %q: shape %v (fastest dimension first) of %v overflows; the file is damaged: fetch it again", i.Name, sizes, i.Type)
	}
	i.size = size
	return nil
}

// place gives the tensors their bytes after checking that each is aligned, inside the file and apart from the others.
func (f *File) place(infos []info, data []byte, start, alignment int) error {
	slices.SortStableFunc(infos, func(a, b info) int { return cmp.Compare(a.offset, b.offset) })
	f.tensors = make(map[string]Tensor, len(infos))
	space := uint64(max(0, len(data)-start))
	end, last := uint64(0), ""
	for _, i := range infos {
		switch _, twice := f.tensors[i.Name]; {
		case twice:
			return fmt.Errorf("tensor %q appears twice; the file is damaged: fetch it again", i.Name)
		case i.offset%uint64(alignment) != 0:
			return fmt.Errorf("tensor %q: offset %d is not a multiple of the alignment %d; the file is damaged: fetch it again", i.Name, i.offset, alignment)
		case i.offset < end:
			return fmt.Errorf("tensor %q: offset %d overlaps tensor %q, which ends at %d; the file is damaged: fetch it again", i.Name, i.offset, last, end)
		case i.offset > space || i.size > space-i.offset:
			return fmt.Errorf("tensor %q: %d bytes at offset %d pass the data's end %d; the file is truncated or damaged: fetch it again",
				i.Name, i.size, i.offset, space)
		}
		end, last = i.offset+i.size, i.Name
		at := start + int(i.offset)
		i.Data = data[at : at+int(i.size) : at+int(i.size)]
		f.tensors[i.Name] = i.Tensor
	}
	return nil
}
