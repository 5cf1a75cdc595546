package gptq

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const (
	extension = ".safetensors"
	indexName = ".safetensors.index.json"
)

// FindWeights returns the safetensors file, or the index of several, that holds the weights of the checkpoint in dir. It
// looks for the name that c gives, for the name that AutoGPTQ makes from bits and group size, for "model", and for the only
// one in the folder; of each name for the index first. c is nil for a dense checkpoint. Pickle files are refused by name.
func FindWeights(dir string, c *Config) (string, error) {
	names, err := baseNames(c)
	if err != nil {
		return "", err
	}
	for _, name := range names {
		for _, suffix := range []string{indexName, extension} {
			path := filepath.Join(dir, name+suffix)
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
				return path, nil
			}
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", fmt.Errorf("gptq: %w", err)
	}
	for _, suffix := range []string{indexName, extension} {
		if found := withSuffix(entries, suffix); len(found) == 1 {
			return filepath.Join(dir, found[0]), nil
		} else if len(found) > 1 {
			return "", fmt.Errorf("gptq: %s: holds %d files *%s (%s, %s …) and no %s; open the one you mean by its path",
				dir, len(found), suffix, quoted(found[0]), quoted(found[1]), names[len(names)-1]+extension)
		}
	}
	return "", fmt.Errorf("gptq: %s: %w", dir, noWeights(entries))
}

// baseNames returns the names to look for, without suffix.
func baseNames(c *Config) ([]string, error) {
	var names []string
	if c != nil {
		if base := strings.TrimSuffix(c.ModelFileBaseName, extension); base != "" {
			if strings.ContainsAny(base, "/\\\x00") || filepath.Base(base) != base || base == ".." {
				return nil, fmt.Errorf("gptq: %s: model_file_base_name %q is not a plain file name", c.Source, c.ModelFileBaseName)
			}
			names = append(names, base)
		}
		if c.GroupSize != 0 {
			names = append(names, fmt.Sprintf("gptq_model-%dbit-%dg", c.Bits, c.GroupSize))
		}
	}
	return append(names, "model"), nil
}

// noWeights says what the folder holds instead of safetensors.
func noWeights(entries []os.DirEntry) error {
	for _, suffix := range []string{".bin", ".pt", ".pth", ".ckpt"} {
		if found := withSuffix(entries, suffix); len(found) > 0 {
			return fmt.Errorf("holds pickle weights (%s) and no *%s; this program never unpickles, which can run code: "+
				"use a safetensors copy of the model, or convert it", quoted(found[0]), extension)
		}
	}
	if found := withSuffix(entries, ".gguf"); len(found) > 0 {
		return fmt.Errorf("holds no *%s; open %s by its path", extension, quoted(found[0]))
	}
	return errors.New("holds no *" + extension + "; is this a model's folder, and is its download complete?")
}

// withSuffix returns the names of the entries that are no folders and end in suffix, whatever their case.
func withSuffix(entries []os.DirEntry, suffix string) []string {
	var names []string
	for _, e := range entries {
		if !e.IsDir() && strings.HasSuffix(strings.ToLower(e.Name()), suffix) {
			names = append(names, e.Name())
		}
	}
	return names
}

func quoted(name string) string { return fmt.Sprintf("%q", name) }
