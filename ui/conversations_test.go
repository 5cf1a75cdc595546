package ui

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"peregrine/history"
)

func TestSaveNamesTheConversation(t *testing.T) {
	b := newBench(t, Options{Store: openStore(t)})
	b.say("hi")
	b.keys("/save Falcon facts", "enter")
	b.idle()
	b.wantScreen("saved as Falcon facts")
	if got := b.m.chat.file.Conversation().Header.Name; got != "Falcon facts" {
		t.Errorf("got name %q", got)
	}
	if !strings.HasPrefix(b.m.View().WindowTitle, "Falcon facts") {
		t.Errorf("got window title %q", b.m.View().WindowTitle)
	}
}

func TestANameBeforeTheFirstMessageIsKept(t *testing.T) {
	b := newBench(t, Options{Store: openStore(t)})
	b.keys("/save Early", "enter")
	b.say("hi")
	if got := b.m.chat.file.Conversation().Header.Name; got != "Early" {
		t.Errorf("got name %q", got)
	}
}

func TestSavePathWritesACopy(t *testing.T) {
	b := newBench(t, Options{Store: openStore(t)})
	b.say("hi")
	path := filepath.Join(t.TempDir(), "copy.jsonl")
	b.keys("/save "+path, "enter")
	b.idle()
	b.wantScreen("a copy is in")
	if got := readBack(t, path); len(got) != 2 {
		t.Errorf("got %d messages in the copy, want 2", len(got))
	}
	b.say("again")
	if got := readBack(t, path); len(got) != 2 {
		t.Error("the chat went on in the copy")
	}
}

// A folder is no name either: the screen and the plain chat have one rule, history.IsPath.
func TestSaveToAFolderIsRefusedAndNamesNothing(t *testing.T) {
	b := newBench(t, Options{Store: openStore(t)})
	t.Setenv("HOME", t.TempDir())
	b.say("hi")
	for _, folder := range []string{"~", "..", t.TempDir()} {
		b.keys("/save "+folder, "enter")
		b.idle()
		b.wantScreen("history: ")
		if got := b.m.chat.file.Conversation().Header.Name; got != "" {
			t.Errorf("/save %s named the conversation %q", folder, got)
		}
	}
}

func TestOpenByPathAndName(t *testing.T) {
	store := openStore(t)
	b := newBench(t, Options{Store: store})
	b.say("first question")
	b.keys("/rename One", "enter")
	b.idle()
	path := b.m.chat.file.Path()
	b.keys("/new", "enter")
	b.idle()
	b.wantNotScreen("first question")
	b.keys("unsent draft", "f2", "open one", "enter")
	b.until("the conversation", func() bool { return strings.Contains(b.screen(), "┃ first question") })
	b.wantScreen("❯ unsent draft", "hello there")
	b.keys("ctrl+c", "/new", "enter")
	b.idle()
	b.keys("/open "+path, "enter")
	b.until("the conversation", func() bool { return strings.Contains(b.screen(), "┃ first question") })
	b.keys("/open "+path, "enter")
	b.until("the word", func() bool { return strings.Contains(b.screen(), "open already") })
	b.say("second question")
	if m := b.gen.last().Messages; len(m) != 3 {
		t.Errorf("got %d messages, want the old turn and the new question", len(m))
	}
}

func TestOpenSaysWhatIsMissing(t *testing.T) {
	b := newBench(t, Options{Store: openStore(t)})
	for argument, want := range map[string]string{
		"nowhere/at-all.jsonl": "history: nowhere/at-all.jsonl: no such conversation: no such file or directory; ",
		"a name":               `history: "a name": no such conversation in ` + b.m.opt.Store.(*history.Store).Dir() + "; ",
	} {
		b.keys("/open "+argument, "enter")
		b.idle()
		want += "/conversations lists those that are saved"
		if screen := strings.Join(strings.Fields(b.screen()), ""); !strings.Contains(screen, strings.ReplaceAll(want, " ", "")) {
			t.Errorf("/open %s does not say %q:\n%s", argument, want, b.screen())
		}
	}
}

