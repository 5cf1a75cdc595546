package ui

import (
	"fmt"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"peregrine/history"
	"peregrine/model/generate"
)

// birds is a conversation of so many turns; "Falcon" is in every fourth reply.
func birds(t *testing.T, turns int) *bench {
	t.Helper()
	store := openStore(t)
	f, err := store.Create(history.Header{})
	if err != nil {
		t.Fatal(err)
	}
	parent := ""
	for i := range turns {
		bird := "sparrow"
		if i%4 == 0 {
			bird = "**Falcon** of the\nhills"
		}
		for _, m := range []history.Message{
			{Role: generate.User, Content: fmt.Sprintf("question %d", i)},
			{Role: generate.Assistant, Content: strings.Repeat("Some words. ", 30) + fmt.Sprintf("The %s, number %d.", bird, i), Finish: generate.FinishStop},
		} {
			m.ParentID = parent
			said, err := f.Append(m)
			if err != nil {
				t.Fatal(err)
			}
			parent = said.ID
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	b := newBench(t, Options{Store: store, Open: f.Path()})
	b.until("the conversation", func() bool { return b.m.chat.file != nil })
	b.idle()
	return b
}

// reversed returns what is marked as the current hit on the screen.
func reversed(b *bench) string {
	var all strings.Builder
	for i, part := range strings.Split(b.m.View().Content, "\x1b[7m") {
		if i > 0 {
			text, _, _ := strings.Cut(part, "\x1b[")
			all.WriteString(text + "|")
		}
	}
	return all.String()
}

func TestSearchWalksThroughTheConversation(t *testing.T) {
	b := birds(t, 40)
	b.keys("/search falcon", "enter")
	b.idle()
	b.wantScreen("find ❯ falcon", "10/10", "number 36")
	if got := reversed(b); got != "Falcon|" {
		t.Errorf("got %q marked", got)
	}
	b.keys("n")
	b.wantScreen("1/10", "number 0")
	b.keys("n", "n")
	b.wantScreen("3/10", "number 8")
	b.keys("N")
	b.wantScreen("2/10", "number 4")
	top := b.m.transcript.view(&b.m.theme)
	b.keys("esc")
	b.wantNotScreen("find ❯")
	if got := b.m.transcript.view(&b.m.theme); ansi.Strip(got[0]) != ansi.Strip(top[0]) || b.m.transcript.find != nil {
		t.Errorf("the reading position moved from %q to %q", top[0], got[0])
	}
	if got := reversed(b); got != "" {
		t.Errorf("got %q still marked", got)
	}
}

func TestFindWhileTypingAndBackAgain(t *testing.T) {
	b := birds(t, 40)
	b.keys("pgup", "pgup")
	was := b.screen()
	b.keys("alt+/", "number 4")
	b.idle()
	b.wantScreen("find ❯ number 4", "1/1") // number 4 itself
	b.keys("backspace")
	b.idle()
	b.wantScreen("/40")
	b.keys("zebra")
	b.idle()
	b.wantScreen("nothing found")
	b.keys("esc")
	if got := b.screen(); got != was {
		t.Errorf("esc did not go back; got:\n%s\nwant:\n%s", got, was)
	}
}

func TestFindGoesOverLineEndsAndSurvivesAResize(t *testing.T) {
	b := birds(t, 8)
	for _, width := range []int{80, 31, 120} {
		b.send(tea.WindowSizeMsg{Width: width, Height: 24})
		b.keys("alt+/")
		b.send(tea.PasteMsg{Content: "FALCON of the hills"})
		b.idle()
		b.keys("enter")
		b.wantScreen("/2")
		if got := strings.ReplaceAll(reversed(b), "|", " "); strings.Join(strings.Fields(got), " ") != "Falcon of the hills" {
			t.Errorf("at %d columns: got %q marked", width, got)
		}
		b.send(tea.WindowSizeMsg{Width: width + 7, Height: 20})
		b.idle()
		b.wantScreen("/2")
		for line := range strings.SplitSeq(b.screen(), "\n") {
			if w := b.m.theme.cells.StringWidth(line); w > width+7 {
				t.Errorf("%q has %d cells", line, w)
			}
		}
		b.keys("esc")
	}
}

func TestFindFollowsAReplyThatIsWritten(t *testing.T) {
	b := newBench(t, Options{})
	words := b.gen.drip()
	b.keys("hi", "enter")
	b.until("the start", func() bool { return b.m.turn.feed != nil })
	words <- "One falcon. "
	b.until("the text", func() bool { return strings.Contains(b.screen(), "One falcon") })
	b.keys("/search falcon", "enter")
	b.until("the hit", func() bool { return strings.Contains(b.screen(), "1/1") })
	words <- "Two falcons. "
	b.until("the next hit", func() bool { return strings.Contains(b.screen(), "1/2") })
	b.keys("n")
	b.wantScreen("2/2")
	close(words)
	b.ended()
	b.wantScreen("2/2", "One falcon. Two falcons.")
	b.keys("esc")
	if !b.m.transcript.follow {
		t.Error("at the end of the conversation it does not follow")
	}
}

func TestSearchDoesNotFindWhatNobodySaid(t *testing.T) {
	b := newBench(t, Options{})
	b.say("hi 漢字 there")
	for _, what := range []string{"tok/s", "┃"} {
		b.keys("/search "+what, "enter")
		b.idle()
		b.wantScreen("nothing found")
		b.keys("esc")
	}
	b.keys("/search 字 t", "enter")
	b.idle()
	if got := reversed(b); got != "字 t|" {
		t.Errorf("got %q marked", got)
	}
}

func TestWhatIsSaidAboutMessagesIsNotFound(t *testing.T) {
	b := told(t)
	b.keys("/revise", "enter", " anew")
	b.say("!")
	b.m.markOldest(2, 0)
	b.wantScreen("version 2/2", "no longer sent", "0.7")
	for _, what := range []string{"version", "no longer", "┊", "top-k"} {
		b.keys("alt+/", what)
		b.idle()
		b.wantScreen("nothing found")
		b.keys("esc")
	}
	b.keys("alt+/", "ask one")
	b.idle()
	b.wantScreen("1/1")
}
