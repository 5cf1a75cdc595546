package hub

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Entry is a model that this program can name, check and remove: a repository of the shared cache, one file of it, or a model
// in the program's own cache.
type Entry struct {
	Name    string
	Path    string // the repository's folder, else the model
	Commits []Snapshot
	Bytes   int64 // on disk, content that several names share counted once
	Begun   int64 // bytes of downloads that broke off
}

// Snapshot is what a repository holds at one commit.
type Snapshot struct {
	Commit    string
	Revisions []string // that lead to it
	Files     []StoredFile
}

// StoredFile is a file of a snapshot, or one in the program's own cache.
type StoredFile struct {
	Name  string // slashes
	Path  string
	Bytes int64
	Hash  string // what its content must have: SHA-256 or the SHA-1 of a git blob; "" where nothing says
	Err   error  // why it cannot be read

	blob string // the content's own file in the repository; "" where Path is that, or leads elsewhere
}

// Look returns all that the caches hold of a name: a repository with every commit of it, or with the named revision or file alone;
// or a model in the program's own cache.
func (p Place) Look(arg string) (*Entry, error) {
	if path, missing, err := p.Resolve(arg); err == nil && p.owns(path) {
		if missing {
			return nil, fmt.Errorf("hub: %s: %w", arg, ErrNotCached)
		}
		return own(path)
	}
	n, err := ParseName(arg)
	if err != nil {
		return nil, err
	}
	if e, err := p.Shared.look(n); err == nil || !errors.Is(err, ErrNotCached) {
		return e, err
	}
	found, _ := List(nil, p.Shared.Dir) // what cannot be read is not found
	for _, f := range found {
		if name, err := ParseName(f.Name); err == nil && strings.EqualFold(filepath.Base(name.Repo), arg) {
			return p.Shared.look(Name{Repo: name.Repo})
		}
	}
	return nil, fmt.Errorf("hub: %s: %w; `peregrine models list` shows what is there", arg, ErrNotCached)
}

// owns reports whether a model lies in the program's own cache.
func (p Place) owns(path string) bool { return p.Own != "" && filepath.Dir(path) == p.models() }

// own describes a model in the program's own cache.
func own(path string) (*Entry, error) {
	e := &Entry{Name: filepath.Base(path), Path: path}
	s := Snapshot{}
	err := filepath.WalkDir(path, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(filepath.Dir(path), file)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		f := StoredFile{Name: filepath.ToSlash(name), Path: file, Bytes: info.Size()}
		if name == Default.File {
			f.Hash = Default.SHA256
		}
		s.Files = append(s.Files, f)
		e.Bytes += f.Bytes
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("hub: %w", err)
	}
	e.Commits = []Snapshot{s}
	return e, nil
}

// look describes a repository.
func (k Cache) look(n Name) (*Entry, error) {
	r := k.repo(n)
	entries, err := os.ReadDir(r.dir)
	if k.Dir == "" || errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotCached
	}
	if err != nil || len(entries) == 0 {
		return nil, errors.Join(ErrNotCached, err)
	}
	only := ""
	if n.Revision != "" {
		if only, err = r.commit(n.Revision); err != nil {
			return nil, ErrNotCached
		}
	}
	e := &Entry{Name: n.String(), Path: r.dir}
	refs := r.refs()
	commits, err := os.ReadDir(filepath.Join(r.dir, "snapshots"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("hub: %s: %w", n, err)
	}
	counted := map[string]bool{}
	for _, c := range commits {
		if only != "" && c.Name() != only || !c.IsDir() {
			continue
		}
		s := r.stored(c.Name(), n.File)
		for name, commit := range refs {
			if commit == c.Name() {
				s.Revisions = append(s.Revisions, name)
			}
		}
		slices.Sort(s.Revisions)
		for _, f := range s.Files {
			if !counted[f.content()] {
				counted[f.content()] = true
				e.Bytes += f.Bytes
			}
		}
		if len(s.Files) > 0 {
			e.Commits = append(e.Commits, s)
		}
	}
	e.Begun = r.unfinished()
	if n.File != "" && len(e.Commits) == 0 {
		return nil, ErrNotCached
	}
	return e, nil
}

// stored lists the files of a snapshot; file leaves all but one out.
func (r repository) stored(commit, file string) Snapshot {
	s := Snapshot{Commit: commit}
	root := r.snapshot(commit)
	_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		name, relErr := filepath.Rel(root, path)
		if relErr != nil || err == nil && d.IsDir() || d == nil && errors.Is(err, fs.ErrNotExist) {
			return nil // a folder is no file
		}
		name = filepath.ToSlash(name)
		if file != "" && name != file && name != file+ggufEnding && name != file+safetensorsEnding {
			return nil
		}
		f := StoredFile{Name: name, Path: path, Err: err}
		if target, err := os.Readlink(path); err == nil {
			if hash := filepath.Base(target); gitHash.MatchString(hash) || sha256Hash.MatchString(hash) {
				f.Hash = hash
			}
		}
		if info, err := os.Stat(path); err != nil {
			f.Err = err
		} else {
			f.Bytes, f.blob = info.Size(), r.behind(path)
		}
		s.Files = append(s.Files, f)
		return nil
	})
	return s
}

