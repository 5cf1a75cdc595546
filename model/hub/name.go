package hub

import (
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

// Name says which model of a hub is meant.
type Name struct {
	Repo     string // OWNER/NAME, or NAME alone for the few without an owner
	File     string // a file in it, its ending .gguf or .safetensors perhaps left out; "" for what the repository as a whole holds
	Revision string // a branch, a tag or a commit; "" for the branch "main"
}

// mainBranch is what a repository's name alone means.
const mainBranch = "main"

// repoPart is one half of a repository's name; the rules that cross parts are in checkRepo.
var repoPart = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?$`)

// maxRepo bounds a repository's name. Source: huggingface_hub utils/_validators.py.
const maxRepo = 96

// ParseName reads OWNER/NAME[/FILE][@REVISION].
func ParseName(text string) (Name, error) {
	var n Name
	whole, revision, given := strings.Cut(text, "@")
	n.Revision = revision
	n.Repo = whole
	if parts := strings.SplitN(whole, "/", 3); len(parts) == 3 {
		n.Repo, n.File = parts[0]+"/"+parts[1], parts[2]
	}
	if err := checkRepo(n.Repo); err != nil {
		return Name{}, err
	}
	if given && revision == "" {
		return Name{}, fmt.Errorf("hub: %q: no revision behind @", text)
	}
	if err := checkPath(n.revision()); err != nil {
		return Name{}, fmt.Errorf("hub: %q: revision %w", text, err)
	}
	if n.File != "" {
		if err := checkPath(n.File); err != nil {
			return Name{}, fmt.Errorf("hub: %q: file %w", text, err)
		}
	}
	return n, nil
}

// String is what ParseName reads.
func (n Name) String() string {
	text := n.Repo
	if n.File != "" {
		text += "/" + n.File
	}
	if n.Revision != "" {
		text += "@" + n.Revision
	}
	return text
}

// revision returns the revision that is meant.
func (n Name) revision() string {
	if n.Revision == "" {
		return mainBranch
	}
	return n.Revision
}

// folder returns the name of the repository's folder in the cache.
func (n Name) folder() string { return "models--" + strings.ReplaceAll(n.Repo, "/", "--") }

// repoOf is folder's inverse.
func repoOf(folder string) (string, bool) {
	name, ok := strings.CutPrefix(folder, "models--")
	repo := strings.Replace(name, "--", "/", 1)
	return repo, ok && checkRepo(repo) == nil
}

// checkRepo refuses what no hub would call a repository, and so what would lead out of the cache.
func checkRepo(repo string) error {
	parts := strings.Split(repo, "/")
	bad := len(parts) > 2 || len(repo) > maxRepo || strings.Contains(repo, "--") || strings.Contains(repo, "..") || strings.HasSuffix(repo, ".git")
	for _, part := range parts {
		bad = bad || !repoPart.MatchString(part)
	}
	if bad {
		return fmt.Errorf("hub: %q is not the name of a repository; want OWNER/NAME, such as tiiuae/falcon-7b-instruct", repo)
	}
	return nil
}

// checkPath refuses a path that would not stay below the folder to which it is joined, on any system.
func checkPath(p string) error {
	const most = 1024 // bytes; no system takes a longer path
	switch {
	case p == "" || len(p) > most || path.Clean(p) != p || !filepath.IsLocal(p) || p == ".":
	case strings.ContainsAny(p, "\\:*?\"<>|") || strings.ContainsFunc(p, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0xfffd }):
	default:
		return nil
	}
	return fmt.Errorf("%.200q is not a path that stays inside its folder", p)
}

var (
	gitHash    = regexp.MustCompile(`^[0-9a-f]{40}$`) // SHA-1: a commit, or a blob that is stored in git itself
	sha256Hash = regexp.MustCompile(`^[0-9a-f]{64}$`) // SHA-256: a blob of git's large file storage
)
