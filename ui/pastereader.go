package ui

import (
	"bytes"
	"os"
	"strings"
	"unicode/utf8"
)

// pasteReader is a terminal whose bracketed pastes come whole. Bubble Tea reads what is pasted as keys and drops what is none:
// colours of a log, other escape sequences, U+FFFD, bytes that are no UTF-8. Such bytes therefore pass it as characters that
// it leaves alone, see veil; unveil turns them back in Model.paste.
type pasteReader struct {
	*os.File
	inside bool   // between the marks of a paste
	seen   int    // bytes of the mark at its start that have passed
	held   []byte // read, and not known yet: the start of the mark at its end, or of a character
}

// The marks around a bracketed paste.
var pasteStart, pasteEnd = []byte("\x1b[200~"), []byte("\x1b[201~")

// veil and the 255 characters behind it stand for bytes. They are the last of the private use characters; where they are
// pasted themselves, their bytes are veiled.
const veil = 0x10ff00

// Read reads at most a quarter of what p holds, since a veiled byte takes four: nothing is ever left over that would wait for the
// terminal to have more.
func (r *pasteReader) Read(p []byte) (int, error) {
	room := len(p)/utf8.UTFMax - len(r.held)
	if room < 1 {
		return r.File.Read(p) // no reader has a buffer that small
	}
	in := make([]byte, room)
	n, err := r.File.Read(in)
	out := r.pass(p[:0], append(r.held, in[:n]...))
	if err != nil { // nothing completes it
		out, r.held = append(out, r.held...), nil
	}
	return len(out), err
}

// pass appends to out what of in is to be read now, and holds the rest.
func (r *pasteReader) pass(out, in []byte) []byte {
	r.held = nil
	for len(in) > 0 {
		if !r.inside {
			c := in[0]
			out, in = append(out, c), in[1:]
			switch c {
			case pasteStart[r.seen]:
				r.seen++
			case pasteStart[0]:
				r.seen = 1
			default:
				r.seen = 0
			}
			if r.seen == len(pasteStart) {
				r.inside, r.seen = true, 0
			}
			continue
		}
		switch {
		case bytes.HasPrefix(in, pasteEnd):
			out, in = append(out, pasteEnd...), in[len(pasteEnd):]
			r.inside = false
		case bytes.HasPrefix(pasteEnd, in), !utf8.FullRune(in):
			r.held = bytes.Clone(in)
			return out
		default:
			char, size := utf8.DecodeRune(in)
			if passes(char) {
				out = append(out, in[:size]...)
			} else {
				for _, b := range in[:size] {
					out = utf8.AppendRune(out, veil+rune(b))
				}
			}
			in = in[size:]
		}
	}
	return out
}

// passes reports whether Bubble Tea takes a character of a paste as it is.
func passes(char rune) bool {
	switch {
	case char == '\t', char == '\n', char == '\r':
		return true
	case char < 0x20, char >= 0x7f && char < 0xa0, char == utf8.RuneError, char >= veil:
		return false
	}
	return true
}

// unveil returns pasted text with its bytes as they were.
func unveil(text string) string {
	if !strings.ContainsFunc(text, veiled) {
		return text
	}
	var b strings.Builder
	for _, char := range text {
		if veiled(char) {
			b.WriteByte(byte(char - veil))
		} else {
			b.WriteRune(char)
		}
	}
	return b.String()
}

// veiled reports whether a character stands for a byte.
func veiled(char rune) bool { return char >= veil && char <= veil+0xff }
