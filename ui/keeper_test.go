package ui

import (
	"errors"
	"testing"

	tea "charm.land/bubbletea/v2"

	"peregrine/history"
	"peregrine/model/generate"
)

// Commands run side by side: the one that saves what the user says next may overtake the one that saves the reply before it.
func TestAMessageThatOvertakesItsParentIsSavedWithIt(t *testing.T) {
	k := &keeper{store: openStore(t)}
	h := history.Header{Created: testNow}
	one := history.Message{ID: history.NewID(), Role: generate.User, Content: "one", CreatedAt: testNow}
	two := history.Message{ID: history.NewID(), ParentID: one.ID, Role: generate.Assistant, Content: "two", Finish: generate.FinishStop, CreatedAt: testNow}
	three := history.Message{ID: history.NewID(), ParentID: two.ID, Role: generate.User, Content: "three", CreatedAt: testNow}
	path := []history.Message{one, two, three}
	for _, n := range []int{1, 3, 2} {
		if err := k.save(h, path[:n], path[n-1]); err != nil {
			t.Fatalf("message %d: %v", n, err)
		}
	}
	file := k.current().Path()
	if err := k.close(h, path); err != nil {
		t.Fatal(err)
	}
	f, err := history.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var said string
	for _, m := range f.Conversation().Path(three.ID) {
		said += m.Content + " "
	}
	if said != "one two three " {
		t.Errorf("got %q, want all three in order", said)
	}
}

func TestAFileThatIsBeingWrittenIsNotWaitedFor(t *testing.T) {
	k := &keeper{store: openStore(t)}
	if err := k.save(history.Header{}, nil, history.Message{}); err != nil {
		t.Fatal(err)
	}
	file := k.current()
	if file == nil {
		t.Fatal("got no file after a save")
	}
	t.Cleanup(func() { _ = file.Close() })
	_ = k.note(func(*history.File) error { // a command that takes its time
		if got := k.current(); got != nil {
			t.Errorf("got %v while the file is written, want none", got.Path())
		}
		return nil
	})()
	if k.current() != file {
		t.Error("got another file afterwards")
	}
}

// What the user changes and leaves at once is in the file, though the command that makes it has not run yet.
func TestWhatIsChangedLastIsInTheFileThatIsLeft(t *testing.T) {
	for name, leave := range map[string]func(b *bench){
		"a new conversation": func(b *bench) { b.keys("/new", "enter") },
		"the end":            func(b *bench) { _ = b.m.close() },
		"deleted and back":   func(b *bench) { b.keys("/delete", "enter"); b.idle(); b.keys("/undo", "enter") },
	} {
		t.Run(name, func(t *testing.T) {
			store := openStore(t)
			b := newBench(t, Options{Store: store})
			b.say("one")
			path := b.m.chat.file.Path()
			var late []tea.Cmd
			for _, line := range []string{"/rename One", "/system be brief", "/delete-branch 1"} {
				b.keys(line)
				_, cmd := b.m.Update(tea.KeyPressMsg{Code: tea.KeyEnter})
				late = append(late, cmd)
			}
			leave(b)
			b.idle()
			for _, cmd := range late {
				b.run(cmd)
			}
			b.idle()
			c, err := history.Read(path)
			if err != nil {
				t.Fatal(err)
			}
			if c.Header.Name != "One" || c.Header.System != "be brief" || len(c.Messages) != 1 {
				t.Errorf("got name %q, system text %q and %d messages, want what was asked for", c.Header.Name, c.Header.System, len(c.Messages))
			}
		})
	}
}

func TestChangesAreMadeInTheirOrder(t *testing.T) {
	k := &keeper{store: openStore(t)}
	if err := k.save(history.Header{}, nil, history.Message{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = k.discard() })
	refused := errors.New("refused")
	first := k.note(func(f *history.File) error { return errors.Join(f.SetName("first"), refused) })
	second := k.note(func(f *history.File) error { return f.SetName("second") })
	if err := second(); err != nil {
		t.Errorf("the second change: got %v, which is the first one's", err)
	}
	if err := first(); !errors.Is(err, refused) {
		t.Errorf("the first change: got %v, want what became of it", err)
	}
	if got := k.current().Conversation().Header.Name; got != "second" {
		t.Errorf("got %q, want the name that was given last", got)
	}
}

func TestANameGivenWhileTheFirstMessageIsSavedIsKept(t *testing.T) {
	store := openStore(t)
	b := newBench(t, Options{Store: store})
	b.keys("one")
	_, save := b.m.Update(tea.KeyPressMsg{Code: tea.KeyEnter})
	b.keys("/rename One", "enter")
	b.run(save)
	b.ended()
	f, err := store.OpenID("One") // to be read alone: the chat holds it
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// The branch that is left is the one that the file opens with, under the name and the system text that were set, whatever order
// they came to the disk in.
func TestWhatIsLeftIsWhatTheFileOpensWith(t *testing.T) {
	k := &keeper{store: openStore(t)}
	h := history.Header{Created: testNow}
	one := history.Message{ID: history.NewID(), Role: generate.User, Content: "one", CreatedAt: testNow}
	old := history.Message{ID: history.NewID(), ParentID: one.ID, Role: generate.Assistant, Content: "old", Finish: generate.FinishStop, CreatedAt: testNow}
	other := history.Message{ID: history.NewID(), ParentID: one.ID, Role: generate.Assistant, Content: "other", Finish: generate.FinishStop, CreatedAt: testNow}
	last := history.Message{ID: history.NewID(), ParentID: other.ID, Role: generate.User, Content: "last", CreatedAt: testNow}
	for _, path := range [][]history.Message{{one}, {one, old}, {one, other}} {
		if err := k.save(h, path, path[len(path)-1]); err != nil {
			t.Fatal(err)
		}
	}
	file := k.current().Path()
	_ = k.note(func(f *history.File) error { return f.SetLeaf(other.ID) }) // its command never runs
	h.Name, h.System = "A name", "Be brief."
	if err := k.close(h, []history.Message{one, other, last}); err != nil {
		t.Fatal(err)
	}
	f, err := history.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c := f.Conversation()
	if c.Leaf() != last.ID || c.Header.Name != h.Name || c.Header.System != h.System {
		t.Errorf("opens at %s (last %s, other %s) as %q, %q", c.Leaf(), last.ID, other.ID, c.Header.Name, c.Header.System)
	}
}
