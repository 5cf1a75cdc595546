package tensor

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Mapping is a regular file in memory, read-only. Its pages are the kernel's cached ones: opening costs nothing but address
// space, and two programs share them. A file that another program shortens while it is mapped faults on access, as with any
// mapped file; replace model files by renaming, never in place.
type Mapping struct {
	path  string
	stamp string
	data  []byte
}

// live lists the mappings that are open. Release needs it to tell mapped pages, which come back from the file, from Go's
// own memory, which giving back would clear.
var live struct {
	sync.Mutex
	mappings map[*Mapping]struct{}
}

// Map maps the file at path, which must be a regular one (or a link to one). An empty file gives an empty Mapping.
func Map(path string) (*Mapping, error) {
	// Stat before Open: opening a named pipe would wait for a writer.
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, fmt.Errorf("%s: is a folder; need a file", path)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: is not a regular file (%v)", path, info.Mode())
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err = f.Stat()
	if err != nil {
		return nil, err
	}
	m := &Mapping{path: path}
	if m.stamp, err = stampOf(f); err != nil {
		return nil, err
	}
	if info.Size() == 0 {
		return m, nil
	}
	if int64(int(info.Size())) != info.Size() {
		return nil, fmt.Errorf("%s: %d bytes do not fit this machine's address space", path, info.Size())
	}
	m.data, err = unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, &os.PathError{Op: "mmap", Path: path, Err: err}
	}
	live.Lock()
	defer live.Unlock()
	if live.mappings == nil {
		live.mappings = make(map[*Mapping]struct{})
	}
	live.mappings[m] = struct{}{}
	return m, nil
}

// Bytes returns the whole file. It must not be written to, nor used after Close.
func (m *Mapping) Bytes() []byte { return m.data }

// Path returns the path that Map was given.
func (m *Mapping) Path() string { return m.path }

// Stamp tells this content of the file from another one, as far as a file system knows: two mappings with the same stamp have the
// same bytes, unless somebody changed the file without the system's noticing.
func (m *Mapping) Stamp() string { return m.stamp }

func stampOf(f *os.File) (string, error) {
	path, err := filepath.Abs(f.Name())
	if err != nil {
		return "", err
	}
	var s unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &s); err != nil {
		return "", &os.PathError{Op: "stat", Path: path, Err: err}
	}
	// The change time tells what keeps a modification time: restoring a backup, renaming another file into this place.
	return fmt.Sprintf("%q %d bytes, modified %d, changed %d", path, s.Size, s.Mtim.Nano(), s.Ctim.Nano()), nil
}

// Close unmaps the file: every view of it is invalid from then on. Closing twice does nothing.
func (m *Mapping) Close() error {
	live.Lock()
	defer live.Unlock()
	delete(live.mappings, m)
	data := m.data
	m.data = nil
	if data == nil {
		return nil
	}
	if err := unix.Munmap(data); err != nil {
		return &os.PathError{Op: "munmap", Path: m.path, Err: err}
	}
	return nil
}

// Release takes the whole pages inside b out of this process's resident memory. The bytes stay valid: the next access reads
// the file again, or the kernel's cache of it. It does nothing when b is not part of m.
func (m *Mapping) Release(b []byte) {
	live.Lock()
	defer live.Unlock()
	if m.holds(b) {
		release(b)
	}
}

// Release is Mapping.Release for a b that is part of any open Mapping; it does nothing for other memory. A backend calls it
// on each matrix that it has repacked, so that the model is never in memory twice.
func Release(b []byte) {
	live.Lock()
	defer live.Unlock()
	for m := range live.mappings {
		if m.holds(b) {
			release(b)
			return
		}
	}
}

func (m *Mapping) holds(b []byte) bool {
	if len(b) == 0 || len(m.data) == 0 {
		return false
	}
	start, first := address(m.data), address(b)
	return first >= start && first-start <= uintptr(len(m.data)) && uintptr(len(b)) <= uintptr(len(m.data))-(first-start)
}

// release advises the kernel on the whole pages inside b. It is advice: an error changes nothing that a caller could see.
func release(b []byte) {
	page := uintptr(os.Getpagesize())
	first := address(b)
	skip := (page - first%page) % page
	if uintptr(len(b)) <= skip {
		return
	}
	whole := (uintptr(len(b)) - skip) / page * page
	if whole == 0 {
		return
	}
	_ = unix.Madvise(b[skip:skip+whole], unix.MADV_DONTNEED)
}

func address(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }
