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
)

// wholeLibrary returns the library with all of the vocabulary.
func wholeLibrary(t testing.TB, tok *Tokenizer) *library {
	t.Helper()
	if err := tok.Complete(); err != nil {
		t.Fatal(err)
	}
	return tok.encoder.whole.Load()
}

// checkExcerpt compares the ids of an excerpt made for text with those of the whole vocabulary.
func checkExcerpt(t testing.TB, tok *Tokenizer, text string) {
	t.Helper()
	l := tok.encoder.lexicon
	if !l.covers(text) {
		return
	}
	part, err := newLibrary(l.appendJSON(nil, l.excerpt(text)))
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	defer func() {
		if err := part.close(); err != nil {
			t.Error(err)
		}
	}()
	for _, special := range []bool{false, true} {
		got, want := tok.encodeBy(part, text, special, nil, false), tok.encodeBy(wholeLibrary(t, tok), text, special, nil, false)
		if !slices.Equal(got, want) {
			t.Fatalf("%q, special %v: excerpt %v, whole vocabulary %v", text, special, got, want)
		}
	}
}

func TestExcerptsGiveTheIDsOfTheWholeVocabulary(t *testing.T) {
	special := addedJSON(firstAdded, "<|a|>", "special")
	for name, tok := range map[string]*Tokenizer{
		"SmolLM2":                            openVocabulary(t, readVocabulary(t, defaultModel(t))),
		"Falcon":                             openFile(t, filepath.Join(falconFolder, "tokenizer.json")),
		"tiny":                               openTiny(t, manyAdded(), plainByteLevel),
		"an added token that merges lead to": openTiny(t, special+","+addedJSON(262, "ĠĠ", ""), plainByteLevel),
	} {
		t.Run(name, func(t *testing.T) {
			if !tok.encoder.lexicon.excerpts {
				t.Fatal("no excerpts, want some")
			}
			rng := rand.New(rand.NewPCG(11, 12))
			for _, text := range []string{
				"", "a", " ", "\x00\x00", nulStandIn, "What is the capital of France?\n", "日本語のテキスト, e\u0301 ½ 😀", strings.Repeat("-", 200),
				"\t\tif err != nil {\r\n\t\t\treturn 0x1234567890\n", strings.Repeat("The quick brown fox jumps over the lazy dog. 1999 ", 40),
			} {
				checkExcerpt(t, tok, text)
			}
			for range 150 {
				checkExcerpt(t, tok, randomText(rng, addedPieces, 12))
			}
			for range 50 { // tokens beside one another, also those that nothing merges to
				var text strings.Builder
				for range 6 {
					text.Write(tok.Bytes(int32(rng.IntN(tok.Size()))))
				}
				checkExcerpt(t, tok, text.String())
			}
		})
	}
}

// The library drops bytes without a token and merges what is left: into a token that does not stand in the text.
func TestBytesWithoutATokenNeedTheWholeVocabulary(t *testing.T) {
	v := readVocabulary(t, defaultModel(t))
	for _, text := range []string{"=\x04=", "-\U00040000-", "a\x14b"} {
		tok := openVocabulary(t, v)
		got, err := tok.Encode(text, false)
		if want := tok.encodeBy(wholeLibrary(t, tok), text, false, nil, false); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: got %v, %v, want %v", text, got, err, want)
		}
	}
}

// What stands for unknown bytes is in every excerpt, but not what merges would make it of.
func TestExcerptsWithAMergedUnknownToken(t *testing.T) {
	json := strings.Replace(tinyJSON("", plainByteLevel), `"unk_token":null`, `"unk_token":"hello"`, 1)
	json = strings.Replace(json, `"Ā":0,`, "", 1)
	json = strings.Replace(json, `"Ā Ā",`, "", 1)
	tok, err := fromJSON("tiny.json", json)
	tok = opened(t, tok, err)
	for _, text := range []string{"hell", "xyz", "h\x00e", "\x00"} {
		got, err := tok.Encode(text, false)
		if want := tok.encodeBy(wholeLibrary(t, tok), text, false, nil, false); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: got %v, %v, want %v", text, got, err, want)
		}
	}
}

