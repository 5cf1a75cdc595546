package history

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// typed returns a text of one piece.
func typed(s string) Text { return Text{Pieces: []Piece{{Text: s}}, Cursor: len(s)} }

func (t Text) get() Text { return t }

// leave writes a draft and closes it.
func leave(t testing.TB, d *Draft, text Text) {
	t.Helper()
	wantNoError(t, d.Set(text.get))
	wantNoError(t, d.Close())
}

// draftFiles returns the names in the folder of drafts.
func draftFiles(t testing.TB, s *Store) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(s.Dir(), draftsDir, "*"))
	wantNoError(t, err)
	return files
}

// found opens the draft of a conversation and checks its text.
func found(t testing.TB, s *Store, conversation string, want Text) *Draft {
	t.Helper()
	d, got, err := s.Draft(conversation)
	wantNoError(t, err)
	t.Cleanup(func() { _ = d.Close() })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the draft of %q: (-want +got)\n%s", conversation, diff)
	}
	return d
}

func TestADraftComesBackByteForByte(t *testing.T) {
	text := Text{
		Pieces: []Piece{
			{Text: "see \x00\x1b[31m \u2028 </script> "},
			{Text: strings.Repeat("line\r\n\tof a paste\n", 10_000), Pasted: true, Folded: true},
			{Text: "no \xff\xfe UTF-8", Pasted: true},
			{Text: " 漢字 👩‍👩‍👧"},
		},
		Cursor: 7,
	}
	s := newStore(t)
	c := create(t, s, Header{})
	add(t, c, "", "user", "hi")
	for _, conversation := range []string{"", c.Path(), filepath.Join(t.TempDir(), "elsewhere.jsonl")} {
		leave(t, found(t, s, conversation, Text{}), text)
	}
	for _, conversation := range []string{"", c.Path()} {
		found(t, s, conversation, text)
	}
	entries, err := s.List(context.Background())
	wantNoError(t, err)
	if len(entries) != 1 {
		t.Errorf("got %d conversations, want the one that is none of the drafts", len(entries))
	}
	for _, name := range draftFiles(t, s) {
		info, err := os.Stat(name)
		wantNoError(t, err)
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s: got mode %v, want 0600", name, info.Mode().Perm())
		}
	}
}

