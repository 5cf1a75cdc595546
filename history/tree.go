package history

import (
	"fmt"
	"slices"

	"peregrine/model/generate"
)

// tree is a conversation that grows: what the lines of a file, one after another, amount to. A parent must stand before its
// children, so that no line can close a circle.
type tree struct {
	header  Header
	harness string // "" until a session line was read
	nodes   []node
	index   map[string]int  // id → place in nodes
	deleted map[string]bool // by a delete line: each hides all below it
	leaf    string

	warnings   []string
	unsaid     int            // warnings beyond maxWarnings
	copies     map[string]int // ids that stand for several messages: how many
	irregular  bool           // some messages go by an id that is not in their line
	messages   int            // message lines without an id get one from their number
	unfinished bool           // the limits ended the reading

	shown *Conversation // the last snapshot; nil when something has changed
	maps  bool          // the maps of the last snapshot still hold
	last  *Conversation // the last snapshot, for its maps
}

// node is a message. While it is partial its text grows in buf: a row of small additions must not cost a copy each.
type node struct {
	Message
	buf []byte
}

func newTree() *tree {
	return &tree{index: map[string]int{}, deleted: map[string]bool{}, copies: map[string]int{}}
}

// warn notes what of the file could not be used.
func (t *tree) warn(format string, args ...any) {
	if len(t.warnings) == maxWarnings {
		t.unsaid++
		return
	}
	t.warnings = append(t.warnings, fmt.Sprintf(format, args...))
}

// changed drops the snapshot; structure says that messages came, went or moved.
func (t *tree) changed(structure bool) {
	t.shown = nil
	if structure {
		t.maps = false
	}
}

// apply takes the line with number n (from 1) into account.
func (t *tree) apply(r record, n int) {
	switch r.Type {
	case typeSession:
		t.applySession(r, n)
	case typeMessage:
		t.applyMessage(r, n)
	case typePartial:
		t.applyPartial(r, n)
	case typeName:
		t.header.Name = r.Name
	case typeHeader:
		t.applyHeader(r)
	case typeLeaf:
		if _, ok := t.index[r.id()]; !ok && r.id() != "" {
			t.warn("line %d: the tip %q is not in the file", n, r.id())
			return
		}
		t.leaf = r.id()
	case typeDelete, typeRestore:
		if _, ok := t.index[r.id()]; !ok {
			t.warn("line %d: %s: message %q is not in the file", n, r.Type, r.id())
			return
		}
		t.setDeleted(r.id(), r.Type == typeDelete)
	}
	t.changed(true)
}

func (r record) id() string {
	if r.ID == nil {
		return ""
	}
	return *r.ID
}

func (t *tree) applySession(r record, n int) {
	if t.harness != "" {
		t.warn("line %d: another session line; only the first counts", n)
		return
	}
	t.harness = r.Harness
	if t.harness == "" {
		t.harness = "unknown"
	}
	t.header = Header{Schema: r.Schema, ID: r.id(), Name: r.Name, Created: parseTime(r.CreatedAt)}
	t.applyHeader(r)
}

// applyHeader sets the fields that the line has.
func (t *tree) applyHeader(r record) {
	h := &t.header
	for _, f := range []struct{ to, from *string }{
		{&h.Model, r.Model},
		{&h.Quantization, r.Quantization},
		{&h.Template, r.Template},
		{&h.System, r.System},
	} {
		if f.from != nil {
			*f.to = *f.from
		}
	}
	if r.Context != nil {
		h.Context = *r.Context
	}
}

func (t *tree) applyMessage(r record, n int) {
	t.messages++
	if r.Message == nil {
		t.warn("line %d: a message line without a message", n)
		return
	}
	if r.Message.Content.other {
		t.warn("line %d: parts of the message are no text and are not shown", n)
	}
	m := t.fill(r, n)
	m.Role, m.Content = r.Message.Role, r.Message.Content.text
	m.Timings, m.Finish, m.TokenIDs = r.Timings, r.Finish, r.TokenIDs
	if m.ID == "" {
		t.irregular = true
		m.ID = fmt.Sprintf("m%d", t.messages)
	}
	if !t.replaceable(m) {
		t.warn("line %d: message id %q stands for two messages", n, m.ID)
		m.ID = t.freeID(m.ID)
	}
	t.put(m)
}

// replaceable reports whether m is new or a newer state of the message with its id. A reply whose first part was lost may
// get its place in the tree only now, if that is behind its parent.
func (t *tree) replaceable(m Message) bool {
	i, ok := t.index[m.ID]
	if !ok {
		return true
	}
	old := t.nodes[i]
	if old.Partial && old.Role == m.Role {
		return m.ParentID == "" || t.index[m.ParentID] < i
	}
	return old.Role == m.Role && old.ParentID == m.ParentID
}

// freeID returns an id for one more message that goes by id.
func (t *tree) freeID(id string) string {
	t.irregular = true
	for {
		t.copies[id]++
		free := fmt.Sprintf("%s~%d", id, t.copies[id]+1)
		if _, taken := t.index[free]; !taken {
			return free
		}
	}
}

