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
				text, err := vocabulary.TokenizerJSON(v, first)
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
				defer func() { _ = got.Close() }()
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
					}
				}
				if id, ok := got.Begin(); ok != begin || ok && id != v.BOS {
					t.Errorf("texts begin with %d, %v", id, ok)
				}
			})
		}
	}
}

func TestTokenizerJSONRefuses(t *testing.T) {
	for want, change := range map[string]func(v *tokenizer.Vocabulary){
		`kind "llama"`:              func(v *tokenizer.Vocabulary) { v.Model = "llama" },
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
