package ui

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"

	"peregrine/history"
	"peregrine/model/generate"
)

// refuse makes the model find the next message too long.
func (s *script) refuse(tokens int) {
	s.plan = generate.Plan{Tokens: tokens, Limit: 2048}
	s.reply = func(_ context.Context, r generate.Request, w *generate.Writer) {
		err := fmt.Errorf("engine: %w: %d tokens or more", generate.ErrPromptTooLong, tokens)
		w.Update(generate.Update{Result: &generate.Result{Finish: generate.FinishError, Err: err, Sampling: r.Sampling}})
	}
}

func TestAMessageThatDoesNotFitComesBack(t *testing.T) {
	for name, before := range map[string]int{"the first message": 0, "a later one": 2} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, Options{Store: openStore(t)})
			if before > 0 {
				b.say("hi")
			}
			b.gen.refuse(48923)
			b.keys("see ")
			b.send(tea.PasteMsg{Content: lines(3000)})
			b.keys(" that", "enter")
			b.until("the end", func() bool { return b.m.turn == nil })
			b.idle()
			b.wantScreen("❯ see ⟦paste 1: 3,000 lines⟧ that")
			said := strings.Join(strings.Fields(b.screen()), " ")
			for _, part := range []string{
				"longer than the model can read: 48,923 tokens or more, and it reads 2,048",
				"in the field again: shorten it to at most 4 % of it and send it again",
			} {
				if !strings.Contains(said, part) {
					t.Errorf("the screen does not say %q:\n%s", part, b.screen())
				}
			}
			b.wantNotScreen("┃ see", "engine:", "/regenerate", "not saved")
			if got := len(b.m.chat.path); got != before {
				t.Errorf("got %d messages in the branch, want %d", got, before)
			}
			if got := len(b.saved()); got != before {
				t.Errorf("got %d messages in the branch on disk, want %d", got, before)
			}
			if got := len(b.m.chat.file.Conversation().Messages); got != before {
				t.Errorf("got %d messages in the file, want %d: the refused one counts", got, before)
			}
			b.pick()
			b.wantScreen(fmt.Sprintf("%d messages", before))
			b.keys("esc")
			b.gen.plan.Tokens = 20
			b.gen.says("short enough")
			b.keys("ctrl+w", "ctrl+w", "backspace")
			b.say(" nothing")
			got := b.saved()
			if len(got) != before+2 || got[before].Content != "see nothing" || got[before+1].Content != "short enough" {
				t.Errorf("got %+v, want the branch to go on with the shortened message", got)
			}
			if before > 0 && got[before].ParentID != got[before-1].ID {
				t.Error("the shortened message does not answer what was there")
			}
		})
	}
}

func TestAMessageThatDoesNotFitStaysInTheFileWithoutADraft(t *testing.T) {
	dir := t.TempDir()
	store, err := history.OpenStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "drafts"), nil, 0o600); err != nil { // no draft can be written
		t.Fatal(err)
	}
	b := newBench(t, Options{Store: store})
	b.say("hi")
	b.gen.refuse(2100)
	b.keys("too long", "enter")
	b.until("the end", func() bool { return b.m.turn == nil && !b.m.chat.busy })
	b.wantDraft("too long")
	if got := b.m.chat.file.Conversation().Messages; len(got) != 3 || got[2].Content != "too long" {
		t.Errorf("got %+v in the file, want the refused message at its end", got)
	}
	if got := len(b.saved()); got != 2 {
		t.Errorf("got %d messages in the branch on disk, want 2", got)
	}
}

func TestARefusedVersionIsNone(t *testing.T) {
	b := newBench(t, Options{Store: openStore(t)})
	b.say("hi")
	b.gen.refuse(2100)
	b.keys("shift+tab", "up", "e", "!", "enter")
	b.until("the end", func() bool { return b.m.turn == nil })
	b.idle()
	b.wantScreen("┃ hi", "hello there")
	b.wantNotScreen("1/2", "2/2")
	b.wantDraft("hi!")
}

func TestWhatIsTypedMeanwhileStays(t *testing.T) {
	b := newBench(t, Options{Store: openStore(t)})
	b.gen.refuse(2100)
	loaded := make(chan struct{})
	b.gen.loaded = loaded
	b.keys("too long", "enter")
	b.keys("the next thought")
	close(loaded)
	b.until("the end", func() bool { return b.m.turn == nil })
	if got := b.m.composer.draft(); got != "too long\nthe next thought" {
		t.Errorf("got draft %q, want both", got)
	}
}

func TestAMessageThatDoesNotFitComesBackBehindThePalette(t *testing.T) {
	for name, c := range map[string]struct{ keys, want string }{
		"a draft was put aside": {"the next", "too long\nthe next"},
		"none was":              {"", "too long"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, Options{Store: openStore(t)})
			b.gen.refuse(2100)
			loaded := make(chan struct{})
			b.gen.loaded = loaded
			b.keys("too long", "enter", c.keys, "f2", "te")
			close(loaded)
			b.until("the end", func() bool { return b.m.turn == nil && !b.m.chat.busy })
			b.wantScreen("❯ /te")
			if got := textOf(b.m.unsent().text); got != c.want {
				t.Errorf("got %q noted as the draft, want %q", got, c.want)
			}
			if got := len(b.m.chat.file.Conversation().Messages); got != 0 {
				t.Errorf("got %d messages in the file, want none", got)
			}
			b.keys("esc")
			b.wantDraft(c.want)
		})
	}
}

func TestRegenerateOfAMessageThatDoesNotFitLeavesTheBranch(t *testing.T) {
	b := newBench(t, Options{Store: openStore(t)})
	b.say("hi")
	b.gen.refuse(2100)
	b.keys("/regenerate", "enter")
	b.until("the end", func() bool { return b.m.turn == nil })
	b.idle()
	if got := b.saved(); len(got) != 2 || got[1].Content != "hello there" {
		t.Errorf("got %+v, want the reply that was there", got)
	}
	b.wantScreen("┃ hi", "hello there")
}
