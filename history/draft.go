package history

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Draft is where the text that is being typed in one conversation lies on disk. Its methods may be called from several
// goroutines; Set and Belong never wait for the disk.
//
// A draft is a file of one line in the store's folder "drafts", replaced as a whole at each write. It is locked by who types
// it: a second window has a draft of its own, and what a dead one has left is free for the next.
type Draft struct {
	dir   string // of all drafts
	id    string
	every time.Duration // from a change to its writing

	disk sync.Mutex // held while writing
	path string     // "": there is no file
	file *os.File   // that file, locked

	mu           sync.Mutex // guards what follows; never held during I/O
	conversation string
	next         func() Text // what is to be written; nil: nothing new
	timer        *time.Timer // writes it; nil when none is due
	failed       error       // of the last writing
	closed       bool
}

const (
	draftsDir    = "drafts"
	draftSuffix  = ".draft"
	draftTemp    = ".draft-"
	draftEvery   = 500 * time.Millisecond
	draftRetry   = 3 * time.Second
	draftTempAge = time.Minute // a temporary file that nobody locks is a dead one's after this
)

// Draft returns the place of the draft of a conversation, by the path of its file, "" for one that has none yet, and the text
// that was left there: the newest, if there are several, that no other window is typing. The place can be used even when
// there is an error, which is about what was left: that stays where it is.
func (s *Store) Draft(conversation string) (*Draft, Text, error) {
	d := s.NewDraft(conversation)
	text, err := d.adopt()
	return d, text, err
}

// NewDraft returns a place for a draft, and leaves alone what was left before.
func (s *Store) NewDraft(conversation string) *Draft {
	return &Draft{dir: filepath.Join(s.dir, draftsDir), id: NewID(), every: draftEvery, conversation: conversation}
}

// prefix is how the file names of a conversation's drafts begin. A store can be moved with its drafts: only for files
// elsewhere does the folder count.
func (d *Draft) prefix(conversation string) string {
	if conversation == "" {
		return "new."
	}
	if dir, name := filepath.Split(conversation); filepath.Clean(dir) == filepath.Dir(d.dir) {
		conversation = name
	}
	sum := sha256.Sum256([]byte(conversation))
	return hex.EncodeToString(sum[:8]) + "."
}

// adopt takes over the newest draft of the conversation that nobody has locked.
func (d *Draft) adopt() (Text, error) {
	files, err := os.ReadDir(d.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return Text{}, nil
	}
	if err != nil {
		return Text{}, fmt.Errorf("history: drafts: %w", err)
	}
	type candidate struct {
		path string
		at   time.Time
	}
	var left []candidate
	prefix := d.prefix(d.conversation)
	for _, f := range files {
		info, err := f.Info()
		path := filepath.Join(d.dir, f.Name())
		switch {
		case err != nil || !info.Mode().IsRegular():
		case strings.HasPrefix(f.Name(), draftTemp) && time.Since(info.ModTime()) > draftTempAge:
			removeDead(path)
		case strings.HasPrefix(f.Name(), prefix) && strings.HasSuffix(f.Name(), draftSuffix):
			left = append(left, candidate{path, info.ModTime()})
		}
	}
	slices.SortFunc(left, func(a, b candidate) int { return b.at.Compare(a.at) })
	var problems error
	for _, c := range left {
		text, file, err := openDraft(c.path)
		if err != nil {
			problems = errors.Join(problems, err)
			continue
		}
		if file != nil {
			d.path, d.file = c.path, file
			return text, problems
		}
	}
	return Text{}, problems
}

// removeDead removes a temporary file whose writer died.
func removeDead(path string) {
	f, err := os.Open(path)
	if err != nil {
		return
	}
	defer f.Close()
	if lock(f) == nil {
		_ = os.Remove(path) // else the next one does
	}
}

// openDraft opens, locks and reads a draft. The file is nil when someone else has it, or has just taken it away.
func openDraft(path string) (Text, *os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return Text{}, nil, nil
	}
	if err != nil {
		return Text{}, nil, fmt.Errorf("history: a draft that was left: %w", err)
	}
	if lock(f) != nil || !sameFile(f, path) {
		return Text{}, nil, f.Close()
	}
	b, err := io.ReadAll(io.LimitReader(f, maxLine+1))
	if err == nil && len(b) > maxLine {
		err = fmt.Errorf("it is longer than %d bytes", maxLine)
	}
	var text Text
	if err == nil {
		text, err = decodeText(b)
	}
	if err != nil {
		_ = f.Close() // it was only read
		return Text{}, nil, fmt.Errorf("history: a draft that was left in %s: %w; remove the file to be told no more", path, err)
	}
	return text, f, nil
}

