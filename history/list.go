package history

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"peregrine/model/generate"
)

// Entry is one conversation in a list. Its texts are data: make them harmless before they are displayed.
type Entry struct {
	Path     string
	ID       string
	Name     string
	Title    string // Name, else the start of the first user message, else the file's name
	Modified time.Time
	Messages int    // message lines of all branches
	Preview  string // the start of the last message
	Model    string
	Err      error // why it cannot be opened; the other fields are then what is known
}

// names returns the files of the store, the one written to last first. Empty ones are the traces of a crash before the first
// line.
func (s *Store) names() ([]Entry, error) {
	dir, err := os.Open(s.dir)
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	defer dir.Close()
	files, err := dir.ReadDir(-1)
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	files = slices.DeleteFunc(files, func(f os.DirEntry) bool {
		return !strings.HasSuffix(f.Name(), extension) || strings.HasPrefix(f.Name(), ".")
	})
	entries := make([]Entry, len(files))
	sideBySide(len(files), func(i int) {
		// Relative to the open folder: ten thousand walks along its path would take most of the time.
		var info unix.Stat_t
		name := files[i].Name()
		if err := unix.Fstatat(int(dir.Fd()), name, &info, 0); err != nil || info.Mode&unix.S_IFMT != unix.S_IFREG || info.Size == 0 {
			return
		}
		entries[i] = Entry{Path: filepath.Join(s.dir, name), Title: name, Modified: time.Unix(info.Mtim.Unix())}
	})
	entries = slices.DeleteFunc(entries, func(e Entry) bool { return e.Path == "" })
	slices.SortFunc(entries, func(a, b Entry) int {
		if c := b.Modified.Compare(a.Modified); c != 0 {
			return c
		}
		return strings.Compare(b.Path, a.Path)
	})
	return entries, nil
}

// sideBySide calls f for 0 … n − 1, from a few goroutines that take runs of them.
func sideBySide(n int, f func(i int)) {
	const run = 16
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(4, runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			for {
				end := int(next.Add(run))
				if end-run >= n {
					return
				}
				for i := end - run; i < min(end, n); i++ {
					f(i)
				}
			}
		})
	}
	wg.Wait()
}

// Latest returns the path of the conversation that was written to last, of those that can be read. It wraps ErrNotFound when
// there is none.
func (s *Store) Latest() (string, error) {
	entries, err := s.names()
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		if e.load(); e.Err == nil {
			return e.Path, nil
		}
	}
	return "", fmt.Errorf("history: %s: %w: nothing was saved there yet", s.dir, ErrNotFound)
}

// List returns all conversations, the one written to last first; those that cannot be read have Err. It reads each file once
// and decodes only the few lines that it needs. It ends with ctx.
func (s *Store) List(ctx context.Context) ([]Entry, error) {
	l, err := s.Listing()
	if err != nil {
		return nil, err
	}
	return l.Next(ctx, l.Len())
}

// Listing is a list that is read in parts, for those who show the first while the others are read. The order is that of List, as
// it was when Store.Listing was called.
type Listing struct {
	entries []Entry
	read    int
}

// Listing finds the store's files without reading them.
func (s *Store) Listing() (*Listing, error) {
	entries, err := s.names()
	if err != nil {
		return nil, err
	}
	return &Listing{entries: entries}, nil
}

// Len is how many conversations there are, read or not.
func (l *Listing) Len() int { return len(l.entries) }

// Next reads and returns the next n entries, fewer at the end, and none behind it. It ends with ctx.
func (l *Listing) Next(ctx context.Context, n int) ([]Entry, error) {
	part := l.entries[l.read:min(l.read+n, len(l.entries))]
	sideBySide(len(part), func(i int) {
		if ctx.Err() == nil {
			part[i].load()
		}
	})
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l.read += len(part)
	return part, nil
}

// load fills in what the file says.
func (e *Entry) load() {
	f, err := os.Open(e.Path)
	if err != nil {
		e.Err = fmt.Errorf("history: %w", err)
		return
	}
	defer f.Close()
	var d digest
	if e.Err = d.read(f); e.Err != nil {
		e.Err = fmt.Errorf("history: %s: %w", e.Path, e.Err)
		return
	}
	if d.deletes { // what is shown must not be what was deleted
		c, err := Read(e.Path)
		if err != nil {
			e.Err = err
			return
		}
		d.tree.header, d.count = c.Header, len(c.Messages)
		d.first, d.last = c.Title(), ""
		if n := len(c.Messages); n > 0 {
			d.last = excerpt(c.Messages[n-1].Content, previewRunes)
		}
	}
	h := d.tree.header
	e.ID, e.Name, e.Model, e.Messages, e.Preview = h.ID, h.Name, h.Model, d.count, d.last
	if d.first != "" {
		e.Title = d.first
	}
	if h.Name != "" {
		e.Title = h.Name
	}
}

// digest is what a list needs of a file.
type digest struct {
	tree    *tree // of the lines about the whole conversation; without messages
	count   int
	first   string // the start of the first user message
	last    string // the start of the last message
	deletes bool

	lastLine []byte
}

// read goes through a file. Messages but the first of the user and the last one are counted, not decoded.
func (d *digest) read(r io.Reader) error {
	d.tree = newTree()
	s := newScanner(io.LimitReader(r, maxBytes))
	for {
		line, err := s.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if text := bytes.TrimSpace(line.text); line.ended || json.Valid(text) {
			d.line(text)
		}
	}
	if d.count == 0 && d.tree.harness == "" {
		return errors.New("not a conversation")
	}
	if r, _, err := decode(d.lastLine); err == nil && r.Message != nil {
		d.last = excerpt(r.Message.Content.text, previewRunes)
	}
	return nil
}

var (
	messageStart = []byte(`{"type":"` + typeMessage + `"`)
	partialBegin = []byte(`{"type":"` + typePartial + `"`)
)

func (d *digest) line(line []byte) {
	switch {
	case len(line) == 0, bytes.HasPrefix(line, partialBegin):
		return
	case d.first != "" && bytes.HasPrefix(line, messageStart):
		d.count++
		d.lastLine = append(d.lastLine[:0], line...)
		return
	}
	r, _, err := decode(line)
	if err != nil {
		return
	}
	switch r.Type {
	case typeMessage:
		d.count++
		d.lastLine = append(d.lastLine[:0], line...)
		if r.Message != nil && r.Message.Role == generate.User && d.first == "" {
			d.first = excerpt(r.Message.Content.text, titleRunes)
		}
	case typeSession, typeName, typeHeader:
		d.tree.apply(r, 0)
	case typeDelete:
		d.deletes = true
	}
}
