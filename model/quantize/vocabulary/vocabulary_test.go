package vocabulary_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"peregrine/model/quantize/vocabulary"
	"peregrine/model/tokenizer"
)

// symbols are the characters that stand for bytes in a byte-level vocabulary.
func symbols() []string {
	var list []string
	next := rune(256)
	for b := range 256 {
		switch {
		case b >= '!' && b <= '~', b >= 0xA1 && b <= 0xAC, b >= 0xAE:
			list = append(list, string(rune(b)))
		default:
			list = append(list, string(next))
			next++
		}
	}
	return list
}

// made is a small vocabulary: every byte, some merges, and one token of each special kind.
func made(pre string) tokenizer.Vocabulary {
	v := tokenizer.Vocabulary{Source: "made.gguf", Model: "gpt2", Pre: pre, BOS: 0, EOS: 1, UNK: -1, PAD: -1}
	add := func(token string, kind int32) {
		v.Tokens, v.Types = append(v.Tokens, token), append(v.Types, kind)
	}
	add("<|begin|>", 3)
	add("<|end|>", 3)
	add("<user>", 4)
	for _, s := range symbols() {
		add(s, 1)
	}
	for _, merge := range []string{"h e", "l l", "he ll", "hell o", "Ġ w", "o r", "Ġw or", "1 2", "12 3", "! !", "' s", "Ċ Ċ", "Ġ Ġ", "Ã ©"} {
		v.Merges = append(v.Merges, merge)
		add(strings.ReplaceAll(merge, " ", ""), 1)
	}
	add("[PAD]", 5)
	return v
}

var texts = []string{
	"hello world", "Hello, hello!!  it's 1234567 o'clock\n\nnew  line\t.", "né é naïve Übung ½² м", "<|end|> and <user>x", "   leading", "trailing   ",
	"数字123と漢字", "emoji 🙂🙂", "a\r\nb\rc", "£$+<=>^`|~ ", "I'M you'Re",
}

// TestTokenizerJSONEncodesAlike: the file and the vocabulary that it was made of give the same ids, for every pre-tokenizer.
func TestTokenizerJSONEncodesAlike(t *testing.T) {
	for _, pre := range []string{"gpt-2", "gpt2", "llama-bpe", "llama3", "llama-v3", "falcon", "falcon3", "qwen2", "smollm"} {
		for _, begin := range []bool{false, true} {
			t.Run(fmt.Sprint(pre, begin), func(t *testing.T) {
				v := made(pre)
				var first *int32
				if begin {
					first = &v.BOS
				}
				got := both(t, v, first, texts)
				if id, ok := got.Begin(); ok != begin || ok && id != v.BOS {
					t.Errorf("texts begin with %d, %v", id, ok)
				}
			})
		}
	}
}

// both opens the tokenizer.json that is made of v, and compares it with v itself on texts.
func both(t *testing.T, v tokenizer.Vocabulary, begin *int32, texts []string) *tokenizer.Tokenizer {
	t.Helper()
	text, err := vocabulary.TokenizerJSON(v, begin)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "tokenizer.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := tokenizer.FromFile(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = got.Close() })
	want, err := tokenizer.FromGGUF(v)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = want.Close() }()
	for _, text := range texts {
		for _, special := range []bool{false, true} {
			a, err := got.Encode(text, special)
			if err != nil {
				t.Fatal(err)
			}
			b, err := want.Encode(text, special)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(a, b) {
				t.Errorf("%q: got %v, want %v", text, a, b)
			}
			c, err := got.Decode(a, !special)
			if err != nil {
				t.Fatal(err)
			}
			d, err := want.Decode(b, !special)
			if err != nil {
				t.Fatal(err)
			}
			if c != d {
				t.Errorf("%v: got %q, want %q", a, c, d)
			}
		}
	}
	return got
}

// vector is what the reference library gives for a text.
type vector struct {
	Text string
	IDs  []int32
}

