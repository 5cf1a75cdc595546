package history

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"peregrine/model/generate"
)

// saved makes a closed conversation that was written to at a given minute.
func saved(t testing.TB, s *Store, minute int, name, text string) *File {
	t.Helper()
	f := create(t, s, Header{Name: name, Model: "tiny"})
	a := add(t, f, "", generate.User, text)
	add(t, f, a.ID, generate.Assistant, "answer to "+text)
	wantNoError(t, f.Close())
	at := time.Date(2026, 11, 23, 22, minute, 0, 0, time.UTC)
	wantNoError(t, os.Chtimes(f.Path(), at, at))
	return f
}

func TestListShowsTheNewestFirst(t *testing.T) {
	s := newStore(t)
	old := saved(t, s, 1, "named", "old one")
	young := saved(t, s, 2, "", "  young\none, quite long "+strings.Repeat("x", 100))
	wantNoError(t, os.WriteFile(filepath.Join(s.Dir(), "empty.jsonl"), nil, 0o600))
	wantNoError(t, os.WriteFile(filepath.Join(s.Dir(), "notes.txt"), []byte("x"), 0o600))
	bad := filepath.Join(s.Dir(), "bad.jsonl")
	wantNoError(t, os.WriteFile(bad, []byte("garbage\n"), 0o600))
	wantNoError(t, os.Chtimes(bad, time.Unix(0, 0), time.Unix(0, 0)))

	list, err := s.List(t.Context())
	wantNoError(t, err)
	if len(list) != 3 {
		t.Fatalf("got %d entries, want 3: %+v", len(list), list)
	}
	if e := list[0]; e.Path != young.Path() || !strings.HasPrefix(e.Title, "young one, quite long xx") ||
		!strings.HasSuffix(e.Title, "…") || len([]rune(e.Title)) != titleRunes || e.Err != nil {
		t.Errorf("first: got %+v", e)
	}
	if e := list[1]; e.Path != old.Path() || e.Title != "named" || e.Name != "named" || e.Messages != 2 ||
		e.Preview != "answer to old one" || e.Model != "tiny" || e.ID != old.Conversation().Header.ID ||
		!e.Modified.Equal(time.Date(2026, 11, 23, 22, 1, 0, 0, time.UTC)) {
		t.Errorf("second: got %+v", e)
	}
	if e := list[2]; e.Err == nil || !strings.Contains(e.Err.Error(), bad) || e.Title != "bad.jsonl" {
		t.Errorf("last: got %+v, want an error with the path", e)
	}
	latest, err := s.Latest()
	if err != nil || latest != young.Path() {
		t.Errorf("latest: got %q, %v, want %q", latest, err, young.Path())
	}
}

func TestListEndsWithItsContext(t *testing.T) {
	s := newStore(t)
	for i := range 20 {
		saved(t, s, i, "", "x")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if list, err := s.List(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %d entries, %v, want the context's error", len(list), err)
	}
}

func TestListDoesNotShowWhatWasDeletedOrTorn(t *testing.T) {
	s := newStore(t)
	f := create(t, s, Header{})
	a := add(t, f, "", generate.User, "kept")
	b := add(t, f, a.ID, generate.Assistant, "secret")
	_, err := f.DeleteBranch(b.ID)
	wantNoError(t, err)
	list, err := s.List(t.Context())
	wantNoError(t, err)
	if e := list[0]; e.Messages != 1 || e.Preview != "kept" || e.Title != "kept" {
		t.Errorf("deleted: got %+v", e)
	}
	torn := saved(t, s, 1, "", "whole")
	wantNoError(t, os.WriteFile(torn.Path(), []byte(bytesOf(t, torn.Path())+`{"type":"message","id":"x"`), 0o600))
	e := Entry{Path: torn.Path()}
	if e.load(nil); e.Messages != 2 || e.Preview != "answer to whole" {
		t.Errorf("torn: got %+v", e)
	}
}

func TestEmptyStore(t *testing.T) {
	s := newStore(t)
	if list, err := s.List(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("list: got %v, %v", list, err)
	}
	if _, err := s.Latest(); !errors.Is(err, ErrNotFound) {
		t.Errorf("latest: got %v, want ErrNotFound", err)
	}
	if info, err := os.Stat(s.Dir()); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("folder: got %v, %v, want mode 0700", info.Mode(), err)
	}
}

func TestOpenStoreWhereNoFolderCanBe(t *testing.T) {
	file := writeBytes(t, "x")
	_, err := OpenStore(filepath.Join(file, "sub"))
	if err == nil || !strings.HasPrefix(err.Error(), "history: ") || !strings.Contains(err.Error(), file) {
		t.Errorf("got %v, want an error with the path", err)
	}
}

func TestStoreWithoutPermission(t *testing.T) {
	s := newStore(t)
	if got := s.ReadOnly(); got != "" {
		t.Errorf("own folder: got %q", got)
	}
	s = &Store{dir: "/proc/self"}
	if got := s.ReadOnly(); !strings.Contains(got, "/proc/self") {
		t.Skipf("got %q: this user may write in /proc/self", got)
	}
}

