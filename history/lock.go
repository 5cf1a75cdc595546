package history

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// lock takes the writer's lock of a file without waiting. The lock belongs to the open file and ends with it, at the latest
// when the process dies. It returns ErrLocked when someone else has it. A file system without locks counts as free: lines
// are appended whole, so that two writers would make two branches, not a broken file.
func lock(f *os.File) error {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EWOULDBLOCK):
			return ErrLocked
		default:
			return nil
		}
	}
}

// unlock gives the lock up before the file is closed.
func unlock(f *os.File) { _ = unix.Flock(int(f.Fd()), unix.LOCK_UN) }
