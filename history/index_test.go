package history

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"peregrine/model/generate"
)

// told makes a conversation and returns its path.
func told(t testing.TB, s *Store, name string, texts ...string) string {
	t.Helper()
	f := create(t, s, Header{Name: name})
	parent, role := "", generate.User
	for _, text := range texts {
		parent = add(t, f, parent, role, text).ID
		role = generate.Assistant
	}
	wantNoError(t, f.Close())
	return f.Path()
}

// listed reads all of a store and keeps its index.
func listed(t testing.TB, s *Store) []Entry {
	t.Helper()
	l, err := s.Listing()
	wantNoError(t, err)
	entries, err := l.Next(t.Context(), l.Len())
	wantNoError(t, err)
	wantNoError(t, l.Keep())
	return entries
}

// again opens the folder of a store as another process does.
func again(t testing.TB, s *Store) *Store {
	t.Helper()
	other, err := OpenStore(s.Dir())
	wantNoError(t, err)
	return other
}

func wantFound(t testing.TB, s *Store, query string, want ...string) {
	t.Helper()
	got, err := s.Search(t.Context(), query)
	wantNoError(t, err)
	if !slices.Equal(got, want) {
		t.Errorf("search %q: got %v, want %v", query, got, want)
	}
}

func TestSearchFindsTheTextOfAllMessages(t *testing.T) {
	s := newStore(t)
	birds := told(t, s, "", "Tell me something", "The Peregrine is the fastest bird.")
	food := told(t, s, "Recipes", "What to cook?", "Überbackene Zucchini with cheese")
	listed(t, s)
	wantFound(t, s, "peregrine", birds)
	wantFound(t, s, "FASTEST pereg", birds)
	wantFound(t, s, "perigrin", birds)
	wantFound(t, s, "uberback", food)
	wantFound(t, s, "recipe", food)
	wantFound(t, s, "peregrine cheese")
	wantFound(t, s, "zebra")
	wantFound(t, s, " ")
}

func TestSearchPutsTitlesFirstThenWholeWordsThenTheNewest(t *testing.T) {
	s := newStore(t)
	typo := told(t, s, "", "first", "a flacon of perfume")
	inside := told(t, s, "", "second", "gyrfalcons")
	old := told(t, s, "", "third", "a falcon")
	young := told(t, s, "", "fourth", "the falcon")
	title := told(t, s, "About falcons", "fifth")
	for i, path := range []string{title, old, young, inside, typo} {
		at := time.Date(2026, 1, 1+i, 0, 0, 0, 0, time.UTC)
		wantNoError(t, os.Chtimes(path, at, at))
	}
	listed(t, s)
	wantFound(t, s, "falcon", title, young, old, inside, typo)
	wantFound(t, s, "abfalc", title)
}

func TestTheIndexIsKept(t *testing.T) {
	s := newStore(t)
	path := told(t, s, "", "question", "peregrine")
	other := told(t, s, "", "question two", "kestrel")
	want := listed(t, s)
	next := again(t, s)
	wantFound(t, next, "peregrine", path)
	recent := next.Recent(100)
	if len(recent) != 2 || recent[0] != want[0] || recent[1] != want[1] {
		t.Errorf("recent: got %+v, want %+v", recent, want)
	}
	if got := listed(t, next); !slices.Equal(got, want) {
		t.Errorf("listing: got %+v, want %+v", got, want)
	}
	info, err := os.Stat(filepath.Join(s.Dir(), ".index"))
	wantNoError(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("got mode %v: the words of conversations are for their owner alone", info.Mode())
	}
	wantNoError(t, os.Remove(other))
	if got := next.Recent(100); len(got) != 1 {
		t.Errorf("recent: got %d after one file is gone, want 1", len(got))
	}
}

// What the files say counts, whoever changed them and whatever the index knew.
func TestTheIndexIsNeverBehindTheFiles(t *testing.T) {
	s := newStore(t)
	grows := told(t, s, "", "grows", "before")
	gone := told(t, s, "", "gone", "kestrel")
	moved := told(t, s, "", "moved", "merlin")
	same := told(t, s, "", "same", "word old")
	listed(t, s)
	next := again(t, s)
	listed(t, next)

	f := open(t, grows)
	c := f.Conversation()
	add(t, f, c.Leaf(), generate.User, "osprey afterwards")
	wantNoError(t, f.Close())
	wantNoError(t, os.Remove(gone))
	there := filepath.Join(s.Dir(), "elsewhere.jsonl")
	wantNoError(t, os.Rename(moved, there))
	info, err := os.Stat(same)
	wantNoError(t, err)
	text := strings.Replace(bytesOf(t, same), "word old", "word new", 1) // in place, with the size and time of before
	wantNoError(t, os.WriteFile(same, []byte(text), 0o600))
	wantNoError(t, os.Chtimes(same, info.ModTime(), info.ModTime()))
	fresh := told(t, s, "", "fresh", "hobby")

	for _, r := range next.Recent(100) {
		if r.Path != fresh && r.Path != there && (r.Path == grows || r.Path == same || r.Path == gone) {
			t.Errorf("recent has %s, which is not what it was", r.Path)
		}
	}
	for name, s := range map[string]*Store{"the same process": next, "another one": again(t, s)} {
		listed(t, s)
		t.Run(name, func(t *testing.T) {
			wantFound(t, s, "osprey", grows)
			wantFound(t, s, "kestrel")
			wantFound(t, s, "merlin", there)
			wantFound(t, s, "old")
			wantFound(t, s, "new", same)
			wantFound(t, s, "hobby", fresh)
		})
	}
}