// sameFile reports whether the file at path is still the one that is open: it may have been replaced before it was locked.
func sameFile(f *os.File, path string) bool {
	open, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Lstat(path)
	return err == nil && os.SameFile(open, there)
}

// Set notes that there is another text. It is on disk half a second later; an empty one is then no file. text is called at
// most once, on another goroutine. The error is that of the last writing, which is tried again.
func (d *Draft) Set(text func() Text) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil
	}
	d.next = text
	if d.timer == nil {
		d.timer = time.AfterFunc(d.every, d.tick)
	}
	return d.failed
}

// Belong says of which conversation the draft is from now on.
func (d *Draft) Belong(conversation string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.conversation = conversation
	if d.timer == nil && !d.closed {
		d.timer = time.AfterFunc(d.every, d.tick)
	}
}

func (d *Draft) tick() {
	d.mu.Lock()
	d.timer = nil
	d.mu.Unlock()
	_ = d.Flush() // Set returns it
}

// Flush writes what Set has noted.
func (d *Draft) Flush() error {
	d.disk.Lock()
	defer d.disk.Unlock()
	d.mu.Lock()
	next, conversation, closed := d.next, d.conversation, d.closed
	d.next = nil
	d.mu.Unlock()
	if closed {
		return nil
	}
	err := d.write(next, conversation)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failed = err; err != nil {
		if d.next == nil {
			d.next = next
		}
		if d.timer == nil && !d.closed {
			d.timer = time.AfterFunc(draftRetry, d.tick)
		}
	}
	return err
}

// write makes the file say what it should, under the name that it should have. d.disk is held.
func (d *Draft) write(next func() Text, conversation string) error {
	path := filepath.Join(d.dir, d.prefix(conversation)+d.id+draftSuffix)
	if next == nil {
		if d.path == "" || strings.HasPrefix(filepath.Base(d.path), d.prefix(conversation)) {
			return nil
		}
		if err := os.Rename(d.path, path); err != nil {
			return fmt.Errorf("history: draft: %w", err)
		}
		d.path = path
		return nil
	}
	text := next()
	if text.Empty() {
		return d.remove()
	}
	line, err := encodeText(text, textLine{Conversation: base(conversation), SavedAt: formatTime(time.Now())})
	if err != nil {
		return err
	}
	if d.path != "" && strings.HasPrefix(filepath.Base(d.path), d.prefix(conversation)) {
		path = d.path // the one that was left
	}
	f, err := replaceFile(path, line)
	if err != nil {
		return fmt.Errorf("history: draft: %w", err)
	}
	old := d.path
	if d.file != nil {
		_ = d.file.Close() // it is no file any more, or will be none
	}
	d.path, d.file = path, f
	if old != "" && old != path {
		if err := os.Remove(old); err != nil {
			return fmt.Errorf("history: draft: %w", err)
		}
	}
	return nil
}

// base returns the name of a file, "" for none.
func base(path string) string {
	if path == "" {
		return ""
	}
	return filepath.Base(path)
}

// replaceFile puts a new file with these bytes in the place of the one at path and returns it, open and locked. There is always
// a whole file there, the old one or the new.
func replaceFile(path string, b []byte) (*os.File, error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(dir, draftTemp+"*") // 0600
	if err != nil {
		return nil, err
	}
	if err = lock(f); err == nil {
		_, err = f.Write(b)
	}
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	return f, nil
}

// remove takes the file away. d.disk is held.
func (d *Draft) remove() error {
	if d.path == "" {
		return nil
	}
	if err := os.Remove(d.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("history: draft: %w", err)
	}
	_ = d.file.Close() // it is no file any more
	d.path, d.file = "", nil
	return nil
}

// Close writes what Set has noted and leaves the draft to whoever opens the conversation next. After an error the text is not
// on disk; Close does not try again.
func (d *Draft) Close() error {
	err := d.Flush()
	d.mu.Lock()
	closed := d.closed
	d.closed = true
	if d.timer != nil {
		d.timer.Stop()
	}
	d.mu.Unlock()
	d.disk.Lock() // waits for a timer that is writing
	defer d.disk.Unlock()
	if closed || d.file == nil {
		return err
	}
	return errors.Join(err, d.file.Close())
}
