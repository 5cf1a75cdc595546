//go:build cgo

package tokenizer

import (
	"fmt"
	"strings"
	"testing"
)

// BenchmarkFromGGUF loads the default model's vocabulary: "own" without the library's part.
func BenchmarkFromGGUF(b *testing.B) {
	v := readVocabulary(b, defaultModel(b))
	b.Run("all", func(b *testing.B) {
		for b.Loop() {
			tok, err := FromGGUF(v)
			if err != nil {
				b.Fatal(err)
			}
			if err := tok.Complete(); err != nil {
				b.Fatal(err)
			}
			if err := tok.Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("first text", func(b *testing.B) {
		for b.Loop() {
			tok, err := FromGGUF(v)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := tok.Encode("What is the capital of France?", true); err != nil {
				b.Fatal(err)
			}
			if err := tok.Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("own", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s, err := v.spec()
			if err != nil {
				b.Fatal(err)
			}
			reachable, err := s.check()
			if err != nil {
				b.Fatal(err)
			}
			table, err := newTable(s)
			if err != nil {
				b.Fatal(err)
			}
			l := newLexicon(s, reachable, table)
			b.SetBytes(int64(len(l.appendJSON(make([]byte, 0, l.size()), l.reachable))))
		}
	})
}

// BenchmarkParseJSON reads a tokenizer.json of 1.7 MB without the library.
func BenchmarkParseJSON(b *testing.B) {
	text, err := readFile(falconFolder + "/tokenizer.json")
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parseJSON(text); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	tok := openVocabulary(b, readVocabulary(b, defaultModel(b)))
	text := strings.Repeat("func (t *Tokenizer) Encode(text string) ([]int32, error) { // the ids of 12 words\n\treturn nil, nil\n}\n", 20000)
	for _, size := range []int{25, 1 << 10, 16 << 10, 1 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			b.SetBytes(int64(size))
			for b.Loop() {
				if _, err := tok.Encode(text[:size], true); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
