//go:build cgo

package tokenizer

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"peregrine/model/gguf"
)

// vector is one known encoding. IDs is with control tokens recognised, AsText without where that differs; Skipped is decoded
// without them where that differs.
type vector struct {
	Text    string  `json:"text"`
	IDs     []int32 `json:"ids"`
	Decoded string  `json:"decoded"`
	AsText  []int32 `json:"ids_specials_as_text"`
	Skipped *string `json:"decoded_without_specials"`
}

func readVectors(t *testing.T, path string) []vector {
	t.Helper()
	var file struct {
		Vectors []vector `json:"vectors"`
	}
	readJSON(t, path, &file)
	if len(file.Vectors) == 0 {
		t.Fatalf("%s: no vectors", path)
	}
	return file.Vectors
}

func readJSON(t testing.TB, path string, into any) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// checkVectors compares both ways of encoding, decoding, and the stream.
func checkVectors(t *testing.T, tok *Tokenizer, vectors []vector) {
	t.Helper()
	for _, v := range vectors {
		asText := v.AsText
		if asText == nil {
			asText = v.IDs
		}
		for special, want := range map[bool][]int32{true: v.IDs, false: asText} {
			got, err := tok.Encode(v.Text, special)
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("Encode(%q, special %v): got %v, %v, want %v", v.Text, special, got, err, want)
			}
		}
		checkDecoded(t, tok, v.IDs, false, v.Decoded)
		if v.Skipped != nil {
			checkDecoded(t, tok, v.IDs, true, *v.Skipped)
		}
	}
}

// checkDecoded compares decoding and the stream, with control tokens left out or not.
func checkDecoded(t *testing.T, tok *Tokenizer, ids []int32, skip bool, want string) {
	t.Helper()
	if got, err := tok.Decode(ids, skip); err != nil || got != want {
		t.Errorf("Decode(%v, skip %v): got %q, %v, want %q", ids, skip, got, err, want)
	}
	stream := tok.Stream(skip)
	var out strings.Builder
	for _, id := range ids {
		out.WriteString(stream.Push(id))
	}
	if out.WriteString(stream.Flush()); out.String() != want {
		t.Errorf("Stream(%v, skip %v): got %q, want %q", ids, skip, out.String(), want)
	}
}

// fixture returns the folder of a model fixture: that of the backend tests, else the one it was copied from.
func fixture(t *testing.T, name string) string {
	t.Helper()
	places := []string{filepath.Join("..", "backendtest", "testdata", "fixtures", name)}
	for up := ".."; len(up) < 30; up = filepath.Join(up, "..") {
		if _, err := os.Stat(filepath.Join(up, "shared", "README.md")); err == nil {
			places = append(places, filepath.Join(up, "shared", "fixtures", name))
		}
	}
	for _, place := range places {
		if _, err := os.Stat(filepath.Join(place, "encode.json")); err == nil {
			return place
		}
	}
	t.Fatalf("fixture %s is in none of %v", name, places)
	return ""
}

const falconFolder = "testdata/falcon-tokenizer"

func openFile(t testing.TB, path string) *Tokenizer {
	t.Helper()
	tok, err := FromFile(path)
	return opened(t, tok, err)
}

func opened(t testing.TB, tok *Tokenizer, err error) *Tokenizer {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tok.Close(); err != nil {
			t.Error(err)
		}
	})
	return tok
}

// readVocabulary reads the vocabulary inside a GGUF file.
func readVocabulary(t testing.TB, path string) Vocabulary {
	t.Helper()
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}()
	v := Vocabulary{Source: path, BOS: -1, EOS: -1, UNK: -1, PAD: -1}
	v.Model, _ = f.String("tokenizer.ggml.model")
	v.Pre, _ = f.String("tokenizer.ggml.pre")
	v.Tokens, _ = f.Strings("tokenizer.ggml.tokens")
	v.Merges, _ = f.Strings("tokenizer.ggml.merges")
	types, _ := f.Ints("tokenizer.ggml.token_type")
	for _, k := range types {
		v.Types = append(v.Types, int32(k))
	}
	return v
}

const falconVocabulary = "testdata/falcon-vocab/ggml-vocab-falcon.gguf"

func openVocabulary(t testing.TB, v Vocabulary) *Tokenizer {
	t.Helper()
	tok, err := FromGGUF(v)
	return opened(t, tok, err)
}

