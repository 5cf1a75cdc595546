//go:build cgo

package tokenizer

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// checkRefused verifies the error: the file first, what is wrong in it, one line.
func checkRefused(t *testing.T, err error, source, want string) {
	t.Helper()
	if err == nil {
		t.Fatalf("accepted, want an error with %q", want)
	}
	if text := err.Error(); !strings.HasPrefix(text, "tokenizer: "+source+": ") || !strings.Contains(text, want) ||
		strings.Contains(text, "\n") || len(text) > 1000 {
		t.Errorf("got %q, want tokenizer: %s: …%s…", text, source, want)
	}
}

func TestBadTokenizerJSON(t *testing.T) {
	special := addedJSON(firstAdded, "<|a|>", "special")
	good := tinyJSON(special, plainByteLevel)
	replace := func(old, other string) string {
		t.Helper()
		if !strings.Contains(good, old) {
			t.Fatalf("the good file does not hold %q", old)
		}
		return strings.Replace(good, old, other, 1)
	}
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", "unexpected end of the text, want an object"},
		{"truncated", good[:len(good)/2], "unexpected end"},
		{"truncated by one byte", good[:len(good)-1], "unexpected end"},
		{"text behind it", good + "x", `found "x", want the end`},
		{"not UTF-8", replace("hello", "hel\xfflo"), "not valid UTF-8"},
		{"an array", "[]", "want an object"},
		{"no model", "{}", `no "model"`},
		{"two models", replace(`"model":{`, `"model":{},"model":{`), `member "model" stands twice`},
		{"version", replace(`"version":"1.0"`, `"version":"2.0"`), `version "2.0", want 1.0`},
		{"nested without end", strings.Repeat(`{"x":`, 100000), "nested deeper than 64"},
		{"number for a token", replace(`"ĠĠ ĠĠ"`, `7`), "want a string"},
		{"half a surrogate", replace(`"hello"`, `"\ud800"`), `half a surrogate pair`},
		{"bad escape", replace(`"hello"`, `"\x"`), `unknown escape \x`},
		{"control character", replace(`"hello"`, "\"hel\x01lo\""), `control character`},
		{"NUL in a token", replace(`"hello"`, `"hel\u0000lo"`), `NUL byte`},
		{"unigram", replace(`"type":"BPE"`, `"type":"Unigram"`), `model type "Unigram" is not supported (supported: BPE`},
		{"unigram list", replace(`"vocab":{`, `"vocab":[["a",0.5]],"x":{`), "vocabulary is missing or not an object"},
		{"SentencePiece", replace(`"type":"BPE"`, `"type":"BPE","byte_fallback":true`), "neither a byte-level vocabulary nor a SentencePiece one"},
		{"Metaspace", strings.Replace(good, `"pre_tokenizer":`+plainByteLevel, `"pre_tokenizer":{"type":"Metaspace","replacement":"▁"}`, 1), `decoder "ByteLevel" is not supported`},
		{"no pre-tokenizer", replace(plainByteLevel, `null`), "0 ByteLevel pre-tokenizers, want 1"},
		{"two byte levels", replace(plainByteLevel, `{"type":"Sequence","pretokenizers":[`+plainByteLevel+`,`+plainByteLevel+`]}`), "2 ByteLevel pre-tokenizers"},
		{"many pre-tokenizers", replace(plainByteLevel, `{"type":"Sequence","pretokenizers":[`+strings.Repeat(plainByteLevel+",", 40)+plainByteLevel+`]}`), "more than 32 pre-tokenizers"},
		{"dangerous pattern", replace(plainByteLevel, `{"type":"Split","pattern":{"Regex":"(a+)+b"},"behavior":"Isolated","invert":false}`), "unbounded repetition inside a group"},
		{"empty pattern", replace(plainByteLevel, `{"type":"Split","pattern":{"String":""},"behavior":"Isolated","invert":false}`), "it is empty"},
		{"unknown behavior", replace(plainByteLevel, `{"type":"Punctuation","behavior":"Explode"}`), `behavior "Explode" is not one of`},
		{"normalizer", replace(`"normalizer":null`, `"normalizer":{"type":"Lowercase"}`), `normalizer "Lowercase" is not supported`},
		{"decoder", replace(`"decoder":`+plainByteLevel, `"decoder":{"type":"WordPiece"}`), `decoder "WordPiece" is not supported`},
		{"dropout", replace(`"dropout":null`, `"dropout":0.1`), "dropout 0.1 would make encoding random"},
		{"suffix", replace(`"dropout":null`, `"end_of_word_suffix":"</w>"`), `end_of_word_suffix "</w>": not supported`},
		{"duplicate id", replace(`"hello":259`, `"hello":3`), `both have id 3`},
		{"duplicate token", replace(`"hello":259`, `"he":259`), `"he" stands twice`},
		{"negative id", replace(`"hello":259`, `"hello":-1`), `found "-1`},
		{"fractional id", replace(`"hello":259`, `"hello":259.0`), `want a whole number`},
		{"huge id", replace(`"hello":259`, `"hello":4294967297`), "id 4294967297, want at most"},
		{"id of 30 digits", replace(`"hello":259`, `"hello":`+strings.Repeat("9", 30)), "want a whole number"},
		{"far id", replace(`"hello":259`, `"hello":4000000`), "token id 4000000, but there are only 271 tokens"},
		{"empty vocabulary", `{"pre_tokenizer":` + plainByteLevel + `,"model":{"type":"BPE","vocab":{},"merges":[]}}`, "the vocabulary is empty"},
		{"no merges", `{"pre_tokenizer":` + plainByteLevel + `,"model":{"type":"BPE","vocab":{"a":0}}}`, "the merges are missing"},
		{"merge of one", replace(`"h e"`, `"he"`), `merge 0: "he", want two tokens`},
		{"merge of three", replace(`"h e"`, `["h","e","l"]`), "merge 0: more than two"},
		{"merge of an unknown token", replace(`"h e"`, `"h 日"`), `merge 0: "h" + "日": "日" is not in the vocabulary`},
		{"merge into an unknown token", replace(`"h e"`, `"h x"`), `"hx" is not in the vocabulary`},
		{"unknown unk", strings.Replace(replace(`"unk_token":null`, `"unk_token":"<unk>"`), `"!":33,`, "", 1), `unk_token "<unk>" is not in the vocabulary`},
		{"added token without id", replace(`"id":271,`, ""), `added token "<|a|>": no id`},
		{"added token without text", replace(`"content":"<|a|>"`, `"content":""`), "its text is empty"},
		{"added token with NUL", replace(`"content":"<|a|>"`, `"content":"\u0000"`), "NUL byte"},
		{"added token twice", replace(special, special+","+special), `both are "<|a|>"`},
		{"added id twice", replace(special, special+","+addedJSON(firstAdded, "<|b|>", "")), "both have id 271"},
		{"added id of another token", replace(`"id":271`, `"id":259`), `id 259 belongs to "hello"`},
		{"added token known by another id", replace(`"content":"<|a|>"`, `"content":"hello"`), `id 271, but the vocabulary gives it 259`},
		{"added id far away", replace(`"id":271`, `"id":999999`), "id 999999, but there are only 272 tokens"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tok, err := fromJSON("x/tokenizer.json", c.text)
			if err == nil {
				_ = tok.Close()
			}
			checkRefused(t, err, "x/tokenizer.json", c.want)
		})
	}
}

