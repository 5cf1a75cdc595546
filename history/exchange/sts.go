package exchange

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"peregrine/history"
)

// ownHarness names this program in the first line of its files.
const ownHarness = "peregrine"

// traceLine is a line of a session trace. What the format fixes is type and message; llama.cpp's screen keeps its tree inside
// the message, this program beside it.
type traceLine struct {
	Type     string          `json:"type"`
	Harness  string          `json:"harness"`
	ID       string          `json:"id"`
	ParentID json.RawMessage `json:"parent_id"`
	Created  json.RawMessage `json:"created_at"`
	Model    json.RawMessage `json:"model"`
	Message  json.RawMessage `json:"message"`
}

// traceHeader holds the fields of a session line that mean something here.
type traceHeader struct {
	Name    string          `json:"name"`
	Created json.RawMessage `json:"created_at"`
	System  string          `json:"system"`
	Current string          `json:"currNode"`
}

// traceMessage is what llama.cpp's screen has beside a message of OpenAI's form.
type traceMessage struct {
	ID        string          `json:"id"`
	Type      string          `json:"type"`
	Parent    json.RawMessage `json:"parent"`
	Children  []string        `json:"children"`
	Timestamp json.RawMessage `json:"timestamp"`
	Model     json.RawMessage `json:"model"`
	Reasoning json.RawMessage `json:"reasoningContent"`
	ToolCalls json.RawMessage `json:"toolCalls"`
	Extra     json.RawMessage `json:"extra"`
}

// isTrace reports whether the first line is one of a session trace.
func isTrace(data []byte) bool {
	line, _, _ := bytes.Cut(bytes.TrimSpace(data), []byte("\n"))
	var t traceLine
	_ = json.Unmarshal(line, &t) // a field of another type, or a line of another format, stays empty
	return t.Type == "session" || t.Type == "message" && first(t.Message) == '{'
}

// trace is one session of a file.
type trace struct {
	start int // of its bytes in the file
	own   bool
	found
	last string // id of the last message
}

// traces reads a file of session traces, one or several.
func (r *reader) traces() error {
	var t *trace
	number := 0
	for at := 0; at < len(r.data); {
		line, _, _ := bytes.Cut(r.data[at:], []byte("\n"))
		start := at
		at += len(line) + 1
		number++
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if first(line) != '{' || !json.Valid(line) {
			if t == nil || !t.own { // the reader of our own files says it itself
				r.notes.add("line %d is no JSON object: left out", number)
			}
			continue
		}
		var l traceLine
		_ = json.Unmarshal(line, &l) // a field of another type stays empty
		if t == nil || l.Type == "session" {
			if err := r.endTrace(t, start); err != nil {
				return err
			}
			t = r.startTrace(l, line, start)
		}
		if l.Type == "message" && !t.own {
			t.add(r.traceNode(l, number), l)
		}
	}
	return r.endTrace(t, len(r.data))
}

func (r *reader) startTrace(l traceLine, line []byte, start int) *trace {
	t := &trace{start: start, own: l.Type == "session" && l.Harness == ownHarness, found: found{format: STS}}
	if l.Type == "session" && !t.own {
		t.header, t.current = r.traceHeader(line)
	}
	return t
}

func (r *reader) traceHeader(raw []byte) (h history.Header, current string) {
	var head traceHeader
	loose(raw, &head, &r.notes)
	return history.Header{Name: head.Name, Created: when(head.Created), System: head.System}, head.Current
}

// add puts a message below the one that it names, or else below the one before it.
func (t *trace) add(n node, l traceLine) {
	var m traceMessage
	_ = json.Unmarshal(l.Message, &m) // traceNode noted what is wrong with it
	for _, parent := range []json.RawMessage{m.Parent, l.ParentID} {
		if len(parent) > 0 {
			_ = json.Unmarshal(parent, &n.parent) // null: a root
			t.nodes, t.last = append(t.nodes, n), n.id
			return
		}
	}
	n.parent = t.last
	t.nodes, t.last = append(t.nodes, n), n.id
}

// traceNode reads the message of a line; number makes an id where there is none.
func (r *reader) traceNode(l traceLine, number int) node {
	var t traceMessage
	loose(orNull(l.Message), &t, &r.notes)
	n := node{id: l.ID, children: t.Children, skip: true}
	if t.ID != "" {
		n.id = t.ID
	}
	if n.id == "" {
		n.id = fmt.Sprintf("\x00%d", number)
	}
	if t.Type == "root" { // the empty beginning of every tree
		return n
	}
	if first(l.Message) != '{' {
		r.notes.add("message line without a message: left out")
		return n
	}
	m, ok := r.openAITurn(l.Message)
	if has(t.Reasoning) {
		r.notes.add("a reply's thoughts: left out")
	}
	if has(t.ToolCalls) {
		r.notes.add("call of a tool: left out, since there are no tools here")
		ok = ok && m.Content != ""
	}
	if has(t.Extra) {
		r.notes.add("attachments of a message: left out, since messages here are text")
	}
	if !ok {
		return n
	}
	for _, raw := range []json.RawMessage{l.Created, t.Timestamp} {
		if at := when(raw); !at.IsZero() {
			m.CreatedAt = at
		}
	}
	for _, raw := range []json.RawMessage{l.Model, t.Model} {
		loose(orNull(raw), &m.Model, &r.notes)
	}
	n.skip, n.Message = false, m
	return n
}

// endTrace hands a session out; end is where its bytes end.
func (r *reader) endTrace(t *trace, end int) error {
	if t == nil {
		return nil
	}
	t.source = bytes.TrimSpace(r.data[t.start:end])
	if !t.own {
		return r.found(t.found)
	}
	c, err := history.Decode(bytes.NewReader(t.source))
	if err != nil {
		return fmt.Errorf("exchange: %s: %w", r.name, err)
	}
	for _, warning := range c.Warnings {
		r.notes.add("%s", warning)
	}
	if len(c.Messages) == 0 {
		r.notes.add("a conversation without messages: left out")
		return nil
	}
	h := c.Header
	h.ID = idOf(t.source)
	if c, err = history.New(h, c.Messages, c.Leaf()); err != nil {
		return fmt.Errorf("exchange: %s: %w", r.name, err)
	}
	return r.give(c, STS)
}

// traceObject reads a session in one object, as llama.cpp's screen once exported it.
func (r *reader) traceObject(fields map[string]json.RawMessage, source json.RawMessage) found {
	t := trace{found: found{format: STS, source: source}}
	t.header, t.current = r.traceHeader(fields["conv"])
	var messages []json.RawMessage
	loose(fields["messages"], &messages, &r.notes)
	for i, raw := range messages {
		l := traceLine{Message: raw}
		t.add(r.traceNode(l, i), l)
	}
	return t.found
}

// writeSTS writes a file of our own, which is a trace.
func writeSTS(w io.Writer, s *script) error {
	c, err := history.New(s.header, s.messages, s.leaf)
	if err != nil {
		return err
	}
	return c.Encode(w)
}
