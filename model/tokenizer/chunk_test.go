//go:build cgo

package tokenizer

import (
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// cutPieces make texts in which every kind of character stands beside every other.
var cutPieces = []string{
	"a", "Word", "isn't", "'s", "'", "ll", " ", "  ", "\n", "\r\n", "\t", "\n\n ", "1", "234", "½", "²", ".", ",", "!?", "...", "_", "-", "=", "$",
	"é", "e\u0301", "\u0301", "\u0338", "ß", "ſ", "Ж", "мир", "α", "שלום", "مرحبا", "ु", "हि", "ไทย", "日本", "語", "、", "。", "，", "！", "：", "한국", "\u1112\u1161",
	"😀", "\u200d", "\u00a0", "\u3000", "ª", "Ⅻ", "٣", "<", "|", ">", "\x01", "\x7f", "\ufffd", "ǆ", "ᾳ", "\u0149", "K",
}

// wholeAndParts are the ids of a text at once, and cut at every place that the cutter calls safe.
func wholeAndParts(t testing.TB, tok *Tokenizer, text string) (whole, parts []int32) {
	library := wholeLibrary(t, tok)
	whole = library.encode(nil, text)
	from := 0
	for i := 1; i < len(text); i++ {
		if tok.cuts.safe(text, i) {
			parts = library.encode(parts, text[from:i])
			from = i
		}
	}
	return whole, library.encode(parts, text[from:])
}

func TestSafeCutsChangeNoIDs(t *testing.T) {
	v := readVocabulary(t, falconVocabulary)
	for name := range presets {
		t.Run(name, func(t *testing.T) {
			v.Pre = name
			tok := openVocabulary(t, v)
			if tok.cuts.size != chunkSize {
				t.Fatalf("the rule is not taken as proven for %s", name)
			}
			rng := rand.New(rand.NewPCG(7, 8))
			for range 2000 {
				text := randomText(rng, cutPieces, 30)
				if whole, parts := wholeAndParts(t, tok, text); !slices.Equal(whole, parts) {
					t.Fatalf("%q: whole %v, in parts %v", text, whole, parts)
				}
			}
		})
	}
}

func TestSafeCutsUnderEveryWordPattern(t *testing.T) {
	v := readVocabulary(t, falconVocabulary)
	for _, pattern := range wordPatterns {
		s, err := v.spec()
		if err != nil {
			t.Fatal(err)
		}
		s.stages = splitStages(pattern)
		tok, err := build(pattern, s)
		tok = opened(t, tok, err)
		if tok.cuts.size != chunkSize {
			t.Fatalf("the rule is not taken as proven for %s", pattern)
		}
		rng := rand.New(rand.NewPCG(17, 18))
		for range 2000 {
			text := randomText(rng, cutPieces, 30)
			if whole, parts := wholeAndParts(t, tok, text); !slices.Equal(whole, parts) {
				t.Fatalf("%s on %q: whole %v, in parts %v", pattern, text, whole, parts)
			}
		}
	}
}

func TestSafeCutsWithPrefixSpace(t *testing.T) {
	tok := openTiny(t, "", strings.Replace(plainByteLevel, "false", "true", 1))
	rng := rand.New(rand.NewPCG(9, 10))
	for range 4000 {
		text := randomText(rng, cutPieces, 30)
		if whole, parts := wholeAndParts(t, tok, text); !slices.Equal(whole, parts) {
			t.Fatalf("%q: whole %v, in parts %v", text, whole, parts)
		}
	}
}

// multilingual is a long text: the vectors' strings, over and over in random order.
func multilingual(t testing.TB, size int) string {
	t.Helper()
	texts := append([]string{}, cutPieces...)
	for _, v := range readVectors(t.(*testing.T), falconFolder+"/encode.json") {
		texts = append(texts, v.Text, " ", "\n")
	}
	rng := rand.New(rand.NewPCG(11, 12))
	var b strings.Builder
	for b.Len() < size {
		b.WriteString(texts[rng.IntN(len(texts))])
	}
	return strings.ToValidUTF8(strings.ReplaceAll(b.String(), "\x00", ""), "?")
}

func TestLongTextInChunksEqualsWhole(t *testing.T) {
	v := readVocabulary(t, falconVocabulary)
	text := multilingual(t, 128<<10)
	for name := range presets {
		t.Run(name, func(t *testing.T) {
			v.Pre = name
			tok := openVocabulary(t, v)
			got, err := tok.Encode(text, false)
			if whole := wholeLibrary(t, tok).encode(nil, text); err != nil || !slices.Equal(got, whole) {
				t.Fatalf("%d ids in chunks, %d at once, %v", len(got), len(whole), err)
			}
		})
	}
}

func TestChunksAreBounded(t *testing.T) {
	c := cutter{size: chunkSize, limit: maxWord}
	for name, piece := range map[string]string{
		"letters": "a", "Han": "日", "accents": "e\u0301\u0302", "only accents": "\u0301", "spaces": " ", "newlines": "\n", "digits": "7",
		"marks": "=", "invalid-looking": "\u0085", "NULs": nulStandIn, "words": "word ", "emoji": "👩‍👩‍👧",
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Repeat(piece, 500000/len(piece))
			for from := 0; from < len(text); {
				end := c.next(text, from)
				if end <= from || end-from > maxWord || !utf8.ValidString(text[from:end]) {
					t.Fatalf("part [%d, %d) of %d bytes", from, end, len(text))
				}
				if name == "NULs" && end < len(text) && strings.HasPrefix(text[end:], "\uFFFF") {
					t.Fatalf("cut inside a stand-in at %d", end)
				}
				from = end
			}
		})
	}
}