func TestExcerptsWhereMergesAreIgnored(t *testing.T) {
	json := strings.Replace(tinyJSON("", plainByteLevel), `"type":"BPE",`, `"type":"BPE","ignore_merges":true,`, 1)
	json = strings.Replace(json, `"Ā":0,`, `"Ā":0,"xyz":271,`, 1) // no merge leads to it
	tok, err := fromJSON("tiny.json", json)
	tok = opened(t, tok, err)
	got, err := tok.Encode("xyz", false)
	if err != nil || !slices.Equal(got, []int32{271}) {
		t.Fatalf("got %v, %v, want the piece as a whole", got, err)
	}
	if tok.encoder.whole.Load() != nil {
		t.Fatal("the whole vocabulary was built, want an excerpt")
	}
	for _, text := range []string{"xyz hello", "hello w xyz abc", "xyzxyz"} {
		checkExcerpt(t, tok, text)
	}
}

// With a space put in front, and after a normalizer, tokens need not stand in the text.
func TestNoExcerptsWhereTextIsChangedFirst(t *testing.T) {
	prefixed := strings.Replace(plainByteLevel, "false", "true", 1)
	for name, json := range map[string]string{
		"prefix":     tinyJSON("", prefixed),
		"normalizer": strings.Replace(tinyJSON("", plainByteLevel), `"normalizer":null`, `"normalizer":{"type":"NFC"}`, 1),
	} {
		tok, err := fromJSON("tiny.json", json)
		tok = opened(t, tok, err)
		if tok.encoder.lexicon.excerpts || tok.encoder.whole.Load() == nil {
			t.Errorf("%s: there are excerpts, want the whole vocabulary at once", name)
		}
	}
}

func TestTheWholeVocabularyIsBuiltWhenItIsNeeded(t *testing.T) {
	open := func() *Tokenizer { return openTiny(t, "", plainByteLevel) }
	for _, c := range []struct {
		name string
		use  func(*Tokenizer) error
		want bool
	}{
		{"a short text", func(tok *Tokenizer) error { _, err := tok.Encode("hello", false); return err }, false},
		{"one again and again", func(tok *Tokenizer) (err error) {
			for i := 0; i < 100 && err == nil; i++ {
				_, err = tok.Encode("hello", false)
			}
			return err
		}, false},
		{"a long text", func(tok *Tokenizer) error {
			_, err := tok.Encode(strings.Repeat("x", maxExcerptText+1), false)
			return err
		}, true},
		{"many texts", func(tok *Tokenizer) (err error) {
			for i := 0; i <= maxExcerpts && err == nil; i++ {
				_, err = tok.Encode([]string{"he", "ll", "hell", "hello", " w", " wo", "  ", "\n\n", "12", "ab", "abc"}[i], false)
			}
			return err
		}, true},
		{"bytes that are no text", func(tok *Tokenizer) error { _, err := tok.Encode("\xff", false); return err }, true},
		{"Complete", (*Tokenizer).Complete, true},
	} {
		tok := open()
		if err := c.use(tok); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if got := tok.encoder.whole.Load() != nil; got != c.want {
			t.Errorf("%s: whole vocabulary %v, want %v", c.name, got, c.want)
		}
		if (tok.encoder.part != nil) == c.want {
			t.Errorf("%s: an excerpt beside the whole, or neither", c.name)
		}
	}
}

// Texts are encoded while the whole vocabulary is built, and the tokenizer may be closed meanwhile.
func TestEncodingWhileTheVocabularyIsCompleted(t *testing.T) {
	tok := openVocabulary(t, readVocabulary(t, defaultModel(t)))
	want := map[string][]int32{}
	texts := []string{"one", "another text", "and a third, which is longer than the others\n", strings.Repeat("long ", 1000)}
	other := openVocabulary(t, readVocabulary(t, defaultModel(t)))
	for _, text := range texts {
		want[text] = other.encodeBy(wholeLibrary(t, other), text, true, nil, false)
	}
	var all sync.WaitGroup
	for _, text := range texts {
		all.Go(func() {
			for range 20 {
				if got, err := tok.Encode(text, true); err != nil || !slices.Equal(got, want[text]) {
					t.Errorf("%.20q: got %v, %v, want %v", text, got, err, want[text])
				}
			}
		})
	}
	all.Go(func() {
		if err := tok.Complete(); err != nil {
			t.Error(err)
		}
	})
	all.Wait()
	if err := tok.Close(); err != nil {
		t.Error(err)
	}
	if err := tok.Complete(); !errors.Is(err, ErrClosed) {
		t.Errorf("Complete after Close: got %v, want ErrClosed", err)
	}
}
