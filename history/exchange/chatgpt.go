package exchange

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"time"

	"peregrine/history"
)

// exported is a conversation of a ChatGPT data export, without its mapping.
type exported struct {
	Title   string          `json:"title"`
	Create  json.RawMessage `json:"create_time"`
	Current string          `json:"current_node"`
}

// exportedNode is one entry of the mapping.
type exportedNode struct {
	Message  *exportedMessage `json:"message"`
	Parent   string           `json:"parent"`
	Children []string         `json:"children"`
}

type exportedMessage struct {
	Author struct {
		Role string `json:"role"`
	} `json:"author"`
	Create  json.RawMessage `json:"create_time"`
	Content struct {
		Type  string `json:"content_type"`
		Parts text   `json:"parts"`
		Text  text   `json:"text"` // of content types "code" and "execution_output"
	} `json:"content"`
	Recipient string `json:"recipient"`
	Metadata  struct {
		Model  string `json:"model_slug"`
		Hidden bool   `json:"is_visually_hidden_from_conversation"`
	} `json:"metadata"`
}

// chatGPT reads one conversation of a ChatGPT data export.
func (r *reader) chatGPT(fields map[string]json.RawMessage, source json.RawMessage) found {
	var e exported
	loose(source, &e, &r.notes)
	f := found{
		format: ChatGPT, source: source, current: e.Current,
		header: history.Header{Name: e.Title, Created: when(e.Create)},
	}
	d := json.NewDecoder(bytes.NewReader(fields["mapping"])) // a map would lose the order of the nodes
	_, _ = d.Token()
	for d.More() {
		key, err := d.Token()
		id, ok := key.(string)
		var raw json.RawMessage
		if err != nil || !ok || d.Decode(&raw) != nil {
			break
		}
		f.nodes = append(f.nodes, r.chatGPTNode(id, raw))
	}
	return f
}

func (r *reader) chatGPTNode(id string, raw json.RawMessage) node {
	var e exportedNode
	loose(raw, &e, &r.notes)
	n := node{id: id, parent: e.Parent, children: e.Children, skip: true}
	m := e.Message
	if m == nil {
		return n
	}
	content := m.Content.Parts
	if m.Content.Text.body != "" {
		content = m.Content.Text
	}
	role, ok := roleOf(m.Author.Role)
	switch {
	case m.Content.Type == "user_editable_context":
		r.notes.add("custom instructions of a ChatGPT account: left out; --system gives a conversation its own")
	case m.Content.Type == "thoughts", m.Content.Type == "reasoning_recap":
		r.notes.add("a reply's thoughts: left out")
	case !ok:
		r.notes.add("message of role %s: left out", quote(m.Author.Role))
	case m.Recipient != "" && m.Recipient != "all":
		r.notes.add("call of a tool: left out, since there are no tools here")
	default:
		content.note(&r.notes)
		if strings.TrimSpace(content.body) == "" { // the empty messages with which every conversation begins
			return n
		}
		if m.Metadata.Hidden {
			r.notes.add("message that ChatGPT hides: kept")
		}
		n.skip = false
		n.Message = history.Message{
			Role: role, Content: content.body, CreatedAt: when(m.Create), Model: m.Metadata.Model,
		}
	}
	return n
}

// The parts of conversations.json, as ChatGPT's own export has them.
type (
	chatGPTConversation struct {
		Title          string                 `json:"title"`
		CreateTime     *float64               `json:"create_time"`
		UpdateTime     *float64               `json:"update_time"`
		Mapping        map[string]chatGPTNode `json:"mapping"`
		CurrentNode    string                 `json:"current_node"`
		ConversationID string                 `json:"conversation_id"`
	}
	chatGPTNode struct {
		ID       string          `json:"id"`
		Message  *chatGPTMessage `json:"message"`
		Parent   *string         `json:"parent"`
		Children []string        `json:"children"`
	}
	chatGPTMessage struct {
		ID         string            `json:"id"`
		Author     chatGPTAuthor     `json:"author"`
		CreateTime *float64          `json:"create_time"`
		UpdateTime *float64          `json:"update_time"`
		Content    chatGPTContent    `json:"content"`
		Status     string            `json:"status"`
		EndTurn    bool              `json:"end_turn"`
		Weight     float64           `json:"weight"`
		Metadata   map[string]string `json:"metadata"`
		Recipient  string            `json:"recipient"`
	}
	chatGPTAuthor struct {
		Role     string            `json:"role"`
		Name     *string           `json:"name"`
		Metadata map[string]string `json:"metadata"`
	}
	chatGPTContent struct {
		ContentType string   `json:"content_type"`
		Parts       []string `json:"parts"`
	}
)

// chatGPTRoot is the node without a message that every tree of ChatGPT's begins with.
const chatGPTRoot = "client-created-root"

func writeChatGPT(w io.Writer, s *script) error {
	nodes := map[string]chatGPTNode{chatGPTRoot: {ID: chatGPTRoot, Children: []string{}}}
	top, current := chatGPTRoot, s.leaf
	add := func(parent, id string, m history.Message) {
		above := nodes[parent]
		above.Children = append(above.Children, id)
		nodes[parent] = above
		metadata := map[string]string{}
		if m.Model != "" {
			metadata["model_slug"] = m.Model
		}
		nodes[id] = chatGPTNode{ID: id, Parent: &parent, Children: []string{}, Message: &chatGPTMessage{
			ID: id, Author: chatGPTAuthor{Role: string(m.Role), Metadata: map[string]string{}}, CreateTime: seconds(m.CreatedAt),
			Content: chatGPTContent{ContentType: "text", Parts: []string{m.Content}},
			Status:  "finished_successfully", EndTurn: true, Weight: 1, Metadata: metadata, Recipient: "all",
		}}
	}
	if system, ok := s.system(); ok {
		const id = "system-prompt"
		add(top, id, system)
		top = id
	}
	for _, m := range s.messages {
		parent := m.ParentID
		if parent == "" {
			parent = top
		}
		add(parent, m.ID, m)
	}
	if current == "" {
		current = top
	}
	return writeJSON(w, []chatGPTConversation{{
		Title: s.header.Name, CreateTime: seconds(s.header.Created), UpdateTime: seconds(s.updated()),
		Mapping: nodes, CurrentNode: current, ConversationID: s.header.ID,
	}}, "  ")
}

// seconds returns a time as seconds since 1970, nil for an unknown one.
func seconds(t time.Time) *float64 {
	if t.IsZero() {
		return nil
	}
	v := float64(t.UnixMicro()) / 1e6
	return &v
}
