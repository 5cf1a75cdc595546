package history

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peregrine/model/generate"
)

func seed(v uint64) *uint64 { return &v }

func TestEveryFieldSurvivesReopening(t *testing.T) {
	at := time.Date(2026, 11, 23, 22, 30, 0, 123456789, time.UTC)
	h := Header{
		Schema: Schema, ID: "00112233445566ff", Name: "Vögel", Created: at, Model: "falcon-7b", Quantization: "GPTQ 4 bit",
		Template: "falcon", System: "be brief\n", Context: 2048,
	}
	f := create(t, newStore(t), h)
	user := Message{ID: NewID(), Role: generate.User, Content: "a\x1b[31m\u2028 <&> \U0001f985\n\x00", CreatedAt: at, Raw: true}
	reply := Message{
		ID: NewID(), ParentID: user.ID, Role: generate.Assistant, Content: "b", CreatedAt: at.Add(time.Second), Model: "falcon-7b",
		Sampling: &generate.Sampling{Temperature: 0.8, TopK: 50, Seed: seed(math.MaxUint64)}, TokenIDs: []int32{1, 65023, 0},
		Earlier: []generate.Stretch{{Tokens: 2, Sampling: generate.Sampling{TopK: 3, Seed: seed(7)}}},
		Timings: &generate.Timings{PromptTokens: 7, Prefill: 12 * time.Millisecond, DecodePerSecond: 31.5},
		Finish:  generate.FinishLength,
	}
	for _, m := range []Message{user, reply} {
		if got, err := f.Append(m); err != nil || !cmp.Equal(got, m) {
			t.Fatalf("append: got %v, %v, want the message itself", got, err)
		}
	}
	before := f.Conversation()
	after := reopen(t, f).Conversation()
	if d := cmp.Diff(h, after.Header); d != "" {
		t.Errorf("header: want -, got +\n%s", d)
	}
	for _, c := range []*Conversation{before, after} {
		if d := cmp.Diff([]Message{user, reply}, c.Messages); d != "" {
			t.Errorf("messages: want -, got +\n%s", d)
		}
	}
	if after.Leaf() != reply.ID {
		t.Errorf("leaf: got %q, want %q", after.Leaf(), reply.ID)
	}
}

func TestFileIsASessionTrace(t *testing.T) {
	f := create(t, newStore(t), Header{ID: "0123456789abcdef", Created: time.Date(2026, 11, 23, 22, 30, 0, 0, time.UTC)})
	_, err := f.Append(Message{ID: "a", Role: generate.User, Content: "hé\x1b", CreatedAt: time.Unix(1, 5)})
	wantNoError(t, err)
	want := session + "\n" +
		`{"type":"message","id":"a","parent_id":null,"created_at":"1970-01-01T00:00:01.000000005Z","message":{"role":"user","content":"hé\u001b"}}` + "\n"
	if d := cmp.Diff(want, bytesOf(t, f.Path())); d != "" {
		t.Errorf("want -, got +\n%s", d)
	}
	if got, want := f.Path()[strings.LastIndex(f.Path(), "/")+1:], "20261123-223000-0123456789abcdef.jsonl"; got != want {
		t.Errorf("file name: got %q, want %q", got, want)
	}
}

func TestNothingIsOnDiskBeforeTheFirstAppend(t *testing.T) {
	s := newStore(t)
	f := create(t, s, Header{})
	wantNoError(t, f.SetName("early"))
	wantNoError(t, f.SetHeader(Header{Model: "m"}))
	wantNoError(t, f.SetLeaf(""))
	wantNoError(t, f.Sync())
	if _, err := os.Stat(f.Path()); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("stat: got %v, want that there is no file", err)
	}
	add(t, f, "", generate.User, "x")
	info, err := os.Stat(f.Path())
	wantNoError(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode: got %v, want 0600", info.Mode())
	}
	h := reopen(t, f).Conversation().Header
	if h.Name != "early" || h.Model != "m" {
		t.Errorf("header: got %+v, want the name and the model set before", h)
	}
}

func TestPartialIsOnDiskWithinASecond(t *testing.T) {
	f := create(t, newStore(t), Header{})
	user := add(t, f, "", generate.User, "hi")
	m := Message{ID: NewID(), ParentID: user.ID, Role: generate.Assistant, Model: "m", Sampling: &generate.Sampling{TopK: 3}}
	want := ""
	for _, piece := range []string{"Grü", "ße ", "世界"} {
		want += piece
		m.Content, m.TokenIDs = want, append(m.TokenIDs, int32(len(m.TokenIDs)))
		wantNoError(t, f.Partial(m))
		time.Sleep(partialEvery + 200*time.Millisecond)
		c, err := Read(f.Path())
		wantNoError(t, err)
		got, _ := c.Message(m.ID)
		if !got.Partial || got.Content != want || !cmp.Equal(got.TokenIDs, m.TokenIDs) || got.Finish != "" {
			t.Fatalf("got %+v, want the text %q as partial", got, want)
		}
		if c.Leaf() != m.ID || got.Model != "m" || got.Sampling.TopK != 3 || got.CreatedAt.IsZero() {
			t.Fatalf("got %+v and leaf %q, want the reply as it was begun", got, c.Leaf())
		}
	}
	if n := strings.Count(bytesOf(t, f.Path()), "ße"); n != 1 {
		t.Errorf("a piece is %d times in the file, want once: only what is new", n)
	}
}

