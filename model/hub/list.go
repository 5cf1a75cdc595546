package hub

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Found is a model that lies somewhere. Nothing of it has been read.
type Found struct {
	Name string // as people call it
	Path string // what Resolve takes
}

// Bytes returns the size of the model's files on disk.
func (f Found) Bytes() int64 {
	total := int64(0)
	_ = filepath.WalkDir(f.Path, func(path string, _ fs.DirEntry, _ error) error {
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() { // a snapshot holds links
			total += info.Size()
		}
		return nil
	})
	return total
}

// Lacking returns the files that the model's index names and that are not there.
func (f Found) Lacking() []string { return lacking(f.Path) }

// Models lists the models of the folders beside, this program's own and those of the shared cache.
func (p Place) Models(beside ...string) ([]Found, error) {
	return List(append(beside, p.models()), p.Shared.Dir)
}

// Unfinished lists the repositories for which a download broke off.
func (p Place) Unfinished() []Entry {
	var out []Entry
	entries, _ := os.ReadDir(p.Shared.Dir) // List says what cannot be read
	for _, e := range entries {
		repo, ok := repoOf(e.Name())
		if !ok {
			continue
		}
		if begun := p.Shared.repo(Name{Repo: repo}).unfinished(); begun > 0 {
			out = append(out, Entry{Name: repo, Path: filepath.Join(p.Shared.Dir, e.Name()), Begun: begun})
		}
	}
	return out
}

// mostFound bounds a list: a folder full of other things is no reason to wait.
const mostFound = 1000

// List finds models in folders, each of which holds GGUF files and folders of safetensors files, and in repositories, the
// hub's shared cache ("" for none), whose layout is models--OWNER--NAME/snapshots/COMMIT. A folder that is not there holds
// none; one that cannot be read is named in the error, beside what the others have. A file or folder that several names lead
// to is listed once.
func List(folders []string, repositories string) ([]Found, error) {
	l := &lister{seen: map[string]bool{}}
	for _, dir := range folders {
		for _, e := range l.read(dir) {
			l.add(strings.TrimSuffix(e.Name(), ".gguf"), filepath.Join(dir, e.Name()))
		}
	}
	if repositories != "" {
		l.repositories(repositories)
	}
	return l.found, errors.Join(l.problems...)
}

type lister struct {
	found    []Found
	seen     map[string]bool // real paths
	problems []error
}

// read returns what a folder holds.
func (l *lister) read(dir string) []os.DirEntry {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		l.problems = append(l.problems, err)
	}
	return entries
}

// add lists path if it is a model.
func (l *lister) add(name, path string) {
	if len(l.found) == mostFound || !IsModel(path) {
		return
	}
	resolved, err := filepath.EvalSymlinks(path)
	if err != nil || l.seen[resolved] {
		return
	}
	l.seen[resolved] = true
	l.found = append(l.found, Found{name, path})
}

// repositories lists what the shared cache holds, by the names that ParseName reads. Where a repository has several commits the
// name says which, by its revision where one leads to it.
func (l *lister) repositories(dir string) {
	for _, e := range l.read(dir) {
		repo, ok := repoOf(e.Name())
		if !ok {
			continue
		}
		r := repository{filepath.Join(dir, e.Name())}
		commits := l.read(filepath.Join(r.dir, "snapshots"))
		for _, commit := range commits {
			name := Name{Repo: repo}
			if len(commits) > 1 {
				name.Revision = r.called(commit.Name())
			}
			path := r.snapshot(commit.Name())
			l.add(name.String(), path)
			for _, file := range ggufsBelow(path) {
				name.File = strings.TrimSuffix(filepath.ToSlash(file), ggufEnding)
				l.add(name.String(), filepath.Join(path, file))
			}
		}
	}
}

// called names a commit: by a revision that leads to it, else by its beginning. The main branch needs no name.
func (r repository) called(commit string) string {
	revisions := r.refs()
	if revisions[mainBranch] == commit {
		return ""
	}
	for _, name := range slices.Sorted(maps.Keys(revisions)) {
		if revisions[name] == commit {
			return name
		}
	}
	const brief = 12 // characters that tell commits apart
	return commit[:min(brief, len(commit))]
}

// IsModel reports whether path looks like a model: a GGUF file, or a folder with config.json and safetensors files.
func IsModel(path string) bool {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return false
	case !info.IsDir():
		return info.Mode().IsRegular() && strings.HasSuffix(path, ".gguf")
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return false
	}
	has := func(match func(string) bool) bool {
		return slices.ContainsFunc(entries, func(e os.DirEntry) bool { return match(e.Name()) })
	}
	return has(func(s string) bool { return s == "config.json" }) &&
		has(func(s string) bool { return strings.HasSuffix(s, ".safetensors") })
}
