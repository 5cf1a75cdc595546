package history

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"peregrine/model/generate"
)

// branched makes  a ─ b ─ c
//
//	└ b2 ─ c2
func branched(t *testing.T) *File {
	t.Helper()
	f := create(t, newStore(t), Header{})
	for _, m := range []Message{
		{ID: "a", Role: generate.User, Content: "first\n\n  question"},
		{ID: "b", ParentID: "a", Role: generate.Assistant},
		{ID: "c", ParentID: "b", Role: generate.User},
		{ID: "b2", ParentID: "a", Role: generate.Assistant},
		{ID: "c2", ParentID: "b2", Role: generate.User},
	} {
		_, err := f.Append(m)
		wantNoError(t, err)
	}
	return f
}

func ids(path []Message) string {
	var all []string
	for _, m := range path {
		all = append(all, m.ID)
	}
	return strings.Join(all, " ")
}

func TestTreeOfVersions(t *testing.T) {
	c := reopen(t, branched(t)).Conversation()
	for _, x := range []struct{ name, got, want string }{
		{"current branch", ids(c.Path(c.Leaf())), "a b2 c2"},
		{"other branch", ids(c.Path("c")), "a b c"},
		{"before the first message", ids(c.Path("")), ""},
		{"unknown leaf", ids(c.Path("x")), ""},
		{"versions", strings.Join(c.Siblings("b"), " "), "b b2"},
		{"versions of a root", strings.Join(c.Siblings("a"), " "), "a"},
		{"versions of nothing", strings.Join(c.Siblings("x"), " "), ""},
		{"children", strings.Join(c.Children("b"), " "), "c"},
		{"roots", strings.Join(c.Children(""), " "), "a"},
		{"tip of a version", c.Tip("b"), "c"},
		{"tip of all", c.Tip(""), "c2"},
		{"title", c.Title(), "first question"},
	} {
		if x.got != x.want {
			t.Errorf("%s: got %q, want %q", x.name, x.got, x.want)
		}
	}
}

func TestLeafSurvivesReopening(t *testing.T) {
	f := branched(t)
	for _, id := range []string{"b", "", "c"} {
		wantNoError(t, f.SetLeaf(id))
		f = reopen(t, f)
		if got := f.Conversation().Leaf(); got != id {
			t.Errorf("got %q, want %q", got, id)
		}
	}
	if err := f.SetLeaf("x"); err == nil {
		t.Error("unknown message: got no error")
	}
}

func TestDeletedBranchIsGoneUntilUndone(t *testing.T) {
	for _, x := range []struct{ name, leaf, remove, wantLeaf, wantLeft string }{
		{"current version: the tip of the one before", "c2", "b2", "c", "a b c"},
		{"first version: the tip of the next", "c", "b", "c2", "a b2 c2"},
		{"another version: nothing moves", "c", "b2", "c", "a b c"},
		{"only version: its parent", "c", "c", "b", "a b b2 c2"},
		{"root: before the first message", "c", "a", "", ""},
	} {
		t.Run(x.name, func(t *testing.T) {
			f := branched(t)
			wantNoError(t, f.SetLeaf(x.leaf))
			undo, err := f.DeleteBranch(x.remove)
			wantNoError(t, err)
			c, err := Read(f.Path())
			wantNoError(t, err)
			for _, c := range []*Conversation{f.Conversation(), c} {
				if got := ids(c.Messages); got != x.wantLeft {
					t.Errorf("left: got %q, want %q", got, x.wantLeft)
				}
				if got := c.Leaf(); got != x.wantLeaf {
					t.Errorf("leaf: got %q, want %q", got, x.wantLeaf)
				}
			}
			wantNoError(t, undo())
			c = reopen(t, f).Conversation()
			if ids(c.Messages) != "a b c b2 c2" || c.Leaf() != x.leaf {
				t.Errorf("after undo: got %q at %q, want all at %q", ids(c.Messages), c.Leaf(), x.leaf)
			}
		})
	}
}

