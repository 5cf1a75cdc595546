//go:build cgo

package tokenizer

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// tryOut uses a tokenizer that was accepted in every way: what the library is given must never stop the process.
func tryOut(t *testing.T, tok *Tokenizer) {
	t.Helper()
	defer func() {
		if err := tok.Close(); err != nil {
			t.Error(err)
		}
	}()
	texts := append(tok.Specials(), "", "hello <|a|> world's 1234 ½\r\n\n  日本語\x00\x00 e\u0301 \xff\xe6\x97 ́￾￿ abc  \t")
	for _, text := range texts {
		checkExcerpt(t, tok, text)
		for _, special := range []bool{false, true} {
			ids, err := tok.Encode(text, special)
			if err != nil {
				t.Fatal(err)
			}
			for _, id := range ids {
				if id < 0 || int(id) >= tok.Size() {
					t.Fatalf("%q: id %d of %d", text, id, tok.Size())
				}
				if _, ok := tok.Token(id); !ok {
					t.Fatalf("%q: id %d has no token", text, id)
				}
			}
			if _, err := tok.EncodeGuarded(text, []int{1, 3}); err != nil {
				t.Fatal(err)
			}
			checkStream(t, tok, ids, special)
		}
	}
}

// maxFuzzVocabulary keeps a fuzzing run from spending its time on large tables.
const maxFuzzVocabulary = 1 << 16

func FuzzFromJSON(f *testing.F) {
	f.Add(tinyJSON(addedJSON(firstAdded, "<|a|>", "special"), plainByteLevel))
	small := `{"added_tokens":[` + addedJSON(4, "<s>", "special lstrip") + `],"normalizer":{"type":"NFC"},"pre_tokenizer":{"type":"Sequence","pretokenizers":[` +
		`{"type":"Punctuation","behavior":"Contiguous"},{"type":"Digits","individual_digits":true},{"type":"Split","pattern":{"Regex":"\\p{N}{1,3}|\\s+(?!\\S)"},"behavior":"Isolated","invert":false},` +
		`{"type":"ByteLevel","add_prefix_space":true,"use_regex":false}]},"decoder":null,"model":{"unk_token":"a","fuse_unk":true,"ignore_merges":true,"vocab":{"a":0,"b":1,"ab":2,"Ġ":3},"merges":["a b"]}}`
	f.Add(small)
	f.Add(strings.Replace(small, `["a b"]`, `[["a","b"]]`, 1))
	f.Add(strings.Replace(small, "Isolated", "MergedWithPrevious", 1))
	f.Add(strings.Replace(small, `"Regex":"\\p{N}{1,3}|\\s+(?!\\S)"`, `"String":"a"`, 1))
	for _, pattern := range []string{llama3Pattern, `a*`, `[^a-c]?`, `(?=a)`, `\w|(?i:ſ|k)`} {
		f.Add(strings.Replace(small, `"\\p{N}{1,3}|\\s+(?!\\S)"`, string(appendJSONString(nil, pattern)), 1))
	}
	pieces := `{"added_tokens":[` + addedJSON(0, "<s>", "special normalized") + `],"normalizer":{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},` +
		`{"type":"Replace","pattern":{"String":" "},"content":"▁"}]},"pre_tokenizer":null,"decoder":{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},` +
		`"content":" "},{"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]},"model":{"type":"BPE","unk_token":"<s>","fuse_unk":true,` +
		`"byte_fallback":true,"vocab":{"<s>":0,"<0x00>":1,"<0xE6>":2,"<0x97>":3,"a":4,"b":5,"▁":6,"▁a":7,"▁▁":8,"a▁":9},"merges":["▁ a","▁ ▁"]}}`
	f.Add(pieces)
	f.Add(strings.Replace(pieces, `"pre_tokenizer":null`, `"pre_tokenizer":{"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":false}`, 1))
	f.Add(strings.NewReplacer(`"Prepend","prepend":"▁"`, `"NFKC"`, `"pre_tokenizer":null`, `"pre_tokenizer":{"type":"Metaspace","replacement":"▁","add_prefix_space":false}`,
		`"type":"Sequence","decoders"`, `"type":"Metaspace","replacement":"▁","x"`).Replace(pieces))
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseJSON(text)
		if err != nil || len(s.tokens) > maxFuzzVocabulary {
			return
		}
		tok, err := build("fuzz.json", s)
		if err != nil {
			return
		}
		tryOut(t, tok)
	})
}

// fuzzVocabulary reads a vocabulary from lines: model, pre-tokenizer, then "type token" up to an empty line, then merges. A
// token's score is the sum of its bytes, so that equal ones occur.
func fuzzVocabulary(text string) Vocabulary {
	v := Vocabulary{Source: "fuzz.gguf", BOS: -1, EOS: -1, UNK: -1, PAD: -1}
	lines := strings.Split(text, "\n")
	if len(lines) > 1 {
		v.Model, v.Pre, lines = lines[0], lines[1], lines[2:]
	}
	i := slices.Index(lines, "")
	if i < 0 {
		i = len(lines)
	}
	for _, line := range lines[:i] {
		kind, token, _ := strings.Cut(line, " ")
		n, err := strconv.Atoi(kind)
		if err != nil {
			n = typeNormal
		}
		v.Types, v.Tokens = append(v.Types, int32(n)), append(v.Tokens, token)
		score := 0
		for _, c := range []byte(token) {
			score -= int(c)
		}
		v.Scores = append(v.Scores, float32(score))
	}
	if i < len(lines) {
		v.Merges = lines[i+1:]
	}
	if len(v.Merges) > 0 && !utf8.ValidString(v.Merges[0]) {
		v.EOS = int32(len(v.Merges[0]))
	}
	return v
}

func FuzzFromGGUF(f *testing.F) {
	for pre := range presets {
		f.Add("gpt2\n" + pre + "\n1 a\n1 b\n1 ab\n3 <|a|>\n4 <tool>\n5 [PAD]\n1 Ġ\n1 Ā\n1 ĀĀ\n\na b\nĀ Ā")
	}
	f.Add("llama\n\n6 <0x00>\n\n")
	f.Add("llama\n\n2 <unk>\n3 <s>\n4 a tool\n5 [PAD]\n6 <0x00>\n6 <0xE6>\n1 ▁\n1 a\n1 b\n1 ab\n1 aba\n1 ▁ab\n1 ▁▁\n1 a▁")
	f.Fuzz(func(t *testing.T, text string) {
		if tok, err := FromGGUF(fuzzVocabulary(text)); err == nil {
			tryOut(t, tok)
		}
	})
}

// FuzzPattern looks for a pattern that is accepted and needs quadratic time for one match, which would stop the process on
// 6000 characters.
func FuzzPattern(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(seed, "a")
		f.Add(seed, " a")
	}
	f.Fuzz(func(t *testing.T, seed uint64, piece string) {
		pattern := randomPattern(rand.New(rand.NewPCG(seed, 1)), 0)
		if _, err := checkPattern(pattern); err != nil || piece == "" || len(piece) > 16 || !utf8.ValidString(piece) || strings.Contains(piece, "\x00") {
			return
		}
		tok, err := build(pattern, &spec{tokens: symbols[:], stages: splitStages(pattern)})
		if err != nil {
			return // the library has its own reasons, such as a repeated look-ahead
		}
		wholeLibrary(t, tok).encode(nil, strings.Repeat(piece, 6000/utf8.RuneCountInString(piece)))
		if err := tok.Close(); err != nil {
			t.Error(err)
		}
	})
}
