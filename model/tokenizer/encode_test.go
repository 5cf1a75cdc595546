//go:build cgo

package tokenizer

import (
	"errors"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"
)

// manyAdded returns added tokens with every flag, some inside one another.
func manyAdded() string {
	var list []string
	for i, a := range [][2]string{
		{"<|a|>", "special"},
		{"<|a|>b", "special"},
		{"<|s|>", "special lstrip"},
		{"<|t|>", "special rstrip"},
		{"<|u|>", "special lstrip rstrip"},
		{"word", "word"},
		{"<tool>", ""},
		{"norm", "normalized"},
		{"<norm>", "normalized special"},
		{"<norm>x", "normalized lstrip"},
		{"éü", "special word"},
		{"  ", ""},
		{"tool>z", "special"},
	} {
		list = append(list, addedJSON(firstAdded+i, a[0], a[1]))
	}
	return strings.Join(list, ",")
}

var addedPieces = []string{
	"<|a|>", "<|a|>b", "<|s|>", "<|t|>", "<|u|>", "word", "<tool>", "norm", "<norm>", "<norm>x", "éü", "  ", "tool>z", " ", "\n",
	"x", "b", "<|", "|>", "ünd", "́", " ", "_", "1", "日", "<|a|", "hello", "\u200d", "٣", "\xff",
}

func TestAddedTokensAreMatchedAsByTheLibrary(t *testing.T) {
	json := tinyJSON(manyAdded(), plainByteLevel)
	tok, err := fromJSON("tiny.json", json)
	tok = opened(t, tok, err)
	library := openPeer(t, json)
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		text := randomText(rng, addedPieces, 12)
		for _, special := range []bool{true, false} {
			got, err := tok.Encode(text, special)
			if want := library.encode(text, special); err != nil || !slices.Equal(got, want) {
				t.Fatalf("%q, special %v: got %v, %v, want %v", text, special, got, err, want)
			}
		}
	}
}

func TestPrefixSpaceAsByTheLibrary(t *testing.T) {
	json := tinyJSON(addedJSON(firstAdded, "<|a|>", "special"), strings.Replace(plainByteLevel, "false", "true", 1))
	tok, err := fromJSON("tiny.json", json)
	tok = opened(t, tok, err)
	library := openPeer(t, json)
	for _, text := range []string{"", "hello", " hello", "hello<|a|>world", "\nhello", "<|a|>", " <|a|> x", "日"} {
		got, err := tok.Encode(text, true)
		if want := library.encode(text, true); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: got %v, %v, want %v", text, got, err, want)
		}
	}
}

func TestNothingIsAddedOrCutOff(t *testing.T) {
	tok := openTiny(t, "", plainByteLevel) // the file truncates to 3 ids and puts an "h" in front
	got, err := tok.Encode("xyzxyz", true)
	if err != nil || len(got) != 6 || got[0] != int32('x') {
		t.Errorf("got %v, %v, want 6 ids that begin with x", got, err)
	}
}

func TestNULIsEncodedWithItsMerges(t *testing.T) {
	tok := openTiny(t, "", plainByteLevel)
	got, err := tok.Encode("a\x00\x00\x00b\x00", false)
	nuls, ok := tok.ID("ĀĀ")
	if want := []int32{'a', nuls, 0, 'b', 0}; !ok || err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	if back, err := tok.Decode(got, false); err != nil || back != "a\x00\x00\x00b\x00" {
		t.Errorf("decoded: got %q, %v", back, err)
	}
}

