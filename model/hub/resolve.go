package hub

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// Resolve says which file or folder a MODEL argument means: "" and the default's short name mean the default model in
// cache, anything else is a path. fetch reports that the default model is meant and is not in the cache yet.
func Resolve(arg, cache string) (path string, fetch bool, err error) {
	if IsDefault(arg) {
		path = Default.Path(cache)
		info, err := os.Stat(path)
		return path, err != nil || info.Size() != Default.Size, nil
	}
	if _, err := os.Stat(arg); err != nil {
		return "", false, fmt.Errorf("hub: %s: no such model file or folder (%w); name a folder with config.json, a .gguf or a .safetensors file, or %q for the default model",
			arg, unwrapPath(err), Default.Name)
	}
	return arg, false, nil
}

// IsDefault says whether a MODEL argument means the default model.
func IsDefault(arg string) bool { return arg == "" || strings.EqualFold(arg, Default.Name) }

// unwrapPath drops the operation and the path that os puts in front, since the message names the path itself.
func unwrapPath(err error) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err
	}
	return err
}