func TestReplyIntoADeletedBranchIsKept(t *testing.T) {
	f := branched(t)
	undo, err := f.DeleteBranch("b2")
	wantNoError(t, err)
	add(t, f, "c2", generate.Assistant, "late")
	if got := ids(f.Conversation().Messages); got != "a b c" {
		t.Errorf("got %q, want that it is deleted too", got)
	}
	wantNoError(t, undo())
	if got := len(f.Conversation().Messages); got != 6 {
		t.Errorf("after undo: got %d messages, want 6", got)
	}
}

func TestDamagedLinesAreReportedAndKept(t *testing.T) {
	msg := func(id, parent, role, text string) string {
		return fmt.Sprintf(`{"type":"message","id":%q,"parent_id":%s,"message":{"role":%q,"content":%q}}`, id, parent, role, text)
	}
	for _, x := range []struct {
		name     string
		lines    []string
		want     string // texts of the current branch
		warnings int
	}{
		{"garbage in the middle", []string{session, msg("a", "null", "user", "1"), "\x00\xffgarbage", msg("b", `"a"`, "assistant", "2")}, "user: 1\nassistant: 2", 1},
		{"a list instead of an object", []string{session, "[1]", msg("a", "null", "user", "1")}, "user: 1", 1},
		{"unknown type and field", []string{session, `{"type":"draft","text":"x"}`, `{"type":"message","id":"a","parent_id":null,"mood":"good","message":{"role":"user","content":"1","x":1}}`}, "user: 1", 0},
		{"missing parent", []string{session, msg("a", "null", "user", "1"), msg("b", `"gone"`, "assistant", "2")}, "assistant: 2", 1},
		{"circle", []string{session, msg("a", `"b"`, "user", "1"), msg("b", `"a"`, "assistant", "2"), msg("a", `"b"`, "user", "1")}, "user: 1\nassistant: 2\nuser: 1", 2},
		{"own parent", []string{session, msg("a", `"a"`, "user", "1")}, "user: 1", 1},
		{"one id, two roles", []string{session, msg("a", "null", "user", "1"), msg("a", "null", "assistant", "2")}, "assistant: 2", 1},
		{"one id, newer text", []string{session, msg("a", "null", "user", "1"), msg("a", "null", "user", "2")}, "user: 2", 0},
		{"no ids: a chain", []string{session, `{"type":"message","message":{"role":"user","content":"1"}}`, `{"type":"message","message":{"role":"assistant","content":"2"}}`}, "user: 1\nassistant: 2", 0},
		{"parts", []string{session, `{"type":"message","id":"a","message":{"role":"user","content":[{"type":"text","text":"x"},{"type":"image_url"},{"type":"text","text":"y"}]}}`}, "user: x\ny", 1},
		{"content of no kind", []string{session, `{"type":"message","id":"a","message":{"role":"user","content":7}}`}, "user: ", 1},
		{"no message in a message", []string{session, `{"type":"message","id":"a"}`, msg("b", "null", "user", "1")}, "user: 1", 1},
		{"sampling of the wrong type", []string{session, `{"type":"message","id":"a","parent_id":null,"sampling":{"top_k":"x"},"token_ids":[1],"message":{"role":"user","content":"1"}}`}, "user: 1", 1},
		{"token id beyond 32 bits", []string{session, `{"type":"message","id":"a","parent_id":null,"token_ids":[1,99999999999],"message":{"role":"user","content":"1"}}`}, "user: 1", 1},
		{"partial without a start", []string{session, msg("a", "null", "user", "1"), `{"type":"partial","id":"b","at":3,"text":"rest"}`}, "user: 1\nassistant: rest", 2},
		{"partial with a gap", []string{session, `{"type":"partial","id":"b","parent_id":null,"role":"assistant","at":0,"text":"ab","token_ids":[1]}`, `{"type":"partial","id":"b","at":9,"text":"cd","token_ids":[2]}`}, "assistant: abcd", 1},
		{"negative offset", []string{session, `{"type":"partial","id":"b","parent_id":null,"role":"assistant","at":-1,"text":"ab"}`}, "assistant: ab", 1},
		{"leaf and delete of nothing", []string{session, msg("a", "null", "user", "1"), `{"type":"leaf","id":"x"}`, `{"type":"delete","id":"x"}`}, "user: 1", 2},
		{"second session line", []string{session, session, msg("a", "null", "user", "1")}, "user: 1", 1},
		{"byte order mark and CRLF", []string{"\ufeff" + session + "\r", msg("a", "null", "user", "1") + "\r", "\r"}, "user: 1", 0},
	} {
		t.Run(x.name, func(t *testing.T) {
			path := write(t, x.lines...)
			before := bytesOf(t, path)
			f := open(t, path)
			c := f.Conversation()
			if got := texts(c); got != x.want {
				t.Errorf("got %q, want %q", got, x.want)
			}
			if len(c.Warnings) != x.warnings {
				t.Errorf("got warnings %q, want %d", c.Warnings, x.warnings)
			}
			if f.ReadOnly() != "" {
				t.Fatalf("read-only: %s", f.ReadOnly())
			}
			add(t, f, c.Leaf(), generate.User, "more")
			if got := bytesOf(t, path); !strings.HasPrefix(got, before) {
				t.Errorf("the file was changed before its end: got\n%s", got)
			}
			if got := texts(reopen(t, f).Conversation()); got != x.want+"\nuser: more" {
				t.Errorf("reopened: got %q", got)
			}
		})
	}
}

