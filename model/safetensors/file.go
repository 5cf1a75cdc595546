// Package safetensors reads and writes safetensors files: a JSON header of names, types, shapes and offsets, then the data.
//
// Open maps the file and checks everything that the header says against the format's reference reader before it hands out a
// view, so that no view can reach outside the data and no byte belongs to two tensors. Nothing is copied and nothing that
// the header says sizes an allocation: a header is as large as the file that holds it. What the tensors mean is left to
// others. Source: the format's README and safetensors/src/tensor.rs.
package safetensors

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"peregrine/model/tensor"
)

// File is one safetensors file, or all shards of an index as if they were one.
type File struct {
	path     string
	mappings []*tensor.Mapping
	tensors  map[string]entry
	names    []string
	metadata map[string]string
	size     int64
}

// entry is a tensor and the base name of the file that it lies in.
type entry struct {
	view tensor.View
	file string
}

// Open maps the safetensors file at path, or, when its name ends in ".json", every shard that this index names. Element types
// without arithmetic in package tensor can be listed; those that safetensors does not define are refused. Close unmaps.
func Open(path string) (*File, error) {
	if strings.HasSuffix(path, ".json") {
		return openIndex(path)
	}
	f := &File{path: path}
	s, err := f.openShard(path)
	if err != nil {
		return nil, err
	}
	f.fill([]shard{s}, nil)
	return f, nil
}

// Stamp is that of all mapped files (tensor.Mapping), a line each; "" for Parse.
func (f *File) Stamp() string {
	stamps := make([]string, len(f.mappings))
	for i, m := range f.mappings {
		stamps[i] = m.Stamp()
	}
	return strings.Join(stamps, "\n")
}

// Parse reads a safetensors file that is in memory; name stands for its path in errors. The views share data.
func Parse(name string, data []byte) (*File, error) {
	f := &File{path: name}
	s, err := f.parseShard(name, data)
	if err != nil {
		return nil, err
	}
	f.fill([]shard{s}, nil)
	return f, nil
}

// shard is one parsed file.
type shard struct {
	file string // base name
	header
}

// openShard maps and parses the file at path. On an error it closes everything that f has mapped.
func (f *File) openShard(path string) (shard, error) {
	m, err := tensor.Map(path)
	if err != nil {
		_ = f.Close() // the error that counts is the one above
		return shard{}, fmt.Errorf("safetensors: %w", err)
	}
	f.mappings = append(f.mappings, m)
	return f.parseShard(path, m.Bytes())
}

func (f *File) parseShard(path string, data []byte) (shard, error) {
	h, err := parse(data)
	if err != nil {
		_ = f.Close() // the error that counts is the one above
		return shard{}, fmt.Errorf("safetensors: %s: %w; fetch the file again, or use another copy", path, err)
	}
	f.size += int64(len(data))
	return shard{filepath.Base(path), h}, nil
}

// fill takes over the tensors of the shards; where gives the shard of each tensor that more than one of them holds.
func (f *File) fill(shards []shard, where map[string]string) {
	f.tensors = make(map[string]entry)
	f.metadata = make(map[string]string)
	for _, s := range shards {
		for _, v := range s.tensors {
			if file, ok := where[v.Name]; !ok || file == s.file {
				f.tensors[v.Name] = entry{v, s.file}
			}
		}
		for k, v := range s.metadata {
			if _, ok := f.metadata[k]; !ok {
				f.metadata[k] = v
			}
		}
	}
	f.names = make([]string, 0, len(f.tensors))
	for name := range f.tensors {
		f.names = append(f.names, name)
	}
	slices.Sort(f.names)
}

// Names returns the names of all tensors, sorted. The caller must not change it.
func (f *File) Names() []string { return f.names }

// Tensor returns the tensor with the given name, a view that ends with Close.
func (f *File) Tensor(name string) (tensor.View, bool) {
	e, ok := f.tensors[name]
	return e.view, ok
}

// Shard returns the base name of the file that holds the tensor, "" if there is no such tensor.
func (f *File) Shard(name string) string { return f.tensors[name].file }

// Metadata returns the free-form __metadata__ of the header, never nil. With several shards the first, in order of their
// names, wins.
func (f *File) Metadata() map[string]string { return f.metadata }

// Path returns the path that Open was given.
func (f *File) Path() string { return f.path }

// Size returns the bytes of all files together, headers included.
func (f *File) Size() int64 { return f.size }

// Close unmaps the files: every view is invalid from then on. Closing twice does nothing.
func (f *File) Close() error {
	var first error
	for _, m := range f.mappings {
		if err := m.Close(); err != nil && first == nil {
			first = fmt.Errorf("safetensors: %w", err)
		}
	}
	f.mappings = nil
	return first
}
