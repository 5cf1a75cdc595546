package ui

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
)

// told is a chat with three turns on disk.
func told(t *testing.T) *bench {
	t.Helper()
	b := newBench(t, Options{Store: openStore(t)})
	for _, n := range []string{"one", "two", "three"} {
		b.gen.says("reply " + n)
		b.say("ask " + n)
	}
	return b
}

// spoken returns what the branch on the screen says, and makes sure that the file has the same one.
func (b *bench) spoken() string {
	b.t.Helper()
	var said, kept []string
	for _, msg := range b.m.chat.path {
		said = append(said, msg.Content)
	}
	for _, msg := range b.saved() {
		kept = append(kept, msg.Content)
	}
	if !slices.Equal(said, kept) {
		b.t.Errorf("the screen has %q, the file %q", said, kept)
	}
	return strings.Join(said, " | ")
}

func (b *bench) wantSpoken(want string) {
	b.t.Helper()
	b.idle()
	if got := b.spoken(); got != want {
		b.t.Errorf("got branch %q, want %q", got, want)
	}
}

const threeTurns = "ask one | reply one | ask two | reply two | ask three | reply three"

func TestAnEarlierMessageIsEditedAsAnotherVersion(t *testing.T) {
	b := told(t)
	b.keys("shift+tab", "up", "up", "up", "e")
	b.wantScreen("❯ ask two", "editing: Enter sends another version")
	b.gen.says("reply anew")
	b.say(", again")
	b.wantSpoken("ask one | reply one | ask two, again | reply anew")
	b.wantScreen("version 2/2")
	if got := b.gen.last().Messages; len(got) != 3 || got[2].Content != "ask two, again" {
		t.Errorf("got %+v asked, want the branch up to the edited message", got)
	}
	b.keys("shift+tab", "up", "left")
	b.wantSpoken(threeTurns)
	b.wantScreen("▌ ask two", "version 1/2")
	b.keys("left")
	b.wantScreen("this is version 1 of 2")
	b.keys("right", "esc")
	b.wantSpoken("ask one | reply one | ask two, again | reply anew")
}

func TestVersionsAreThereWhenTheConversationIsOpenedAgain(t *testing.T) {
	b := told(t)
	b.keys("/revise 3", "enter", " again")
	b.gen.says("second thoughts")
	b.say("!")
	path := b.m.chat.file.Path()
	if err := b.m.close(); err != nil {
		t.Fatal(err)
	}
	b = newBench(t, Options{Store: openStore(t), Open: path})
	b.until("the conversation", func() bool { return b.m.chat.file != nil })
	b.wantSpoken("ask one again! | second thoughts")
	b.wantScreen("ask one again!", "version 2/2")
	b.keys("/version left", "enter")
	b.wantSpoken(threeTurns)
	b.keys("/version 2", "enter")
	b.wantSpoken("ask one again! | second thoughts")
	b.gen.says("third")
	b.keys("/regenerate", "enter")
	b.ended()
	b.wantSpoken("ask one again! | third")
}

func TestLeavingAnEditBringsTheDraftBack(t *testing.T) {
	b := told(t)
	b.keys("my draft", "shift+tab", "up", "e")
	b.wantScreen("❯ ask three")
	b.keys(" changed", "esc")
	b.wantScreen("❯ my draft", "not edited")
	b.keys("ctrl+c", "up", "up") // the draft, then the edited text can be had again
	b.wantSpoken(threeTurns)
	b.keys("ctrl+c", "/revise", "enter", " two", "enter")
	b.ended()
	if got := b.spoken(); !strings.HasPrefix(got, "ask one | reply one | ask two | reply two | ask three two | ") {
		t.Errorf("got branch %q", got)
	}
}

func TestTheDraftBehindAnEditIsTheOneOnDisk(t *testing.T) {
	b := told(t)
	opt := b.m.opt
	b.keys("my draft")
	b.keys("shift+tab", "up", "e")
	if got := textOf(b.m.unsent().text); got != "my draft" {
		t.Errorf("of an edit without a change %q is kept, want the draft", got)
	}
	b.keys("!")
	message := b.m.composer.message()
	if got := textOf(b.m.unsent().text); got != message || got == "my draft" {
		t.Errorf("of an edit %q is kept, want %q", got, message)
	}
	next := b.restart(opt)
	next.wantDraft("")
	next.keys("ctrl+r")
	next.keys("my draft")
	next.keys("enter")
	next.wantScreen("❯ my draft")
}

func TestAWalkFromAnEditLosesNeitherText(t *testing.T) {
	b := told(t)
	b.keys("my draft")
	b.keys("shift+tab", "up", "e")
	b.keys(" half done")
	half := b.m.composer.message()
	b.keys("ctrl+r")
	b.keys("enter")
	if b.m.composer.walk == nil {
		t.Fatal("the search does not show what was typed")
	}
	b.keys("enter")
	b.idle()
	b.wantDraft("my draft")
	b.keys("ctrl+r")
	b.keys("half done")
	b.keys("enter")
	b.wantScreen("❯ " + half)
}