// fill returns what message and partial lines have in common.
func (t *tree) fill(r record, n int) Message {
	m := Message{ID: r.id(), CreatedAt: parseTime(r.CreatedAt), Sampling: r.Sampling, Earlier: r.Earlier, Raw: r.Raw}
	if r.Model != nil {
		m.Model = *r.Model
	}
	m.ParentID = t.parentOf(r, n)
	return m
}

// parentOf returns the parent that a line names. Without the field the message follows the one before it, as in files of
// other programs.
func (t *tree) parentOf(r record, n int) string {
	if len(r.ParentID) == 0 {
		if len(t.nodes) == 0 {
			return ""
		}
		if i, ok := t.index[r.id()]; ok {
			return t.nodes[i].ParentID
		}
		return t.nodes[len(t.nodes)-1].ID
	}
	id := textOf(r.ParentID)
	if id == "" {
		return ""
	}
	if _, ok := t.index[id]; !ok || id == r.id() {
		t.warn("line %d: message %q: its parent %q does not stand before it; it starts a branch of its own", n, r.id(), id)
		return ""
	}
	return id
}

func (t *tree) applyPartial(r record, n int) {
	id := r.id()
	if id == "" {
		t.warn("line %d: a part of a reply without an id", n)
		return
	}
	i, ok := t.index[id]
	if !ok {
		m := t.fill(r, n)
		m.Role = r.Role
		if m.Role == "" {
			t.warn("line %d: the start of reply %q is missing", n, id)
			m.Role = generate.Assistant
		}
		t.put(m)
		i = t.index[id]
	}
	p := &t.nodes[i]
	if !p.Partial {
		p.Partial, p.buf = true, []byte(p.Content)
		p.Finish, p.Timings = "", nil
	}
	if r.Sampling != nil {
		p.Sampling, p.Earlier = r.Sampling, r.Earlier
	}
	if r.At < 0 || r.At > len(p.buf) || r.TokensAt < 0 || r.TokensAt > len(p.TokenIDs) {
		t.warn("line %d: reply %q: a part before this one is missing", n, id)
		p.TokenIDs = nil // with a gap they are worth nothing
		p.buf = append(p.buf, r.Text...)
		return
	}
	p.buf = append(p.buf[:r.At], r.Text...)
	p.TokenIDs = append(p.TokenIDs[:r.TokensAt], r.TokenIDs...)
}

// put adds a message and makes it the leaf, or replaces the one with its id. Its parent must be in the tree.
func (t *tree) put(m Message) {
	if i, ok := t.index[m.ID]; ok {
		if m.CreatedAt.IsZero() {
			m.CreatedAt = t.nodes[i].CreatedAt
		}
		moved := t.nodes[i].ParentID != m.ParentID
		t.nodes[i] = node{Message: m}
		t.changed(moved)
		return
	}
	t.index[m.ID] = len(t.nodes)
	t.nodes = append(t.nodes, node{Message: m})
	t.leaf = m.ID
	t.changed(true)
}

// get returns a message with its text.
func (t *tree) get(id string) (Message, bool) {
	i, ok := t.index[id]
	if !ok {
		return Message{}, false
	}
	m := t.nodes[i].Message
	if t.nodes[i].buf != nil {
		m.Content = string(t.nodes[i].buf)
	}
	return m, true
}

func (t *tree) setDeleted(id string, deleted bool) {
	if deleted {
		t.deleted[id] = true
	} else {
		delete(t.deleted, id)
	}
	t.changed(true)
}

// hidden returns the messages that are deleted, by themselves or with one above them.
func (t *tree) hidden() map[string]bool {
	hidden := map[string]bool{}
	if len(t.deleted) == 0 {
		return hidden
	}
	for _, n := range t.nodes {
		if t.deleted[n.ID] || hidden[n.ParentID] {
			hidden[n.ID] = true
		}
	}
	return hidden
}

// snapshot returns the conversation as it is now.
func (t *tree) snapshot() *Conversation {
	if t.shown != nil {
		return t.shown
	}
	hidden := t.hidden()
	leaf := t.leaf
	for hidden[leaf] {
		leaf = t.nodes[t.index[leaf]].ParentID
	}
	messages := make([]Message, 0, len(t.nodes))
	for i := range t.nodes {
		n := &t.nodes[i]
		if hidden[n.ID] {
			continue
		}
		m := n.Message
		if n.buf != nil {
			m.Content = string(n.buf)
		}
		m.TokenIDs = slices.Clip(m.TokenIDs) // a longer reply must not write into the snapshot
		messages = append(messages, m)
	}
	if t.maps && t.last != nil {
		c := *t.last
		c.Header, c.Messages, c.leaf = t.header, messages, leaf
		t.shown = &c
	} else {
		warnings := slices.Clone(t.warnings)
		if t.unsaid > 0 {
			warnings = append(warnings, fmt.Sprintf("%d more of this kind", t.unsaid))
		}
		t.shown = newConversation(t.header, messages, leaf, warnings)
	}
	t.last, t.maps = t.shown, true
	return t.shown
}