func TestUnprovenPreTokenizersAreCutLate(t *testing.T) {
	unknown := func(pattern string) string {
		split := stage{kind: kindSplit, behavior: isolated, pattern: pattern}
		return `{"type":"Sequence","pretokenizers":[` + string(split.appendJSON(nil)) + `,` + plainByteLevel + `]}`
	}
	for _, c := range []struct {
		name, json string
		want       int
	}{
		{"no pattern", strings.Replace(plainByteLevel, `"use_regex":true`, `"use_regex":false`, 1), maxWord},
		{"unknown pattern", unknown(`\w+|\W+`), maxWord},
		{"unknown slow pattern", unknown(`\w*.\w?+\s`), maxSlow},
		{"merging", `{"type":"Sequence","pretokenizers":[{"type":"Punctuation","behavior":"MergedWithPrevious"},` + plainByteLevel + `]}`, maxWord},
	} {
		if tok := openTiny(t, "", c.json); tok.cuts.size != c.want || tok.cuts.limit != c.want {
			t.Errorf("%s: cut every %d bytes, at most %d, want %d", c.name, tok.cuts.size, tok.cuts.limit, c.want)
		}
	}
}

// residentBytes reads a field of /proc/self/status.
func residentBytes(t *testing.T, field string) int64 {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kb << 10
		}
	}
	t.Fatalf("no %s in /proc/self/status", field)
	return 0
}

func TestPasteOf10MBStaysBelow150MB(t *testing.T) {
	if runtime.GOOS != "linux" || testing.Short() {
		t.Skip("NOT TESTED: reads /proc, and takes some 10 s")
	}
	tok := openFile(t, falconFolder+"/tokenizer.json")
	text := multilingual(t, 10_000_000)
	runtime.GC()
	before := residentBytes(t, "VmRSS")
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		t.Skipf("NOT TESTED: the peak of memory cannot be reset: %v", err)
	}
	ids, err := tok.Encode(text, false)
	if err != nil {
		t.Fatal(err)
	}
	extra := residentBytes(t, "VmHWM") - before
	t.Logf("%d ids; %d MB more than before at the peak", len(ids), extra/1e6)
	if extra > 150e6 {
		t.Errorf("%d MB more than before, want at most 150", extra/1e6)
	}
}
