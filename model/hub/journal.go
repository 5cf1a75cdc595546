package hub

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

// span is a range of a file's bytes, the end left out.
type span struct{ from, to int64 }

// journal says which bytes of an unfinished download have been written, so that the next one fetches the others alone. It is a
// file of lines "FROM TO", each appended after its bytes were written; a torn last line does not count. That the bytes
// really reached the disk is not known after a loss of power: the hash of the whole file decides.
type journal struct {
	mu   sync.Mutex
	file *os.File
	have []span // in order, apart from each other
}

// maxJournal bounds a journal: a line of some 24 bytes stands for at least 1 MiB, but for the ends of broken connections.
const maxJournal = 64 << 20

// openJournal reads the journal of a file of size bytes, joins its spans and writes them anew. One that makes no sense counts as
// empty.
func openJournal(path string, size int64) (*journal, error) {
	j := &journal{}
	raw, err := readBounded(path, maxJournal)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	j.have = spansOf(raw, size)
	var compact bytes.Buffer
	for _, s := range j.have {
		fmt.Fprintf(&compact, "%d %d\n", s.from, s.to)
	}
	if err := replaceFile(path, compact.Bytes()); err != nil {
		return nil, err
	}
	j.file, err = os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0o644)
	return j, err
}

// spansOf reads the lines of a journal of a file of size bytes.
func spansOf(raw []byte, size int64) []span {
	var have []span
	for line := range bytes.Lines(raw) {
		var s span
		if n, err := fmt.Sscanf(string(line), "%d %d\n", &s.from, &s.to); n != 2 || err != nil || line[len(line)-1] != '\n' {
			continue
		}
		if 0 <= s.from && s.from < s.to && s.to <= size {
			have = append(have, s)
		}
	}
	return joined(have)
}

// readBounded returns what a file holds, no more than most bytes of it.
func readBounded(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read
	return io.ReadAll(io.LimitReader(f, most))
}

// replaceFile writes a small file whole or not at all.
func replaceFile(path string, content []byte) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(path), "tmp-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(tmp.Name()))
		}
	}()
	_, err = tmp.Write(content)
	if err = errors.Join(err, tmp.Chmod(0o644), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

// joined sorts spans and joins those that touch.
func joined(spans []span) []span {
	slices.SortFunc(spans, func(a, b span) int { return int(max(-1, min(1, a.from-b.from))) })
	var out []span
	for _, s := range spans {
		if n := len(out); n > 0 && s.from <= out[n-1].to {
			out[n-1].to = max(out[n-1].to, s.to)
			continue
		}
		out = append(out, s)
	}
	return out
}

// add notes that s was written.
func (j *journal) add(s span) error {
	if s.from == s.to {
		return nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	at, _ := slices.BinarySearchFunc(j.have, s, func(a, b span) int { return int(max(-1, min(1, a.from-b.from))) })
	j.have = slices.Insert(j.have, at, s)
	_, err := fmt.Fprintf(j.file, "%d %d\n", s.from, s.to)
	return err
}

// missing returns what a file of size bytes lacks, in pieces of at most piece bytes.
func (j *journal) missing(size, piece int64) []span {
	j.mu.Lock()
	defer j.mu.Unlock()
	var out []span
	at := int64(0)
	for _, s := range append(joined(slices.Clone(j.have)), span{size, size}) {
		for ; at < s.from; at = min(at+piece, s.from) {
			out = append(out, span{at, min(at+piece, s.from)})
		}
		at = s.to
	}
	return out
}

// bytes returns how many bytes of a file of size bytes are there.
func (j *journal) bytes(size int64) int64 {
	for _, s := range j.missing(size, max(size, 1)) {
		size -= s.to - s.from
	}
	return size
}

// forget empties the journal.
func (j *journal) forget() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.have = nil
	return j.file.Truncate(0)
}

func (j *journal) close() error { return j.file.Close() }