func TestAnEditedMessageThatLooksLikeACommandIsOne(t *testing.T) {
	b := newBench(t, Options{Store: openStore(t)})
	b.say("//help me")
	b.keys("/revise", "enter")
	b.say(" now")
	if got := b.m.chat.path[0].Content; got != "/help me now" {
		t.Errorf("got %q, want the message with its slash", got)
	}
}

func TestAnyReplyIsRegenerated(t *testing.T) {
	b := told(t)
	b.gen.says("another two")
	b.keys("/regenerate 2", "enter")
	b.ended()
	b.wantSpoken("ask one | reply one | ask two | another two")
	b.gen.says("and one more")
	b.keys("shift+tab", "up", "up", "r")
	b.ended()
	b.wantSpoken("ask one | and one more")
	b.wantScreen("version 2/2")
	b.keys("shift+tab", "left")
	b.wantSpoken("ask one | reply one | ask two | another two")
}

func TestAVersionIsReadOnWhereItWasLeft(t *testing.T) {
	b := told(t)
	b.gen.says("newer three")
	b.keys("/regenerate", "enter")
	b.ended()
	b.keys("/version left", "enter") // the older of two replies at the end
	b.wantSpoken(threeTurns)
	b.gen.says("another one")
	b.keys("/regenerate 3", "enter")
	b.ended()
	b.wantSpoken("ask one | another one")
	b.keys("/version left", "enter")
	b.wantSpoken(threeTurns)
	b.keys("/version right", "enter")
	b.wantSpoken(strings.TrimSuffix(threeTurns, "reply three") + "newer three")
}

func TestCtrlCLeavesAnEditBeforeAnythingElse(t *testing.T) {
	b := told(t)
	b.keys("draft", "shift+tab", "up", "e", "ctrl+c")
	b.wantScreen("❯ draft", "not edited")
	b.gen.says("fine")
	b.keys("ctrl+c")
	b.say("a new message")
	b.wantSpoken(threeTurns + " | a new message | fine")
}

func TestARegenerationWithoutAWordShowsTheBranchFromBefore(t *testing.T) {
	b := told(t)
	b.gen.drip()
	b.keys("/regenerate 3", "enter")
	b.until("the start", func() bool { return b.m.turn != nil && b.m.turn.feed != nil })
	b.wantNotScreen("ask two")
	b.keys("esc")
	b.ended()
	b.wantSpoken(threeTurns)
	b.wantScreen("ask two", "reply three")
}

func TestABranchIsDeletedAndComesBack(t *testing.T) {
	b := told(t)
	b.keys("shift+tab", "up", "up", "up", "x")
	b.until("the deletion", func() bool { return len(b.m.chat.path) == 2 })
	b.wantSpoken("ask one | reply one")
	b.wantScreen("/undo brings it back", "▌ reply one")
	b.keys("x")
	b.until("the second one", func() bool { return len(b.m.chat.path) == 1 })
	b.keys("u")
	b.until("the first undo", func() bool { return len(b.m.chat.path) == 2 && !b.m.chat.busy })
	b.keys("esc", "/undo", "enter")
	b.until("the second undo", func() bool { return len(b.m.chat.path) == 6 && !b.m.chat.busy })
	b.wantSpoken(threeTurns)
	b.keys("/delete-branch 6", "enter")
	b.until("the end of everything", func() bool { return len(b.m.chat.path) == 0 })
	b.idle()
	b.gen.says("a new start")
	b.say("ask anew")
	b.wantSpoken("ask anew | a new start")
	b.keys("/undo", "enter")
	b.until("the undo", func() bool { return len(b.m.chat.path) == 6 && !b.m.chat.busy })
	b.wantSpoken(threeTurns)
	b.wantScreen("version 1/2")
}

func TestDeletingOneVersionShowsTheOneBesideIt(t *testing.T) {
	b := told(t)
	b.gen.says("better")
	b.keys("/regenerate", "enter")
	b.ended()
	b.wantScreen("version 2/2")
	b.keys("/delete-branch", "enter")
	b.until("the other version", func() bool { return !b.m.chat.busy && b.m.chat.path[5].Content == "reply three" })
	b.wantSpoken(threeTurns)
	b.wantNotScreen("version")
}

