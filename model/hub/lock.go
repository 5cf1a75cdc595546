package hub

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// lockPause is how long a download waits before it asks again whether another process is through with the same file.
const lockPause = 100 * time.Millisecond

// errLocked says that another process downloads a file.
var errLocked = errors.New("another process is downloading it")

// blobLock is the lock of a blob, the one that huggingface_hub takes: flock on a file below .locks. It ends with the process.
type blobLock struct{ file *os.File }

// tryLock takes a lock without waiting; errLocked means that somebody has it. A file system without locks counts as free: what
// is written is hashed before it has a name, so that two downloads at once cost time and no more.
func tryLock(path string) (*blobLock, error) {
	for {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o664)
		if err != nil {
			return nil, err
		}
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case errors.Is(err, unix.EINTR):
			_ = f.Close() // and once more
			continue
		case errors.Is(err, unix.EWOULDBLOCK):
			return nil, errors.Join(errLocked, f.Close())
		}
		// Some versions of huggingface_hub remove the file while they hold its lock: then a lock on it excludes nobody.
		held, err := f.Stat()
		if err == nil {
			if there, err := os.Stat(path); err == nil && os.SameFile(held, there) {
				return &blobLock{f}, nil
			}
		}
		_ = f.Close() // another file has the name now
	}
}

// lock waits for a lock.
func lock(ctx context.Context, path string) (*blobLock, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	for {
		l, err := tryLock(path)
		if !errors.Is(err, errLocked) {
			return l, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w (%w)", ctx.Err(), errLocked)
		case <-time.After(lockPause):
		}
	}
}

// release gives the lock back; the file stays, as others may wait for it.
func (l *blobLock) release() { _ = l.file.Close() }
