package history

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func inputTexts(t testing.TB, s *Store) []string {
	t.Helper()
	texts, err := s.Inputs()
	wantNoError(t, err)
	var all []string
	for _, text := range texts {
		all = append(all, text.String())
	}
	return all
}

func TestInputsAreRememberedInOrderForTheirOwnerAlone(t *testing.T) {
	s := newStore(t)
	if got := inputTexts(t, s); len(got) != 0 {
		t.Errorf("got %q before anything was typed", got)
	}
	wantNoError(t, s.AddInput(typed("one\ntwo"), Text{}, typed("three")))
	wantNoError(t, s.AddInput(typed(strings.Repeat("x", maxInput))))
	wantNoError(t, s.AddInput(typed("four")))
	if got := fmt.Sprintf("%q", inputTexts(t, s)); got != `["one\ntwo" "three" "four"]` {
		t.Errorf("got %s", got)
	}
	info, err := os.Stat(filepath.Join(s.Dir(), inputsFile))
	wantNoError(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("got mode %v, want 0600", info.Mode().Perm())
	}
	if l, err := s.Listing(); err != nil || l.Len() != 0 {
		t.Errorf("got %d conversations (%v), want none", l.Len(), err)
	}
}

func TestTornAndStrangeInputsArePassedOver(t *testing.T) {
	s := newStore(t)
	wantNoError(t, s.AddInput(typed("before")))
	path := filepath.Join(s.Dir(), inputsFile)
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	wantNoError(t, err)
	_, err = f.WriteString("\x00\xff\n{\"type\":\"message\"}\n{\"type\":\"te")
	wantNoError(t, err)
	wantNoError(t, f.Close())
	wantNoError(t, s.AddInput(typed("after")))
	if got := fmt.Sprint(inputTexts(t, s)); got != "[before after]" {
		t.Errorf("got %s, want both", got)
	}
}

func TestInputsAreBounded(t *testing.T) {
	s := newStore(t)
	for i := range 25 { // of 0.7 MiB: more than the file may have
		wantNoError(t, s.AddInput(typed(fmt.Sprint(i, " ", strings.Repeat("x", 700<<10)))))
	}
	info, err := os.Stat(filepath.Join(s.Dir(), inputsFile))
	wantNoError(t, err)
	if info.Size() > maxInputBytes {
		t.Errorf("got %d bytes, want at most %d", info.Size(), maxInputBytes)
	}
	got := inputTexts(t, s)
	if n := len(got); n < 5 || !strings.HasPrefix(got[n-1], "24 ") || !strings.HasPrefix(got[0], fmt.Sprint(25-n, " ")) {
		t.Errorf("got %d inputs, want the newest", n)
	}
	var many []Text
	for i := range maxInputs + 100 {
		many = append(many, typed(fmt.Sprint(i)))
	}
	wantNoError(t, s.AddInput(many...))
	if got := inputTexts(t, s); len(got) != maxInputs || got[len(got)-1] != fmt.Sprint(maxInputs+99) {
		t.Errorf("got %d inputs, want the last %d", len(got), maxInputs)
	}
}

func TestManyWindowsShareTheInputs(t *testing.T) {
	s := newStore(t)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 20 {
				if err := s.AddInput(typed(fmt.Sprint(i, "/", j, strings.Repeat("y", 50<<10)))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	all := inputTexts(t, s)
	for i := range 8 {
		last := -1
		for _, text := range all {
			var w, j int
			if _, err := fmt.Sscanf(text, "%d/%d", &w, &j); err != nil {
				t.Fatal(err)
			}
			if w == i && j <= last {
				t.Errorf("window %d: got %d after %d", i, j, last)
			}
			if w == i {
				last = j
			}
		}
		if last != 19 {
			t.Errorf("window %d: got %d last, want 19", i, last)
		}
	}
}