func TestDeletedMessagesAreNotFound(t *testing.T) {
	s := newStore(t)
	f := create(t, s, Header{})
	q := add(t, f, "", generate.User, "question")
	add(t, f, q.ID, generate.Assistant, "kestrel")
	secret := add(t, f, q.ID, generate.Assistant, "merlin")
	_, err := f.DeleteBranch(secret.ID)
	wantNoError(t, err)
	wantNoError(t, f.Close())
	listed(t, s)
	wantFound(t, s, "kestrel", f.Path())
	wantFound(t, s, "merlin")
}

func TestAnInterruptedReplyIsFound(t *testing.T) {
	s := newStore(t)
	path := filepath.Join(s.Dir(), "cut.jsonl")
	lines := []string{
		session, userLine,
		`{"type":"partial","id":"r","parent_id":"a","role":"assistant","at":0,"text":"pereg"}`,
		`{"type":"partial","id":"r","at":5,"text":"rine"}`, "",
	}
	wantNoError(t, os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600))
	listed(t, s)
	wantFound(t, s, "peregrine", path)
}

func TestADamagedIndexIsMadeAnew(t *testing.T) {
	s := newStore(t)
	path := told(t, s, "", "question", "peregrine")
	listed(t, s)
	file := filepath.Join(s.Dir(), ".index")
	good := []byte(bytesOf(t, file))
	for name, bad := range map[string][]byte{
		"empty": nil, "cut": good[:len(good)/2], "zeros": make([]byte, len(good)), "another version": append([]byte("x"), good...),
		"one bit": append(slices.Clone(good[:len(good)/2]), append([]byte{good[len(good)/2] ^ 1}, good[len(good)/2+1:]...)...),
	} {
		t.Run(name, func(t *testing.T) {
			wantNoError(t, os.WriteFile(file, bad, 0o600))
			next := again(t, s)
			wantFound(t, next, "peregrine")
			listed(t, next)
			wantFound(t, next, "peregrine", path)
			if got := again(t, s).Recent(1); len(got) != 1 {
				t.Error("the index was not written anew")
			}
		})
	}
}

func TestTwoProcessesWriteOneIndex(t *testing.T) {
	s := newStore(t)
	var paths []string
	for i := range 20 {
		paths = append(paths, told(t, s, "", fmt.Sprintf("question number%d", i)))
	}
	done := make(chan error, 2)
	for range cap(done) {
		go func() {
			for range 20 {
				other, err := OpenStore(s.Dir())
				if err != nil {
					done <- err
					return
				}
				l, err := other.Listing()
				if err == nil {
					_, err = l.Next(context.Background(), l.Len())
				}
				other.index.changed = true
				if err = errors.Join(err, l.Keep()); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range cap(done) {
		wantNoError(t, <-done)
	}
	next := again(t, s)
	if got := next.Recent(100); len(got) != len(paths) {
		t.Errorf("got %d conversations from the index, want %d", len(got), len(paths))
	}
	wantFound(t, next, "number13", paths[13])
	if left, _ := filepath.Glob(filepath.Join(s.Dir(), ".index-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestLitterOfAKilledProcessIsSweptUp(t *testing.T) {
	s := newStore(t)
	told(t, s, "", "question")
	old, young := filepath.Join(s.Dir(), ".index-1"), filepath.Join(s.Dir(), ".index-2")
	for _, path := range []string{old, young} {
		wantNoError(t, os.WriteFile(path, []byte("half"), 0o600))
	}
	before := time.Now().Add(-2 * time.Hour)
	wantNoError(t, os.Chtimes(old, before, before))
	listed(t, s)
	if _, err := os.Stat(old); !os.IsNotExist(err) {
		t.Errorf("%s: got %v, want it gone", old, err)
	}
	if _, err := os.Stat(young); err != nil {
		t.Errorf("%v: another process may be writing it", err)
	}
}

func TestAnIndexThatCannotBeSavedSaysSoAndWorks(t *testing.T) {
	s := newStore(t)
	path := told(t, s, "", "peregrine")
	wantNoError(t, os.Mkdir(filepath.Join(s.Dir(), ".index"), 0o700))
	l, err := s.Listing()
	wantNoError(t, err)
	_, err = l.Next(t.Context(), l.Len())
	wantNoError(t, err)
	if err := l.Keep(); err == nil || !strings.Contains(err.Error(), ".index") {
		t.Errorf("got %v, want an error that names the file", err)
	}
	wantFound(t, s, "peregrine", path)
}

// FuzzIndex decodes any bytes behind a right checksum: no panic, and what is accepted can be searched and written again.
func FuzzIndex(f *testing.F) {
	s := newStore(f)
	told(f, s, "Name", "question", "an answer with words, größer 漢字")
	told(f, s, "", "another question")
	listed(f, s)
	good := bytesOf(f, s.index.path())
	f.Add([]byte(good[len(indexMagic) : len(good)-crc32.Size]))
	f.Add([]byte{})
	f.Add([]byte{1, 1, 'a', 1})
	f.Fuzz(func(t *testing.T, body []byte) {
		text := append([]byte(indexMagic), body...)
		text = binary.LittleEndian.AppendUint32(text, crc32.Checksum(text, castagnoli))
		words, files, err := decodeIndex(string(text), "/store")
		if err != nil {
			return
		}
		x := newIndex("/store")
		x.words = words
		x.set(files)
		if _, err := x.search(t.Context(), "question gro"); err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if filepath.Dir(file.entry.Path) != "/store" {
				t.Fatalf("%s is not in the folder", file.entry.Path)
			}
		}
		_, again, err := decodeIndex(string(x.encode()), "/store")
		if err != nil || len(again) != len(files) {
			t.Fatalf("written again: got %d conversations, %v, want %d", len(again), err, len(files))
		}
	})
}
