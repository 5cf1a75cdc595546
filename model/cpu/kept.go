package cpu

/*
#include "model.h"
*/
import "C"

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"peregrine/model"
)

const (
	// layoutVersion is part of every file of repacked weights. It changes with the layout of any format, which a test notices.
	layoutVersion = 1
	// headerSize is where the weights begin in the file, so that they can lie in huge pages.
	headerSize = 2 << 20
	// keepStep is how many bytes are written at once, and the disk is waited for: what is not yet on it does not pile up in memory, and
	// whoever ends the program need not wait long.
	keepStep = 8 << 20
)

// keepQuiet is how long no forward pass must have run before the next bytes are written, or repacked in the background. Tests change it.
var keepQuiet = 300 * time.Millisecond

// kept is a file of repacked weights: the arena as it is, behind a header that says of which weights and in which layout. A file whose
// header or size is not exactly the one expected is not used. The numbers behind it are taken as they are, and may be any: orders and
// groups, by which kernels find their way, lie in the other arena and never come from the file. As with any mapped file, one that is
// shortened in place while it is mapped ends the program; ours is only ever replaced.
type kept struct {
	file   model.Repacked
	header []byte
}

// header returns the file's first bytes. What follows the hash is for people, and for those who look which files may go.
func header(r *model.Repacked, shapes []*shape, at []places, size int) []byte {
	h := sha256.New()
	fmt.Fprintf(h, "%d %d %s\n", layoutVersion, unsafe.Sizeof(C.size_t(0)), r.Stamp)
	for i, s := range shapes {
		w := s.w
		fmt.Fprintln(h, s.src.Name, s.src.Format, w.out, w.in, w.padded, w.bits, w._type, w.offset, w.parts, w.zero, w.groups, at[i].codes, at[i].scales, at[i].offsets, at[i].parts)
		for _, b := range [][]byte{raw(s.starts), raw(s.perm), raw(s.zeros), raw(s.src.Rows)} {
			fmt.Fprintln(h, len(b))
			h.Write(b)
		}
	}
	return fmt.Appendf(nil, "%s%x\nbytes %d\nmodel %q\n", model.RepackedMagic, h.Sum(nil), size, r.Model)
}

// open opens the file if it is there and the right one for size bytes of weights, else it returns nil.
func (k *kept) open(size int) *os.File {
	f, err := os.Open(k.file.Path)
	if err != nil {
		return nil
	}
	found := make([]byte, len(k.header))
	info, err := f.Stat()
	if err == nil && info.Mode().IsRegular() && info.Size() == headerSize+int64(size) && size > 0 {
		if _, err = io.ReadFull(f, found); err == nil && bytes.Equal(found, k.header) {
			return f
		}
	}
	_ = f.Close() // it was only read
	return nil
}

// load maps a's memory from the file and brings it in, if it is there and the right one; else all is left to repacking. An error is
// ctx's.
func (k *kept) load(ctx context.Context, pool *C.pg_pool, a *arena, progress func(done, total int64)) error {
	f := k.open(a.size)
	if f == nil {
		return nil
	}
	defer f.Close()
	base := C.pg_map_file(C.int(f.Fd()), headerSize, C.size_t(a.size))
	if base == nil {
		return nil
	}
	a.base, a.mapped = base, true
	step := max(packStep, (a.size/100+headerSize-1)/headerSize*headerSize) // whole huge pages
	for done := 0; done < a.size; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(step, a.size-done)
		if C.pg_populate(pool, (*C.uint8_t)(a.at(done)), C.size_t(n)) == 0 {
			a.close()
			return nil
		}
		done += n
		if progress != nil {
			progress(int64(done), int64(a.size))
		}
	}
	return nil
}

// Repacked says how large the weights are and whether they are mapped from the file that was named. See model.Keeper.
func (e *executor) Repacked() (bytes int64, kept bool) {
	return int64(e.weights.size), e.weights.mapped
}

// Keep writes the weights into the file that was named for them. See model.Keeper.
func (e *executor) Keep(ctx context.Context) error {
	switch {
	case e.kept == nil:
		return errors.New("cpu: keep: no file was named for the repacked weights")
	case e.weights.mapped:
		return nil
	}
	if f := e.kept.open(e.weights.size); f != nil { // somebody else made it meanwhile
		return f.Close()
	}
	if err := e.settled(ctx); err != nil {
		if ctx.Err() != nil {
			return err
		}
		return fmt.Errorf("cpu: keep: %w", err)
	}
	err := e.kept.write(ctx, unsafe.Slice((*byte)(e.weights.base), e.weights.size), e.quiet)
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("cpu: keep: %w", err)
	}
	return err
}

// quiet waits until no forward pass has run for keepQuiet.
func (e *executor) quiet(ctx context.Context) error {
	for {
		e.b.mu.Lock()
		left := keepQuiet - time.Since(e.b.ended)
		e.b.mu.Unlock()
		if left <= 0 {
			return ctx.Err()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(left):
		}
	}
}

// write makes the file under another name and renames it when all of it is on the disk. Before each part it calls wait.
func (k *kept) write(ctx context.Context, weights []byte, wait func(context.Context) error) (err error) {
	dir, name := filepath.Split(k.file.Path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, name+model.RepackedUnfinished)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close(), os.Remove(f.Name()))
		}
	}()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil { // by which others know that it is being written
		return err
	}
	if _, err := f.Write(k.header); err != nil {
		return err
	}
	if _, err := f.Seek(headerSize, io.SeekStart); err != nil {
		return err
	}
	for at := 0; at < len(weights); at += keepStep {
		if err := wait(ctx); err != nil {
			return err
		}
		if _, err := f.Write(weights[at:min(at+keepStep, len(weights))]); err != nil {
			return err
		}
		_ = unix.SyncFileRange(int(f.Fd()), int64(headerSize+at), keepStep, // an error comes again from Sync
			unix.SYNC_FILE_RANGE_WAIT_BEFORE|unix.SYNC_FILE_RANGE_WRITE|unix.SYNC_FILE_RANGE_WAIT_AFTER)
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), k.file.Path); err != nil {
		return err
	}
	return f.Close()
}