func TestBranchesAreRefusedWhileStreaming(t *testing.T) {
	b := told(t)
	b.gen.drip()
	b.keys("more", "enter")
	b.until("the start", func() bool { return b.m.turn != nil && b.m.turn.feed != nil })
	for _, keys := range [][]string{
		{"/version left", "enter"},
		{"/revise 2", "enter"},
		{"/regenerate 2", "enter"},
		{"/delete-branch 3", "enter"},
		{"/why 1", "enter"},
	} {
		if b.keys(keys...); keys[0] != "/version left" {
			b.wantScreen("still answering; Esc stops it")
		}
		if n := len(b.m.chat.path); n != 7 || b.m.turn == nil {
			t.Fatalf("%s: got %d messages, want the turn to go on", keys[0], n)
		}
	}
	b.keys("shift+tab", "up", "left", "x", "r", "e", "w", "esc", "esc")
	b.ended()
	if n := len(b.m.chat.path); n != 7 {
		t.Errorf("got %d messages, want 7", n)
	}
}

func TestAReadOnlyConversationShowsItsVersionsAlone(t *testing.T) {
	b := told(t)
	b.gen.says("other")
	b.keys("/regenerate", "enter")
	b.ended()
	path := b.m.chat.file.Path() // it stays open here
	two := newBench(t, Options{Store: openStore(t), Open: path})
	two.until("the conversation", func() bool { return two.m.chat.file != nil })
	two.keys("/version left", "enter")
	two.idle()
	two.wantScreen("reply three", "version 1/2")
	for _, command := range []string{"/delete-branch", "/revise", "/regenerate 2"} {
		two.keys(command, "enter")
		two.wantScreen("read-only")
	}
	if n := len(two.m.chat.path); n != 6 {
		t.Errorf("got %d messages, want 6", n)
	}
}

func TestWithoutAFileThereAreNoVersions(t *testing.T) {
	b := newBench(t, Options{})
	b.keys("/version", "enter")
	b.wantScreen("nothing has been said yet")
	b.keys("shift+tab")
	b.wantScreen("nothing has been said yet")
	b.say("hi")
	b.say("and")
	for _, command := range []string{"/version", "/revise", "/delete-branch", "/regenerate 2"} {
		b.keys(command, "enter")
		b.wantScreen("versions are kept in the conversation's file")
	}
	if n := len(b.m.chat.path); n != 4 {
		t.Errorf("got %d messages, want 4", n)
	}
}

func TestWhichMessageIsSaidInNumbers(t *testing.T) {
	b := told(t)
	for command, want := range map[string]string{
		"/revise 4": "there are 3 messages of yours", "/revise x": `"x" is no number`, "/why 0": "no number from 1 up",
		"/version 7": "one version of every message", "/delete-branch 7": "there are 6 messages in this branch",
	} {
		b.keys(command, "enter")
		b.wantScreen(want)
	}
}

func TestAnEditThatDoesNotFitComesBack(t *testing.T) {
	b := told(t)
	b.gen.refuse(9000)
	b.keys("/revise 2", "enter", " far too long", "enter")
	b.until("the end", func() bool { return b.m.turn == nil })
	b.idle()
	b.wantScreen("❯ ask two far too long", "reply three")
	if got := b.spoken(); got != threeTurns {
		t.Errorf("got branch %q, want the one from before", got)
	}
	b.gen.plan.Tokens = 20
	b.gen.says("fits")
	b.say("!")
	if got := b.spoken(); !strings.HasPrefix(got, "ask one | reply one | ask two far too long! | fits") {
		t.Errorf("got branch %q, want it edited", got)
	}
}

func TestTheChosenMessageIsInSight(t *testing.T) {
	b := newBench(t, Options{Store: openStore(t)})
	b.send(tea.WindowSizeMsg{Width: 40, Height: 12})
	for n := range 6 {
		b.gen.says(strings.Repeat(fmt.Sprintf("reply %d line\n\n", n), 8))
		b.say(fmt.Sprintf("question %d", n))
	}
	b.keys("shift+tab")
	for i := range 12 {
		b.wantScreen("▌ ")
		if i%2 == 1 {
			b.wantScreen(fmt.Sprintf("▌ question %d", 5-i/2))
		}
		b.keys("up")
	}
	for range 12 {
		b.keys("down")
		b.wantScreen("▌ ")
	}
	b.keys("esc", "end")
	b.wantNotScreen("▌")
	if !b.m.transcript.follow {
		t.Error("the end is not followed after the last message was chosen")
	}
}

func TestALateTurnToABranchDoesNotUndoWhatCameSince(t *testing.T) {
	b := told(t)
	b.gen.says("other")
	b.keys("/regenerate", "enter")
	b.ended()
	_, cmd := b.m.Update(nil)
	b.run(cmd)
	late := b.m.version(len(b.m.chat.path)-1, -1) // the command to note it is slow
	b.gen.says("onwards")
	b.say("next")
	b.run(late)
	b.idle()
	if got := b.spoken(); got != threeTurns+" | next | onwards" {
		t.Errorf("got branch %q", got)
	}
}
