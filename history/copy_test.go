package history

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"peregrine/model/generate"
)

func TestCopyKeepsWhatItDoesNotKnow(t *testing.T) {
	lines := []string{
		strings.Replace(session, `"schema":1`, `"schema":1,"mood":{"a":[1,2]},"Zeit":1e3`, 1),
		`{"type":"message","id":"a","parent_id":null,"future":{"x":"y"},"message":{"role":"user","content":"1","name":"n"}}`,
		`{"type":"draft","text":"unfinished"}`,
		`not json`,
		`{"type":"message","id":"b","parent_id":"a","message":{"role":"assistant","content":"2"}}`,
	}
	f := open(t, write(t, lines...))
	path := filepath.Join(t.TempDir(), "copy.jsonl")
	wantNoError(t, f.CopyTo(path))
	got := strings.Split(strings.TrimSpace(bytesOf(t, path)), "\n")
	if d := cmp.Diff(lines[1:], got[1:]); d != "" {
		t.Errorf("lines: want -, got +\n%s", d)
	}
	var head map[string]any
	wantNoError(t, json.Unmarshal([]byte(got[0]), &head))
	if head["id"] == "0123456789abcdef" || head["copied_from"] != "0123456789abcdef" || head["Zeit"] != 1000.0 ||
		!cmp.Equal(head["mood"], map[string]any{"a": []any{1.0, 2.0}}) || head["harness"] != harness {
		t.Errorf("session line: got %s", got[0])
	}
	info, err := os.Stat(path)
	wantNoError(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode: got %v, want 0600", info.Mode())
	}
	c := open(t, path)
	if c.ReadOnly() != "" || texts(c.Conversation()) != texts(f.Conversation()) {
		t.Errorf("got %q, %q, want a conversation that can be continued", c.ReadOnly(), texts(c.Conversation()))
	}
}

func TestCopyLeavesOutWhatIsOver(t *testing.T) {
	f := create(t, newStore(t), Header{Name: "old"})
	a := add(t, f, "", generate.User, "q")
	done := Message{ID: "done", ParentID: a.ID, Role: generate.Assistant, Content: "fin", Finish: generate.FinishStop}
	wantNoError(t, f.Partial(done))
	wantNoError(t, f.Sync())
	done.Content = "finished"
	_, err := f.Append(done)
	wantNoError(t, err)
	gone := add(t, f, a.ID, generate.Assistant, "deleted words")
	_, err = f.DeleteBranch(gone.ID)
	wantNoError(t, err)
	wantNoError(t, f.SetName("new"))
	wantNoError(t, f.Partial(Message{ID: "open", ParentID: "done", Role: generate.Assistant, Content: "still wri"}))
	path := filepath.Join(t.TempDir(), "copy.jsonl")
	wantNoError(t, f.CopyTo(path))
	text := bytesOf(t, path)
	for _, no := range []string{"deleted words", `"text":"fin"`, `"delete"`} {
		if strings.Contains(text, no) {
			t.Errorf("got %q in the copy:\n%s", no, text)
		}
	}
	c, err := Read(path)
	wantNoError(t, err)
	want := f.Conversation()
	if d := cmp.Diff(want.Messages, c.Messages); d != "" || len(c.Warnings) > 0 || c.Leaf() != want.Leaf() || c.Header.Name != "new" {
		t.Errorf("want -, got +\n%s%q", d, c.Warnings)
	}
}