// falconTexts are the texts of llama.cpp's vocabulary test and the ids that the original tokenizer gave.
func falconTexts(t *testing.T) (texts []string, ids [][]int32) {
	t.Helper()
	in, err := os.ReadFile(falconVocabulary + ".inp")
	if err != nil {
		t.Fatal(err)
	}
	out, err := os.ReadFile(falconVocabulary + ".out")
	if err != nil {
		t.Fatal(err)
	}
	texts = strings.Split(string(in), "\n__ggml_vocab_test__\n")
	for _, line := range strings.Split(string(out), "\n") {
		var row []int32
		for _, field := range strings.Fields(line) {
			id, err := strconv.Atoi(field)
			if err != nil {
				t.Fatal(err)
			}
			row = append(row, int32(id))
		}
		ids = append(ids, row)
	}
	return texts, ids
}

func TestFalconVocabularyAll47(t *testing.T) {
	tok := openVocabulary(t, readVocabulary(t, falconVocabulary))
	texts, ids := falconTexts(t)
	if len(texts) != 47 || len(ids) != 47 {
		t.Fatalf("%d texts and %d id lists, want 47", len(texts), len(ids))
	}
	for i, text := range texts {
		got, err := tok.Encode(text, false)
		if err != nil || !slices.Equal(got, ids[i]) {
			t.Errorf("text %d %q: got %v, %v, want %v", i, text, got, err, ids[i])
		}
		if back, err := tok.Decode(got, false); err != nil || back != text {
			t.Errorf("text %d: decoded to %q, %v, want %q", i, back, err, text)
		}
	}
}

func TestFalconTokenizerJSON(t *testing.T) {
	vectors := readVectors(t, filepath.Join(falconFolder, "encode.json"))
	if len(vectors) != 202 {
		t.Fatalf("%d vectors, want 202", len(vectors))
	}
	checkVectors(t, openFile(t, filepath.Join(falconFolder, "tokenizer.json")), vectors)
}

func TestFalconFactsVectors(t *testing.T) {
	tok := openVocabulary(t, readVocabulary(t, falconVocabulary))
	for text, want := range map[string][]int32{
		"### Instruction: Write a story about llamas\n### Response:": {
			19468, 31498, 37, 14687, 241, 1962, 544, 22238, 277, 193, 19468, 16054, 37,
		},
		"\n\nUser: Hello\n\nAssistant:": {193, 193, 7932, 37, 23090, 193, 193, 44295, 37},
		"\n\n":                          {1001},
		"12345.678":                     {10963, 2617, 25, 41583},
		"\u043c½²":                      {150, 132, 136, 133, 136, 122},
		"<|endoftext|>":                 {39, 103, 415, 1487, 2164, 54146},
	} {
		if got, err := tok.Encode(text, false); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: got %v, %v, want %v", text, got, err, want)
		}
	}
	if got, err := tok.Encode("<|endoftext|>", true); err != nil || !slices.Equal(got, []int32{11}) {
		t.Errorf("special: got %v, %v, want [11]", got, err)
	}
}

func TestSmallTokenizers(t *testing.T) {
	for _, name := range []string{"falcon-40b", "gptq-falcon40b-4bit--1g", "llama-smollm2"} {
		t.Run(name, func(t *testing.T) {
			dir := fixture(t, name)
			checkVectors(t, openFile(t, filepath.Join(dir, "tokenizer.json")), readVectors(t, filepath.Join(dir, "encode.json")))
		})
	}
}

func TestPresets(t *testing.T) {
	var file struct {
		Presets map[string][]vector `json:"presets"`
	}
	readJSON(t, "testdata/presets.json", &file)
	v := readVocabulary(t, falconVocabulary)
	for name := range presets {
		t.Run(name, func(t *testing.T) {
			v.Pre = name
			if len(file.Presets[name]) < 200 {
				t.Fatalf("%d vectors, want 200 or more", len(file.Presets[name]))
			}
			checkVectors(t, openVocabulary(t, v), file.Presets[name])
		})
	}
}

// defaultModel returns the path of the real model in the user's cache. Without it the test is skipped, or fails where
// PEREGRINE_REQUIRE_MODEL is 1.
func defaultModel(t testing.TB) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(cache, "peregrine", "models", "SmolLM2-135M-Instruct.Q4_1.gguf")
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if os.Getenv("PEREGRINE_REQUIRE_MODEL") == "1" {
			t.Fatalf("%s is missing and PEREGRINE_REQUIRE_MODEL is 1", path)
		}
		t.Skipf("NOT TESTED: %s is missing (make model fetches it)", path)
	}
	return path
}

func TestDefaultModelVocabulary(t *testing.T) {
	checkVectors(t, openVocabulary(t, readVocabulary(t, defaultModel(t))), readVectors(t, "testdata/smollm2.json"))
}
