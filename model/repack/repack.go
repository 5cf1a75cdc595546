// Package repack is the folder of repacked weights: which file is a model's, whether there is room for one more, which may go.
// What is in the files, and whether one is still good, is the affair of the backend that writes them (model.Keeper).
package repack

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"peregrine/model"
)

const (
	suffix = ".weights"
	// spare is what must stay free on the disk beside a new file, and spareShare at least this part of it.
	spare      = 10 << 30
	spareShare = 10
	// abandoned is the age from which on an unfinished file is locked by whoever writes it.
	abandoned = time.Minute
)

// Dir is the folder's path. It need not be there.
type Dir string

// File returns the file that is a checkpoint's, whether it is there or not; nil for weights that come from no file.
func (d Dir) File(c *model.Checkpoint) (*model.Repacked, error) {
	stamp := c.Stamp()
	if stamp == "" {
		return nil, nil
	}
	path, err := filepath.Abs(c.Path)
	if err != nil {
		return nil, err
	}
	hash := sha256.Sum256([]byte(path))
	name := strings.TrimSuffix(filepath.Base(path), ".gguf")
	return &model.Repacked{Path: filepath.Join(string(d), fmt.Sprintf("%.100s-%x%s", name, hash[:8], suffix)), Model: path, Stamp: stamp}, nil
}

// Room says whether a file of that many bytes may be made: the disk must not become full for the sake of a faster start.
func (d Dir) Room(bytes int64) error {
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		return fmt.Errorf("repack: %w", err)
	}
	var s unix.Statfs_t
	if err := unix.Statfs(string(d), &s); err != nil {
		return fmt.Errorf("repack: %s: %w", d, err)
	}
	block := uint64(max(s.Frsize, 1)) // what the counts below count
	free, keep := s.Bavail*block, max(spare, s.Blocks*block/spareShare)
	if need := uint64(max(bytes, 0)) + keep; free < need {
		return fmt.Errorf("repack: %s: %d MB are free, %d are needed: %d for the file, and %d are left alone", d, free>>20, need>>20, bytes>>20, keep>>20)
	}
	return nil
}

// Kept is a file in the folder.
type Kept struct {
	Path     string
	Model    string // path of the checkpoint whose weights it holds; "" if it does not say
	Bytes    int64
	Finished bool
	written  time.Time
}

// List returns the files in the folder, by name.
func (d Dir) List() ([]Kept, error) {
	entries, err := os.ReadDir(string(d))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("repack: %w", err)
	}
	var list []Kept
	part, _, _ := strings.Cut(model.RepackedUnfinished, "*")
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() {
			continue // gone meanwhile, or not ours
		}
		k := Kept{Path: filepath.Join(string(d), e.Name()), Bytes: info.Size(), written: info.ModTime()}
		if k.Finished = strings.HasSuffix(e.Name(), suffix); !k.Finished && !strings.Contains(e.Name(), suffix+part) {
			continue
		}
		k.Model = readModel(k.Path)
		list = append(list, k)
	}
	slices.SortFunc(list, func(a, b Kept) int { return strings.Compare(a.Path, b.Path) })
	return list, nil
}

// readModel returns the path of the model that a file names in its header, "" if it names none.
func readModel(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	lines := bufio.NewScanner(io.LimitReader(f, 64<<10))
	for first := true; lines.Scan(); first = false {
		if first && lines.Text()+"\n" != model.RepackedMagic {
			return ""
		}
		if quoted, ok := strings.CutPrefix(lines.Text(), "model "); ok {
			name, _ := strconv.Unquote(quoted)
			return name
		}
	}
	return ""
}

// Tidy removes the files whose model is gone from a folder that is there (a disk may be away), and unfinished ones that nobody
// writes any more, and returns what it removed.
func (d Dir) Tidy() ([]Kept, error) {
	list, err := d.List()
	var gone []Kept
	for _, k := range list {
		if stale := k.Finished && k.outlived() || !k.Finished && k.unowned(); !stale {
			continue
		}
		if failed := os.Remove(k.Path); failed != nil {
			err = errors.Join(err, fmt.Errorf("repack: %w", failed))
			continue
		}
		gone = append(gone, k)
	}
	return gone, err
}

// outlived says whether the model was removed.
func (k *Kept) outlived() bool {
	if k.Model == "" {
		return false
	}
	_, missing := os.Stat(k.Model)
	_, away := os.Stat(filepath.Dir(k.Model))
	return errors.Is(missing, fs.ErrNotExist) && away == nil
}

// unowned says whether an unfinished file's writer is gone, with the lock that it held.
func (k *Kept) unowned() bool {
	if time.Since(k.written) < abandoned {
		return false
	}
	f, err := os.Open(k.Path)
	if err != nil {
		return false
	}
	defer f.Close()
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil
}
