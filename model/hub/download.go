package hub

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"

	"golang.org/x/sync/errgroup"
)

const (
	// piece is what one request asks for: long enough to hide a redirect's round trips, short enough to spread the end of a
	// file over all connections.
	piece = 32 << 20
	// noted is how many bytes one line of the journal stands for, and so what a kill may cost a connection.
	noted = 1 << 20
)

// download brings one blob to the cache.
type download struct {
	client  *Client
	slots   chan struct{} // one for each connection
	meter   *meter
	address string
	file    remoteFile
	part    *os.File
	journal *journal
}

// errNoRanges says that the server sends whole files alone.
var errNoRanges = errors.New("the server ignores ranges")

// partial returns the names of an unfinished download and of its journal. They differ from those of huggingface_hub, which
// takes the length of an unfinished file for what has been fetched.
func partial(blob string) (data, journal string) {
	return blob + ".peregrine.incomplete", blob + ".peregrine.journal"
}

// fetchBlob downloads f into blob, going on with what an earlier download left. The file has its name only when its hash is
// right; with a wrong one nothing stays. The blob's lock is held.
func (c *Client) fetchBlob(ctx context.Context, slots chan struct{}, m *meter, address string, f remoteFile, blob string) (err error) {
	data, log := partial(blob)
	d := &download{client: c, slots: slots, meter: m, address: address, file: f}
	if d.part, err = os.OpenFile(data, os.O_CREATE|os.O_RDWR, 0o644); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.part.Close()) }()
	info, err := d.part.Stat()
	if err != nil {
		return err
	}
	if d.journal, err = openJournal(log, min(f.Size, info.Size())); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.journal.close()) }()
	if err := d.part.Truncate(f.Size); err != nil {
		return err
	}
	resumed := d.journal.bytes(f.Size)
	m.add(resumed)
	if err := d.fetch(ctx); err != nil {
		return err
	}
	err = d.check(ctx)
	if errors.As(err, new(*hashError)) && resumed > 0 {
		// What was there before may never have reached the disk: all anew, once.
		if err := d.restart(); err != nil {
			return err
		}
		if err := d.fetch(ctx); err != nil {
			return err
		}
		err = d.check(ctx)
	}
	if errors.As(err, new(*hashError)) {
		return errors.Join(err, os.Remove(data), os.Remove(log))
	}
	if err != nil {
		return err
	}
	if err := d.part.Sync(); err != nil {
		return err
	}
	if err := os.Rename(data, blob); err != nil {
		return err
	}
	return os.Remove(log)
}

// fetch brings every byte that the journal lacks, over several connections where the server can.
func (d *download) fetch(ctx context.Context) error {
	err := d.pieces(ctx)
	if !errors.Is(err, errNoRanges) {
		return err
	}
	return d.whole(ctx)
}

// restart forgets what has been fetched.
func (d *download) restart() error {
	d.meter.add(-d.journal.bytes(d.file.Size))
	return d.journal.forget()
}

// pieces fetches what is missing in ranges, as many at once as there are slots.
func (d *download) pieces(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(cap(d.slots))
	for _, s := range d.journal.missing(d.file.Size, piece) {
		if ctx.Err() != nil {
			break
		}
		group.Go(func() error {
			return d.client.retry(ctx, func(ctx context.Context) (bool, error) {
				from := s.from
				err := d.stretch(ctx, &s)
				return s.from > from, err
			})
		})
	}
	return group.Wait()
}

