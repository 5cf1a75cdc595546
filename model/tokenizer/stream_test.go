//go:build cgo

package tokenizer

import (
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestLossyFollowsTheUnicodeStandard(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"Unicode 16.0 table 3-8: non-shortest forms", "\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41", "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFDA"},
		{"table 3-9: surrogates", "\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41", "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFDA"},
		{"table 3-10: other ill-formed", "\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42", "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFDA\uFFFD\uFFFDB"},
		{"table 3-11: truncated", "\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", "\uFFFD\uFFFD\uFFFD\uFFFDA"},
		{"unfinished at the end", "a\xF0\x9F\x98", "a\uFFFD"},
		{"a real U+FFFD", "\uFFFD", "\uFFFD"},
		{"NUL", "a\x00b", "a\x00b"},
	} {
		if got := lossy([]byte(c.in)); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// checkStream pushes ids one by one and verifies all that a stream promises.
func checkStream(t *testing.T, tok *Tokenizer, ids []int32, skip bool) {
	t.Helper()
	want, err := tok.Decode(ids, skip)
	if err != nil {
		t.Fatal(err)
	}
	stream := tok.Stream(skip)
	var shown strings.Builder
	for i, id := range ids {
		piece := stream.Push(id)
		if !utf8.ValidString(piece) {
			t.Fatalf("%v: id %d gave half a character: %q", ids, i, piece)
		}
		shown.WriteString(piece)
		if !strings.HasPrefix(want, shown.String()) {
			t.Fatalf("%v: shows %q after id %d, but the whole is %q", ids, shown.String(), i, want)
		}
		if len(stream.held) > 3 {
			t.Fatalf("%v: holds %d bytes back", ids, len(stream.held))
		}
	}
	shown.WriteString(stream.Flush())
	if shown.String() != want {
		t.Fatalf("%v: shows %q, want %q", ids, shown.String(), want)
	}
	if again := stream.Flush(); again != "" {
		t.Fatalf("%v: a second Flush gave %q", ids, again)
	}
}

func TestStreamEqualsDecode(t *testing.T) {
	tok := openTiny(t, addedJSON(firstAdded, "<|日|>", "special"), plainByteLevel)
	rng := rand.New(rand.NewPCG(13, 14))
	text := "日本語 😀👩‍👩‍👧 é\x00 мир"
	whole := mustEncode(t, tok, text)
	for range 20000 {
		var ids []int32
		for range rng.IntN(6) {
			switch rng.IntN(5) {
			case 0: // any bytes, so mostly broken characters
				ids = append(ids, rng.Int32N(256))
			case 1:
				ids = append(ids, 0xC0+rng.Int32N(64))
			case 2:
				ids = append(ids, rng.Int32N(300)-5)
			case 3:
				ids = append(ids, firstAdded)
			default: // a piece of real text, cut anywhere
				from := rng.IntN(len(whole))
				ids = append(ids, whole[from:from+rng.IntN(len(whole)-from+1)]...)
			}
		}
		checkStream(t, tok, ids, rng.IntN(2) == 0)
	}
}

func TestStreamShowsCharactersAsSoonAsTheyAreComplete(t *testing.T) {
	tok := openTiny(t, "", plainByteLevel)
	stream := tok.Stream(false)
	for i, want := range []string{"", "", "日", "a", "", "\uFFFDb", "", "\uFFFD", "\uFFFD"} {
		ids := []int32{0xE6, 0x97, 0xA5, 'a', 0xE6, 'b', 0xF0, 0xF0, 0xFF}
		got := stream.Push(ids[i])
		if i == 8 {
			want = "\uFFFD\uFFFD" // the second F0 and the FF can both become nothing
		}
		if got != want {
			t.Errorf("id %d: got %q, want %q", i, got, want)
		}
	}
}

func TestStreamKeepsACharacterAcrossASkippedToken(t *testing.T) {
	tok := openTiny(t, addedJSON(firstAdded, "<|a|>", "special"), plainByteLevel)
	checkStream(t, tok, []int32{0xE6, firstAdded, 0x97, 0xA5}, true)
	checkStream(t, tok, []int32{0xE6, firstAdded, 0x97, 0xA5}, false)
	stream := tok.Stream(true)
	if got := stream.Push(0xE6) + stream.Push(firstAdded) + stream.Push(0x97) + stream.Push(0xA5); got != "日" {
		t.Errorf("got %q, want 日", got)
	}
}

func FuzzStream(f *testing.F) {
	f.Add([]byte("\xe6\x97\xa5\xf0\x9f\x98a\xff\xc0\x80"), true)
	f.Add([]byte{}, false)
	tok, err := fromJSON("tiny.json", tinyJSON(addedJSON(firstAdded, "<|日|>", "special"), plainByteLevel))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		if err := tok.Close(); err != nil {
			f.Error(err)
		}
	})
	f.Fuzz(func(t *testing.T, data []byte, skip bool) {
		ids := make([]int32, 0, len(data))
		for _, c := range data {
			id := int32(c)
			if c == 0x7F { // stands for the control token
				id = firstAdded
			}
			ids = append(ids, id)
		}
		checkStream(t, tok, ids, skip)
	})
}