func TestUnusualTokenizerJSON(t *testing.T) {
	good := tinyJSON("", plainByteLevel)
	for name, text := range map[string]string{
		"no model type":            strings.Replace(good, `"type":"BPE",`, "", 1),
		"merges as lists":          strings.Replace(good, `"h e"`, `["h","e"]`, 1),
		"a version line":           strings.Replace(good, `"h e"`, `"#version: 0.2","h e"`, 1),
		"no decoder":               strings.Replace(good, `"decoder":`+plainByteLevel, `"decoder":null`, 1),
		"escapes":                  strings.Replace(good, `"hello"`, `"\u0068\u0065l\u006Co"`, 1),
		"white space":              strings.NewReplacer(`"model":{`, "\r\n\t \"model\" : { ", `"merges":[`, "\n\"merges\"\t:\n[ ", `]}}`, " ] } }\n").Replace(good),
		"empty normalizer list":    strings.Replace(good, `"normalizer":null`, `"normalizer":{"type":"Sequence","normalizers":[]}`, 1),
		"unk that nothing needs":   strings.Replace(good, `"unk_token":null`, `"unk_token":"<unk>"`, 1),
		"nested sequences":         strings.Replace(good, plainByteLevel, `{"type":"Sequence","pretokenizers":[{"type":"Sequence","pretokenizers":[`+plainByteLevel+`]}]}`, 1),
		"dropout of zero":          strings.Replace(good, `"dropout":null`, `"dropout":0.0`, 1),
		"empty prefix and suffix":  strings.Replace(good, `"dropout":null`, `"continuing_subword_prefix":"","end_of_word_suffix":""`, 1),
		"members nobody knows yet": strings.Replace(good, `"dropout":null`, `"a":[1.5e3,{"b":null},true,"x"]`, 1),
	} {
		t.Run(name, func(t *testing.T) {
			if text == good {
				t.Fatal("nothing was replaced")
			}
			tok, err := fromJSON("x", text)
			tok = opened(t, tok, err)
			hello, _ := tok.ID("hello")
			if got, err := tok.Encode("hello!", false); err != nil || !slices.Equal(got, []int32{hello, '!'}) || hello != 259 {
				t.Errorf("got %v, %v, want [259 33]", got, err)
			}
		})
	}
}

