package hub

import (
	"errors"
	"io/fs"
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

// repositories lists what the shared cache holds. Where a repository has several commits the name says which.
func (l *lister) repositories(dir string) {
	for _, e := range l.read(dir) {
		name, ok := strings.CutPrefix(e.Name(), "models--")
		if !ok {
			continue
		}
		name = strings.Replace(name, "--", "/", 1)
		snapshots := filepath.Join(dir, e.Name(), "snapshots")
		commits := l.read(snapshots)
		for _, commit := range commits {
			called, path := name, filepath.Join(snapshots, commit.Name())
			if len(commits) > 1 {
				const brief = 7
				called += " @" + commit.Name()[:min(brief, len(commit.Name()))]
			}
			l.add(called, path)
			for _, file := range l.ggufs(path) {
				l.add(called+"/"+strings.TrimSuffix(filepath.Base(file), ".gguf"), file)
			}
		}
	}
}

// ggufs returns the GGUF files of a folder.
func (l *lister) ggufs(dir string) []string {
	var files []string
	for _, e := range l.read(dir) {
		if strings.HasSuffix(e.Name(), ".gguf") {
			files = append(files, filepath.Join(dir, e.Name()))
		}
	}
	return files
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
