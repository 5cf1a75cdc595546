package ui

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"peregrine/history"
)

// restart ends the program and starts it again on the same store.
func (b *bench) restart(opt Options) *bench {
	b.t.Helper()
	b.idle()
	if err := b.m.close(); err != nil {
		b.t.Fatal(err)
	}
	again := newBench(b.t, opt)
	again.idle()
	return again
}

func (b *bench) wantDraft(want string) {
	b.t.Helper()
	if got := textOf(b.m.draftEditor().text); got != want {
		b.t.Errorf("got draft %.80q (%d bytes), want %.80q (%d bytes)", got, len(got), want, len(want))
	}
}

// draftFiles returns how many drafts lie in the store.
func draftFiles(t *testing.T, store *history.Store) int {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(store.Dir(), "drafts", "*.draft"))
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}

func TestADraftSurvivesTheEndOfTheProgram(t *testing.T) {
	paste := lines(101)
	for name, end := range map[string]func(b *bench){
		"ctrl+c twice": func(b *bench) {
			b.keys("ctrl+c")
			b.wantScreen("up brings the draft back")
			b.keys("ctrl+c")
			b.until("the end", func() bool { return b.quit })
		},
		"quit from the palette": func(b *bench) {
			b.keys("f2", "quit", "enter")
			b.until("the end", func() bool { return b.quit })
		},
		"an open palette":            func(b *bench) { b.keys("f2", "/th") },
		"what was typed before":      func(b *bench) { b.keys("ctrl+j", "up", "up", "up") },
		"a signal":                   func(*bench) {},
		"while the search is open":   func(b *bench) { b.keys("ctrl+r", "qu") },
		"while a value is asked for": func(b *bench) { b.keys("shift+f5", "1") },
	} {
		t.Run(name, func(t *testing.T) {
			for _, conversation := range []string{"", "Named"} {
				store := openStore(t)
				b := newBench(t, Options{Store: store})
				b.say("a question")
				b.keys("/rename Named", "enter")
				if conversation == "" {
					b.keys("/new", "enter")
				}
				b.idle()
				b.keys("see ")
				b.send(tea.PasteMsg{Content: paste})
				b.keys(" 漢", "left")
				want := "see " + paste + " 漢"
				end(b)
				b = b.restart(Options{Store: store, Name: conversation})
				if name == "what was typed before" {
					want = strings.TrimSuffix(want, "漢") + "\n漢"
				}
				b.wantDraft(want)
				b.wantScreen("❯ see ⟦paste 1: 101 lines⟧")
				if name == "a signal" {
					b.keys("x")
					b.wantDraft("see " + paste + " x漢")
				}
			}
		})
	}
}

func TestADraftStaysWithItsConversation(t *testing.T) {
	store := openStore(t)
	b := newBench(t, Options{Store: store})
	b.say("one")
	b.keys("/rename One", "enter", "/new", "enter")
	b.say("two")
	b.keys("/rename Two", "enter")
	b.idle()
	open := func(name string) {
		b.keys("f2", "open "+name, "enter")
		b.until("opening", func() bool { return b.m.chat.name == name })
		b.idle()
	}
	b.keys("second draft")
	open("One")
	b.wantDraft("")
	b.keys("first draft")
	open("Two")
	b.wantDraft("second draft")
	b.keys("f2", "new", "enter")
	b.idle()
	b.wantDraft("")
	b.keys("fresh draft")
	open("One")
	b.wantDraft("first draft") // not mixed with the one that was typed where nothing was said
	b.say(" is sent")
	b.keys("f2", "new", "enter")
	b.idle()
	b.wantDraft("fresh draft")
	b.keys("ctrl+c")
	open("One")
	b.wantDraft("")
	b = b.restart(Options{Store: store, Name: "Two"})
	b.wantDraft("second draft")
}

func TestASentDraftLeavesNoFile(t *testing.T) {
	store := openStore(t)
	b := newBench(t, Options{Store: store})
	for _, text := range []string{"hi", "and more"} {
		b.keys(text)
		b.until("the draft on disk", func() bool { return draftFiles(t, store) == 1 })
		b.say("")
		if n := draftFiles(t, store); n != 0 {
			t.Errorf("got %d drafts after %q was sent, want none", n, text)
		}
	}
	b.keys("cleared")
	b.until("the draft on disk", func() bool { return draftFiles(t, store) == 1 })
	b.keys("ctrl+c", "left")
	b.until("no draft on disk", func() bool { return draftFiles(t, store) == 0 })
}

