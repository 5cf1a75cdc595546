package ui

import (
	"os"
	"os/signal"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// newStops listens.
func newStops() stops {
	s := make(stops, 1)
	signal.Notify(s, syscall.SIGTSTP)
	return s
}

// close gives up listening.
func (s stops) close() {
	if s != nil {
		signal.Stop(s)
	}
}

// disposition is the kernel's struct sigaction: handler, flags, restorer, mask. Nothing of it is looked at, and zeros are SIG_DFL.
type disposition [4]uint64

// byKernel does something while the kernel itself answers SIGTSTP, and stops the program. signal.Stop is not enough for that: Go
// keeps its handler once there was one, which then drops the signal.
func (s stops) byKernel(do func() error) error {
	if s == nil {
		return do()
	}
	var usual, own disposition
	if err := exchange(&usual, &own); err != nil {
		return err
	}
	err := do()
	if back := exchange(&own, nil); err == nil {
		err = back
	}
	return err
}

// exchange sets what happens on SIGTSTP, and notes what did.
func exchange(set, was *disposition) error {
	const setSize = 8 // bytes of the mask
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(unix.SIGTSTP),
		uintptr(unsafe.Pointer(set)), uintptr(unsafe.Pointer(was)), setSize, 0, 0)
	if errno != 0 {
		return os.NewSyscallError("rt_sigaction", errno)
	}
	return nil
}
