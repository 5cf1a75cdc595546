package history

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"peregrine/model/generate"
)

// FuzzOpen opens any bytes: no panic, parents before children, what is there stays there, and what opens for writing can be
// written, copied and read again.
func FuzzOpen(f *testing.F) {
	f.Add([]byte(session + "\n" + userLine + "\n"))
	f.Add([]byte(session + "\n" + userLine + "\n" + `{"type":"message","id":"b","parent_id":"a","message":{"role":"assistant","content":[{"type":"text","text":"x"}]},"token_ids":[1]}` + "\n" +
		`{"type":"partial","id":"c","parent_id":"b","role":"assistant","at":0,"text":"ab","token_ids":[1,2]}` + "\n" +
		`{"type":"partial","id":"c","at":1,"text":"\u00e4","tokens_at":1,"token_ids":[3]}` + "\n" +
		`{"type":"leaf","id":"a"}` + "\n" + `{"type":"delete","id":"b"}` + "\n" + `{"type":"restore","id":"b"}` + "\n" +
		`{"type":"name","name":"n"}` + "\n" + `{"type":"header","context":5}` + "\n" + `{"type":"mess`))
	f.Add([]byte(`{"type":"session","harness":"llama.app"}` + "\n" + `{"type":"message","message":{"role":"user","content":"x"}}`))
	f.Add([]byte("\x00\xff\n\n{}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := load(bytes.NewReader(b))
		if err != nil {
			return
		}
		if l.torn >= 0 { // as Open repairs it
			b, l.size = b[:l.torn], l.torn
		}
		if l.open {
			b = append(bytes.Clone(b), '\n')
			l.size++
		}
		d := &memory{Buffer: *bytes.NewBuffer(bytes.Clone(b))}
		f := &File{tree: l.tree, readOnly: l.foreign, started: true, disk: writer{file: d, size: l.size}}
		c := f.Conversation()
		checkTree(t, c)
		var copied bytes.Buffer
		wantNoError(t, f.copyLines(&copied))
		checkSame(t, "copy", c, copied.Bytes())
		if f.ReadOnly() != "" {
			return
		}
		wantNoError(t, f.Partial(Message{ID: "partial reply", ParentID: c.Leaf(), Role: generate.Assistant, Content: "so far"}))
		m, err := f.Append(Message{ParentID: c.Leaf(), Role: generate.User, Content: "new"})
		wantNoError(t, err)
		wantNoError(t, f.Close())
		again := checkSame(t, "again", f.Conversation(), d.Bytes())
		if again.Leaf() != m.ID || !bytes.HasPrefix(d.Bytes(), b) {
			t.Fatalf("leaf: got %q, want the new message %q behind what was there", again.Leaf(), m.ID)
		}
	})
}

// memory is a disk without the disk.
type memory struct{ bytes.Buffer }

func (m *memory) ReadAt(b []byte, at int64) (int, error) {
	return bytes.NewReader(m.Bytes()).ReadAt(b, at)
}
func (m *memory) Truncate(size int64) error  { m.Buffer.Truncate(int(size)); return nil }
func (m *memory) Stat() (os.FileInfo, error) { return nil, os.ErrInvalid }
func (m *memory) Sync() error                { return nil }
func (m *memory) Close() error               { return nil }

// checkTree fails unless parents stand before their children and every message has one path.
func checkTree(t *testing.T, c *Conversation) {
	t.Helper()
	seen := map[string]bool{"": true}
	for _, m := range c.Messages {
		if !seen[m.ParentID] || m.ID == "" || seen[m.ID] {
			t.Fatalf("message %q below %q: twice, or before its parent", m.ID, m.ParentID)
		}
		seen[m.ID] = true
	}
	if !seen[c.Leaf()] {
		t.Fatalf("the leaf %q is no message", c.Leaf())
	}
	_, _, _ = c.Tip(""), c.Title(), c.Path(c.Leaf())
}

// checkSame fails unless the file holds the messages of want.
func checkSame(t *testing.T, what string, want *Conversation, file []byte) *Conversation {
	t.Helper()
	l, err := load(bytes.NewReader(file))
	wantNoError(t, err)
	got := l.tree.snapshot()
	checkTree(t, got)
	if len(got.Messages) != len(want.Messages) || got.Leaf() != want.Leaf() {
		t.Fatalf("%s: got %d messages and leaf %q, want %d and %q", what, len(got.Messages), got.Leaf(), len(want.Messages), want.Leaf())
	}
	for i, m := range want.Messages {
		g := got.Messages[i]
		// JSON holds text; what is no text was shown as such before.
		if g.ID != m.ID || g.ParentID != m.ParentID || g.Role != m.Role || g.Partial != m.Partial ||
			strings.ToValidUTF8(g.Content, "\ufffd") != strings.ToValidUTF8(m.Content, "\ufffd") {
			t.Fatalf("%s: message %d: got %+v, want %+v", what, i, g, m)
		}
	}
	return got
}