func TestCopyOfAnothersFileCanBeContinued(t *testing.T) {
	for name, first := range map[string]string{
		"another program's": `{"type":"session","harness":"llama.app","id":"x","name":"theirs"}`,
		"no session line":   `{"type":"message","message":{"role":"user","content":"0"}}`,
		"damaged":           `{"type":"sess`,
	} {
		t.Run(name, func(t *testing.T) {
			f := open(t, write(t, first, `{"type":"message","message":{"role":"user","content":"1"}}`, `{"type":"message","message":{"role":"assistant","content":"2"}}`))
			path := filepath.Join(t.TempDir(), "copy.jsonl")
			wantNoError(t, f.CopyTo(path))
			c := open(t, path)
			if c.ReadOnly() != "" {
				t.Fatalf("read-only: %s", c.ReadOnly())
			}
			if got, want := texts(c.Conversation()), texts(f.Conversation()); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			add(t, c, c.Conversation().Leaf(), generate.User, "3")
			if got := texts(reopen(t, c).Conversation()); !strings.HasSuffix(got, "user: 1\nassistant: 2\nuser: 3") {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestCopyOfANewerFileStaysReadOnly(t *testing.T) {
	f := open(t, write(t, strings.Replace(session, `"schema":1`, `"schema":7`, 1), userLine))
	path := filepath.Join(t.TempDir(), "copy.jsonl")
	wantNoError(t, f.CopyTo(path))
	if got := open(t, path).ReadOnly(); !strings.Contains(got, "version 7") {
		t.Errorf("got %q, want that the version is newer", got)
	}
}

func TestCopyReplacesOnlyItsOwnOlderCopy(t *testing.T) {
	f := create(t, newStore(t), Header{})
	a := add(t, f, "", generate.User, "one")
	path := filepath.Join(t.TempDir(), "copy.jsonl")
	wantNoError(t, f.CopyTo(path))
	add(t, f, a.ID, generate.Assistant, "two")
	wantNoError(t, f.CopyTo(path))
	continued := open(t, path)
	if got := texts(continued.Conversation()); got != "user: one\nassistant: two" {
		t.Errorf("older copy: got %q, want the newer", got)
	}
	add(t, continued, "", generate.User, "only here")
	wantNoError(t, continued.Close())
	if err := f.CopyTo(path); err == nil {
		t.Error("copy that was continued: got no error")
	}
	for name, text := range map[string]string{"text": "my notes", "another conversation": session + "\n" + userLine + "\n", "empty": ""} {
		other := writeBytes(t, text)
		if err := f.CopyTo(other); err == nil || bytesOf(t, other) != text {
			t.Errorf("%s: got %v, want a refusal and the file as it was", name, err)
		}
		wantNoError(t, f.CopyOver(other))
		if got := texts(open(t, other).Conversation()); !strings.HasPrefix(got, "user: one") {
			t.Errorf("%s, replaced: got %q", name, got)
		}
	}
}

func TestCopyRefusesPathsThatCannotBe(t *testing.T) {
	f := create(t, newStore(t), Header{})
	add(t, f, "", generate.User, "one")
	dir := t.TempDir()
	link := filepath.Join(dir, "link.jsonl")
	wantNoError(t, os.Symlink(f.Path(), link))
	for name, path := range map[string]string{
		"its own file": f.Path(), "a link to its own file": link, "a folder": dir, "a missing folder": filepath.Join(dir, "no", "c.jsonl"),
	} {
		if err := f.CopyOver(path); err == nil || !strings.HasPrefix(err.Error(), "history: ") || strings.Contains(err.Error(), ".copy-") {
			t.Errorf("%s: got %v, want a refusal that names no file but the user's", name, err)
		}
	}
	left, err := os.ReadDir(dir)
	wantNoError(t, err)
	if len(left) != 1 {
		t.Errorf("got %v, want no remains", left)
	}
}

func TestCopyBeforeTheFirstMessageWritesNothingElse(t *testing.T) {
	f := create(t, newStore(t), Header{Name: "n"})
	path := filepath.Join(t.TempDir(), "copy.jsonl")
	wantNoError(t, f.CopyTo(path))
	if got := open(t, path).Conversation().Header.Name; got != "n" {
		t.Errorf("got name %q, want %q", got, "n")
	}
	wantNoError(t, f.Close())
	if _, err := os.Stat(f.Path()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("stat: got %v, want no file of the conversation itself", err)
	}
}

func TestSaveAsNameOrPath(t *testing.T) {
	f := create(t, newStore(t), Header{})
	add(t, f, "", generate.User, "one")
	home := t.TempDir()
	for _, name := range []string{"my chat", "v1.2", "..x"} {
		if path, err := f.SaveAs(" "+name+" ", home); err != nil || path != "" || f.Conversation().Header.Name != name {
			t.Errorf("%q: got %q, %v, name %q, want a name", name, path, err, f.Conversation().Header.Name)
		}
	}
	for _, arg := range []string{"~/a.jsonl", filepath.Join(home, "b")} {
		path, err := f.SaveAs(arg, home)
		if err != nil || filepath.Dir(path) != home {
			t.Errorf("%q: got %q, %v, want a copy in the home folder", arg, path, err)
		}
		open(t, path)
	}
	for _, arg := range []string{"", "  ", "..", "~"} {
		if _, err := f.SaveAs(arg, home); err == nil {
			t.Errorf("%q: got no error", arg)
		}
	}
}
