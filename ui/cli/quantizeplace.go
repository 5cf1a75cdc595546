package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"peregrine/model"
	"peregrine/model/quantize"
)

// checkOut refuses a place where a finished folder could not stand, before hours of work are put into it. The folder comes
// there by a rename, which takes the place of an empty folder or, with force, of a checkpoint that was moved away.
func checkOut(out string, force bool) error {
	info, err := os.Lstat(out)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return usage("--out: %v", err)
	case info.Mode()&os.ModeSymlink != 0:
		return usage("--out: %s is a symbolic link, which no folder can replace; name the folder itself", out)
	case mountPoint(out, info):
		return usage("--out: %s is a mount point, which no folder can replace; name a new folder in it", out)
	}
	entries, err := os.ReadDir(out)
	switch {
	case err != nil:
		return usage("--out: %v", err)
	case len(entries) == 0:
		return nil
	case !force:
		return usage("--out: %s is not empty (%q); name a new folder, or replace it with --force", out, entries[0].Name())
	}
	if _, err := os.Stat(filepath.Join(out, "quantize_config.json")); err != nil {
		return usage("--out: %s is not empty (%q) and no GPTQ checkpoint, which is all that --force replaces; name a new folder", out, entries[0].Name())
	}
	return nil
}

// mountPoint says whether a folder lies on another file system than the one that it is in.
func mountPoint(path string, info os.FileInfo) bool {
	above, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return false
	}
	a, ok := info.Sys().(*syscall.Stat_t)
	b, also := above.Sys().(*syscall.Stat_t)
	return ok && also && info.IsDir() && a.Dev != b.Dev
}

// apart refuses to replace a folder with what is read.
func (o *quantizeOptions) apart(c *model.Checkpoint) error {
	out, err := os.Stat(o.out)
	if err != nil {
		return nil // there is nothing to replace
	}
	for _, file := range c.Files() {
		path, err := filepath.Abs(file)
		if err != nil {
			return err
		}
		for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
			if info, err := os.Stat(dir); err == nil && os.SameFile(out, info) {
				return fmt.Errorf("%s: holds %s, which is read; name another folder", o.out, filepath.Base(file))
			}
			if dir == filepath.Dir(dir) {
				break
			}
		}
	}
	return nil
}

// room refuses a job for which there is not enough memory or disk space.
func room(j quantize.Job, name string) error {
	memory, disk := j.Need()
	if have, ok := availableMemory(); ok && memory+workspace > have {
		return fmt.Errorf("%s: quantising needs about %s of memory, %s are free; close programs, or take fewer --samples or a shorter --length",
			name, size(memory+workspace), size(have))
	}
	where := filepath.Dir(j.Dir)
	have, ok := freeDisk(where)
	if !ok {
		return nil
	}
	if disk = stillNeeded(disk, j.Dir); disk > have {
		return fmt.Errorf("%s: quantising needs about %s on the disk of %s, %s are free; make room there, or choose another --out",
			name, size(disk), where, size(have))
	}
	return nil
}

// stillNeeded takes off what unfinished work in dir has of the disk already.
func stillNeeded(disk int64, dir string) int64 { return max(disk-folderBytes(dir), 0) }

// folderBytes returns what the files of a folder hold; 0 for what cannot be read.
func folderBytes(dir string) (sum int64) {
	// What an entry's error leaves out is asked for again, which is on the safe side.
	_ = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return nil
		}
		if info, err := e.Info(); err == nil {
			sum += info.Size()
		}
		return nil
	})
	return sum
}

// kept adds to the error of a job that began what becomes of its work.
func kept(err error, dir string) error {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return fmt.Errorf("%w; %s keeps what is done: make room on its disk and give the same call again", err, dir)
	}
	return err
}

// freeDisk returns the bytes that are free in the first folder upwards of dir that is there.
func freeDisk(dir string) (int64, bool) {
	var s unix.Statfs_t
	for ; ; dir = filepath.Dir(dir) {
		if err := unix.Statfs(dir, &s); err == nil {
			return int64(s.Bavail) * int64(s.Bsize), true
		}
		if dir == filepath.Dir(dir) {
			return 0, false
		}
	}
}
