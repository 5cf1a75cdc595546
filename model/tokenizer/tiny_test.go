//go:build cgo

package tokenizer

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/daulet/tokenizers"
)

// firstAdded is the id from which the library numbers added tokens of a tinyJSON.
const firstAdded = 271

// tinyJSON is a tokenizer.json with all 256 byte symbols (ids as the bytes), 15 merges, the given added tokens and
// pre-tokenizer; and a truncation and post-processor that must not matter.
func tinyJSON(added, preTokenizer string) string {
	merges := []string{"h e", "l l", "he ll", "hell o", "Ġ w", "Ġw o", "Ġ Ġ", "ĠĠ ĠĠ", "Ā Ā", "Ċ Ċ", "1 2", "ã ģ", "a b", "ab c", "< |"}
	vocab := symbols[:]
	for _, m := range merges {
		vocab = append(vocab[:len(vocab):len(vocab)], strings.Replace(m, " ", "", 1))
	}
	var b strings.Builder
	fmt.Fprintf(&b, `{"version":"1.0","truncation":{"max_length":3,"strategy":"LongestFirst","stride":0,"direction":"Right"},`)
	fmt.Fprintf(&b, `"padding":null,"added_tokens":[%s],"normalizer":null,"pre_tokenizer":%s,`, added, preTokenizer)
	fmt.Fprintf(&b, `"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"h","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],`)
	fmt.Fprintf(&b, `"pair":[],"special_tokens":{"h":{"id":"h","ids":[104],"tokens":["h"]}}},`)
	fmt.Fprintf(&b, `"decoder":`+plainByteLevel+`,"model":{"type":"BPE","dropout":null,"unk_token":null,"vocab":{`)
	for id, token := range vocab {
		if id > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%s:%d", appendJSONString(nil, token), id)
	}
	b.WriteString(`},"merges":[`)
	for i, m := range merges {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(appendJSONString(nil, m))
	}
	b.WriteString(`]}}`)
	return b.String()
}

const plainByteLevel = `{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true}`

// addedJSON is one entry of added_tokens; flags name what is true.
func addedJSON(id int, content, flags string) string {
	has := func(name string) bool { return strings.Contains(flags, name) }
	return fmt.Sprintf(`{"id":%d,"content":%s,"single_word":%v,"lstrip":%v,"rstrip":%v,"normalized":%v,"special":%v}`, id,
		appendJSONString(nil, content), has("word"), has("lstrip"), has("rstrip"), has("normalized"), has("special"))
}

func openTiny(t testing.TB, added, preTokenizer string) *Tokenizer {
	t.Helper()
	tok, err := fromJSON("tiny.json", tinyJSON(added, preTokenizer))
	return opened(t, tok, err)
}

// peer is the library by itself, reading the original file.
type peer struct {
	special, plain *tokenizers.Tokenizer
}

func openPeer(t *testing.T, json string) peer {
	t.Helper()
	// The tiny file's truncation is what ours leaves out on purpose.
	json = strings.Replace(json, `"truncation":{"max_length":3,"strategy":"LongestFirst","stride":0,"direction":"Right"}`, `"truncation":null`, 1)
	special, err := tokenizers.FromBytes([]byte(json))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := tokenizers.FromBytes([]byte(json), tokenizers.WithEncodeSpecialTokens())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, x := range []*tokenizers.Tokenizer{special, plain} {
			if err := x.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	return peer{special, plain}
}

func (p peer) encode(text string, special bool) []int32 {
	rust := p.plain
	if special {
		rust = p.special
	}
	var ids []int32
	for _, id := range rust.EncodeWithOptions(text, false).IDs {
		ids = append(ids, int32(id))
	}
	return ids
}

// randomText joins up to n random pieces.
func randomText(rng *rand.Rand, pieces []string, n int) string {
	var b strings.Builder
	for range rng.IntN(n + 1) {
		b.WriteString(pieces[rng.IntN(len(pieces))])
	}
	return b.String()
}