func TestDamageOfOptionalFieldsDropsThemTogether(t *testing.T) {
	c := open(t, write(t, session,
		`{"type":"message","id":"a","parent_id":null,"sampling":{"top_k":"x"},"token_ids":[1],"message":{"role":"user","content":"1"}}`)).Conversation()
	if m := c.Messages[0]; m.Sampling != nil || m.TokenIDs != nil {
		t.Errorf("got %+v, want no sampling and no token ids", m)
	}
}

func TestWarningsAreBounded(t *testing.T) {
	lines := []string{session}
	for range 3 * maxWarnings {
		lines = append(lines, "garbage")
	}
	c := open(t, write(t, lines...)).Conversation()
	if len(c.Warnings) != maxWarnings+1 || !strings.HasPrefix(c.Warnings[maxWarnings], "100 more") {
		t.Errorf("got %d warnings, the last %q", len(c.Warnings), c.Warnings[len(c.Warnings)-1])
	}
}

func TestManyMessagesOfOneIDAreAllKept(t *testing.T) {
	lines := []string{session}
	for i := range 2000 {
		lines = append(lines, fmt.Sprintf(`{"type":"message","id":"a","parent_id":null,"message":{"role":"%d","content":"x"}}`, i))
	}
	if got := len(open(t, write(t, lines...)).Conversation().Messages); got != 2000 {
		t.Errorf("got %d messages, want 2000", got)
	}
}

func TestLongRowOfPartialLinesIsLinear(t *testing.T) {
	lines := []string{session, `{"type":"partial","id":"b","parent_id":null,"role":"assistant","at":0,"text":""}`}
	var want strings.Builder
	for i := range 100_000 {
		lines = append(lines, fmt.Sprintf(`{"type":"partial","id":"b","at":%d,"text":"0123456789"}`, 10*i))
		want.WriteString("0123456789")
	}
	c := open(t, write(t, lines...)).Conversation()
	if d := cmp.Diff(want.String(), c.Messages[0].Content); d != "" || len(c.Warnings) > 0 {
		t.Errorf("got %d bytes, want %d; warnings %q", len(c.Messages[0].Content), want.Len(), c.Warnings)
	}
}
