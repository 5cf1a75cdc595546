package ui

import (
	"os"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"

	"peregrine/history"
	"peregrine/model/generate"
	"peregrine/ui/escape"
)

// tell saves a conversation of a question and an answer.
func tell(t *testing.T, store *history.Store, name, question, answer string) string {
	t.Helper()
	f, err := store.Create(history.Header{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	q, err := f.Append(history.Message{Role: generate.User, Content: question})
	if err == nil {
		_, err = f.Append(history.Message{ParentID: q.ID, Role: generate.Assistant, Content: answer, Finish: generate.FinishStop})
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return f.Path()
}

// pick opens the list and reads all of it.
func (b *bench) pick() *picker {
	b.t.Helper()
	b.keys("f3")
	b.until("the list", func() bool { p, ok := b.m.overlay.(*picker); return ok && p.read })
	b.idle()
	return b.m.overlay.(*picker)
}

func TestThePickerSearchesTextsAndShowsWhere(t *testing.T) {
	store := openStore(t)
	birds := tell(t, store, "", "Which bird?", strings.Repeat("Much is said before. ", 20)+"The peregrine dives.\n\nA \x1b[31mred peregrine.")
	tell(t, store, "", "Which soup?", "Tomato soup.")
	for _, width := range []int{80, 120} {
		b := newBench(t, Options{Store: store})
		b.send(tea.WindowSizeMsg{Width: width, Height: 24})
		b.pick()
		b.keys("perigrine div")
		b.idle()
		b.wantScreen("❯ Which bird?", "peregrine", "dives")
		b.wantNotScreen("Which soup?", "\x1b[31mred")
		if view := b.m.View().Content; !strings.Contains(view, b.m.theme.hit("peregrine")) {
			t.Errorf("at %d columns the word is not marked:\n%q", width, view)
		}
		b.keys("enter")
		b.until("the conversation", func() bool { return b.m.chat.file != nil && b.m.chat.file.Path() == birds })
		if err := b.m.close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestThePreviewStandsBesideTheListOnWideScreens(t *testing.T) {
	store := openStore(t)
	tell(t, store, "", "Which bird?", "The peregrine, "+strings.Repeat("a falcon of the open country, ", 5))
	b := newBench(t, Options{Store: store})
	b.send(tea.WindowSizeMsg{Width: 120, Height: 24})
	b.pick()
	b.wantScreen("│ you", "│ Which bird?", "│ assistant", "│ The peregrine")
	b.send(tea.WindowSizeMsg{Width: 80, Height: 24})
	b.wantNotScreen("│")
	b.wantScreen("The peregrine")
}

// What is typed faster than a search ends is for what it finds.
func TestEnterWaitsForTheSearch(t *testing.T) {
	store := openStore(t)
	path := tell(t, store, "", "Which bird?", "The peregrine.")
	tell(t, store, "", "Which soup?", "Tomato soup.")
	b := newBench(t, Options{Store: store})
	b.pick()
	b.keys("peregrine", "enter") // no message of a search is handled in between
	if b.m.overlay == nil {
		t.Fatal("something was opened before the search had an answer")
	}
	b.until("the conversation", func() bool { return b.m.chat.file != nil })
	if got := b.m.chat.file.Path(); got != path {
		t.Errorf("got %s, want %s", got, path)
	}
}

func TestAPasteIsSearchedFor(t *testing.T) {
	store := openStore(t)
	tell(t, store, "", "Which bird?", "The peregrine.")
	tell(t, store, "", "Which soup?", "Tomato soup.")
	b := newBench(t, Options{Store: store})
	b.pick()
	b.send(tea.PasteMsg{Content: "tomato"})
	b.idle()
	b.wantScreen("Which soup?")
	b.wantNotScreen("Which bird?")
	b.keys("xyz")
	b.idle()
	b.wantScreen("nothing fits")
}

func TestADeletedConversationComesBackAfterTheListWasClosed(t *testing.T) {
	store := openStore(t)
	birds := tell(t, store, "", "Which bird?", "The peregrine.")
	soup := tell(t, store, "", "Which soup?", "Tomato soup.")
	b := newBench(t, Options{Store: store})
	b.pick()
	for range 2 {
		b.keys("delete")
		b.idle()
		b.keys("down")
		b.idle()
	}
	b.keys("esc", "/new", "enter")
	b.idle()
	for _, path := range []string{birds, soup} {
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Fatalf("%s: got %v, want it deleted", path, err)
		}
	}
	b.pick()
	b.wantScreen("Which bird?", "Which soup?", "deleted")
	b.keys("bird")
	b.idle()
	b.wantScreen("❯ Which bird?", "deleted")
	b.keys("delete")
	b.idle()
	if _, err := os.Stat(birds); err != nil {
		t.Error(err)
	}
	b.keys("ctrl+/")
	b.idle()
	if _, err := os.Stat(soup); err != nil {
		t.Error(err)
	}
	b.keys("ctrl+/")
	b.idle()
	b.wantScreen("nothing to take back")
}

func TestChangesOfOtherProgramsAreSeen(t *testing.T) {
	store := openStore(t)
	birds := tell(t, store, "", "Which bird?", "The peregrine.")
	b := newBench(t, Options{Store: store})
	b.pick()
	b.wantScreen("Which bird?")
	b.keys("esc")
	other, err := history.OpenStore(store.Dir())
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Rename(birds, "Raptors"); err != nil {
		t.Fatal(err)
	}
	tell(t, other, "", "Which soup?", "Tomato soup.")
	b.pick()
	b.wantScreen("Raptors", "Which soup?")
	b.keys("tomato")
	b.idle()
	b.wantScreen("❯ Which soup?")
	b.wantNotScreen("Raptors")
}

func TestATitleIsCutAtAWord(t *testing.T) {
	th := newTheme("dark")
	for _, c := range []struct {
		text  string
		width int
		want  string
	}{
		{"short", 10, "short"},
		{"how fast does it dive", 15, "how fast does…"},
		{"how fast does it dive", 14, "how fast does…"},
		{"incomprehensibilities", 8, "incompr…"},
		{"漢字の練習です", 9, "漢字の練…"},
	} {
		if got := th.shorten(escape.Line(c.text), c.width); got != c.want || th.cells.StringWidth(got) > c.width {
			t.Errorf("%q at %d: got %q, want %q", c.text, c.width, got, c.want)
		}
	}
}
