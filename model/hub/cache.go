package hub

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Cache is the hub's shared cache of repositories.
type Cache struct {
	Dir string // "" for none: nothing is found
}

// repository is a repository's folder in the cache.
type repository struct{ dir string }

func (k Cache) repo(n Name) repository { return repository{filepath.Join(k.Dir, n.folder())} }

// lockPath is where the lock of a blob lies.
func (k Cache) lockPath(n Name, hash string) string {
	return filepath.Join(k.Dir, ".locks", n.folder(), hash+".lock")
}

func (r repository) blob(hash string) string { return filepath.Join(r.dir, "blobs", hash) }

func (r repository) snapshot(commit string) string { return filepath.Join(r.dir, "snapshots", commit) }

// file is where a file of a snapshot lies.
func (r repository) file(commit, path string) string {
	return filepath.Join(r.snapshot(commit), filepath.FromSlash(path))
}

// holds reports whether a snapshot has a file whole.
func (r repository) holds(commit string, f remoteFile) bool {
	info, err := os.Stat(r.file(commit, f.Path))
	if err != nil || !info.Mode().IsRegular() || info.Size() != f.Size {
		return false
	}
	// The link must lead to this very content: another tool may have left a file of the same size.
	target, err := os.Readlink(r.file(commit, f.Path))
	return err != nil || filepath.Base(target) == f.Hash
}

// begun returns how many bytes of a file need no more room: all of a blob, those of a download that broke off.
func (r repository) begun(f remoteFile) int64 {
	if info, err := os.Stat(r.blob(f.Hash)); err == nil && info.Size() == f.Size {
		return f.Size
	}
	_, log := partial(r.blob(f.Hash))
	raw, err := readBounded(log, maxJournal)
	if err != nil {
		return 0
	}
	j := journal{have: spansOf(raw, f.Size)}
	return j.bytes(f.Size)
}

// link makes the file of a snapshot a relative link to its blob, so that the cache may be moved. Where there are no links the blob
// itself takes that place, as huggingface_hub has it.
func (r repository) link(commit string, f remoteFile) error {
	path := r.file(commit, f.Path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	target, err := filepath.Rel(filepath.Dir(path), r.blob(f.Hash))
	if err != nil {
		return err
	}
	tmp := path + ".peregrine.link"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Symlink(target, tmp); err != nil {
		return os.Rename(r.blob(f.Hash), path)
	}
	return os.Rename(tmp, path)
}

// ref returns the commit that a revision was when it was pulled last.
func (r repository) ref(revision string) (string, error) {
	raw, err := readBounded(filepath.Join(r.dir, "refs", filepath.FromSlash(revision)), 128)
	if err != nil {
		return "", err
	}
	commit := strings.TrimSpace(string(raw))
	if !gitHash.MatchString(commit) {
		return "", fmt.Errorf("%s: %.60q is no commit", filepath.Join(r.dir, "refs", revision), commit)
	}
	return commit, nil
}

// setRef notes which commit a revision is; a commit needs no note.
func (r repository) setRef(revision, commit string) error {
	if had, err := r.ref(revision); revision == commit || err == nil && had == commit {
		return nil
	}
	path := filepath.Join(r.dir, "refs", filepath.FromSlash(revision))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return replaceFile(path, []byte(commit))
}

// refs returns the commits of all revisions by name.
func (r repository) refs() map[string]string {
	out := map[string]string{}
	root := filepath.Join(r.dir, "refs")
	_ = filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return nil // what cannot be read is no revision
		}
		if name, err := filepath.Rel(root, path); err == nil {
			if commit, err := r.ref(filepath.ToSlash(name)); err == nil {
				out[filepath.ToSlash(name)] = commit
			}
		}
		return nil
	})
	return out
}

