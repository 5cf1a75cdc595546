package history

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"peregrine/model/generate"
)

// The harness that names this program in a session line.
const harness = "peregrine"

// The types of lines. Any other type is kept and ignored.
const (
	typeSession = "session"
	typeMessage = "message"
	typePartial = "partial"
	typeName    = "name"
	typeHeader  = "header"
	typeLeaf    = "leaf"
	typeDelete  = "delete"
	typeRestore = "restore"
)

// The lines as written. Type comes first, so that a list can tell lines apart without decoding them.
type (
	sessionLine struct {
		Type         string `json:"type"`
		Harness      string `json:"harness"`
		ID           string `json:"id"`
		Name         string `json:"name"`
		Schema       int    `json:"schema"`
		CreatedAt    string `json:"created_at"`
		Model        string `json:"model,omitempty"`
		Quantization string `json:"quantization,omitempty"`
		Template     string `json:"template,omitempty"`
		System       string `json:"system,omitempty"`
		Context      int    `json:"context,omitempty"`
	}
	headerLine struct {
		Type         string `json:"type"`
		Model        string `json:"model"`
		Quantization string `json:"quantization"`
		Template     string `json:"template"`
		System       string `json:"system"`
		Context      int    `json:"context"`
	}
	messageLine struct {
		Type      string                `json:"type"`
		ID        string                `json:"id"`
		ParentID  *string               `json:"parent_id"`
		CreatedAt string                `json:"created_at"`
		Message   generate.Message      `json:"message"`
		Model     string                `json:"model,omitempty"`
		Raw       bool                  `json:"raw,omitempty"`
		Sampling  *generate.Sampling    `json:"sampling,omitempty"`
		Earlier   []generate.Stretch    `json:"earlier_sampling,omitempty"`
		TokenIDs  []int32               `json:"token_ids,omitempty"`
		Timings   *generate.Timings     `json:"timings,omitempty"`
		Finish    generate.FinishReason `json:"finish_reason,omitempty"`
	}
	partialStart struct {
		ParentID  *string       `json:"parent_id"`
		CreatedAt string        `json:"created_at"`
		Role      generate.Role `json:"role"`
		Model     string        `json:"model,omitempty"`
		Raw       bool          `json:"raw,omitempty"`
	}
	partialLine struct {
		Type string `json:"type"`
		ID   string `json:"id"`
		*partialStart
		At       int     `json:"at"`
		Text     string  `json:"text"`
		TokensAt int     `json:"tokens_at,omitempty"`
		TokenIDs []int32 `json:"token_ids,omitempty"`
		// On the first line of a reply, and where they have changed.
		Sampling *generate.Sampling `json:"sampling,omitempty"`
		Earlier  []generate.Stretch `json:"earlier_sampling,omitempty"`
	}
	nameLine struct {
		Type string `json:"type"`
		Name string `json:"name"`
	}
	idLine struct {
		Type string `json:"type"`
		ID   string `json:"id"`
	}
)

// record is any line as read: the union of what the lines above hold.
type record struct {
	Type         string                `json:"type"`
	Harness      string                `json:"harness"`
	ID           *string               `json:"id"`
	ParentID     json.RawMessage       `json:"parent_id"`
	Name         string                `json:"name"`
	Schema       int                   `json:"schema"`
	CreatedAt    string                `json:"created_at"`
	Message      *foreignMessage       `json:"message"`
	Role         generate.Role         `json:"role"`
	Raw          bool                  `json:"raw"`
	Sampling     *generate.Sampling    `json:"sampling"`
	Earlier      []generate.Stretch    `json:"earlier_sampling"`
	TokenIDs     []int32               `json:"token_ids"`
	Timings      *generate.Timings     `json:"timings"`
	Finish       generate.FinishReason `json:"finish_reason"`
	At           int                   `json:"at"`
	Text         string                `json:"text"`
	TokensAt     int                   `json:"tokens_at"`
	Model        *string               `json:"model"`
	Quantization *string               `json:"quantization"`
	Template     *string               `json:"template"`
	System       *string               `json:"system"`
	Context      *int                  `json:"context"`
}

// foreignMessage is a message as this or another program wrote it.
type foreignMessage struct {
	Role    generate.Role `json:"role"`
	Content content       `json:"content"`
}

// content is a text, or the texts of a list of parts, as some programs write it.
type content struct {
	text  string
	other bool // there was something that is no text
}

// UnmarshalJSON never fails: what is no text is noted.
func (c *content) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	if json.Unmarshal(b, &c.text) == nil {
		return nil
	}
	c.text = ""
	var parts []struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	err := json.Unmarshal(b, &parts)
	c.other = err != nil
	var texts []string
	for _, p := range parts {
		if p.Type == "text" {
			texts = append(texts, p.Text)
			continue
		}
		c.other = true
	}
	c.text = strings.Join(texts, "\n")
	return nil
}

// decode reads one line. A field of the wrong type is left out and named in the warning; what only helps (sampling, token
// ids, timings) is then left out as a whole, since a half of it would mislead. err means that the line is no JSON object.
func decode(line []byte) (r record, warning string, err error) {
	err = json.Unmarshal(line, &r)
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		if wrong.Field == "" {
			return r, "", fmt.Errorf("a JSON %s, not an object", wrong.Value)
		}
		r.Sampling, r.Earlier, r.TokenIDs, r.Timings = nil, nil, nil, nil
		return r, fmt.Sprintf("field %q holds a %s", wrong.Field, wrong.Value), nil
	}
	return r, "", err
}

// encode returns v, one of the line types above, as one line.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("history: encode a %T: %w", v, err)
	}
	if b.Len() > maxLine {
		return nil, fmt.Errorf("history: a message of %d bytes: a line of the file may have %d; cut the text into several messages", b.Len(), maxLine)
	}
	return b.Bytes(), nil
}

func encodeMessage(m Message) ([]byte, error) {
	return encode(messageLine{
		Type: typeMessage, ID: m.ID, ParentID: parent(m.ParentID), CreatedAt: formatTime(m.CreatedAt),
		Message: generate.Message{Role: m.Role, Content: m.Content},
		Model:   m.Model, Raw: m.Raw, Sampling: storable(m.Sampling), Earlier: storableAll(m.Earlier),
		TokenIDs: m.TokenIDs, Timings: storable(m.Timings), Finish: m.Finish,
	})
}

// storable returns nil for values that JSON cannot hold, such as an infinite rate: the message itself must not be lost.
func storable[T any](p *T) *T {
	if _, err := json.Marshal(p); err != nil {
		return nil
	}
	return p
}

// storableAll is storable for a list.
func storableAll[T any](list []T) []T {
	if storable(&list) == nil {
		return nil
	}
	return list
}

func encodeSession(h Header) ([]byte, error) {
	return encode(sessionLine{
		Type: typeSession, Harness: harness, ID: h.ID, Name: h.Name, Schema: h.Schema, CreatedAt: formatTime(h.Created),
		Model: h.Model, Quantization: h.Quantization, Template: h.Template, System: h.System, Context: h.Context,
	})
}

// parent returns a parent id as a line holds it: null for the root.
func parent(id string) *string {
	if id == "" {
		return nil
	}
	return &id
}

func formatTime(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// parseTime returns the zero time for a text that is no time.
func parseTime(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

// textOf returns a JSON string's text, "" for anything else.
func textOf(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}
