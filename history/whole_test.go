package history

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"peregrine/model/generate"
)

// twoReplies has two replies to its question, one of them unfinished; the first is being read.
func twoReplies(t *testing.T) *Conversation {
	t.Helper()
	seed, at := uint64(7), time.Date(2026, 3, 1, 8, 0, 0, 5, time.UTC)
	c, err := New(Header{ID: "0123456789abcdef", Name: "tree", System: "Be brief.", Created: at}, []Message{
		{ID: "q", Role: generate.User, Content: "w\u00fcrfel \U0001f3b2\n", CreatedAt: at},
		{
			ID: "a", ParentID: "q", Role: generate.Assistant, Content: "six", CreatedAt: at.Add(time.Hour), Model: "m",
			Sampling: &generate.Sampling{TopK: 5, Seed: &seed}, TokenIDs: []int32{1, 2}, Finish: generate.FinishStop,
		},
		{ID: "b", ParentID: "q", Role: generate.Assistant, Content: "fi", Partial: true, TokenIDs: []int32{3}},
	}, "a")
	wantNoError(t, err)
	return c
}

func TestEncodedConversationIsReadAsItWas(t *testing.T) {
	want := twoReplies(t)
	var b bytes.Buffer
	wantNoError(t, want.Encode(&b))
	got, err := Decode(&b)
	wantNoError(t, err)
	if d := cmp.Diff(want.Messages, got.Messages, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("messages: want -, got +\n%s", d)
	}
	if got.Header != want.Header || got.Leaf() != "a" || len(got.Warnings) > 0 {
		t.Errorf("got %+v, leaf %q, warnings %q; want %+v, leaf a", got.Header, got.Leaf(), got.Warnings, want.Header)
	}
}

func TestNewRefusesWhatIsNoTree(t *testing.T) {
	cases := map[string]struct {
		messages []Message
		leaf     string
	}{
		"no id":                 {messages: []Message{{}}},
		"two of an id":          {messages: []Message{{ID: "a"}, {ID: "a"}}},
		"child before parent":   {messages: []Message{{ID: "a", ParentID: "b"}, {ID: "b"}}},
		"its own parent":        {messages: []Message{{ID: "a", ParentID: "a"}}},
		"tip that is nowhere":   {messages: []Message{{ID: "a"}}, leaf: "b"},
		"more than can be read": {messages: make([]Message, maxMessages+1)},
	}
	for name, c := range cases {
		if _, err := New(Header{}, c.messages, c.leaf); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, want an error of one line", name, err)
		}
	}
}

func TestAddSavesAWholeConversationOnce(t *testing.T) {
	s, c := newStore(t), twoReplies(t)
	path, err := s.Add(c)
	wantNoError(t, err)
	f := open(t, path)
	if f.ReadOnly() != "" || texts(f.Conversation()) != texts(c) || f.Conversation().Header.ID != c.Header.ID {
		t.Errorf("got %q, read-only %q; want %q, to be continued", texts(f.Conversation()), f.ReadOnly(), texts(c))
	}
	info, err := os.Stat(path)
	wantNoError(t, err)
	if !info.ModTime().Equal(c.Messages[1].CreatedAt.Truncate(time.Microsecond)) && !info.ModTime().Equal(c.Messages[1].CreatedAt) {
		t.Errorf("time of the file: got %v, want that of the last message, %v", info.ModTime(), c.Messages[1].CreatedAt)
	}
	before := bytesOf(t, path)
	if _, err := s.Add(c); !errors.Is(err, os.ErrExist) {
		t.Errorf("again: got %v, want %v", err, os.ErrExist)
	}
	files, err := os.ReadDir(s.Dir())
	wantNoError(t, err)
	if len(files) != 1 || bytesOf(t, path) != before {
		t.Errorf("got %d files, want the one, unchanged", len(files))
	}
}

func TestAddRefusesAMessageThatNoLineHolds(t *testing.T) {
	s := newStore(t)
	c, err := New(Header{}, []Message{{ID: "a", Role: generate.User, Content: strings.Repeat("x", maxLine)}}, "a")
	wantNoError(t, err)
	if _, err := s.Add(c); err == nil || !strings.Contains(err.Error(), "cut the text") {
		t.Errorf("got %v, want what to do", err)
	}
	files, err := os.ReadDir(s.Dir())
	wantNoError(t, err)
	if len(files) != 0 {
		t.Errorf("left behind: %v", files)
	}
}