func TestOpenByIDOrName(t *testing.T) {
	s := newStore(t)
	saved(t, s, 1, "Falcons", "one")
	twin1 := saved(t, s, 2, "twin", "two")
	twin2 := saved(t, s, 3, "twin", "three")
	id := twin1.Conversation().Header.ID
	for _, x := range []struct{ what, want string }{
		{"Falcons", "one"}, {" falcons ", "one"}, {id, "two"}, {id[:6], "two"},
	} {
		f, err := s.OpenID(x.what)
		if err != nil {
			t.Errorf("%q: %v", x.what, err)
			continue
		}
		if got := texts(f.Conversation()); !strings.HasPrefix(got, "user: "+x.want) {
			t.Errorf("%q: got %q, want %q", x.what, got, x.want)
		}
		wantNoError(t, f.Close())
	}
	_, err := s.OpenID("twin")
	if err == nil || !strings.Contains(err.Error(), id) || !strings.Contains(err.Error(), twin2.Conversation().Header.ID) {
		t.Errorf("two of a name: got %v, want both ids", err)
	}
	for _, what := range []string{"nobody", "", id[:3], "../../etc/passwd"} {
		if _, err := s.OpenID(what); !errors.Is(err, ErrNotFound) {
			t.Errorf("%q: got %v, want ErrNotFound", what, err)
		}
	}
}

func TestRenameKeepsThePlaceInTheList(t *testing.T) {
	s := newStore(t)
	f := saved(t, s, 1, "", "old")
	saved(t, s, 2, "", "young")
	wantNoError(t, s.Rename(f.Path(), "new\nname"))
	list, err := s.List(t.Context())
	wantNoError(t, err)
	if list[1].Title != "new name" {
		t.Errorf("got %+v, want the renamed one last", list)
	}
	busy := open(t, f.Path())
	if err := s.Rename(busy.Path(), "x"); !errors.Is(err, ErrReadOnly) {
		t.Errorf("open elsewhere: got %v, want ErrReadOnly", err)
	}
}

func TestDeleteCanBeUndone(t *testing.T) {
	s := newStore(t)
	f := saved(t, s, 1, "", "x")
	before := bytesOf(t, f.Path())
	undo, err := s.Delete(f.Path())
	wantNoError(t, err)
	if list, _ := s.List(t.Context()); len(list) != 0 {
		t.Errorf("got %+v, want an empty list", list)
	}
	wantNoError(t, undo())
	if bytesOf(t, f.Path()) != before {
		t.Error("it came back changed")
	}
	undo, err = s.Delete(f.Path())
	wantNoError(t, err)
	wantNoError(t, os.WriteFile(f.Path(), []byte("new"), 0o600))
	if err := undo(); err == nil || bytesOf(t, f.Path()) != "new" {
		t.Errorf("name taken: got %v, want a refusal", err)
	}
}

func TestDeleteRefusesWhatIsOpenOrElsewhere(t *testing.T) {
	s := newStore(t)
	f := create(t, s, Header{})
	add(t, f, "", generate.User, "x")
	if _, err := s.Delete(f.Path()); !errors.Is(err, ErrLocked) {
		t.Errorf("open: got %v, want ErrLocked", err)
	}
	other := write(t, session, userLine)
	if _, err := s.Delete(other); err == nil || bytesOf(t, other) == "" {
		t.Errorf("outside of the store: got %v", err)
	}
}

func TestCreateRefusesAnIDThatIsAPath(t *testing.T) {
	if _, err := newStore(t).Create(Header{ID: "../x"}); err == nil {
		t.Error("got no error")
	}
}

// A listing is read in parts, in the order of List, each entry once.
func TestListingInParts(t *testing.T) {
	s := newStore(t)
	for i := range 20 {
		f := create(t, s, Header{})
		add(t, f, "", generate.User, fmt.Sprintf("question %d", i))
		at := time.Unix(int64(1_000_000+i), 0)
		wantNoError(t, f.Close())
		wantNoError(t, os.Chtimes(f.Path(), at, at))
	}
	want, err := s.List(t.Context())
	wantNoError(t, err)
	l, err := s.Listing()
	wantNoError(t, err)
	if l.Len() != 20 {
		t.Errorf("got %d conversations", l.Len())
	}
	var got []Entry
	for _, n := range []int{1, 3, 7, 100, 5} {
		part, err := l.Next(t.Context(), n)
		wantNoError(t, err)
		if len(part) != min(n, 20-len(got)) {
			t.Errorf("asked for %d behind %d, got %d", n, len(got), len(part))
		}
		got = append(got, part...)
	}
	for i, e := range got {
		if e.Title != want[i].Title || e.Title != fmt.Sprintf("question %d", 19-i) || e.Path != want[i].Path {
			t.Errorf("entry %d is %q, want %q", i, e.Title, want[i].Title)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l, err = s.Listing()
	wantNoError(t, err)
	if _, err := l.Next(ctx, 3); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled listing: %v", err)
	}
}
