// Package escape makes text harmless for a terminal: what a model, a file or a paste says is shown, never obeyed.
//
// The one idea: every rune is judged by itself, so that a text may be cut anywhere between two characters and the pieces
// still come out as the whole would. Control characters become their pictures (ESC is shown as ␛), and characters that
// reorder or hide text are shown by number, as ‹U+202E›. Styling that the program itself adds must be put on afterwards.
package escape

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Visible returns s with everything that a terminal would obey or hide made visible:
//   - C0 controls but newline and tab, and DEL, as Unicode control pictures (U+2400 and on);
//   - C1 controls, bidirectional embeddings, overrides and isolates, line and paragraph separators, the byte order mark,
//     deprecated format characters, interlinear annotations, tag characters and noncharacters as ‹U+XXXX›;
//   - each byte that is not valid UTF-8 as U+FFFD.
//
// Joiners, variation selectors and the direction marks U+200E, U+200F and U+061C stay: emoji and right-to-left scripts
// need them and they cannot reorder more than the neutral characters beside them. Visible is idempotent, and
// Visible(a+b) is Visible(a)+Visible(b) when the cut does not split a character.
func Visible(s string) string {
	return replace(s, hazard)
}

// Line is Visible for a place of one line, such as a title, a name or a status: newlines are shown as ␊ and tabs become
// one space.
func Line(s string) string {
	return replace(s, func(r rune) bool { return r == '\n' || r == '\t' || hazard(r) })
}

// replace rewrites the runes that unsafe reports, and invalid bytes. Harmless text is returned as it is.
func replace(s string, unsafe func(rune) bool) string {
	i := next(s, 0, unsafe)
	if i == len(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 16)
	from := 0
	for i < len(s) {
		b.WriteString(s[from:i])
		r, size := utf8.DecodeRuneInString(s[i:])
		writeShown(&b, r)
		from = i + size
		i = next(s, from, unsafe)
	}
	b.WriteString(s[from:])
	return b.String()
}

// next returns the offset of the first rune at or after i that must be rewritten, or len(s).
func next(s string, i int, unsafe func(rune) bool) int {
	for i < len(s) {
		if c := s[i]; c >= 0x20 && c < 0x7f {
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 || unsafe(r) {
			return i
		}
		i += size
	}
	return i
}

// hazard reports whether a terminal would obey r or a reader could not see it.
func hazard(r rune) bool {
	switch {
	case r < 0x20:
		return r != '\n' && r != '\t'
	case r < 0x7f:
		return false
	case r <= 0x9f: // DEL and C1
		return true
	case r < 0x2028:
		return false
	case r <= 0x202e: // line and paragraph separator, embeddings and overrides
		return true
	case r >= 0x2066 && r <= 0x206f: // isolates, deprecated format characters
		return true
	case r >= 0xfdd0 && r <= 0xfdef, r&0xfffe == 0xfffe: // noncharacters
		return true
	case r == 0xfeff, r >= 0xfff9 && r <= 0xfffb: // byte order mark, interlinear annotation
		return true
	}
	return r >= 0xe0000 && r <= 0xe007f // tag characters: a whole text can hide in them
}

// writeShown writes what stands for a rune that is not sent.
func writeShown(b *strings.Builder, r rune) {
	switch {
	case r == utf8.RuneError:
		b.WriteRune(utf8.RuneError)
	case r == '\t':
		b.WriteByte(' ')
	case r < 0x20:
		b.WriteRune(0x2400 + r)
	case r == 0x7f:
		b.WriteRune(0x2421)
	default:
		fmt.Fprintf(b, "‹U+%04X›", r)
	}
}