func TestADraftIsWrittenSoonAndNotTooOften(t *testing.T) {
	s := newStore(t)
	d := found(t, s, "", Text{})
	writes, last := 0, ""
	start := time.Now()
	for i := 0; time.Since(start) < 1800*time.Millisecond; i++ {
		wantNoError(t, d.Set(typed(fmt.Sprint(i)).get))
		// A file on its way to its name may be gone before it is read.
		if files := draftFiles(t, s); len(files) == 1 && !strings.HasPrefix(filepath.Base(files[0]), draftTemp) {
			if now := bytesOf(t, files[0]); now != last {
				writes, last = writes+1, now
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
	if writes < 1 || writes > 4 {
		t.Errorf("got %d writes in %v, want one each half second", writes, time.Since(start))
	}
	wantNoError(t, d.Close())
}

func TestAnEmptyDraftIsNoFile(t *testing.T) {
	s := newStore(t)
	d := found(t, s, "", Text{})
	wantNoError(t, d.Set(typed("sent at once").get))
	wantNoError(t, d.Flush())
	if n := len(draftFiles(t, s)); n != 1 {
		t.Fatalf("got %d files, want one", n)
	}
	wantNoError(t, d.Set(Text{}.get))
	wantNoError(t, d.Flush())
	if files := draftFiles(t, s); len(files) != 0 {
		t.Errorf("got files %q, want none", files)
	}
	leave(t, d, typed("the next"))
	leave(t, found(t, s, "", typed("the next")), Text{})
	found(t, s, "", Text{})
	if files := draftFiles(t, s); len(files) != 0 {
		t.Errorf("got files %q, want none", files)
	}
}

func TestTwoWindowsHaveDraftsOfTheirOwn(t *testing.T) {
	s := newStore(t)
	one := found(t, s, "", Text{})
	wantNoError(t, one.Set(typed("one").get))
	wantNoError(t, one.Flush())
	two := found(t, s, "", Text{}) // that of the other window is not its own
	leave(t, two, typed("two"))
	leave(t, one, typed("one and more"))
	if n := len(draftFiles(t, s)); n != 2 {
		t.Fatalf("got %d files, want both", n)
	}
	old := time.Now().Add(-time.Hour)
	for _, f := range draftFiles(t, s) {
		if strings.Contains(bytesOf(t, f), "two") {
			wantNoError(t, os.Chtimes(f, old, old))
		}
	}
	newest := found(t, s, "", typed("one and more"))
	leave(t, found(t, s, "", typed("two")), Text{})
	leave(t, newest, Text{})
	found(t, s, "", Text{})
}

func TestADraftBelongsToTheConversationThatItBegan(t *testing.T) {
	s := newStore(t)
	c := create(t, s, Header{})
	d := found(t, s, "", Text{})
	wantNoError(t, d.Set(typed("the next question").get))
	wantNoError(t, d.Flush())
	d.Belong(c.Path())
	wantNoError(t, d.Flush()) // nothing new but its name
	found(t, s, "", Text{})
	wantNoError(t, d.Close())
	d = found(t, s, c.Path(), typed("the next question"))
	d.Belong("")
	leave(t, d, typed("changed in between"))
	found(t, s, c.Path(), Text{})
	found(t, s, "", typed("changed in between"))
	if n := len(draftFiles(t, s)); n != 1 {
		t.Errorf("got %d files, want one", n)
	}
}

func TestADraftThatADiskRefusesIsTriedAgain(t *testing.T) {
	s := newStore(t)
	d := found(t, s, "", Text{})
	dir := filepath.Join(s.Dir(), draftsDir)
	wantNoError(t, os.WriteFile(dir, nil, 0o600)) // a file where the folder should be
	wantNoError(t, d.Set(typed("kept").get))
	if err := d.Flush(); err == nil || !strings.Contains(err.Error(), dir) {
		t.Fatalf("got %v, want an error that names %s", err, dir)
	}
	if err := d.Set(typed("kept on").get); err == nil {
		t.Error("the next Set should say so")
	}
	wantNoError(t, os.Remove(dir))
	wantNoError(t, d.Close())
	found(t, s, "", typed("kept on"))
}

func TestADamagedDraftIsNamedAndStays(t *testing.T) {
	s := newStore(t)
	leave(t, found(t, s, "", Text{}), typed("x"))
	file := draftFiles(t, s)[0]
	wantNoError(t, os.WriteFile(file, []byte(`{"type":"te`), 0o600))
	d, text, err := s.Draft("")
	if err == nil || !strings.Contains(err.Error(), file) || !text.Empty() {
		t.Errorf("got %+v and %v, want no text and the file named", text, err)
	}
	leave(t, d, typed("usable all the same"))
	if got := bytesOf(t, file); got != `{"type":"te` {
		t.Errorf("got %q, want the damaged file as it was", got)
	}
}

func TestDeadTemporaryFilesGo(t *testing.T) {
	s := newStore(t)
	leave(t, found(t, s, "", Text{}), typed("x"))
	dead := filepath.Join(s.Dir(), draftsDir, draftTemp+"1")
	wantNoError(t, os.WriteFile(dead, []byte("half"), 0o600))
	old := time.Now().Add(-time.Hour)
	wantNoError(t, os.Chtimes(dead, old, old))
	found(t, s, "", typed("x"))
	if _, err := os.Stat(dead); err == nil {
		t.Error("the dead file is still there")
	}
}

func TestDraftsFromManyGoroutines(t *testing.T) {
	s := newStore(t)
	d := s.NewDraft("")
	d.every = time.Millisecond
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 50 {
				_ = d.Set(typed(fmt.Sprint(i, j)).get)
				if j%10 == 0 {
					_ = d.Flush()
				}
			}
		})
	}
	wg.Wait()
	leave(t, d, typed("the last"))
	found(t, s, "", typed("the last"))
	wantNoError(t, d.Set(typed("closed").get))
	wantNoError(t, d.Close())
}

// FuzzText reads any bytes as a draft: no panic, and what is read is written and read as the same.
func FuzzText(f *testing.F) {
	line, err := encodeText(Text{Pieces: []Piece{{Text: "a"}, {Text: "\xff", Pasted: true, Folded: true}}, Cursor: 2}, textLine{})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(line)
	f.Add([]byte(`{"type":"text","schema":1,"cursor":-5,"pieces":[{"text":"x","bytes":"eA=="}]}`))
	f.Add([]byte(`{"type":"text","schema":99,"pieces":null}`))
	f.Add(bytes.Repeat(line, 3))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, text := range decodeInputs(b) {
			if text.Empty() {
				t.Fatal("an input without text")
			}
		}
		text, err := decodeText(b)
		if err != nil {
			return
		}
		if n := len(text.String()); text.Cursor < 0 || text.Cursor > n || n > len(b) {
			t.Fatalf("got cursor %d in %d bytes of text, from %d bytes", text.Cursor, n, len(b))
		}
		line, err := encodeText(text, textLine{})
		wantNoError(t, err)
		again, err := decodeText(line)
		wantNoError(t, err)
		if diff := cmp.Diff(text, again); diff != "" {
			t.Fatal(diff)
		}
	})
}
