package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// replacement is what stands for bytes that are no character.
const replacement = "\uFFFD"

// nextCharacter says what b begins with: a character of n bytes (valid), n bytes that can never be part of one, or, when n is 0, a
// character that is not complete yet. Bytes that are no character are cut as Unicode recommends ("maximal subparts",
// Unicode 16.0 §3.9), which is also what Rust's from_utf8_lossy does: as many bytes as begin a valid character count as one.
func nextCharacter(b []byte) (n int, valid bool) {
	if b[0] < utf8.RuneSelf {
		return 1, true
	}
	if r, size := utf8.DecodeRune(b); r != utf8.RuneError || size > 1 {
		return size, true
	}
	low, high := byte(0x80), byte(0xBF)
	length := 2
	switch c := b[0]; {
	case c < 0xC2 || c > 0xF4:
		return 1, false
	case c < 0xE0:
	case c < 0xF0:
		length = 3
		switch c {
		case 0xE0:
			low = 0xA0
		case 0xED:
			high = 0x9F
		}
	default:
		length = 4
		switch c {
		case 0xF0:
			low = 0x90
		case 0xF4:
			high = 0x8F
		}
	}
	for n = 1; n < length; n++ {
		if n == len(b) {
			return 0, false
		}
		if b[n] < low || b[n] > high {
			return n, false
		}
		low, high = 0x80, 0xBF
	}
	return n, false
}

// appendText appends the characters in b, U+FFFD for what can never become one (with each for each of its bytes), and returns
// how many bytes it used: all but a last character that may still be completed.
func appendText(dst *strings.Builder, b []byte, each bool) (used int) {
	for used < len(b) {
		n, valid := nextCharacter(b[used:])
		switch {
		case n == 0:
			return used
		case valid:
			dst.Write(b[used : used+n])
		case each:
			dst.WriteString(strings.Repeat(replacement, n))
		default:
			dst.WriteString(replacement)
		}
		used += n
	}
	return used
}

// lossy returns b as text with U+FFFD for bytes that are no character.
func lossy(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	var out strings.Builder
	out.Grow(len(b) + len(b)/8)
	if appendText(&out, b, false) < len(b) {
		out.WriteString(replacement) // an unfinished character counts as one
	}
	return out.String()
}
