//go:build cgo

package tokenizer

import (
	"math"
	"slices"
	"testing"
)

// The merges that follow from the scores are those of transformers' converter, also where scores are equal.
func TestMergesFromScores(t *testing.T) {
	file := readPieces(t)
	v := file.vocabulary()
	checkMerges(t, &v, file.Merges)
	if slices.Equal(file.Merges, file.Tied.Merges) {
		t.Fatal("the equal scores change nothing")
	}
	for i, score := range v.Scores {
		v.Scores[i] = float32(math.Floor(float64(score) / file.Tied.Rounded))
	}
	checkMerges(t, &v, file.Tied.Merges)
}

func checkMerges(t *testing.T, v *Vocabulary, want [][2]string) {
	t.Helper()
	s, err := v.spec()
	if err != nil {
		t.Fatal(err)
	}
	if len(s.merges) != len(want) {
		t.Fatalf("got %d merges, want %d", len(s.merges), len(want))
	}
	for i, m := range s.merges {
		if got := [2]string{m.left, m.right}; got != want[i] {
			t.Fatalf("merge %d: got %q, want %q", i, got, want[i])
		}
	}
}

// Of tokens with one score and parts of one length, the one with the lowest id is made first, wherever it stands. SentencePiece
// makes the leftmost, "ab" + "c" and "ca" + "b".
func TestEqualScoresAreMergedByID(t *testing.T) {
	v := Vocabulary{
		Source: "ties.gguf", Model: "llama", BOS: -1, EOS: -1, UNK: 0, PAD: -1, AddSpacePrefix: new(bool),
		Tokens: []string{"<unk>", "a", "b", "c", "bc", "ab", "ca", "▁"},
		Scores: []float32{0, -9, -9, -9, -1, -1, -1, -9},
		Types:  []int32{typeUnknown, typeNormal, typeNormal, typeNormal, typeNormal, typeNormal, typeNormal, typeNormal},
	}
	tok := openVocabulary(t, v)
	for text, want := range map[string][]int32{"abc": {1, 4}, "bca": {4, 1}, "cab": {3, 5}} {
		if got := mustEncode(t, tok, text); !slices.Equal(got, want) {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
}
