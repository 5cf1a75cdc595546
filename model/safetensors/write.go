package safetensors

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"unicode/utf8"

	"peregrine/model/tensor"
)

// Write writes a safetensors file at path, whole or not at all: into a temporary file beside it, then renamed over it. The
// same tensors and metadata give the same bytes: tensors are sorted by descending element size, then name, as the reference
// writer does, and the header is padded so that the data begins at a multiple of 8.
func Write(path string, tensors []tensor.View, metadata map[string]string) error {
	return WriteContext(context.Background(), path, tensors, metadata, nil)
}

// WriteContext is Write for files that take a while: it stops when ctx does, leaving no file behind, and calls progress, if
// there is one, with the bytes written so far, headers included. No more of the tensors is touched at a time than it writes.
func WriteContext(ctx context.Context, path string, tensors []tensor.View, metadata map[string]string, progress func(done int64)) error {
	sorted := slices.Clone(tensors)
	slices.SortFunc(sorted, func(a, b tensor.View) int {
		return cmp.Or(cmp.Compare(b.DType.Bits(), a.DType.Bits()), cmp.Compare(a.Name, b.Name))
	})
	head, err := encodeHeader(sorted, metadata)
	if err != nil {
		return fmt.Errorf("safetensors: %s: %w", path, err)
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("safetensors: %s: is not a regular file (%v); it is left alone", path, info.Mode())
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("safetensors: %w", err)
	}
	defer os.Remove(f.Name())
	err = writeAll(ctx, f, head, sorted, progress)
	if err == nil { // what is thrown away need not reach the disk
		err = errors.Join(f.Chmod(0o644), f.Sync())
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("safetensors: %w", err)
	}
	return nil
}

// writeStep is how many bytes are written between two looks at the context: some milliseconds of work.
const writeStep = 16 << 20

func writeAll(ctx context.Context, w io.Writer, head []byte, tensors []tensor.View, progress func(done int64)) error {
	done := int64(0)
	write := func(b []byte) error {
		for len(b) > 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			n, err := w.Write(b[:min(writeStep, len(b))])
			if err != nil {
				return err
			}
			b, done = b[n:], done+int64(n)
			if progress != nil {
				progress(done)
			}
		}
		return nil
	}
	if err := write(head); err != nil {
		return err
	}
	for _, v := range tensors {
		if err := write(v.Data); err != nil {
			return err
		}
	}
	return nil
}

// encodeHeader returns the length, the JSON and its padding.
func encodeHeader(tensors []tensor.View, metadata map[string]string) ([]byte, error) {
	var text bytes.Buffer
	text.WriteByte('{')
	seen := make(map[string]struct{})
	if metadata != nil {
		if err := member(&text, "__metadata__", metadata); err != nil { // json sorts the keys
			return nil, err
		}
	}
	end := uint64(0)
	for _, v := range tensors {
		if _, ok := seen[v.Name]; ok || v.Name == "__metadata__" || !utf8.ValidString(v.Name) {
			return nil, fmt.Errorf("tensor name %q is taken or not UTF-8", v.Name)
		}
		seen[v.Name] = struct{}{}
		size, err := byteSize(v)
		if err != nil {
			return nil, fmt.Errorf("tensor %q: %w", v.Name, err)
		}
		if v.DType.Bits() == 0 || size != uint64(len(v.Data)) {
			return nil, fmt.Errorf("tensor %q: %v %v needs %d bytes, got %d", v.Name, v.DType, v.Shape, size, len(v.Data))
		}
		info := struct {
			DType   string    `json:"dtype"`
			Shape   []int     `json:"shape"`
			Offsets [2]uint64 `json:"data_offsets"`
		}{v.DType.String(), append([]int{}, v.Shape...), [2]uint64{end, end + size}}
		end += size
		if err := member(&text, v.Name, info); err != nil {
			return nil, err
		}
	}
	text.WriteByte('}')
	for text.Len()%8 != 0 {
		text.WriteByte(' ')
	}
	if text.Len() > maxHeader {
		return nil, fmt.Errorf("header of %d bytes is too large; the limit is %d", text.Len(), maxHeader)
	}
	return append(binary.LittleEndian.AppendUint64(nil, uint64(text.Len())), text.Bytes()...), nil
}

// member appends "name":value to the JSON object in text.
func member(text *bytes.Buffer, name string, value any) error {
	key, err := json.Marshal(name)
	if err != nil {
		return err
	}
	encoded, err := json.Marshal(value)
	if err != nil {
		return err
	}
	if text.Len() > 1 {
		text.WriteByte(',')
	}
	text.Write(key)
	text.WriteByte(':')
	text.Write(encoded)
	return nil
}