func TestValuesThatChangeAreInThePartialLines(t *testing.T) {
	f := create(t, newStore(t), Header{})
	user := add(t, f, "", generate.User, "hi")
	first, second := generate.Sampling{TopK: 3, Seed: seed(7)}, generate.Sampling{TopK: 5, Seed: seed(7)}
	m := Message{ID: NewID(), ParentID: user.ID, Role: generate.Assistant, Content: "one"}
	wantNoError(t, f.Partial(m)) // the values are not known before the first token
	wantNoError(t, f.Sync())
	m.Content, m.Sampling = "one two", &first
	wantNoError(t, f.Partial(m))
	wantNoError(t, f.Sync())
	m.Content = "one two three"
	wantNoError(t, f.Partial(m))
	wantNoError(t, f.Sync())
	m.Sampling, m.Earlier = &second, []generate.Stretch{{Tokens: 2, Sampling: first}}
	wantNoError(t, f.Partial(m)) // nothing else is new
	wantNoError(t, f.Sync())
	c, err := Read(f.Path())
	wantNoError(t, err)
	got, _ := c.Message(m.ID)
	if !got.Partial || got.Content != m.Content || !cmp.Equal(got.Sampling, m.Sampling) || !cmp.Equal(got.Earlier, m.Earlier) {
		t.Errorf("got %+v, want %+v", got, m)
	}
	if n := strings.Count(bytesOf(t, f.Path()), `"sampling":{`); n != 3 { // the values twice, and the old ones in a stretch
		t.Errorf("values are %d times in the file, want only where they are new", n)
	}
}

func TestPartialDoesNotTouchTheDiskItself(t *testing.T) {
	f := create(t, newStore(t), Header{})
	user := add(t, f, "", generate.User, "hi")
	before := bytesOf(t, f.Path())
	for i := range 200 {
		wantNoError(t, f.Partial(Message{ID: "r", ParentID: user.ID, Role: generate.Assistant, Content: strings.Repeat("x", i)}))
	}
	if bytesOf(t, f.Path()) != before {
		t.Error("200 quick calls wrote already, want one line later")
	}
}

func TestFinishedReplySupersedesItsPartialLines(t *testing.T) {
	f := create(t, newStore(t), Header{})
	user := add(t, f, "", generate.User, "hi")
	m := Message{ID: NewID(), ParentID: user.ID, Role: generate.Assistant, Content: "abc"}
	wantNoError(t, f.Partial(m))
	wantNoError(t, f.Sync())
	m.Content, m.Finish = "abcd", generate.FinishStop
	m, err := f.Append(m)
	wantNoError(t, err)
	f = reopen(t, f)
	got, _ := f.Conversation().Message(m.ID)
	if !cmp.Equal(got, m) || len(f.Conversation().Messages) != 2 {
		t.Errorf("got %+v, want %+v once", got, m)
	}
}

func TestLatePartialDoesNotUndoAFinishedReply(t *testing.T) {
	f := create(t, newStore(t), Header{})
	m := Message{ID: "r", Role: generate.Assistant, Content: "abc", Finish: generate.FinishStop}
	_, err := f.Append(m)
	wantNoError(t, err)
	m.Content = "ab"
	wantNoError(t, f.Partial(m))
	if got, _ := f.Conversation().Message("r"); got.Partial || got.Content != "abc" {
		t.Errorf("got %+v, want the finished reply", got)
	}
}

func TestReplyContinuedAfterItsEnd(t *testing.T) {
	f := create(t, newStore(t), Header{})
	m := Message{ID: "r", Role: generate.Assistant, Content: "ab c", TokenIDs: []int32{1, 2}, Finish: generate.FinishLength}
	_, err := f.Append(m)
	wantNoError(t, err)
	m.Content, m.TokenIDs = "ab cdef", []int32{1, 2, 3}
	wantNoError(t, f.Partial(m))
	f = reopen(t, f)
	got, _ := f.Conversation().Message("r")
	if !got.Partial || got.Content != "ab cdef" || !cmp.Equal(got.TokenIDs, m.TokenIDs) || got.Finish != "" {
		t.Fatalf("after a crash: got %+v, want both parts as partial", got)
	}
	// With a space: an id may hold any hexadecimal digits.
	if n := strings.Count(bytesOf(t, f.Path()), "ab c"); n != 1 {
		t.Errorf("the first part is %d times in the file, want once", n)
	}
	m.Finish = generate.FinishStop
	_, err = f.Append(m)
	wantNoError(t, err)
	if got, _ := reopen(t, f).Conversation().Message("r"); got.Partial || got.Content != "ab cdef" || got.Finish != generate.FinishStop {
		t.Errorf("got %+v, want the whole reply", got)
	}
}

