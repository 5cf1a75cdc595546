package ui

import (
	"testing"

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
	_ = k.do(func(*history.File) error { // a command that takes its time
		if got := k.current(); got != nil {
			t.Errorf("got %v while the file is written, want none", got.Path())
		}
		return nil
	})
	if k.current() != file {
		t.Error("got another file afterwards")
	}
}
