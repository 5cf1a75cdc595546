// Package gguf reads GGUF files, versions 2 and 3, little-endian: metadata, then tensors in ggml's element types.
//
// Open maps the file and walks everything in front of the data once, checking each length and count against the bytes that
// are left before anything is allocated, so that what a file says cannot size an allocation. Metadata arrays are left in the
// map until they are asked for: a vocabulary of 131072 strings costs one pass to open. Shapes are given in C order, [Out, In],
// the reverse of the file's. What keys and tensors mean is left to others.
// Source: ggml/docs/gguf.md and ggml/src/gguf.cpp.
package gguf

import (
	"fmt"
	"slices"

	"peregrine/model/tensor"
)

// File is a GGUF file.
type File struct {
	path    string
	size    int64
	mapping *tensor.Mapping // nil for Parse
	values  map[string]value
	tensors map[string]Tensor
	names   []string
	keys    []string
}

// Tensor is a read-only tensor in the mapped file; it ends with the File's Close.
type Tensor struct {
	Name  string
	Type  Type
	Shape []int // C order: [Out, In] for a matrix; In is a multiple of the type's block
	Data  []byte
}

// Open maps and checks the file at path. Tensors of types that this program cannot compute with are refused by name, and so
// is one part of a split file. Close unmaps.
func Open(path string) (*File, error) {
	m, err := tensor.Map(path)
	if err != nil {
		return nil, fmt.Errorf("gguf: %w", err)
	}
	f, err := Parse(path, m.Bytes())
	if err != nil {
		_ = m.Close() // the error that counts is the one above
		return nil, err
	}
	f.mapping = m
	return f, nil
}

// Stamp is that of the mapped file (tensor.Mapping); "" for Parse.
func (f *File) Stamp() string {
	if f.mapping == nil {
		return ""
	}
	return f.mapping.Stamp()
}

// Parse reads a GGUF file that is in memory; name stands for its path in errors. Tensors share data.
func Parse(name string, data []byte) (*File, error) {
	f := &File{path: name, size: int64(len(data))}
	if err := f.parse(data); err != nil {
		return nil, fmt.Errorf("gguf: %s: %w", name, err)
	}
	for name := range f.tensors {
		f.names = append(f.names, name)
	}
	slices.Sort(f.names)
	return f, nil
}

// Names returns the names of all tensors, sorted. The caller must not change it.
func (f *File) Names() []string { return f.names }

// Tensor returns the tensor with the given name.
func (f *File) Tensor(name string) (Tensor, bool) {
	t, ok := f.tensors[name]
	return t, ok
}

// Path returns the path that Open was given.
func (f *File) Path() string { return f.path }

// Size returns the bytes of the file.
func (f *File) Size() int64 { return f.size }

// Close unmaps the file: tensors and metadata are invalid from then on, but for strings and slices already returned.
// Closing twice does nothing.
func (f *File) Close() error {
	m := f.mapping
	f.mapping, f.values, f.tensors, f.names, f.keys = nil, nil, nil, nil, nil
	if m == nil {
		return nil
	}
	if err := m.Close(); err != nil {
		return fmt.Errorf("gguf: %w", err)
	}
	return nil
}
