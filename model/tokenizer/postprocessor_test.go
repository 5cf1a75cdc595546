//go:build cgo

package tokenizer

import (
	"slices"
	"strings"
	"testing"
)

func TestBegin(t *testing.T) {
	file := readPieces(t)
	template := func(first string) string {
		return `{"type":"TemplateProcessing","single":[` + first + `{"Sequence":{"id":"A","type_id":0}}],"pair":[],` +
			`"special_tokens":{"<s>":{"id":"<s>","ids":[1],"tokens":["<s>"]}}}`
	}
	const start = `{"SpecialToken":{"id":"<s>","type_id":0}},`
	for _, c := range []struct {
		name, processor string
		want            int32 // -1: none
	}{
		{"no post-processor", "null", -1},
		{"byte level", `{"type":"ByteLevel","add_prefix_space":true}`, -1},
		{"a template", template(start), 1},
		{"a template that puts nothing in front", template(""), -1},
		{"in a sequence, as Llama 3 has it", `{"type":"Sequence","processors":[{"type":"ByteLevel"},` + template(start) + `]}`, 1},
		{"an unknown token", template(strings.Replace(start, "<s>", "<none>", 1)), -1},
		{"strings instead of objects", `{"type":"TemplateProcessing","single":["<s>","$A"]}`, -1},
		{"another kind", `{"type":"BertProcessing","cls":["<s>",1]}`, -1},
	} {
		tok, err := fromJSON("x", file.json(t, "prepend", map[string]string{"post_processor": c.processor}))
		tok = opened(t, tok, err)
		if id, ok := tok.Begin(); ok != (c.want >= 0) || ok && id != c.want {
			t.Errorf("%s: got %d, %v, want %d", c.name, id, ok, c.want)
		}
		if ids := mustEncode(t, tok, "x"); slices.Contains(ids, 1) {
			t.Errorf("%s: Encode added it: %v", c.name, ids)
		}
	}
	_, err := fromJSON("x", file.json(t, "prepend", map[string]string{"post_processor": `{"single":5}`}))
	checkRefused(t, err, "x", "want an array")
}