// behind returns the blob to which a snapshot's file leads. What lies outside the repository is nothing that it may remove.
func (r repository) behind(path string) string {
	target, err := filepath.EvalSymlinks(path)
	blobs, dirErr := filepath.EvalSymlinks(filepath.Join(r.dir, "blobs"))
	if err != nil || dirErr != nil || filepath.Dir(target) != blobs {
		return ""
	}
	return target
}

// unfinished returns the bytes of downloads that broke off, this program's and huggingface_hub's.
func (r repository) unfinished() int64 {
	total := int64(0)
	entries, _ := os.ReadDir(filepath.Join(r.dir, "blobs"))
	for _, e := range entries {
		hash, ending, _ := strings.Cut(e.Name(), ".")
		if !strings.HasSuffix(ending, "incomplete") {
			continue
		}
		info, err := e.Info()
		switch {
		case err != nil:
		case strings.HasPrefix(ending, "peregrine"):
			total += r.begun(remoteFile{Hash: hash, Size: info.Size()})
		default:
			total += info.Size()
		}
	}
	return total
}

// Verify hashes a stored file. A file of which nothing says what it should be is not wrong: checked is false for it.
func (f StoredFile) Verify(ctx context.Context) (checked bool, err error) {
	if f.Err != nil {
		return true, fmt.Errorf("%s: %w", f.Name, unwrapPath(f.Err))
	}
	if f.Hash == "" {
		return false, nil
	}
	file, err := os.Open(f.Path)
	if err != nil {
		return true, fmt.Errorf("%s: %w", f.Name, unwrapPath(err))
	}
	defer func() { _ = file.Close() }() // only read
	return true, checkHash(ctx, file, remoteFile{Path: f.Name, Size: f.Bytes, Hash: f.Hash})
}

// Lacking returns the files that a snapshot's index names and that it does not have.
func (e *Entry) Lacking(s Snapshot) []string {
	if s.Commit == "" {
		return nil
	}
	return lacking(repository{e.Path}.snapshot(s.Commit))
}

// Discard removes a stored file and the content behind it, so that the next pull brings it anew.
func (f StoredFile) Discard() error {
	if f.blob != "" {
		if err := os.Remove(f.blob); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return os.Remove(f.Path)
}

// Remove deletes what Look found for a name and returns the bytes that this gave back. While a file of the repository is being
// downloaded, by whichever program, nothing is removed.
func (p Place) Remove(arg string) (int64, error) {
	e, err := p.Look(arg)
	if err != nil {
		return 0, err
	}
	if p.owns(e.Path) {
		return e.Bytes, os.RemoveAll(e.Path)
	}
	n, err := ParseName(e.Name)
	if err != nil {
		return 0, err
	}
	unlock, err := p.Shared.lockAll(n)
	if err != nil {
		return 0, fmt.Errorf("hub: %s: %w; wait for it, or end it", n, err)
	}
	defer unlock()
	if n.File == "" && n.Revision == "" {
		return e.Bytes + e.Begun, os.RemoveAll(e.Path)
	}
	return p.Shared.removeSome(n, e)
}

// lockAll takes every lock of a repository that there is.
func (k Cache) lockAll(n Name) (unlock func(), err error) {
	var held []*blobLock
	unlock = func() {
		for _, l := range held {
			l.release()
		}
	}
	dir := filepath.Join(k.Dir, ".locks", n.folder())
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, e := range entries {
		l, err := tryLock(filepath.Join(dir, e.Name()))
		if err != nil {
			unlock()
			return nil, err
		}
		held = append(held, l)
	}
	return unlock, nil
}

// removeSome removes the snapshots or files that e lists, and the content to which nothing leads any more.
func (k Cache) removeSome(n Name, e *Entry) (int64, error) {
	r := k.repo(n)
	var errs []error
	gone := map[string]int64{} // bytes of content, by its file
	for _, s := range e.Commits {
		for _, f := range s.Files {
			gone[f.content()] = f.Bytes
			errs = append(errs, os.Remove(f.Path))
		}
		if n.File == "" {
			errs = append(errs, os.RemoveAll(r.snapshot(s.Commit)))
			for _, revision := range s.Revisions {
				errs = append(errs, os.Remove(filepath.Join(r.dir, "refs", filepath.FromSlash(revision))))
			}
		}
	}
	left, err := k.look(Name{Repo: n.Repo})
	if err != nil {
		return 0, errors.Join(append(errs, err)...)
	}
	for _, s := range left.Commits {
		for _, f := range s.Files {
			delete(gone, f.content())
		}
	}
	freed := int64(0)
	for content, bytes := range gone {
		freed += bytes
		if err := os.Remove(content); err != nil && !errors.Is(err, fs.ErrNotExist) { // a plain file went with its name
			errs = append(errs, err)
		}
	}
	return freed, errors.Join(errs...)
}

// content is the file that holds the bytes, as far as the repository has it.
func (f StoredFile) content() string {
	if f.blob != "" {
		return f.blob
	}
	return f.Path
}