func TestStartOptionsOpenAConversation(t *testing.T) {
	store := openStore(t)
	b := newBench(t, Options{Store: store})
	b.say("remember me")
	b.keys("/rename Kept", "enter")
	b.idle()
	path := b.m.chat.file.Path()
	if err := b.m.close(); err != nil {
		t.Fatal(err)
	}
	for name, opt := range map[string]Options{"file": {Open: path}, "latest": {Resume: true}, "name": {Name: "Kept"}} {
		t.Run(name, func(t *testing.T) {
			opt.Store = store
			b := newBench(t, opt)
			b.until("the conversation", func() bool { return strings.Contains(b.screen(), "┃ remember me") })
			if err := b.m.close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestASecondWindowReadsAndGoesOnInACopy(t *testing.T) {
	store := openStore(t)
	first := newBench(t, Options{Store: store})
	first.say("mine")
	second := newBench(t, Options{Store: store, Open: first.m.chat.file.Path()})
	second.until("the conversation", func() bool { return strings.Contains(second.screen(), "┃ mine") })
	second.wantScreen("read-only", "/save FILE.jsonl goes on in a copy")
	second.keys("hello", "enter")
	second.wantScreen("❯ hello", "read-only")
	if len(second.gen.requests) > 0 {
		t.Fatal("a message was sent from a read-only conversation")
	}
	path := filepath.Join(t.TempDir(), "mine too.jsonl")
	second.keys("ctrl+c", "/save "+path, "enter")
	second.until("the copy", func() bool { return second.m.chat.readOnly == "" && second.m.chat.file.Path() == path })
	second.say("and more")
	if got := readBack(t, path); len(got) != 4 {
		t.Errorf("got %d messages in the copy, want 4", len(got))
	}
}

func TestThePickerFiltersRenamesDeletesAndUndoes(t *testing.T) {
	store := openStore(t)
	b := newBench(t, Options{Store: store})
	for _, text := range []string{"about falcons", "about cooking"} {
		b.keys("/new", "enter")
		b.say(text)
	}
	b.keys("f3")
	b.until("the list", func() bool { return strings.Contains(b.screen(), "about falcons") })
	b.wantScreen("Conversations", "new conversation", "about cooking", "2 messages")
	b.keys("falc")
	b.idle()
	b.wantScreen("❯ about falcons")
	b.wantNotScreen("about cooking")
	b.keys("f2", "Birds", "enter")
	b.idle()
	for range 4 {
		b.keys("backspace")
	}
	b.keys("bird")
	b.idle()
	b.wantScreen("❯ Birds")
	b.keys("delete")
	b.until("the deletion", func() bool { return strings.Contains(b.screen(), "deleted") })
	if entries, _ := store.List(t.Context()); len(entries) != 1 {
		t.Fatalf("got %d conversations, want 1", len(entries))
	}
	b.keys("delete")
	b.until("the undo", func() bool { return strings.Contains(b.screen(), "it is back") })
	b.keys("enter")
	b.until("the conversation", func() bool { return strings.Contains(b.screen(), "┃ about falcons") })
}

func TestThePickerStartsANewConversation(t *testing.T) {
	b := newBench(t, Options{Store: openStore(t)})
	b.say("old")
	b.keys("f3")
	b.until("the list", func() bool { return strings.Contains(b.screen(), "2 messages") })
	b.keys("up", "enter")
	b.idle()
	b.wantNotScreen("┃ old")
	b.wantScreen("tiny-falcon", "commands")
}

func TestDeleteIsTakenBack(t *testing.T) {
	b := newBench(t, Options{Store: openStore(t)})
	b.say("precious")
	b.keys("/delete", "enter")
	b.until("the deletion", func() bool { return strings.Contains(b.screen(), "/undo brings it back") })
	b.wantNotScreen("┃ precious")
	b.keys("/undo", "enter")
	b.until("the undo", func() bool { return strings.Contains(b.screen(), "┃ precious") })
}

func TestADiskThatRefusesKeepsTheText(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gone")
	store, err := history.OpenStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Remove(dir), os.WriteFile(dir, nil, 0o600)); err != nil { // a file stands where the folder was
		t.Fatal(err)
	}
	b := newBench(t, Options{Store: store})
	b.say("hi")
	b.wantScreen("┃ hi", "hello there", "not saved: not a directory; /save FILE.jsonl copies it elsewhere")
	b.keys("ctrl+d")
	b.idle()
	b.wantScreen("to quit once more loses it")
	if b.quit {
		t.Fatal("quit at the first try, with nothing on disk")
	}
	path := filepath.Join(t.TempDir(), "elsewhere.jsonl")
	b.keys("/save "+path, "enter")
	b.idle()
	if got := readBack(t, path); len(got) != 2 {
		t.Errorf("got %d messages in the copy, want both", len(got))
	}
	if err := errors.Join(os.Remove(dir), os.Mkdir(dir, 0o700)); err != nil {
		t.Fatal(err)
	}
	b.until("the retry", func() bool { return !strings.Contains(b.status(), "not saved") })
	if got := b.saved(); len(got) != 2 {
		t.Errorf("got %d messages, want both", len(got))
	}
}

func TestQuittingAgainLeavesADiskThatRefuses(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gone")
	store, err := history.OpenStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Remove(dir), os.WriteFile(dir, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	b := newBench(t, Options{Store: store})
	b.say("hi")
	b.keys("/quit", "enter")
	b.idle()
	if b.quit {
		t.Fatal("quit at the first try, with nothing on disk")
	}
	b.keys("/quit", "enter")
	b.until("the end of the program", func() bool { return b.quit })
	if err := b.m.close(); err == nil || !strings.Contains(err.Error(), dir) || strings.Contains(err.Error(), "as soon as") {
		t.Errorf("got %v, want the path and no promise", err)
	}
}

func TestWithoutAStoreAConversationIsSavedByPath(t *testing.T) {
	b := newBench(t, Options{})
	path := filepath.Join(t.TempDir(), "kept.jsonl")
	b.keys("/save "+path, "enter")
	b.wantScreen("nothing to save yet")
	b.say("hi")
	if !strings.Contains(b.status(), "not saved") {
		t.Errorf("got status %q, want it to say that nothing is saved", b.status())
	}
	b.keys("/save "+path, "enter")
	b.idle()
	b.wantScreen("kept in")
	b.say("again")
	b.idle()
	if got := readBack(t, path); len(got) != 4 {
		t.Errorf("got %d messages in the file, want 4: the conversation goes on there", len(got))
	}
	if strings.Contains(b.status(), "not saved") {
		t.Errorf("got status %q after it was saved", b.status())
	}
}

func TestSavingByPathReplacesNoFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mine.jsonl")
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	b := newBench(t, Options{})
	b.say("hi")
	b.keys("/save "+path, "enter")
	b.idle()
	b.wantScreen("not saved in", "file exists")
	if got, err := os.ReadFile(path); err != nil || string(got) != "mine" {
		t.Errorf("got %q, %v; the file was changed", got, err)
	}
	if !strings.Contains(b.status(), "not saved") {
		t.Errorf("got status %q, want it to say that nothing is saved", b.status())
	}
}

func TestACopyThatFailsSaysWhyBesideALongPath(t *testing.T) {
	b := newBench(t, Options{Store: openStore(t)})
	b.say("hi")
	missing := filepath.Join(t.TempDir(), strings.Repeat("long", 30), "copy.jsonl")
	b.keys("/save "+missing, "enter")
	b.idle()
	b.wantScreen("── no such file or directory ──", "no copy in")
}