func TestAMessageIsADraftUntilItIsSaved(t *testing.T) {
	store := openStore(t)
	m := New(Options{Generator: newScript("x"), Store: store})
	m.Update(tea.WindowSizeMsg{Width: 80, Height: 24})
	m.chat.draft.place = store.NewDraft("")
	m.Update(tea.PasteMsg{Content: "precious"})
	m.Update(tea.KeyPressMsg{Code: tea.KeyEnter}) // its command never runs
	m.Update(tea.PasteMsg{Content: "and the next"})
	if err := m.chat.draft.place.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := m.chat.draft.place.Close(); err != nil { // as it is left when the program dies
		t.Fatal(err)
	}
	newBench(t, Options{Store: store}).wantDraft("precious\nand the next")
}

func TestTwoWindowsDoNotShareADraft(t *testing.T) {
	store := openStore(t)
	one, two := newBench(t, Options{Store: store}), newBench(t, Options{Store: store})
	one.keys("one")
	two.keys("two")
	one.until("both on disk", func() bool { return draftFiles(t, store) == 2 })
	three := newBench(t, Options{Store: store})
	three.wantDraft("")
	two = two.restart(Options{Store: store})
	two.wantDraft("two")
	one.say("")
	two.wantDraft("two")
}

func TestAReadOnlyConversationsDraftGoesIntoTheCopy(t *testing.T) {
	store := openStore(t)
	first := newBench(t, Options{Store: store})
	first.say("hi")
	first.keys("draft of the first")
	b := newBench(t, Options{Store: store, Open: first.m.chat.file.Path()})
	b.until("opening", func() bool { return b.m.chat.readOnly != "" })
	b.wantDraft("")
	path := filepath.Join(t.TempDir(), "copy.jsonl")
	b.keys("draft of the second", "f2", "save "+path, "enter")
	b.until("the copy", func() bool { return b.m.chat.readOnly == "" })
	b.wantDraft("draft of the second")
	b = b.restart(Options{Store: store, Open: path})
	b.wantDraft("draft of the second")
	first.wantDraft("draft of the first")
}

func TestWhatIsTypedGoesAlongFromADeletedConversation(t *testing.T) {
	store := openStore(t)
	b := newBench(t, Options{Store: store})
	b.say("hi")
	b.keys("a thought", "f2", "dele", "enter")
	b.until("the deletion", func() bool { return b.m.chat.file == nil })
	b.idle()
	b.wantDraft("a thought")
	b = b.restart(Options{Store: store})
	b.wantDraft("a thought")
}

func TestADraftThatTheDiskRefusesIsSaid(t *testing.T) {
	store := openStore(t)
	if err := os.WriteFile(filepath.Join(store.Dir(), "drafts"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	b := newBench(t, Options{Store: store})
	b.keys("x")
	if err := b.m.chat.draft.place.Flush(); err == nil {
		t.Fatal("got no error")
	}
	b.keys("y")
	b.wantScreen("the draft is not on disk: not a directory")
	if err := b.m.close(); err == nil || !strings.Contains(err.Error(), "the draft is not saved") {
		t.Errorf("got %v, want it to say so", err)
	}
}

// TestADraftIsWrittenWithinASecond types like a person and looks at the disk a second later.
func TestADraftIsWrittenWithinASecond(t *testing.T) {
	store := openStore(t)
	b := newBench(t, Options{Store: store})
	var typed []rune
	at := map[int]time.Time{}
	for start := time.Now(); time.Since(start) < 1500*time.Millisecond; time.Sleep(20 * time.Millisecond) {
		typed = append(typed, 'a'+rune(len(typed)%26))
		b.keys(string(typed[len(typed)-1:]))
		at[len(typed)] = time.Now()
	}
	files, err := filepath.Glob(filepath.Join(store.Dir(), "drafts", "*.draft"))
	if err != nil || len(files) != 1 {
		t.Fatalf("got files %q (%v), want one", files, err)
	}
	got, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for n, then := range at {
		if now.Sub(then) >= time.Second && !strings.Contains(string(got), string(typed[:n])) {
			t.Fatalf("%q was typed %v ago and is not in %s", string(typed[:n]), now.Sub(then), got)
		}
	}
}
