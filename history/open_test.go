package history

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

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