func TestTokenThatHoldsASpaceOrLooksLikeAHeading(t *testing.T) {
	json := `{"pre_tokenizer":` + strings.Replace(plainByteLevel, `"use_regex":true`, `"use_regex":false`, 1) + `,"model":{"type":"BPE","vocab":
		{"#version":0,"x":1,"#versionx":2,"a b":3,"a":4," b":5,"#":6,"v":7,"e":8,"r":9,"s":10,"i":11,"o":12,"n":13,"#v":14,"#ve":15,"#ver":16,"#vers":17,"#versi":18,"#versio":19},
		"merges":[["#","v"],["#v","e"],["#ve","r"],["#ver","s"],["#vers","i"],["#versi","o"],["#versio","n"],["#version","x"],["a"," b"]]}}`
	tok, err := fromJSON("x", json)
	tok = opened(t, tok, err)
	if got, err := tok.Encode("#versionx", false); err != nil || !slices.Equal(got, []int32{2}) {
		t.Errorf("got %v, %v, want [2]", got, err)
	}
}

func TestBadGGUFVocabulary(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(v *Vocabulary)
		want   string
	}{
		{"Unigram", func(v *Vocabulary) { v.Model = "t5" }, `tokenizer model "t5" is not supported (supported: gpt2`},
		{"no model", func(v *Vocabulary) { v.Model = "" }, `tokenizer model ""`},
		{"pre-tokenizer", func(v *Vocabulary) { v.Pre = "viking" }, `pre-tokenizer "viking" is not supported (supported: falcon, falcon3, gpt-2, llama-bpe, qwen2, smollm)`},
		{"no pre-tokenizer", func(v *Vocabulary) { v.Pre = "" }, `pre-tokenizer ""`},
		{"no tokens", func(v *Vocabulary) { v.Tokens, v.Types, v.Merges = nil, nil, nil }, "the vocabulary is empty"},
		{"too few types", func(v *Vocabulary) { v.Types = v.Types[:3] }, "3 token types for 258 tokens"},
		{"unknown type", func(v *Vocabulary) { v.Types[9] = 77 }, "token 9 (\"ĉ\"): type 77 is not supported"},
		{"byte type", func(v *Vocabulary) { v.Types[9] = 6 }, "type 6 is not supported"},
		{"duplicate", func(v *Vocabulary) { v.Tokens[7] = "a" }, `token 97: "a" stands twice`},
		{"NUL", func(v *Vocabulary) { v.Tokens[257] = "h\x00e" }, `token 257: "h\x00e" holds a NUL byte`},
		{"not UTF-8", func(v *Vocabulary) { v.Tokens[257] = "h\xffe" }, `is not valid UTF-8`},
		{"long token", func(v *Vocabulary) { v.Tokens[257] = strings.Repeat("a", 1<<17) }, `131072 bytes, want at most 65536`},
		{"empty control token", func(v *Vocabulary) { v.Tokens[256] = "" }, `added token 256: its text is empty`},
		{"merge of one", func(v *Vocabulary) { v.Merges[0] = "he" }, `merge 0: "he", want two tokens`},
		{"merge of three", func(v *Vocabulary) { v.Merges[0] = "h e l" }, `merge 0: "h e l", want two tokens`},
		{"merge into nothing", func(v *Vocabulary) { v.Merges[0] = "h l" }, `"hl" is not in the vocabulary`},
		{"merge of nothing", func(v *Vocabulary) { v.Merges[0] = " e" }, `"" is not in the vocabulary`},
		{"bos outside", func(v *Vocabulary) { v.BOS = 258 }, "bos token id 258, but there are only 258 tokens"},
		{"eos outside", func(v *Vocabulary) { v.EOS = 1 << 30 }, "eos token id 1073741824"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := tinyVocabulary()
			c.change(&v)
			tok, err := FromGGUF(v)
			if err == nil {
				_ = tok.Close()
			}
			checkRefused(t, err, "tiny.gguf", c.want)
		})
	}
}

func TestGGUFAliases(t *testing.T) {
	for _, name := range []string{"llama3", "llama-v3", "gpt2"} {
		v := tinyVocabulary()
		v.Pre, v.Types = name, nil
		tok := openVocabulary(t, v)
		if got, err := tok.Encode("he<|end|>", true); err != nil || got[0] != 257 || slices.Contains(got, 256) {
			t.Errorf("%s: got %v, %v, want 257 and, without token types, no control token", name, got, err)
		}
	}
}

func TestUnreadableFile(t *testing.T) {
	dir := t.TempDir()
	large := filepath.Join(dir, "large.json")
	if err := os.WriteFile(large, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(large, maxFile+1); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "missing.json"): "no such file or directory",
		dir:                                "not a regular file",
		large:                              "268435457 bytes, want at most 268435456",
	} {
		_, err := FromFile(path)
		checkRefused(t, err, path, want)
	}
}