// commit returns which snapshot a revision means: a commit or the beginning of one, else what the refs say.
func (r repository) commit(revision string) (string, error) {
	commit, err := r.ref(revision)
	if err == nil {
		return commit, nil
	}
	const shortest = 7 // characters of a commit that are taken for it
	entries, _ := os.ReadDir(filepath.Join(r.dir, "snapshots"))
	for _, e := range entries {
		if len(revision) >= shortest && strings.HasPrefix(e.Name(), revision) && e.IsDir() {
			return e.Name(), nil
		}
	}
	return "", err
}

// Copy is a model in the cache.
type Copy struct {
	Path   string // what opens it: a folder or a GGUF file
	Commit string
}

// ErrNotCached says that the cache holds nothing of a name.
var ErrNotCached = errors.New("not in the cache")

// Find looks a model up in the cache, and never asks a hub. A revision that was never pulled is not there, whatever else of the
// repository is. The error is ErrNotCached, or says what the copy lacks.
func (k Cache) Find(n Name) (*Copy, error) {
	if k.Dir == "" {
		return nil, ErrNotCached
	}
	r := k.repo(n)
	commit, err := r.commit(n.revision())
	if err != nil {
		return nil, ErrNotCached
	}
	dir := r.snapshot(commit)
	if n.File != "" {
		for _, ending := range []string{"", ggufEnding, safetensorsEnding} {
			if path := r.file(commit, n.File+ending); isRegular(path) {
				return &Copy{path, commit}, nil
			}
		}
		return nil, ErrNotCached
	}
	if IsModel(dir) {
		if lacks := lacking(dir); len(lacks) > 0 {
			return nil, fmt.Errorf("hub: %s: the copy in the cache lacks %s; `peregrine pull %s` completes it", n, strings.Join(lacks, ", "), n)
		}
		return &Copy{dir, commit}, nil
	}
	switch files := ggufsBelow(dir); {
	case len(files) == 1:
		return &Copy{filepath.Join(dir, files[0]), commit}, nil
	case len(files) > 1:
		return nil, fmt.Errorf("hub: %s: the cache holds %d of its GGUF files (%s); name one, as in %s/%s", n, len(files),
			strings.Join(files[:min(len(files), 8)], ", "), n.Repo, filepath.ToSlash(files[0]))
	}
	return nil, fmt.Errorf("hub: %s: the copy in the cache holds no safetensors and no GGUF file; `peregrine pull %s` completes it", n, n)
}

func isRegular(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// ggufsBelow returns the GGUF files of a snapshot, two folders deep: what repositories of quantised copies have.
func ggufsBelow(dir string) []string {
	var files []string
	for _, pattern := range []string{"*" + ggufEnding, filepath.Join("*", "*"+ggufEnding)} {
		found, err := fs.Glob(os.DirFS(dir), filepath.ToSlash(pattern))
		if err != nil {
			continue // the pattern is good
		}
		files = append(files, found...)
	}
	return slices.DeleteFunc(files, func(f string) bool { return !isRegular(filepath.Join(dir, f)) })
}

// lacking returns the files that an index of a folder names and that are not there: a download that was not finished.
func lacking(dir string) []string {
	const maxIndex = 64 << 20 // bytes; an index has a line for each tensor
	indexes, err := fs.Glob(os.DirFS(dir), "*"+indexEnding)
	if err != nil {
		return nil // the pattern is good
	}
	var missing []string
	for _, name := range indexes {
		if matches(otherIndexes, name) {
			continue
		}
		raw, err := readBounded(filepath.Join(dir, name), maxIndex)
		var index struct {
			WeightMap map[string]string `json:"weight_map"`
		}
		if err != nil || json.Unmarshal(raw, &index) != nil {
			continue // opening the model says it better
		}
		for _, file := range index.WeightMap {
			if checkPath(file) == nil && !isRegular(filepath.Join(dir, file)) && !slices.Contains(missing, file) {
				missing = append(missing, file)
			}
		}
	}
	slices.Sort(missing)
	const most = 4
	if len(missing) > most {
		missing = append(missing[:most], "…")
	}
	return missing
}
