package exchange

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"peregrine/model/generate"
)

// loose decodes a value into v, a pointer to a struct or slice. A field of the wrong type is left out and noted.
func loose(raw []byte, v any, n *notes) {
	err := json.Unmarshal(raw, v)
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		n.add("a %s where the format has another type, in field %s: left out", wrong.Value, quote(wrong.Field))
	}
}

// text is a message's text as programs write it: a string, or a list of strings and parts with a type.
type text struct {
	body  string
	other []string // the types of parts that are no text
}

// UnmarshalJSON never fails: what is no text is noted in other.
func (t *text) UnmarshalJSON(b []byte) error {
	switch first(b) {
	case 'n':
		return nil
	case '"':
		return json.Unmarshal(b, &t.body)
	case '[':
		var parts []json.RawMessage
		if err := json.Unmarshal(b, &parts); err != nil {
			return err
		}
		t.join(parts)
		return nil
	}
	t.other = append(t.other, "")
	return nil
}

// join takes the texts of a list, one below the other.
func (t *text) join(parts []json.RawMessage) {
	var texts []string
	for _, raw := range parts {
		var part struct {
			Type        string `json:"type"`
			ContentType string `json:"content_type"`
			Text        string `json:"text"`
		}
		if first(raw) == '"' {
			if json.Unmarshal(raw, &part.Text) == nil {
				texts = append(texts, part.Text)
			}
			continue
		}
		_ = json.Unmarshal(raw, &part) // what is no part has no type
		switch part.Type {
		case "text", "input_text", "output_text":
			texts = append(texts, part.Text)
		default:
			t.other = append(t.other, part.Type+part.ContentType)
		}
	}
	t.body = strings.Join(texts, "\n")
}

// note says what of a text could not be kept.
func (t *text) note(n *notes) {
	for _, kind := range t.other {
		n.add("part of a message of type %s: left out, since messages here are text", quote(kind))
	}
}

// first returns the first byte of a JSON value, 0 for none.
func first(raw []byte) byte {
	raw = bytes.TrimLeft(raw, " \t\r\n")
	if len(raw) == 0 {
		return 0
	}
	return raw[0]
}

// has reports whether an optional field holds anything: not null, and no empty text, list or object.
func has(raw json.RawMessage) bool {
	switch string(raw) {
	case "", "null", `""`, "[]", "{}", "false":
		return false
	}
	return true
}

// when reads a time: seconds or milliseconds since 1970, or RFC 3339. It returns the zero time for anything else.
func when(raw json.RawMessage) time.Time {
	if first(raw) == '"' {
		var s string
		if json.Unmarshal(raw, &s) != nil {
			return time.Time{}
		}
		t, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			return time.Time{}
		}
		return t.UTC()
	}
	v, err := strconv.ParseFloat(string(raw), 64)
	const year5138 = 1e11 // in seconds; in milliseconds it is 1973
	switch {
	case err != nil || v <= 0 || v >= year5138*1e3:
		return time.Time{}
	case v >= year5138:
		return time.UnixMilli(int64(v)).UTC()
	}
	return time.UnixMicro(int64(math.Round(v * 1e6))).UTC()
}

// roleOf returns our name of a role. ok is false for roles that there are none of here, such as tools.
func roleOf(name string) (role generate.Role, ok bool) {
	switch strings.ToLower(name) {
	case "system", "developer":
		return generate.System, true
	case "user", "human":
		return generate.User, true
	case "assistant", "gpt", "model", "bot", "chatgpt", "bard", "bing":
		return generate.Assistant, true
	}
	return "", false
}
