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

	stamp stamp
}

// stamp tells whether a file is still the one that was read. Files grow, so that a change without another size is rare; the time
// of the last change to the inode tells that one too.
type stamp struct {
	size              int64
	modified, changed int64 // nanoseconds since 1970
	inode             uint64
}

func stampOf(info *unix.Stat_t) stamp {
	return stamp{info.Size, info.Mtim.Nano(), info.Ctim.Nano(), info.Ino}
}

// Size returns the bytes of the file, as it was listed.
func (e Entry) Size() int64 { return e.stamp.size }

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
		entries[i] = Entry{Path: filepath.Join(s.dir, name), Title: name, Modified: time.Unix(info.Mtim.Unix()), stamp: stampOf(&info)}
	})
	entries = slices.DeleteFunc(entries, func(e Entry) bool { return e.Path == "" })
	slices.SortFunc(entries, Entry.compare)
	return entries, nil
}

// compare orders a list: the one written to last is the first.
func (e Entry) compare(other Entry) int {
	if c := other.Modified.Compare(e.Modified); c != 0 {
		return c
	}
	return strings.Compare(other.Path, e.Path)
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
		if e.load(nil); e.Err == nil {
			return e.Path, nil
		}
	}
	return "", fmt.Errorf("history: %s: %w: nothing was saved there yet", s.dir, ErrNotFound)
}

// List returns all conversations, the one written to last first; those that cannot be read have Err. It reads each file once
// and decodes only the few lines that it needs. It ends with ctx.
func (s *Store) List(ctx context.Context) ([]Entry, error) {
	entries, err := s.names()
	if err != nil {
		return nil, err
	}
	l := &Listing{entries: entries}
	return l.Next(ctx, l.Len())
}

// Listing is a list that is read in parts, for those who show the first while the others are read. The order is that of List, as
// it was when Store.Listing was called. What is read becomes known to the store's index; what the index knows is not read again.
type Listing struct {
	entries []Entry
	read    int
	index   *index // nil: none
}

// Listing finds the store's files without reading them.
func (s *Store) Listing() (*Listing, error) {
	var wg sync.WaitGroup
	wg.Go(s.index.load)
	entries, err := s.names()
	wg.Wait()
	if err != nil {
		return nil, err
	}
	s.index.retain(entries)
	return &Listing{entries: entries, index: s.index}, nil
}

// Len is how many conversations there are, read or not.
func (l *Listing) Len() int { return len(l.entries) }

// Next reads and returns the next n entries, fewer at the end, and none behind it. It ends with ctx.
func (l *Listing) Next(ctx context.Context, n int) ([]Entry, error) {
	part := l.entries[l.read:min(l.read+n, len(l.entries))]
	sideBySide(len(part), func(i int) {
		switch {
		case ctx.Err() != nil:
		case l.index == nil:
			part[i].load(nil)
		default:
			l.index.fill(&part[i])
		}
	})
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l.read += len(part)
	return part, nil
}

// Keep saves the index if the listing was read to its end and has told it something new.
func (l *Listing) Keep() error {
	if l.index == nil || l.read < len(l.entries) {
		return nil
	}
	return l.index.save()
}

// load fills in what the file says, and gives vocabulary, if there is one, its words.
func (e *Entry) load(vocabulary vocabulary) {
	f, err := os.Open(e.Path)
	if err != nil {
		e.Err = fmt.Errorf("history: %w", err)
		return
	}
	defer f.Close()
	d := digest{words: vocabulary}
	if e.Err = d.read(f); e.Err != nil {
		e.Err = fmt.Errorf("history: %s: %w", e.Path, e.Err)
		return
	}
	if d.deletes || d.words != nil && len(d.loose) > 0 { // what is shown must not be what was deleted
		c, err := Read(e.Path)
		if err != nil {
			e.Err = err
			return
		}
		d.take(c)
	}
	h := d.tree.header
	e.ID, e.Name, e.Model, e.Messages, e.Preview = h.ID, h.Name, h.Model, d.count, d.last
	if d.first != "" {
		e.Title = d.first
	}
	if h.Name != "" {
		e.Title = h.Name
	}
	vocabulary.add(h.Name)
	vocabulary.add(h.System)
}

// digest is what a list needs of a file.
type digest struct {
	tree    *tree // of the lines about the whole conversation; without messages
	count   int
	first   string // the start of the first user message
	last    string // the start of the last message
	deletes bool
	words   vocabulary      // of the messages; nil: not wanted
	loose   map[string]bool // replies of which there are parts alone, when words are wanted

	lastLine []byte
}

// take replaces what was found by what a conversation says that was read as a whole.
func (d *digest) take(c *Conversation) {
	d.tree.header, d.count = c.Header, len(c.Messages)
	d.first, d.last = c.Title(), ""
	if n := len(c.Messages); n > 0 {
		d.last = excerpt(c.Messages[n-1].Content, previewRunes)
	}
	clear(d.words)
	for _, m := range c.Messages {
		d.words.add(m.Content)
	}
}

// read goes through a file. Without words, messages but the first of the user and the last one are counted, not decoded.
func (d *digest) read(r io.Reader) error {
	d.tree, d.loose = newTree(), map[string]bool{}
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
	case len(line) == 0:
		return
	case bytes.HasPrefix(line, partialBegin):
		d.partial(line)
		return
	case d.first != "" && bytes.HasPrefix(line, messageStart):
		d.count++
		d.lastLine = append(d.lastLine[:0], line...)
		d.said(line)
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
			d.first = titleOf(r.Message.Content.text)
		}
		d.said(line)
	case typeSession, typeName, typeHeader:
		d.tree.apply(r, 0)
	case typeDelete:
		d.deletes = true
	}
}

// spoken is what of a message or partial line has to do with its words.
type spoken struct {
	ID      string          `json:"id"`
	Message *foreignMessage `json:"message"`
}

// said takes the words of a message line.
func (d *digest) said(line []byte) {
	if d.words == nil {
		return
	}
	var m spoken
	if err := json.Unmarshal(line, &m); err != nil && m.Message == nil { // a field of another type hides no text
		return
	}
	delete(d.loose, m.ID)
	if m.Message != nil {
		d.words.add(m.Message.Content.text)
	}
}

// partial notes a reply that may have no other line.
func (d *digest) partial(line []byte) {
	if d.words == nil {
		return
	}
	var m spoken
	if err := json.Unmarshal(line, &m); err == nil && !d.loose[m.ID] {
		d.loose[m.ID] = true
	}
}