// stretch fetches a range with one request and moves its beginning behind what came.
func (d *download) stretch(ctx context.Context, s *span) error {
	select {
	case d.slots <- struct{}{}:
		defer func() { <-d.slots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	all := *s == span{0, d.file.Size}
	header := http.Header{}
	if !all {
		header.Set("Range", fmt.Sprintf("bytes=%d-%d", s.from, s.to-1))
	}
	r, err := d.client.get(ctx, d.address, header)
	var status *statusError
	if errors.As(err, &status) && status.code == http.StatusRequestedRangeNotSatisfiable {
		return permanent(fmt.Errorf("%s has no bytes from %d to %d of %s, which is listed with %d bytes; it may be changing, try again later",
			status.host, s.from, s.to, d.file.Path, d.file.Size))
	}
	if err != nil {
		return err
	}
	defer r.close()
	switch {
	case r.StatusCode == http.StatusOK && !all:
		return permanent(errNoRanges)
	case r.StatusCode == http.StatusOK && r.ContentLength >= 0 && r.ContentLength != d.file.Size:
		return d.lies(r, r.ContentLength)
	case r.StatusCode == http.StatusPartialContent:
		if err := d.checkRange(r, *s); err != nil {
			return err
		}
	}
	return d.write(r, s)
}

// lies is the error for a file of another size than the listing says.
func (d *download) lies(r *response, got int64) error {
	return permanent(fmt.Errorf("%s sends %d bytes, the listing says %d; try again, and report it to the repository's owner if it stays",
		r.Request.URL.Host, got, d.file.Size))
}

// checkRange compares what a server says it sends with what was asked for. It may send less.
func (d *download) checkRange(r *response, s span) error {
	var from, last int64
	var total string
	text := r.Header.Get("Content-Range")
	if n, err := fmt.Sscanf(text, "bytes %d-%d/%s", &from, &last, &total); n != 3 || err != nil || from != s.from || last < from || last >= s.to {
		return permanent(fmt.Errorf("%s sends the range %.60q, bytes %d to %d were asked for", r.Request.URL.Host, text, s.from, s.to-1))
	}
	if total != "*" && total != fmt.Sprint(d.file.Size) {
		return permanent(fmt.Errorf("%s says that the file has %.20s bytes, the listing says %d; try again, and report it to the repository's owner if it stays",
			r.Request.URL.Host, total, d.file.Size))
	}
	return nil
}

// write copies the body to its place in the file, and notes it in the journal piece by piece and at the end, however that comes.
func (d *download) write(r io.Reader, s *span) (err error) {
	since := s.from // of what is not noted yet
	note := func() error {
		err := d.journal.add(span{since, s.from})
		since = s.from
		return err
	}
	defer func() { err = errors.Join(err, note()) }()
	buffer := make([]byte, 128<<10)
	for s.from < s.to {
		n, err := r.Read(buffer[:min(int64(len(buffer)), s.to-s.from)])
		if n > 0 {
			if _, err := d.part.WriteAt(buffer[:n], s.from); err != nil {
				return permanent(err)
			}
			s.from += int64(n)
			d.meter.add(int64(n))
		}
		switch {
		case errors.Is(err, io.EOF) && s.from < s.to:
			return io.ErrUnexpectedEOF
		case err != nil && s.from < s.to:
			return err
		}
		if s.from-since >= noted {
			if err := note(); err != nil {
				return permanent(err)
			}
		}
	}
	return nil
}

// whole fetches the file over one connection, from the start each time.
func (d *download) whole(ctx context.Context) error {
	best := int64(0)
	return d.client.retry(ctx, func(ctx context.Context) (bool, error) {
		if err := d.restart(); err != nil {
			return false, permanent(err)
		}
		s := span{0, d.file.Size}
		err := d.stretch(ctx, &s)
		progress := s.from > best // less than the last time would go on for ever
		best = max(best, s.from)
		return progress, err
	})
}

// hashError says that a file's bytes are not those that its name promises.
type hashError struct{ path, got, want string }

func (e *hashError) Error() string {
	return fmt.Sprintf("%s has the hash %s, want %s: the bytes are damaged or not those that were published", e.path, e.got, e.want)
}

// check hashes what was downloaded.
func (d *download) check(ctx context.Context) error {
	d.meter.hashing(d.file.Path)
	if _, err := d.part.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return checkHash(ctx, d.part, d.file)
}

// checkHash compares a file's bytes with its hash.
func checkHash(ctx context.Context, r io.Reader, f remoteFile) error {
	got, n, err := hashOf(ctx, r, f.Hash, f.Size)
	if err != nil {
		return err
	}
	if n != f.Size {
		return &hashError{f.Path, fmt.Sprintf("of %d bytes", n), fmt.Sprintf("%s of %d", f.Hash, f.Size)}
	}
	if got != f.Hash {
		return &hashError{f.Path, got, f.Hash}
	}
	return nil
}

// hashOf returns the hash of what r holds, of the kind that want is: SHA-256, or the SHA-1 of a git blob, which covers "blob",
// the length and a NUL before the bytes.
func hashOf(ctx context.Context, r io.Reader, want string, size int64) (string, int64, error) {
	var h hash.Hash
	if len(want) == hex.EncodedLen(sha256.Size) {
		h = sha256.New()
	} else {
		h = sha1.New()
		fmt.Fprintf(h, "blob %d\x00", size)
	}
	n := int64(0)
	for {
		m, err := io.CopyN(h, r, 16<<20)
		n += m
		switch {
		case errors.Is(err, io.EOF):
			return hex.EncodeToString(h.Sum(nil)), n, nil
		case err != nil:
			return "", n, err
		case ctx.Err() != nil:
			return "", n, ctx.Err()
		}
	}
}
