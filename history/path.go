package history

import (
	"path/filepath"
	"strings"
)

// IsPath tells a file from a name where a user may give either, as in "/save NAME|PATH": a path has a separator, ends in
// .jsonl, or is ~ or . or .. . A name never becomes a part of a path; see CleanName.
func IsPath(s string) bool {
	return strings.ContainsRune(s, filepath.Separator) || strings.HasSuffix(s, extension) || s == "~" || s == "." || s == ".."
}

// ExpandHome puts the home folder in the place of ~ at the start of a path. A path of another user's (~name), and every path
// if home is "", stays as it is.
func ExpandHome(path, home string) string {
	rest, ok := strings.CutPrefix(path, "~")
	if !ok || home == "" || rest != "" && rest[0] != filepath.Separator {
		return path
	}
	return filepath.Join(home, rest)
}