func TestNULVanishesWithoutASymbol(t *testing.T) {
	json := strings.Replace(tinyJSON("", plainByteLevel), `"Ā":0,`, "", 1)
	json = strings.Replace(json, `"Ā Ā",`, "", 1)
	tok, err := fromJSON("tiny.json", json)
	tok = opened(t, tok, err)
	got, err := tok.Encode("h\x00e", false)
	he, _ := tok.ID("he")
	// What is left is merged as if nothing had been there, but only where the pattern does not split.
	if want := []int32{'h', 'e'}; err != nil || !slices.Equal(got, want) || he == 0 {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
}

func TestInvalidUTF8IsReplacedAsByTheLibrary(t *testing.T) {
	json := tinyJSON("", plainByteLevel)
	tok := openTiny(t, "", plainByteLevel)
	library := openPeer(t, json)
	rng := rand.New(rand.NewPCG(3, 4))
	pieces := []string{"\xE6\x97", "\xE6", "\xF0\x9F\x98", "\xF0\x9F", "\xF0", "\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xFF", "\x80", "\xC2", "a", "é", "日", "😀", "\xE0\x80", "\xF1\x80\x80"}
	for range 5000 {
		text := randomText(rng, pieces, 8)
		got, err := tok.Encode(text, false)
		if want := library.encode(text, false); err != nil || !slices.Equal(got, want) {
			t.Fatalf("%q: got %v, %v, want %v", text, got, err, want)
		}
		if back, err := tok.Decode(got, false); err != nil || back != lossy([]byte(text)) {
			t.Fatalf("%q: decoded %q, %v, want %q", text, back, err, lossy([]byte(text)))
		}
	}
}

func TestUserTextNeverBecomesAControlToken(t *testing.T) {
	tok := openFile(t, filepath.Join(falconFolder, "tokenizer.json"))
	specials := tok.Specials()
	if len(specials) != 12 || specials[11] != "<|endoftext|>" {
		t.Fatalf("control tokens: got %q, want Falcon's 12", specials)
	}
	rng := rand.New(rand.NewPCG(5, 6))
	pieces := append([]string{" ", "\n", "x", "<", ">", ">>", "<<", "|"}, specials...)
	for range 2000 {
		text := randomText(rng, pieces, 10)
		ids, err := tok.Encode(text, false)
		if err != nil || slices.ContainsFunc(ids, tok.IsSpecial) {
			t.Fatalf("%q: got %v, %v, want no control token", text, ids, err)
		}
		if back, err := tok.Decode(ids, true); err != nil || back != text {
			t.Fatalf("%q: decoded %q, %v", text, back, err)
		}
	}
}

func TestControlTokenIsNotAWholePieceWhereMergesAreIgnored(t *testing.T) {
	json := strings.Replace(tinyJSON(addedJSON(firstAdded, "stop", "special"), plainByteLevel), `"type":"BPE",`, `"type":"BPE","ignore_merges":true,`, 1)
	json = strings.Replace(json, `"Ā":0,`, `"Ā":0,"stop":271,`, 1)
	tok, err := fromJSON("tiny.json", json)
	tok = opened(t, tok, err)
	if got, err := tok.Encode("stop", false); err != nil || !slices.Equal(got, []int32{'s', 't', 'o', 'p'}) {
		t.Errorf("as text: got %v, %v, want four letters", got, err)
	}
	if got, err := tok.Encode("stop", true); err != nil || !slices.Equal(got, []int32{271}) {
		t.Errorf("as control token: got %v, %v, want [271]", got, err)
	}
}

func TestGuards(t *testing.T) {
	tok := openTiny(t, addedJSON(firstAdded, "<|a|>", "special")+","+addedJSON(firstAdded+1, "<|a|><|b|>", "special")+","+addedJSON(firstAdded+2, "<|b|>", "special"), plainByteLevel)
	plainA := mustEncode(t, tok, "<|a|>")
	for _, c := range []struct {
		name   string
		text   string
		guards []int
		want   []int32
	}{
		{"none", "<|a|>", nil, []int32{271}},
		{"inside", "<|a|>", []int{3}, plainA},
		{"just behind the first byte", "<|a|>", []int{1}, plainA},
		{"at the beginning", "<|a|>", []int{0}, []int32{271}},
		{"at the end", "<|a|>", []int{5}, []int32{271}},
		{"not in order", "<|a|><|b|>", []int{7, 2}, mustEncode(t, tok, "<|a|><|b|>")},
		{"only the second", "x<|a|>y<|a|>", []int{8}, append([]int32{'x', 271}, mustEncode(t, tok, "y<|a|>")...)},
		{"in the longer of two", "<|a|><|b|>", []int{5}, []int32{271, 273}},
		{"outside the text", "<|a|>", []int{-4, 99}, []int32{271}},
	} {
		got, err := tok.EncodeGuarded(c.text, c.guards)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, %v, want %v", c.name, got, err, c.want)
		}
	}
}