// pieces is the SentencePiece vocabulary of package tokenizer's tests, and texts with their ids by the form of the vocabulary.
func pieces(t *testing.T) (tokenizer.Vocabulary, map[string][]vector) {
	t.Helper()
	var file struct {
		GGUF struct {
			Tokens []string
			Scores []float32
			Types  []int32
		}
		Vectors map[string][]vector
	}
	text, err := os.ReadFile("../../tokenizer/testdata/pieces.json")
	if err == nil {
		err = json.Unmarshal(text, &file)
	}
	if err != nil {
		t.Fatal(err)
	}
	return tokenizer.Vocabulary{
		Source: "pieces.gguf", Model: "llama", Pre: "default", Tokens: file.GGUF.Tokens, Scores: file.GGUF.Scores, Types: file.GGUF.Types,
		BOS: 1, EOS: 2, UNK: 0, PAD: -1,
	}, file.Vectors
}

// TestPiecesEncodeAlike: a SentencePiece vocabulary's tokenizer.json gives its ids, which are those of the reference library.
func TestPiecesEncodeAlike(t *testing.T) {
	for form, prefix := range map[string]*bool{"prepend": nil, "no prefix": new(bool)} {
		for _, begin := range []bool{false, true} {
			t.Run(fmt.Sprint(form, begin), func(t *testing.T) {
				v, vectors := pieces(t)
				v.AddSpacePrefix = prefix
				// What is no text, and what no text has once its spaces are ▁.
				v.Tokens, v.Types = append(v.Tokens, "[unused]", " y", "x y"), append(v.Types, 5, 1, 1)
				v.Scores = append(v.Scores, 0, 1, 2)
				var first *int32
				if begin {
					first = &v.BOS
				}
				texts := []string{"x y", "[unused]"}
				for _, x := range vectors[form] {
					texts = append(texts, x.Text)
				}
				got := both(t, v, first, texts)
				if id, ok := got.Begin(); ok != begin || ok && id != v.BOS {
					t.Errorf("texts begin with %d, %v", id, ok)
				}
				for _, x := range vectors[form] {
					if ids, err := got.Encode(x.Text, true); err != nil || !slices.Equal(ids, x.IDs) {
						t.Errorf("%q: got %v, %v, want %v", x.Text, ids, err, x.IDs)
					}
				}
				if len(vectors[form]) < 200 {
					t.Errorf("%d texts with the library's ids, want 200 or more", len(vectors[form]))
				}
			})
		}
	}
}

func TestTokenizerJSONRefuses(t *testing.T) {
	for want, change := range map[string]func(v *tokenizer.Vocabulary){
		`kind "bert"`:               func(v *tokenizer.Vocabulary) { v.Model = "bert" },
		"0 token scores for":        func(v *tokenizer.Vocabulary) { v.Model = "llama" },
		`pre-tokenizer "tekken"`:    func(v *tokenizer.Vocabulary) { v.Pre = "tekken" },
		"1 token types for":         func(v *tokenizer.Vocabulary) { v.Types = v.Types[:1] },
		"texts begin with token 99": func(v *tokenizer.Vocabulary) { v.BOS = 9999 },
	} {
		v := made("gpt-2")
		change(&v)
		if _, err := vocabulary.TokenizerJSON(v, &v.BOS); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
}

func TestTokenizerConfig(t *testing.T) {
	text, err := vocabulary.TokenizerConfigJSON(made("gpt-2"), vocabulary.Config{
		ChatTemplate: "{{ '<a>' }}", Named: map[string]string{"tool_use": "t"}, AddBOS: true, MaxLength: 64,
	})
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		BOS  string `json:"bos_token"`
		EOS  string `json:"eos_token"`
		PAD  *string
		Chat []struct{ Name, Template string } `json:"chat_template"`
	}
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if got.BOS != "<|begin|>" || got.EOS != "<|end|>" || got.PAD != nil || len(got.Chat) != 2 || got.Chat[0].Template != "{{ '<a>' }}" {
		t.Errorf("got %+v of %s", got, text)
	}
}
