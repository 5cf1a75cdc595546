package safetensors

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

// openIndex opens all shards of an index. A tensor that the index places must be in that shard. Tensors that a shard holds
// and the index leaves out are taken too, as other loaders do; two shards with the same one are refused.
func openIndex(path string) (*File, error) {
	where, err := readIndex(path)
	if err != nil {
		return nil, fmt.Errorf("safetensors: %s: %w; fetch the index again, or use another copy", path, err)
	}
	var files []string
	for _, file := range where {
		files = append(files, file)
	}
	slices.Sort(files)
	files = slices.Compact(files)

	f := &File{path: path}
	shards := make([]shard, 0, len(files))
	for _, file := range files {
		s, err := f.openShard(filepath.Join(filepath.Dir(path), file))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("safetensors: %s: shard %q is missing from %s; fetch it again, or open a complete copy",
				filepath.Base(path), file, filepath.Dir(path))
		}
		if err != nil {
			return nil, err
		}
		shards = append(shards, s)
	}
	if err := checkShards(shards, where); err != nil {
		_ = f.Close() // the error that counts is the one above
		return nil, fmt.Errorf("safetensors: %s: %w; fetch index and shards again, from one model", path, err)
	}
	f.fill(shards, where)
	return f, nil
}

// checkShards checks that every tensor of the index is in its shard, and that no unplaced one is in two.
func checkShards(shards []shard, where map[string]string) error {
	placed := 0
	extra := make(map[string]string)
	for _, s := range shards {
		for _, v := range s.tensors {
			file, ok := where[v.Name]
			switch {
			case ok && file == s.file:
				placed++
			case !ok && extra[v.Name] != "":
				return fmt.Errorf("tensor %q is in both %q and %q, and the index names neither", v.Name, extra[v.Name], s.file)
			case !ok:
				extra[v.Name] = s.file
			}
		}
	}
	if placed == len(where) {
		return nil
	}
	for _, s := range shards {
		for _, v := range s.tensors {
			if where[v.Name] == s.file {
				delete(where, v.Name)
			}
		}
	}
	lost := make([]string, 0, len(where))
	for name := range where {
		lost = append(lost, name)
	}
	name := slices.Min(lost)
	return fmt.Errorf("tensor %q is not in shard %q, where the index says it is (%d such tensors)", name, where[name], len(lost))
}

// readIndex returns the weight_map: tensor name → shard, a plain base name.
func readIndex(path string) (map[string]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxHeader {
		return nil, fmt.Errorf("index is not a regular file of at most %d bytes", maxHeader)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return parseIndex(text)
}

func parseIndex(text []byte) (map[string]string, error) {
	if !utf8.Valid(text) {
		return nil, errors.New("index is not UTF-8")
	}
	p := parser{json.NewDecoder(bytes.NewReader(text))}
	p.UseNumber()
	var where map[string]string
	err := p.object(func(key string) error {
		if key != "weight_map" {
			return p.skip()
		}
		where = make(map[string]string)
		return p.object(func(name string) error {
			file, err := p.string()
			if err != nil {
				return fmt.Errorf("weight_map %q: %w", name, err)
			}
			where[name] = file
			return checkShardName(name, file)
		})
	})
	if err == nil {
		err = p.end()
	}
	if err != nil {
		return nil, fmt.Errorf("index: %w", err)
	}
	if len(where) == 0 {
		return nil, errors.New("index: weight_map is missing or empty")
	}
	return where, nil
}

// checkShardName refuses everything but a plain file name beside the index.
func checkShardName(name, file string) error {
	if file == "" || file == "." || file == ".." || strings.ContainsAny(file, "/\\\x00") || filepath.Base(file) != file {
		return fmt.Errorf("weight_map %q: shard name %q is not a plain file name", name, file)
	}
	if !strings.HasSuffix(file, ".safetensors") {
		return fmt.Errorf("weight_map %q: shard %q is not a .safetensors file; convert the checkpoint to safetensors", name, file)
	}
	return nil
}
