package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"github.com/pelletier/go-toml/v2"

	"peregrine/ui/preset"
)

// presetFile is what a file of the presets folder holds.
type presetFile struct {
	samplingConfig
	System   *string `toml:"system,omitempty"`
	Template *string `toml:"template,omitempty"`
}

// presets keeps the user's presets as files NAME.toml in a folder beside config.toml. It fulfils preset.Keeper.
type presets struct{ dir string }

// presets returns where presets are kept.
func (s *settings) presets() (presets, error) {
	path := s.configPath
	if path == "" {
		var err error
		if path, err = configPath(); err != nil {
			return presets{}, err
		}
	}
	return presets{filepath.Join(filepath.Dir(path), "presets")}, nil
}

// Bounds on what is read: a preset is small, and a folder full of other things is no reason to wait.
const (
	presetBytes = 1 << 20
	presetCount = 1000
)

const presetSuffix = ".toml"

// List reads the folder. No folder is no presets.
func (p presets) List() ([]preset.Preset, error) {
	entries, err := os.ReadDir(p.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("presets: %w", err)
	}
	var list []preset.Preset
	var problems []error
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), presetSuffix)
		if !ok || e.IsDir() || checkPresetName(name) != nil || len(list) == presetCount {
			continue
		}
		one, err := p.read(name)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		list = append(list, one)
	}
	return list, errors.Join(problems...)
}

// read reads one preset.
func (p presets) read(name string) (preset.Preset, error) {
	path := p.path(name)
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() || info.Size() > presetBytes {
		if err == nil {
			err = fmt.Errorf("%s: no plain file of at most %d bytes", path, presetBytes)
		}
		return preset.Preset{}, fmt.Errorf("presets: %w", err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return preset.Preset{}, fmt.Errorf("presets: %w", err)
	}
	var f presetFile
	if err := toml.NewDecoder(bytes.NewReader(raw)).DisallowUnknownFields().Decode(&f); err != nil {
		return preset.Preset{}, fmt.Errorf("presets: %s: %s", path, tomlError(err))
	}
	one := f.preset(name)
	if err := one.Validate(); err != nil {
		return preset.Preset{}, fmt.Errorf("presets: %s: %w", path, err)
	}
	return one, nil
}

// Save writes a preset. One of that name that is there already is kept beside it: somebody may have written it by hand.
func (p presets) Save(one preset.Preset) (said string, err error) {
	if err := checkPresetName(one.Name); err != nil {
		return "", err
	}
	if one.Seed != nil && *one.Seed > math.MaxInt64 {
		return "", fmt.Errorf("presets: %s: seed %d is above %d, the largest number of a TOML file; take a smaller one",
			one.Name, *one.Seed, math.MaxInt64)
	}
	raw, err := toml.Marshal(presetFile{
		samplingConfig{
			Temperature: one.Temperature, TopK: one.TopK, TopP: one.TopP, MinP: one.MinP, TypicalP: one.TypicalP,
			RepetitionPenalty: one.RepetitionPenalty, Seed: one.Seed,
		}, one.System, one.Template,
	})
	if err != nil {
		return "", fmt.Errorf("presets: %s: %w", one.Name, err)
	}
	if err := os.MkdirAll(p.dir, 0o755); err != nil {
		return "", fmt.Errorf("presets: %w", err)
	}
	path := p.path(one.Name)
	tmp, err := os.CreateTemp(p.dir, ".preset-*")
	if err != nil {
		return "", fmt.Errorf("presets: %w", err)
	}
	defer func() { _ = os.Remove(tmp.Name()) }() // it is gone after the rename
	_, err = tmp.Write(raw)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return "", fmt.Errorf("presets: %s: %w", path, err)
	}
	said = "preset " + one.Name + " is in " + path
	if _, err := os.Lstat(path); err == nil {
		old := path + ".old"
		if err := os.Rename(path, old); err != nil {
			return "", fmt.Errorf("presets: %w", err)
		}
		said += ", the one before in " + filepath.Base(old)
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return "", fmt.Errorf("presets: %w", err)
	}
	return said, nil
}

func (p presets) path(name string) string { return filepath.Join(p.dir, name+presetSuffix) }

// checkPresetName refuses what cannot be a file's name everywhere, or means something else to /preset.
func checkPresetName(name string) error {
	const longest = 64
	bad := strings.IndexFunc(name, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !slices.Contains([]rune{' ', '-', '_', '.'}, r)
	})
	if name == "" || name == "save" || name[0] == '.' || len(name) > longest || bad >= 0 || strings.TrimSpace(name) != name {
		return fmt.Errorf("presets: %q is no name for a preset; use letters, digits, spaces, dots and dashes, %d bytes at most",
			name, longest)
	}
	return nil
}

// preset gives the file's values their name.
func (f presetFile) preset(name string) preset.Preset {
	return preset.Preset{
		Name: name, Temperature: f.Temperature, TopK: f.TopK, TopP: f.TopP, MinP: f.MinP, TypicalP: f.TypicalP,
		RepetitionPenalty: f.RepetitionPenalty, Seed: f.Seed, System: f.System, Template: f.Template,
	}
}
