//go:build cgo

package tokenizer

import (
	"strings"
	"testing"
)

// The two members that say where a Metaspace puts a ▁ mean what the library makes of them, in either order.
func TestMetaspaceSchemes(t *testing.T) {
	meanings := map[string]prefix{"always": prefixMissing, "first": prefixFirst, "never": prefixNone}
	file := readPieces(t)
	if len(file.Schemes) != 16 {
		t.Fatalf("%d schemes, want 16", len(file.Schemes))
	}
	for _, c := range file.Schemes {
		var members []string
		for _, key := range []string{"prepend_scheme", "add_prefix_space"} {
			if value, ok := c.Members[key]; ok {
				members = append(members, `"`+key+`":`+string(value))
			}
		}
		refused := c.Meaning == ""
		if len(members) == 1 && string(c.Members["add_prefix_space"]) == "false" {
			refused, c.Meaning = false, "never" // older than prepend_scheme: what it meant then
		}
		orders := []string{strings.Join(members, ",")}
		if len(members) == 2 {
			orders = append(orders, members[1]+","+members[0])
		}
		for _, order := range orders {
			metaspace := strings.TrimSuffix(`{"type":"Metaspace","replacement":"▁",`+order, ",") + "}"
			stages, err := readStages(&scanner{text: metaspace}, nil)
			steps, errDecoder := readDecoders(&scanner{text: metaspace}, nil)
			switch {
			case refused:
				for _, err := range []error{err, errDecoder} {
					if err == nil || !strings.Contains(err.Error(), "contradict each other") {
						t.Errorf("%s: got %v, want it refused", metaspace, err)
					}
				}
			case err != nil || errDecoder != nil:
				t.Errorf("%s: got %v, %v", metaspace, err, errDecoder)
			case stages[0].scheme != meanings[c.Meaning] || steps[0].scheme != meanings[c.Meaning]:
				t.Errorf("%s: got %v and %v, want %s = %v", metaspace, stages[0].scheme, steps[0].scheme, c.Meaning, meanings[c.Meaning])
			}
		}
	}
}

func TestByteLevelPrefix(t *testing.T) {
	for text, want := range map[string]bool{
		`{"type":"ByteLevel"}`: false, `{"type":"ByteLevel","add_prefix_space":false}`: false, `{"add_prefix_space":true,"type":"ByteLevel"}`: true,
	} {
		stages, err := readStages(&scanner{text: text}, nil)
		if err != nil || stages[0].prefix != want {
			t.Errorf("%s: got %v, %v, want %v", text, stages, err, want)
		}
	}
}