func TestPartialTextMayChangeBackwards(t *testing.T) {
	f := create(t, newStore(t), Header{})
	for _, text := range []string{"hellö", "hellä you", "he", "hey"} {
		wantNoError(t, f.Partial(Message{ID: "r", Role: generate.Assistant, Content: text}))
		wantNoError(t, f.Sync())
		c, err := Read(f.Path())
		wantNoError(t, err)
		if got, _ := c.Message("r"); got.Content != text {
			t.Fatalf("got %q, want %q", got.Content, text)
		}
	}
}

func TestSnapshotDoesNotChange(t *testing.T) {
	f := create(t, newStore(t), Header{})
	add(t, f, "", generate.User, "a")
	before := f.Conversation()
	if f.Conversation() != before {
		t.Error("without a change: got another snapshot")
	}
	add(t, f, before.Leaf(), generate.Assistant, "b")
	wantNoError(t, f.SetName("n"))
	if got := texts(before); got != "user: a" || before.Header.Name != "" || len(before.Children(before.Leaf())) != 0 {
		t.Errorf("got %q, want the state of then", got)
	}
	if got := texts(f.Conversation()); got != "user: a\nassistant: b" {
		t.Errorf("got %q, want both messages", got)
	}
}

func TestNumbersThatJSONCannotHoldDoNotLoseTheReply(t *testing.T) {
	f := create(t, newStore(t), Header{})
	_, err := f.Append(Message{
		ID: "r", Role: generate.Assistant, Content: "kept", Timings: &generate.Timings{DecodePerSecond: math.Inf(1)},
		Sampling: &generate.Sampling{Temperature: math.NaN()},
		Earlier:  []generate.Stretch{{Tokens: 1, Sampling: generate.Sampling{TopP: math.NaN()}}},
	})
	wantNoError(t, err)
	if got, _ := reopen(t, f).Conversation().Message("r"); got.Content != "kept" || got.Timings != nil {
		t.Errorf("got %+v, want the text without timings", got)
	}
}

func TestAppendRefusesWhatWouldBreakTheTree(t *testing.T) {
	f := create(t, newStore(t), Header{})
	a := add(t, f, "", generate.User, "a")
	for name, m := range map[string]Message{
		"unknown parent":       {ParentID: "nobody", Role: generate.User},
		"own parent":           {ID: "x", ParentID: "x", Role: generate.User},
		"id of another's role": {ID: a.ID, Role: generate.Assistant},
	} {
		if _, err := f.Append(m); err == nil {
			t.Errorf("%s: got no error", name)
		}
		if err := f.Partial(m); err == nil {
			t.Errorf("%s: partial: got no error", name)
		}
	}
	if n := len(f.Conversation().Messages); n != 1 {
		t.Errorf("got %d messages, want 1", n)
	}
}

func TestClosedFileRefuses(t *testing.T) {
	f := create(t, newStore(t), Header{})
	add(t, f, "", generate.User, "a")
	wantNoError(t, f.Close())
	if err := f.Close(); err != nil {
		t.Errorf("second close: got %v, want nil", err)
	}
	if _, err := f.Append(Message{Role: generate.User}); err == nil {
		t.Error("append: got no error")
	}
}

func TestNameIsOneHarmlessLine(t *testing.T) {
	for in, want := range map[string]string{
		"  plain  name ":         "plain name",
		"a\nb\tc\x1b[31m\x00":    "a b c [31m",
		"../../etc/passwd":       "../../etc/passwd",
		"bad \xff byte":          "bad \ufffd byte",
		strings.Repeat("ü", 500): strings.Repeat("ü", 199) + "…",
		"\u009b7m":               "7m",
		"":                       "",
	} {
		if got := CleanName(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestInvalidBytesBecomeReplacementCharacters(t *testing.T) {
	f := create(t, newStore(t), Header{})
	for _, x := range []struct{ in, want string }{{"a", "a"}, {"a\xffb", "a\ufffdb"}, {"a\ufffdbc\xe4", "a\ufffdbc\ufffd"}, {"\xff", "\ufffd"}} {
		wantNoError(t, f.Partial(Message{ID: "r", Role: generate.Assistant, Content: x.in}))
		wantNoError(t, f.Sync())
		c, err := Read(f.Path())
		wantNoError(t, err)
		if got, _ := c.Message("r"); got.Content != x.want {
			t.Errorf("%q: got %q, want %q", x.in, got.Content, x.want)
		}
	}
}
