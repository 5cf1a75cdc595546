package plain

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"unicode/utf16"

	"peregrine/model/generate"
	"peregrine/ui/escape"
)

// Reply is the JSON object for one reply.
type Reply struct {
	Text         string                `json:"text"`
	FinishReason generate.FinishReason `json:"finish_reason"`
	Error        string                `json:"error,omitempty"` // with finish_reason "error"
	TokenIDs     []int32               `json:"token_ids"`       // an end-of-text token included
	Sampling     generate.Sampling     `json:"sampling"`        // with the seed that repeats the reply
	Timings      generate.Timings      `json:"timings"`
	Dropped      int                   `json:"dropped"` // messages at the front that the context did not hold
	Model        string                `json:"model"`
	Quantization string                `json:"quantization"`
	Backend      string                `json:"backend"`
	Template     string                `json:"template"`
	Conversation string                `json:"conversation,omitempty"` // its file
}

func (r *run) object(result generate.Result, info generate.Info) Reply {
	o := Reply{
		Text: r.fresh(), FinishReason: result.Finish, TokenIDs: result.TokenIDs, Sampling: result.Sampling,
		Timings: result.Timings, Dropped: result.Dropped, Model: info.Model, Quantization: info.Quantization,
		Backend: info.Backend, Template: r.header(info).Template, Conversation: r.file.path(),
	}
	if o.TokenIDs == nil {
		o.TokenIDs = []int32{}
	}
	if _, err := json.Marshal(o.Timings); err != nil { // a rate that is no number must not cost the reply
		o.Timings = generate.Timings{}
	}
	if result.Err != nil {
		o.Error = result.Err.Error()
	}
	return o
}

// writeJSON writes v as one line. What a terminal would obey stands in it as \u escapes, which change nothing for a parser.
func writeJSON(w io.Writer, v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	var out bytes.Buffer
	for _, r := range b.String() {
		switch s := string(r); {
		case r < 0x7f || escape.Visible(s) == s:
			out.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&out, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	_, err := w.Write(out.Bytes())
	return err
}
