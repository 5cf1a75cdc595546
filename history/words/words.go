// Package words cuts text into words, and finds in it what somebody searches for.
//
// The one idea: a text and what is searched in it are folded in the same way (lower case, without accents) and cut into the same
// words, so that an index of words and the text itself agree about what fits. Scripts that are written without spaces are cut
// into pairs of characters that overlap, since there a word has no end that one could see.
package words

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// maxWord is the most bytes of a word. What is longer, such as a key in base64, is cut into several.
const maxWord = 48

// Fold returns s in lower case and without accents.
func Fold(s string) string {
	if isASCII(s) {
		return strings.ToLower(s)
	}
	var b strings.Builder
	b.Grow(len(s))
	for _, r := range norm.NFKD.String(s) {
		if !unicode.Is(unicode.Mn, r) {
			b.WriteRune(unicode.ToLower(r))
		}
	}
	return norm.NFC.String(b.String())
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// Each calls yield with the place of each word of text, in bytes, until it returns false. Words may overlap; see the package.
func Each(text string, yield func(start, end int) bool) {
	start, pairs := -1, false // of the word; whether it is a character of a script without spaces
	for i, r := range text {
		k := kindOf(r)
		if start >= 0 {
			if goesOn := k == mark || k == letter && !pairs; goesOn && i-start < maxWord {
				continue
			}
			end := i
			if pairs && k == spaceless {
				end += utf8.RuneLen(r)
			}
			if !yield(start, end) {
				return
			}
		}
		start, pairs = i, k == spaceless
		if k == gap || k == mark {
			start = -1
		}
	}
	if start >= 0 {
		yield(start, len(text))
	}
}

// kind is what a character is for words.
type kind int

const (
	gap       kind = iota
	letter         // a number too
	mark           // belongs to the character before it
	spaceless      // of a script that is written without spaces between words
)

func kindOf(r rune) kind {
	switch {
	case r >= 0x0e00 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar):
		return spaceless
	case unicode.IsLetter(r) || unicode.IsNumber(r):
		return letter
	case unicode.IsMark(r):
		return mark
	}
	return gap
}
