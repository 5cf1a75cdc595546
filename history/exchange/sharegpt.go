package exchange

import (
	"encoding/json"
	"io"

	"peregrine/history"
	"peregrine/model/generate"
)

// shareTurn is one message of ShareGPT's form.
type shareTurn struct {
	From  string `json:"from"`
	Value text   `json:"value"`
}

// shareGPT reads one conversation of a ShareGPT set. Some sets keep the system prompt beside the turns.
func (r *reader) shareGPT(fields map[string]json.RawMessage, source json.RawMessage) found {
	var turns []json.RawMessage
	loose(fields["conversations"], &turns, &r.notes)
	var h history.Header
	loose(orNull(fields["system"]), &h.System, &r.notes)
	loose(orNull(fields["title"]), &h.Name, &r.notes)
	if has(fields["tools"]) {
		r.notes.add("definitions of tools: left out, since there are no tools here")
	}
	return r.shareGPTTurns(turns, h, source)
}

func (r *reader) shareGPTTurns(turns []json.RawMessage, h history.Header, source []byte) found {
	var messages []history.Message
	for _, raw := range turns {
		var t shareTurn
		loose(raw, &t, &r.notes)
		role, ok := roleOf(t.From)
		if !ok {
			r.notes.add("message of role %s: left out", quote(t.From))
			continue
		}
		t.Value.note(&r.notes)
		messages = append(messages, history.Message{Role: role, Content: t.Value.body})
	}
	return found{format: ShareGPT, source: source, header: h, nodes: chain(messages)}
}

func writeShareGPT(w io.Writer, s *script) error {
	type turn struct {
		From  string `json:"from"`
		Value string `json:"value"`
	}
	type item struct {
		Conversations []turn `json:"conversations"`
	}
	set := make([]item, 0, len(s.branches))
	for _, branch := range s.branches {
		turns := []turn{}
		for _, m := range s.withSystem(branch) {
			from := string(m.Role)
			switch m.Role {
			case generate.User:
				from = "human"
			case generate.Assistant:
				from = "gpt"
			default: // "system", as with us
			}
			turns = append(turns, turn{from, m.Content})
		}
		set = append(set, item{turns})
	}
	return writeJSON(w, set, "  ")
}
