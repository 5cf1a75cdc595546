package history

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"peregrine/model/generate"
)

// TestMain lets the test binary play the child processes of this package's tests.
func TestMain(m *testing.M) {
	switch os.Getenv("HISTORY_TEST_CHILD") {
	case "":
		os.Exit(m.Run())
	case "writer":
		writerChild(os.Args[len(os.Args)-1])
	case "limit":
		limitChild(os.Args[len(os.Args)-1])
	}
}

// child starts this test binary as one of the children above.
func child(t *testing.T, kind, path string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0], path)
	cmd.Env = append(os.Environ(), "HISTORY_TEST_CHILD="+kind)
	cmd.Stderr = os.Stderr
	return cmd
}

// limitChild appends to a file that may not grow, then to one that may: what a full disk does, and a little room.
func limitChild(dir string) {
	fail := func(err error) {
		fmt.Println(err)
		os.Exit(1)
	}
	s, err := OpenStore(dir)
	if err != nil {
		fail(err)
	}
	f, err := s.Create(Header{})
	if err != nil {
		fail(err)
	}
	a, err := f.Append(Message{Role: generate.User, Content: "before"})
	if err != nil {
		fail(err)
	}
	info, err := os.Stat(f.Path())
	if err != nil {
		fail(err)
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		fail(err)
	}
	most := limit.Cur
	limit.Cur = uint64(info.Size()) + 20 // in the middle of the next line
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		fail(err)
	}
	b, err := f.Append(Message{ParentID: a.ID, Role: generate.Assistant, Content: "refused at first"})
	fmt.Println("full:", err != nil && f.Unsaved() > 0 && f.Close() != nil)
	now, err := os.Stat(f.Path())
	if err != nil {
		fail(err)
	}
	fmt.Println("cut back:", now.Size() == info.Size())
	limit.Cur = most
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		fail(err)
	}
	_, err = f.Append(Message{ParentID: b.ID, Role: generate.User, Content: "after"})
	fmt.Println("room:", err == nil && f.Unsaved() == 0 && f.Close() == nil)
	fmt.Println("path:", f.Path())
}

func TestFullDiskKeepsTheTextUntilThereIsRoom(t *testing.T) {
	cmd := child(t, "limit", t.TempDir())
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	head, path, _ := strings.Cut(strings.TrimSpace(string(out)), "path: ")
	if head != "full: true\ncut back: true\nroom: true\n" {
		t.Fatalf("got %q", out)
	}
	if got := texts(open(t, path).Conversation()); got != "user: before\nassistant: refused at first\nuser: after" {
		t.Errorf("got %q, want all three", got)
	}
}

func TestFileDeletedUnderTheWriterIsMadeAgain(t *testing.T) {
	for _, taken := range []bool{false, true} {
		t.Run(fmt.Sprintf("name taken by another file: %v", taken), func(t *testing.T) {
			f := create(t, newStore(t), Header{})
			a := add(t, f, "", generate.User, "one")
			was := f.Path()
			wantNoError(t, os.RemoveAll(filepath.Dir(was)))
			if taken {
				wantNoError(t, os.MkdirAll(filepath.Dir(was), 0o700))
				wantNoError(t, os.WriteFile(was, []byte("theirs"), 0o600))
			}
			add(t, f, a.ID, generate.Assistant, "two")
			if got := f.Path() == was; got == taken {
				t.Errorf("path: got %q, was %q", f.Path(), was)
			}
			f = reopen(t, f)
			if got := texts(f.Conversation()); got != "user: one\nassistant: two" {
				t.Errorf("got %q, want both", got)
			}
			if taken && bytesOf(t, was) != "theirs" {
				t.Error("the other file was overwritten")
			}
		})
	}
}

func TestStoreThatCannotBeWrittenKeepsTheTextInMemory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	s, err := OpenStore(dir)
	wantNoError(t, err)
	f, err := s.Create(Header{})
	wantNoError(t, err)
	wantNoError(t, os.Remove(dir))
	wantNoError(t, os.WriteFile(dir, nil, 0o600)) // a file where the folder was
	m, err := f.Append(Message{Role: generate.User, Content: "kept"})
	if err == nil || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "in memory") {
		t.Fatalf("got %v, want the path and that the text is kept", err)
	}
	if got := texts(f.Conversation()); got != "user: kept" || f.Unsaved() == 0 {
		t.Errorf("got %q with %d bytes unsaved, want the message", got, f.Unsaved())
	}
	elsewhere := filepath.Join(t.TempDir(), "copy.jsonl")
	wantNoError(t, f.CopyTo(elsewhere))
	if got := texts(open(t, elsewhere).Conversation()); got != "user: kept" {
		t.Errorf("copy: got %q, want the message", got)
	}
	wantNoError(t, os.Remove(dir))
	add(t, f, m.ID, generate.Assistant, "and more")
	if got := texts(reopen(t, f).Conversation()); got != "user: kept\nassistant: and more" {
		t.Errorf("got %q, want both", got)
	}
}