func mustEncode(t *testing.T, tok *Tokenizer, text string) []int32 {
	t.Helper()
	ids, err := tok.Encode(text, false)
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func TestUnusedTokensHaveNoText(t *testing.T) {
	v := tinyVocabulary()
	id := int32(len(v.Tokens))
	v.Tokens, v.Types = append(v.Tokens, "[PAD7]"), append(v.Types, typeUnused)
	tok := openVocabulary(t, v)
	if got := tok.Bytes(id); len(got) != 0 {
		t.Errorf("bytes: got %q, want none", got)
	}
	if name, ok := tok.Token(id); !ok || name != "[PAD7]" {
		t.Errorf("token: got %q, %v, want [PAD7]", name, ok)
	}
	if got, ok := tok.ID("[PAD7]"); !ok || got != id {
		t.Errorf("id: got %d, %v, want %d", got, ok, id)
	}
	ids, err := tok.Encode("[PAD7]", true)
	if err != nil || slices.Contains(ids, id) {
		t.Errorf("encoded: got %v, %v, want letters", ids, err)
	}
}

// tinyVocabulary has the 256 symbols and "<|end|>", a control token.
func tinyVocabulary() Vocabulary {
	v := Vocabulary{Source: "tiny.gguf", Model: "gpt2", Pre: "smollm", BOS: -1, EOS: -1, UNK: -1, PAD: -1}
	v.Tokens = append(append(v.Tokens, symbols[:]...), "<|end|>", "he")
	v.Types = slices.Repeat([]int32{typeNormal}, len(v.Tokens))
	v.Types[256] = typeControl
	v.Merges = []string{"h e"}
	return v
}

func TestTokensAndIDsAreInverse(t *testing.T) {
	tok := openFile(t, filepath.Join(falconFolder, "tokenizer.json"))
	if tok.Size() != 65024 {
		t.Fatalf("size: got %d, want 65024", tok.Size())
	}
	for id := int32(0); id < 65024; id += 61 {
		token, ok := tok.Token(id)
		back, found := tok.ID(token)
		if !ok || !found || back != id {
			t.Fatalf("id %d is %q, %v, which is %d, %v", id, token, ok, back, found)
		}
	}
	for _, id := range []int32{-1, 65024, 1 << 30} {
		if token, ok := tok.Token(id); ok || tok.Bytes(id) != nil || tok.IsSpecial(id) {
			t.Errorf("unknown id %d is %q", id, token)
		}
	}
	if id, ok := tok.ID("no such token"); ok {
		t.Errorf("unknown token has id %d", id)
	}
}

func TestEveryTokenDecodesAsByTheLibrary(t *testing.T) {
	tok := openFile(t, filepath.Join(falconFolder, "tokenizer.json"))
	text, err := readFile(filepath.Join(falconFolder, "tokenizer.json"))
	if err != nil {
		t.Fatal(err)
	}
	library := openPeer(t, text)
	for id := range int32(tok.Size()) {
		got, err := tok.Decode([]int32{id}, false)
		if strings.Contains(got, "\x00") {
			continue // where the library gives nothing
		}
		if want := library.special.Decode([]uint32{uint32(id)}, false); err != nil || got != want {
			t.Fatalf("id %d: got %q, %v, want %q", id, got, err, want)
		}
		if valid := utf8.Valid(tok.Bytes(id)); valid && got != string(tok.Bytes(id)) {
			t.Fatalf("id %d: got %q, but its bytes are %q", id, got, tok.Bytes(id))
		}
	}
}

func TestCloseIsFinalAndRepeatable(t *testing.T) {
	tok := openTiny(t, "", plainByteLevel)
	stream := tok.Stream(false)
	for range 2 {
		if err := tok.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := tok.Encode("x", false); !errors.Is(err, ErrClosed) {
		t.Errorf("Encode: got %v, want ErrClosed", err)
	}
	if _, err := tok.EncodeGuarded("x", nil); !errors.Is(err, ErrClosed) {
		t.Errorf("EncodeGuarded: got %v, want ErrClosed", err)
	}
	if _, err := tok.Decode([]int32{1}, false); !errors.Is(err, ErrClosed) {
		t.Errorf("Decode: got %v, want ErrClosed", err)
	}
	if got := stream.Push('x'); got != "x" {
		t.Errorf("stream after Close: got %q, want x", got)
	}
}

func TestConcurrentEncodeAndClose(t *testing.T) {
	tok := openTiny(t, addedJSON(firstAdded, "<|a|>", "special"), plainByteLevel)
	text := strings.Repeat("hello <|a|> world 123\n", 300)
	want, err := tok.Encode(text, true)
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for g := range 8 {
		group.Go(func() {
			for i := range 30 {
				if g == 0 && i == 20 {
					if err := tok.Close(); err != nil {
						t.Error(err)
					}
				}
				got, err := tok.Encode(text, true)
				if errors.Is(err, ErrClosed) {
					return
				}
				if err != nil || !slices.Equal(got, want) {
					t.Errorf("other ids, %v", err)
					return
				}
			}
		})
	}
	group.Wait()
}
