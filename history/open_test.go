package history

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"peregrine/model/generate"
)

const userLine = `{"type":"message","id":"a","parent_id":null,"message":{"role":"user","content":"kept"}}`

func TestFileCutAtAnyByteOpensWithItsWholeLines(t *testing.T) {
	f := create(t, newStore(t), Header{Name: "n"})
	a := add(t, f, "", generate.User, "ä\n1")
	r := Message{ID: "r", ParentID: a.ID, Role: generate.Assistant, Content: "so far"}
	wantNoError(t, f.Partial(r))
	wantNoError(t, f.Sync())
	_, err := f.Append(r)
	wantNoError(t, err)
	wantNoError(t, f.Close())
	whole := bytesOf(t, f.Path())
	path := filepath.Join(t.TempDir(), "cut.jsonl")
	for cut := strings.Index(whole, "\n"); cut <= len(whole); cut++ {
		wantNoError(t, os.WriteFile(path, []byte(whole[:cut]), 0o600))
		_ = os.Remove(path + tornSuffix)
		lines := strings.Count(whole[:cut], "\n")
		if cut < len(whole) && whole[cut] == '\n' {
			lines++ // only the newline is missing
		}
		f, err := Open(path)
		wantNoError(t, err)
		if got, want := len(f.Conversation().Messages), []int{0, 0, 1, 2, 2}[lines]; got != want {
			t.Fatalf("cut at %d: got %d messages, want %d", cut, got, want)
		}
		_, err = f.Append(Message{ID: "new", Role: generate.User})
		wantNoError(t, err)
		wantNoError(t, f.Close())
		c, err := Read(path)
		wantNoError(t, err)
		if _, ok := c.Message("new"); !ok || len(c.Warnings) > 0 {
			t.Fatalf("cut at %d: got warnings %q, want a file without a flaw", cut, c.Warnings)
		}
	}
}

func TestTornMessageIsKeptBeside(t *testing.T) {
	const torn = `{"type":"message","id":"b","message":{"role":"user","content":"half a tho`
	path := write(t, session, userLine, torn)
	wantNoError(t, os.Truncate(path, int64(len(bytesOf(t, path))-1)))
	f := open(t, path)
	if got := bytesOf(t, path+tornSuffix); got != torn+"\n" {
		t.Errorf("beside: got %q, want the torn line", got)
	}
	if w := f.Conversation().Warnings; len(w) != 1 || !strings.Contains(w[0], tornSuffix) {
		t.Errorf("warnings: got %q, want where the bytes are", w)
	}
	if got := bytesOf(t, path); got != session+"\n"+userLine+"\n" {
		t.Errorf("got %q, want the whole lines", got)
	}
}

func TestTornPartialAndZerosAreDropped(t *testing.T) {
	for _, torn := range []string{`{"type":"partial","id":"b","te`, `{"ty`, "\x00\x00\x00"} {
		path := write(t, session, userLine)
		wantNoError(t, os.WriteFile(path, []byte(session+"\n"+userLine+"\n"+torn), 0o600))
		if w := open(t, path).Conversation().Warnings; len(w) != 0 {
			t.Errorf("%q: got warnings %q", torn, w)
		}
		if _, err := os.Stat(path + tornSuffix); err == nil {
			t.Errorf("%q: got a file beside", torn)
		}
		if got := bytesOf(t, path); got != session+"\n"+userLine+"\n" {
			t.Errorf("%q: got %q, want the whole lines", torn, got)
		}
	}
}

func TestTornLineOfAFileThatIsNotOursStays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.jsonl")
	text := strings.Replace(session, harness, "other", 1) + "\n" + userLine + "\n" + `{"type":"mess`
	wantNoError(t, os.WriteFile(path, []byte(text), 0o600))
	if f := open(t, path); f.ReadOnly() == "" {
		t.Error("got a writable file")
	}
	if got := bytesOf(t, path); got != text {
		t.Errorf("got %q, want it unchanged", got)
	}
}

func TestSecondWindowReadsOnly(t *testing.T) {
	first := create(t, newStore(t), Header{})
	m := add(t, first, "", generate.User, "x")
	second := open(t, first.Path())
	if got := second.ReadOnly(); got != ErrLocked.Error() {
		t.Fatalf("got %q, want %q", got, ErrLocked)
	}
	before := bytesOf(t, first.Path())
	for name, err := range map[string]error{
		"append":  func() error { _, err := second.Append(Message{Role: generate.User}); return err }(),
		"partial": second.Partial(Message{ID: "p", Role: generate.Assistant}),
		"name":    second.SetName("n"),
		"header":  second.SetHeader(Header{}),
		"delete":  func() error { _, err := second.DeleteBranch(m.ID); return err }(),
	} {
		if !errors.Is(err, ErrReadOnly) || !strings.Contains(err.Error(), ErrLocked.Error()) {
			t.Errorf("%s: got %v, want ErrReadOnly and why", name, err)
		}
	}
	if err := second.SetLeaf(""); err != nil || second.Conversation().Leaf() != "" {
		t.Errorf("looking at another branch: got %v", err)
	}
	wantNoError(t, second.Close())
	if bytesOf(t, first.Path()) != before {
		t.Error("the reader changed the file")
	}
	if f := reopen(t, first); f.ReadOnly() != "" {
		t.Errorf("after the writer closed: got read-only: %s", f.ReadOnly())
	}
}

