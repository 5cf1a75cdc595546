package exchange

import (
	"encoding/json"
	"io"

	"peregrine/history"
	"peregrine/model/generate"
)

// chatMessage is a message of OpenAI's and of Ollama's APIs.
type chatMessage struct {
	Role      string          `json:"role"`
	Content   text            `json:"content"`
	Thinking  json.RawMessage `json:"thinking"`
	Reasoning json.RawMessage `json:"reasoning_content"`
	Images    json.RawMessage `json:"images"`
	ToolCalls json.RawMessage `json:"tool_calls"`
	Function  json.RawMessage `json:"function_call"`
}

// messages reads an object with a list of messages, of OpenAI's or Ollama's form.
func (r *reader) messages(fields map[string]json.RawMessage, source json.RawMessage) found {
	var turns []json.RawMessage
	loose(fields["messages"], &turns, &r.notes)
	var model, system string
	loose(orNull(fields["model"]), &model, &r.notes)
	format := OpenAI
	if isOllama(fields, turns) {
		format = Ollama
		loose(orNull(fields["system"]), &system, &r.notes)
		if has(fields["options"]) || has(fields["parameters"]) {
			r.notes.add("options of a request: left out, since settings belong to each reply here")
		}
	}
	if has(fields["tools"]) || has(fields["functions"]) {
		r.notes.add("definitions of tools: left out, since there are no tools here")
	}
	return r.openAITurns(turns, format, history.Header{System: system}, model, source)
}

// isOllama tells Ollama's requests from OpenAI's, which have the same messages.
func isOllama(fields map[string]json.RawMessage, turns []json.RawMessage) bool {
	for _, name := range []string{"options", "keep_alive", "think", "truncate", "shift", "parameters", "from", "format"} {
		if _, ok := fields[name]; ok {
			return true
		}
	}
	for _, raw := range turns {
		var m map[string]json.RawMessage
		if json.Unmarshal(raw, &m) == nil && (m["thinking"] != nil || m["images"] != nil || m["tool_name"] != nil) {
			return true
		}
	}
	return false
}

// openAITurns reads a list of messages; replies get the model's name.
func (r *reader) openAITurns(turns []json.RawMessage, format Format, h history.Header, model string, source []byte) found {
	var messages []history.Message
	for _, raw := range turns {
		if m, ok := r.openAITurn(raw); ok {
			if m.Role == generate.Assistant {
				m.Model = model
			}
			messages = append(messages, m)
		}
	}
	return found{format: format, source: source, header: h, nodes: chain(messages)}
}

// openAITurn reads one message. ok is false when there is nothing of it that could be kept.
func (r *reader) openAITurn(raw json.RawMessage) (m history.Message, ok bool) {
	var c chatMessage
	loose(raw, &c, &r.notes)
	role, ok := roleOf(c.Role)
	if !ok {
		r.notes.add("message of role %s: left out", quote(c.Role))
		return m, false
	}
	c.Content.note(&r.notes)
	if has(c.Thinking) || has(c.Reasoning) {
		r.notes.add("a reply's thoughts: left out")
	}
	if has(c.Images) {
		r.notes.add("images of a message: left out, since messages here are text")
	}
	if has(c.ToolCalls) || has(c.Function) {
		r.notes.add("call of a tool: left out, since there are no tools here")
		if c.Content.body == "" {
			return m, false
		}
	}
	return history.Message{Role: role, Content: c.Content.body}, true
}

// orNull returns raw, or null for a field that is missing.
func orNull(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 {
		return json.RawMessage("null")
	}
	return raw
}

// chatMessages is a conversation as OpenAI's and Ollama's APIs have it.
type chatMessages struct {
	Model    string             `json:"model,omitempty"`
	Messages []generate.Message `json:"messages"`
}

func (s *script) chatMessages(branch []history.Message) chatMessages {
	c := chatMessages{Messages: []generate.Message{}}
	for _, m := range s.withSystem(branch) {
		c.Messages = append(c.Messages, generate.Message{Role: m.Role, Content: m.Content})
	}
	return c
}

// writeOpenAI writes an object, or an array of them if all branches are asked for.
func writeOpenAI(w io.Writer, s *script) error {
	if !s.all {
		return writeJSON(w, s.chatMessages(s.branches[0]), "  ")
	}
	var list []chatMessages
	for _, branch := range s.branches {
		list = append(list, s.chatMessages(branch))
	}
	return writeJSON(w, list, "  ")
}

func writeOpenAILines(w io.Writer, s *script) error {
	for _, branch := range s.branches {
		if err := writeJSON(w, s.chatMessages(branch), ""); err != nil {
			return err
		}
	}
	return nil
}

// writeOllama names the model of the last reply; Ollama has one for all of them.
func writeOllama(w io.Writer, s *script) error {
	c := s.chatMessages(s.branches[0])
	for _, m := range s.branches[0] {
		if m.Model == "" {
			continue
		}
		if c.Model != "" && c.Model != m.Model {
			s.notes.add("models that differ from reply to reply: format %s has one, the last", Ollama)
		}
		c.Model = m.Model
	}
	if c.Model == "" {
		c.Model = s.header.Model
	}
	return writeJSON(w, struct {
		chatMessages
		Options struct{} `json:"options"` // tells the file from one of OpenAI's form
	}{chatMessages: c}, "  ")
}