// flaky is a disk that fails as told.
type flaky struct {
	*os.File
	room      int // bytes that can still be written; -1: any
	truncates bool
	syncs     bool
}

var errFull = syscall.ENOSPC

func (f *flaky) Write(b []byte) (int, error) {
	if f.room < 0 || len(b) <= f.room {
		return f.File.Write(b)
	}
	n, _ := f.File.Write(b[:f.room])
	f.room = 0
	return n, errFull
}

func (f *flaky) Truncate(size int64) error {
	if !f.truncates {
		return errFull
	}
	return f.File.Truncate(size)
}

func (f *flaky) Sync() error {
	if !f.syncs {
		return syscall.EIO
	}
	return f.File.Sync()
}

func TestDiskErrorsInsideALineLoseNothing(t *testing.T) {
	for _, truncates := range []bool{true, false} {
		for room := 0; room < 120; room += 5 {
			f := create(t, newStore(t), Header{})
			a := add(t, f, "", generate.User, "one")
			d := &flaky{File: f.disk.file.(*os.File), room: room, truncates: truncates, syncs: true}
			f.disk.file = d
			b, err := f.Append(Message{ParentID: a.ID, Role: generate.Assistant, Content: "two"})
			if !errors.Is(err, errFull) {
				t.Fatalf("room for %d: got %v, want the disk's error", room, err)
			}
			if err := f.SetName("still"); !errors.Is(err, errFull) {
				t.Fatalf("room for %d: got %v, want the disk's error again", room, err)
			}
			d.room = -1
			add(t, f, b.ID, generate.User, "three")
			c := reopen(t, f).Conversation()
			if got := texts(c); got != "user: one\nassistant: two\nuser: three" || c.Header.Name != "still" || len(c.Warnings) > 0 {
				t.Fatalf("room for %d: got %q, %q, %q", room, got, c.Header.Name, c.Warnings)
			}
		}
	}
}

func TestFailedSyncIsReportedAndTriedAgain(t *testing.T) {
	f := create(t, newStore(t), Header{})
	a := add(t, f, "", generate.User, "one")
	d := &flaky{File: f.disk.file.(*os.File), room: -1, truncates: true}
	f.disk.file = d
	if _, err := f.Append(Message{ParentID: a.ID, Role: generate.User, Content: "two"}); !errors.Is(err, syscall.EIO) {
		t.Fatalf("got %v, want the disk's error", err)
	}
	if err := f.Sync(); !errors.Is(err, syscall.EIO) {
		t.Errorf("sync: got %v, want the disk's error again", err)
	}
	d.syncs = true
	wantNoError(t, f.Sync())
	if got := texts(reopen(t, f).Conversation()); got != "user: one\nuser: two" {
		t.Errorf("got %q, want both once", got)
	}
}

func TestErrorOfABackgroundWriteReachesTheNextPartial(t *testing.T) {
	f := create(t, newStore(t), Header{})
	add(t, f, "", generate.User, "one")
	d := &flaky{File: f.disk.file.(*os.File), truncates: true, syncs: true}
	f.disk.mu.Lock()
	f.disk.file = d
	f.disk.mu.Unlock()
	m := Message{ID: "r", Role: generate.Assistant, Content: "x"}
	wantNoError(t, f.Partial(m))
	time.Sleep(partialEvery + 200*time.Millisecond)
	if err := f.Partial(m); !errors.Is(err, errFull) {
		t.Errorf("got %v, want the disk's error", err)
	}
	f.disk.mu.Lock()
	d.room = -1
	f.disk.mu.Unlock()
	wantNoError(t, f.Sync())
	c, err := Read(f.Path())
	wantNoError(t, err)
	if got := texts(c); got != "assistant: x" {
		t.Errorf("got %q, want the reply", got)
	}
}