func TestReaderDoesNotRepairWhatAnotherIsWriting(t *testing.T) {
	first := create(t, newStore(t), Header{})
	add(t, first, "", generate.User, "x")
	torn := bytesOf(t, first.Path()) + `{"type":"mess`
	wantNoError(t, os.WriteFile(first.Path(), []byte(torn), 0o600))
	second := open(t, first.Path())
	if got := texts(second.Conversation()); got != "user: x" {
		t.Errorf("got %q, want the whole lines", got)
	}
	if bytesOf(t, first.Path()) != torn {
		t.Error("the reader changed the file")
	}
}

func TestForeignFilesAreReadOnly(t *testing.T) {
	for _, x := range []struct{ name, first, why string }{
		{"newer schema", strings.Replace(session, `"schema":1`, `"schema":2`, 1), "version 2, is newer"},
		{"another program's", `{"type":"session","harness":"llama.app","id":"x","name":"y"}`, `"llama.app"`},
		{"no harness", `{"type":"session"}`, "another program"},
		{"no session line", `{"type":"message","message":{"role":"user","content":"x"}}`, "no session line"},
		{"damaged session line", session[:40], "no session line"},
	} {
		t.Run(x.name, func(t *testing.T) {
			f := open(t, write(t, x.first, userLine))
			if !strings.Contains(f.ReadOnly(), x.why) {
				t.Errorf("got %q, want %q in it", f.ReadOnly(), x.why)
			}
			if got := texts(f.Conversation()); !strings.HasSuffix(got, "user: kept") {
				t.Errorf("got %q, want the message", got)
			}
			_, err := f.Append(Message{Role: generate.User})
			if !errors.Is(err, ErrReadOnly) {
				t.Errorf("append: got %v, want ErrReadOnly", err)
			}
			other := open(t, f.Path())
			if other.ReadOnly() != f.ReadOnly() {
				t.Errorf("a second window: got %q: the first one holds a lock it has no use for", other.ReadOnly())
			}
		})
	}
}

func TestOpenRefusesWhatIsNoConversation(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	wantNoError(t, unix.Mkfifo(pipe, 0o600))
	for name, path := range map[string]string{
		"folder":           dir,
		"pipe":             pipe,
		"missing":          filepath.Join(dir, "none"),
		"binary":           write(t, "\x7fELF\x00\x01"),
		"JSON of no kind":  write(t, `{"model_type":"falcon"}`),
		"nothing but torn": write(t, "")[:0] + writeBytes(t, session[:30]),
		"empty":            writeBytes(t, ""),
	} {
		t.Run(name, func(t *testing.T) {
			f, err := Open(path)
			if err == nil {
				t.Fatalf("got %+v, want an error", f.Conversation())
			}
			if !strings.HasPrefix(err.Error(), "history: ") || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %q, want one line with the path", err)
			}
			if _, err := Read(path); err == nil {
				t.Error("read: got no error")
			}
		})
	}
}

func writeBytes(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "c.jsonl")
	wantNoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestLineBeyondTheLimitIsSkipped(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 130 MB")
	}
	path := writeBytes(t, session+"\n"+userLine+"\n"+strings.Repeat("x", maxLine+1))
	f := open(t, path)
	c := f.Conversation()
	if texts(c) != "user: kept" || len(c.Warnings) != 1 || f.ReadOnly() != "" {
		t.Fatalf("got %q, %q, %q", texts(c), c.Warnings, f.ReadOnly())
	}
	add(t, f, "a", generate.Assistant, "more")
	if got := texts(reopen(t, f).Conversation()); got != "user: kept\nassistant: more" {
		t.Errorf("got %q, want both messages", got)
	}
	if _, err := f.Append(Message{Role: generate.User, Content: strings.Repeat("x", maxLine)}); err == nil {
		t.Error("a message longer than a line: got no error")
	}
}

// asNobody runs do with the file permissions of a user who owns nothing.
func asNobody(t *testing.T, do func()) {
	t.Helper()
	if os.Getuid() != 0 {
		do() // permission bits of our own files are enough
		return
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if _, err := unix.SetfsuidRetUid(65534); err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = unix.SetfsuidRetUid(0) }()
	do()
}

func TestFileWithoutPermissionToWriteIsReadOnly(t *testing.T) {
	path := write(t, session, userLine)
	wantNoError(t, os.Chmod(path, 0o444))
	for dir := filepath.Dir(path); dir != "/" && dir != os.TempDir(); dir = filepath.Dir(dir) {
		wantNoError(t, os.Chmod(dir, 0o755))
	}
	asNobody(t, func() {
		f, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if !strings.Contains(f.ReadOnly(), "no permission") || texts(f.Conversation()) != "user: kept" {
			t.Errorf("got %q, want why; %q", f.ReadOnly(), texts(f.Conversation()))
		}
	})
}

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

func TestDiskErrorsAtEveryByteLoseNothing(t *testing.T) {
	for _, truncates := range []bool{true, false} {
		for room := range 120 {
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
