package hub

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Place is where models are looked for.
type Place struct {
	Own    string // this program's cache folder, which holds the default model; "" for none
	Shared Cache
}

// models is the folder of this program's own models, "" when there is none.
func (p Place) models() string {
	if p.Own == "" {
		return ""
	}
	return filepath.Join(p.Own, "models")
}

// Resolve says which file or folder a MODEL argument means: "" and the default's short name mean the default model; then a path,
// the name of a repository in the shared cache (OWNER/NAME[/FILE][@REVISION]), or a short name: the last part of such a name,
// or a file's without its ending. fetch reports that the default model is meant and is not there yet. No network is asked.
func (p Place) Resolve(arg string) (path string, fetch bool, err error) {
	if IsDefault(arg) {
		path = Default.Path(p.Own)
		info, err := os.Stat(path)
		return path, err != nil || info.Size() != Default.Size, nil
	}
	_, statErr := os.Stat(arg)
	if statErr == nil {
		return arg, false, nil
	}
	if !errors.Is(statErr, fs.ErrNotExist) {
		return "", false, fmt.Errorf("hub: %s: %w", arg, unwrapPath(statErr))
	}
	name, err := ParseName(arg)
	if err == nil {
		found, err := p.Shared.Find(name)
		if err == nil {
			return found.Path, false, nil
		}
		if !errors.Is(err, ErrNotCached) {
			return "", false, err
		}
	}
	path, shortErr := p.short(arg)
	if path != "" || shortErr != nil {
		return path, false, shortErr
	}
	if err == nil && strings.Contains(arg, "/") && !strings.HasSuffix(arg, ggufEnding) {
		return "", false, fmt.Errorf("hub: %s: no such model file or folder, and not in the cache; `peregrine pull %s` fetches it", arg, arg)
	}
	return "", false, fmt.Errorf("hub: %s: no such model file or folder; name a folder with config.json, a .gguf or a .safetensors file, a "+
		"repository (OWNER/NAME, see `peregrine pull --help`), or %q for the default model", arg, Default.Name)
}

// short looks for a model by the last part of its name; "" means that there is none.
func (p Place) short(arg string) (string, error) {
	found, _ := p.Models() // what cannot be read is not found
	var fits []Found
	for _, f := range found {
		if strings.EqualFold(f.Name, arg) || strings.EqualFold(f.Name[strings.LastIndex(f.Name, "/")+1:], arg) {
			fits = append(fits, f)
		}
	}
	switch len(fits) {
	case 0:
		return "", nil
	case 1:
		return fits[0].Path, nil
	}
	return "", fmt.Errorf("hub: %s: may be %s or %s; name one of them whole", arg, fits[0].Name, fits[1].Name)
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
