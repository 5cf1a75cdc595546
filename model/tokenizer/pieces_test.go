//go:build cgo

package tokenizer

import (
	"encoding/json"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// piecesFile is testdata/pieces.json.
type piecesFile struct {
	GGUF struct {
		Tokens []string
		Scores []float32
		Types  []int32
	}
	Merges [][2]string
	Tied   struct {
		Rounded float64
		Merges  [][2]string
	}
	Forms   map[string]map[string]json.RawMessage // tokenizer.json without a model, and byte_fallback
	Vectors map[string][]vector
	// Schemes are a Metaspace's members and what the library makes of them; "" is that it refuses them.
	Schemes []struct {
		Members map[string]json.RawMessage
		Meaning string
	}
	// Mixtures are texts with added tokens in front, between and behind; they are only decoded.
	Mixtures map[string][]vector
	Broken   []vector
}

func readPieces(t testing.TB) *piecesFile {
	t.Helper()
	var file piecesFile
	readJSON(t, "testdata/pieces.json", &file)
	if len(file.Forms) != 6 || len(file.Broken) == 0 {
		t.Fatalf("%d forms, %d broken texts", len(file.Forms), len(file.Broken))
	}
	return &file
}

// vocabulary returns what a GGUF file holds.
func (f *piecesFile) vocabulary() Vocabulary {
	return Vocabulary{
		Source: "pieces.gguf", Model: "llama", Pre: "default", Tokens: slices.Clone(f.GGUF.Tokens), Scores: slices.Clone(f.GGUF.Scores),
		Types: slices.Clone(f.GGUF.Types), BOS: 1, EOS: 2, UNK: 0, PAD: -1,
	}
}

// json returns the tokenizer.json of a form, with members of it replaced.
func (f *piecesFile) json(t testing.TB, form string, change map[string]string) string {
	t.Helper()
	vocab := map[string]int{}
	for id, token := range f.GGUF.Tokens {
		vocab[token] = id
	}
	out := maps.Clone(f.Forms[form])
	model, err := json.Marshal(map[string]any{
		"type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": out["byte_fallback"], "vocab": vocab, "merges": f.Merges,
	})
	if err != nil {
		t.Fatal(err)
	}
	out["model"] = model
	for key, value := range change {
		out[key] = json.RawMessage(value)
	}
	text, err := json.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func (f *piecesFile) open(t testing.TB, form string) *Tokenizer {
	t.Helper()
	tok, err := fromJSON(form, f.json(t, form, nil))
	return opened(t, tok, err)
}

func TestSentencePieceForms(t *testing.T) {
	file := readPieces(t)
	for form := range file.Forms {
		t.Run(form, func(t *testing.T) {
			if len(file.Vectors[form]) < 200 {
				t.Fatalf("%d vectors, want 200 or more", len(file.Vectors[form]))
			}
			checkVectors(t, file.open(t, form), file.Vectors[form])
		})
	}
}

func TestSentencePieceStreamWithoutControlTokens(t *testing.T) {
	file := readPieces(t)
	for form := range file.Forms {
		tok := file.open(t, form)
		if len(file.Mixtures[form]) < 40 {
			t.Fatalf("%s: %d mixtures, want 40 or more", form, len(file.Mixtures[form]))
		}
		for _, v := range file.Mixtures[form] {
			checkDecoded(t, tok, v.IDs, false, v.Decoded)
			checkDecoded(t, tok, v.IDs, true, *v.Skipped)
		}
	}
}

func TestSentencePieceGGUF(t *testing.T) {
	file := readPieces(t)
	no := false
	v := file.vocabulary()
	checkVectors(t, openVocabulary(t, v), file.Vectors["prepend"])
	v.AddSpacePrefix = &no
	checkVectors(t, openVocabulary(t, v), file.Vectors["no prefix"])
}

// A text that follows another is encoded as by a vocabulary that puts nothing in front of any.
func TestEncodeContinued(t *testing.T) {
	file := readPieces(t)
	for _, form := range []string{"prepend", "metaspace first"} {
		tok := file.open(t, form)
		for _, v := range file.Vectors["no prefix"] {
			if slices.ContainsFunc(v.IDs, func(id int32) bool { return id < 4 }) {
				continue // an added token, behind which the forms differ
			}
			got, err := tok.EncodeContinued(v.Text, nil)
			if err != nil || !slices.Equal(got, v.IDs) {
				t.Errorf("%s: EncodeContinued(%q): got %v, %v, want %v", form, v.Text, got, err, v.IDs)
			}
		}
	}
	tok := file.open(t, "prepend")
	x, behind := mustEncode(t, tok, "x"), mustEncode(t, tok, "<tool>x")
	got, err := tok.EncodeContinued("<tool>x", nil)
	if err != nil || !slices.Equal(got, behind) || len(got) != 1+len(x) {
		t.Errorf("behind an added token: got %v, %v, want %v as in a text of its own", got, err, behind)
	}
	if got, err = tok.EncodeContinued("<s>", []int{1}); err != nil || slices.Contains(got, 1) {
		t.Errorf("a guarded control token: got %v, %v, want it as text", got, err)
	}
}

func TestBytesThatAreNoCharacterAsInSentencePiece(t *testing.T) {
	file := readPieces(t)
	tok := file.open(t, "prepend")
	for _, v := range file.Broken {
		if got, err := tok.Decode(v.IDs, true); err != nil || got != v.Decoded {
			t.Errorf("%v: got %q, %v, want %q", v.IDs, got, err, v.Decoded)
		}
		checkStream(t, tok, v.IDs, true)
	}
}

func TestOnlyTheFirstSpaceOfATextIsTakenAway(t *testing.T) {
	file := readPieces(t)
	tok := file.open(t, "prepend")
	ids := mustEncode(t, tok, "  the 日本")
	for name, c := range map[string]struct {
		stream *Stream
		ids    []int32
		want   string
	}{
		"a text":               {tok.Stream(true), ids, "  the 日本"},
		"behind control":       {tok.Stream(true), append([]int32{1, 1}, ids...), "  the 日本"},
		"behind shown control": {tok.Stream(false), append([]int32{1}, ids...), "<s>   the 日本"},
		"what follows a text":  {tok.Continue(true), ids, "   the 日本"},
	} {
		var got strings.Builder
		for _, id := range c.ids {
			got.WriteString(c.stream.Push(id))
		}
		got.WriteString(c.stream.Flush())
		if got.String() != c.want {
			t.Errorf("%s: got %q, want %q", name, got.String(), c.want)
		}
		var again strings.Builder
		for _, id := range ids {
			again.WriteString(c.stream.Push(id))
		}
		if again.String() != "  the 日本" {
			t.Errorf("%s, the next text after Flush: got %q", name, again.String())
		}
	}
}

func TestSentencePieceStreamEqualsDecode(t *testing.T) {
	file := readPieces(t)
	for form := range file.Forms {
		tok := file.open(t, form)
		rng := rand.New(rand.NewPCG(31, 32))
		for range 2000 {
			var ids []int32
			for range rng.IntN(8) {
				switch rng.IntN(3) {
				case 0:
					ids = append(ids, 4+rng.Int32N(256)) // bytes
				case 1:
					ids = append(ids, rng.Int32N(5))
				default:
					ids = append(ids, rng.Int32N(int32(tok.Size())+5)-2)
				}
			}
			checkStream(t, tok, ids, rng.IntN(2) == 0)
		}
	}
}

// Token, Bytes and ID agree on every id.
func TestSentencePieceTokens(t *testing.T) {
	file := readPieces(t)
	v := file.vocabulary()
	v.Tokens[3] = "a tool" // as converters write user-defined tokens, with a space
	v.Tokens[899] = "x▁ y"
	tok := openVocabulary(t, v)
	for id, want := range v.Tokens {
		got, ok := tok.Token(int32(id))
		if !ok || got != want {
			t.Errorf("Token(%d): got %q, %v, want %q", id, got, ok, want)
		}
		if back, ok := tok.ID(want); !ok || int(back) != id {
			t.Errorf("ID(%q): got %d, %v, want %d", want, back, ok, id)
		}
	}
	newline, _ := tok.ID("<0x0A>")
	for id, want := range map[int32]string{newline: "\n", 3: "a tool", 899: "x  y", 0: "<unk>"} {
		if got := string(tok.Bytes(id)); got != want {
			t.Errorf("Bytes(%d): got %q, want %q", id, got, want)
		}
	}
	if ids := mustEncode(t, tok, "a tool"); !slices.Equal(ids, []int32{3}) {
		t.Errorf("the user-defined token: got %v, want [3]", ids)
	}
}

func TestSentencePieceSafeCuts(t *testing.T) {
	file := readPieces(t)
	for form := range file.Forms {
		t.Run(form, func(t *testing.T) {
			tok := file.open(t, form)
			if tok.cuts.size != chunkSize || !tok.cuts.seams.clean[' '] || !tok.cuts.seams.clean['\n'] && form != "no bytes" {
				t.Fatalf("cuts of %d bytes at %v", tok.cuts.size, tok.cuts.seams)
			}
			rng := rand.New(rand.NewPCG(7, 8))
			for range 3000 {
				text := randomText(rng, append(cutPieces, "▁", "the", " the", "ing", "<"), 30)
				if whole, parts := wholeAndParts(t, tok, text); !slices.Equal(whole, parts) {
					t.Fatalf("%q: whole %v, in parts %v", text, whole, parts)
				}
			}
		})
	}
}

// A token that reaches behind the end of a word forbids to split there.
func TestTokenOverTheEndOfAWord(t *testing.T) {
	v := readPieces(t).vocabulary()
	v.Tokens[400] = "x▁"
	v.Scores[400] = 1
	tok := openVocabulary(t, v)
	if tok.cuts.seams.clean[' '] {
		t.Error("a text can be cut before a space")
	}
	if ids := mustEncode(t, tok, "x y"); !slices.Contains(ids, 400) {
		t.Errorf("got %v, want 400 in it", ids)
	}
}

func TestLongSentencePieceText(t *testing.T) {
	tok := readPieces(t).open(t, "prepend")
	text := multilingual(t, 200<<10)
	ids := mustEncode(t, tok, text)
	if got, err := tok.Decode(ids, true); err != nil || got != text {
		t.Errorf("%d bytes came back as %d, %v", len(text), len(got), err)
	}
}

func TestBadSentencePieceJSON(t *testing.T) {
	file := readPieces(t)
	const replace, prepend = `{"type":"Replace","pattern":{"String":" "},"content":"▁"}`, `{"type":"Prepend","prepend":"▁"}`
	const metaspace = `{"type":"Metaspace","replacement":"▁","prepend_scheme":"first"}`
	for _, c := range []struct {
		name, member, value, want string
	}{
		{"byte level beside it", "pre_tokenizer", plainByteLevel, "neither a byte-level vocabulary nor a SentencePiece one"},
		{"other space", "normalizer", `{"type":"Replace","pattern":{"String":" "},"content":"_"}`, `normalizer Replace of " " by "_" is not supported`},
		{"pattern", "normalizer", `{"type":"Replace","pattern":{"Regex":" "},"content":"▁"}`, `normalizer Replace of " " by "▁" is not supported`},
		{"other prefix", "normalizer", `{"type":"Prepend","prepend":"_"}`, `normalizer Prepend of "_" is not supported`},
		{"two prefixes", "normalizer", `{"type":"Sequence","normalizers":[` + prepend + "," + prepend + `]}`, `normalizer Prepend of "▁" is not supported`},
		{"charsmap", "normalizer", `{"type":"Precompiled","precompiled_charsmap":"AA=="}`, `normalizer "Precompiled" is not supported`},
		{"no spaces", "normalizer", prepend, `nothing turns a space into "▁"`},
		{"two prefixes of two kinds", "pre_tokenizer", metaspace, `both a Prepend normalizer and a Metaspace`},
		{"Metaspace behind", "pre_tokenizer", `{"type":"Sequence","pretokenizers":[{"type":"Digits"},` + metaspace + `]}`, "Metaspace behind Digits"},
		{"Metaspace with another space", "pre_tokenizer", `{"type":"Metaspace","replacement":"_"}`, `replacement "_", want "▁"`},
		{"scheme", "pre_tokenizer", `{"type":"Metaspace","replacement":"▁","prepend_scheme":"last"}`, `prepend_scheme "last", want always, first or never`},
		{"decoder", "decoder", `{"type":"WordPiece"}`, `decoder "WordPiece" is not supported`},
		{"decoder of bytes", "decoder", plainByteLevel, `decoder "ByteLevel" is not supported`},
		{"strip at the end", "decoder", `{"type":"Sequence","decoders":[{"type":"Fuse"},{"type":"Strip","content":" ","start":0,"stop":1}]}`, `decoder Strip of " ", start 0, stop 1 is not supported`},
		{"strip of every token", "decoder", `{"type":"Strip","content":" ","start":1,"stop":0}`, `decoder Strip of " ", start 1, stop 0 is not supported`},
		{"replace by nothing", "decoder", `{"type":"Replace","pattern":{"String":"▁"},"content":""}`, `decoder Replace of "▁" by "" is not supported`},
		{"many decoders", "decoder", `{"type":"Sequence","decoders":[` + strings.Repeat(`{"type":"Fuse"},`, 40) + `{"type":"Fuse"}]}`, "more than 32 decoders"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tok, err := fromJSON("x/tokenizer.json", file.json(t, "prepend", map[string]string{c.member: c.value}))
			if err == nil {
				_ = tok.Close()
			}
			checkRefused(t, err, "x/tokenizer.json", c.want)
		})
	}
	text := file.json(t, "nfkc", map[string]string{"normalizer": `{"type":"NFKC"}`, "pre_tokenizer": metaspace})
	_, err := fromJSON("x", text)
	checkRefused(t, err, "x", "normalizer NFKC before a Metaspace")
}

func TestSentencePieceWithoutADecoder(t *testing.T) {
	file := readPieces(t)
	for form := range file.Forms {
		tok, err := fromJSON(form, file.json(t, form, map[string]string{"decoder": "null"}))
		tok = opened(t, tok, err)
		if got, err := tok.Decode(mustEncode(t, tok, "the text"), true); err != nil || got != "the text" {
			t.Errorf("%s: got %q, %v", form, got, err)
		}
	}
}

func TestBadSentencePieceGGUF(t *testing.T) {
	file := readPieces(t)
	for _, c := range []struct {
		name   string
		change func(v *Vocabulary)
		want   string
	}{
		{"no scores", func(v *Vocabulary) { v.Scores = nil }, "0 token scores for 900 tokens"},
		{"no types", func(v *Vocabulary) { v.Types = nil }, "0 token types for 900 tokens"},
		{"merges", func(v *Vocabulary) { v.Merges = []string{"a b"} }, "1 merges beside the scores"},
		{"byte type", func(v *Vocabulary) { v.Tokens[10] = "<0xQQ>" }, `token 10 ("<0xQQ>"): its type 6 is that of a byte`},
		{"unknown type", func(v *Vocabulary) { v.Types[600] = 77 }, "type 77 is not known"},
		{"score", func(v *Vocabulary) { v.Scores[600] = float32(math.NaN()) }, "its score is not a number"},
		{"duplicate", func(v *Vocabulary) { v.Tokens[700] = v.Tokens[699] }, "stands twice"},
		{"long", func(v *Vocabulary) { v.Tokens[700] = strings.Repeat("a", 300) }, "300 characters, want at most 256"},
		{"nothing merges", func(v *Vocabulary) {
			v.Tokens = slices.Clone(v.Tokens[:260])
			v.Types = v.Types[:260]
			v.Scores = v.Scores[:260]
		}, "no token is made of two others"},
		{"bos outside", func(v *Vocabulary) { v.BOS = 900 }, "bos token id 900, but there are only 900 tokens"},
		{"unigram", func(v *Vocabulary) { v.Model = "t5" }, `tokenizer model "t5" is not supported`},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := file.vocabulary()
			c.change(&v)
			tok, err := FromGGUF(v)
			if err == nil {
				_ = tok.Close()
			}
			checkRefused(t, err, "pieces.gguf", c.want)
		})
	}
}

// A vocabulary of nothing but runs has a merge for every place in every token; their number is bounded.
func TestTooManyMerges(t *testing.T) {
	v := Vocabulary{Source: "runs.gguf", Model: "llama", BOS: -1, EOS: -1, UNK: -1, PAD: -1}
	for r := rune(0x4E00); len(v.Tokens) < 300*maxPiece; r++ {
		for n := 1; n <= maxPiece; n++ {
			v.Tokens, v.Types, v.Scores = append(v.Tokens, strings.Repeat(string(r), n)), append(v.Types, typeNormal), append(v.Scores, 0)
		}
	}
	_, err := FromGGUF(v)
	checkRefused(t, err, "runs.gguf", "more than 8388608 merges follow")
}

func TestControlCharacterTokenIsNotText(t *testing.T) {
	v := readPieces(t).vocabulary()
	v.Types[899] = typeControl // a single letter
	tok := openVocabulary(t, v)
	if ids := mustEncode(t, tok, v.Tokens[899]); slices.Contains(ids, 899) {
		t.Errorf("text %q became the control token: %v", v.Tokens[899], ids)
	}
}
