package cells

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

// Wrap breaks text, styled or not, into lines of at most width cells: at spaces, which go, and behind hyphens. A word that is
// wider than a line starts one and is broken where it ends, and a character that is wider is broken between its code points.
// (Wrap of package ansi takes the cells of the digit for those of the keycap that it starts, so its lines may be too wide.)
func (m Method) Wrap(s string, width int) string {
	w := wrapper{method: m, width: max(width, 1)}
	var state byte
	for s != "" {
		seq, cells, n, next := m.decode(s, state)
		s, state = s[n:], next
		w.add(seq, cells)
	}
	w.endLine()
	return w.out.String()
}

// decode returns the next character or control sequence of s, its cells and its bytes.
func (m Method) decode(s string, state byte) (seq string, cells, n int, next byte) {
	if state == ansi.NormalState && s[0] > 0x1f && s[0] != 0x7f && s[0] != ansi.ESC {
		n, cells = m.First(s)
		return s[:n], cells, n, state
	}
	if m.Method == ansi.GraphemeWidth {
		return ansi.DecodeSequence(s, state, nil)
	}
	return ansi.DecodeSequenceWc(s, state, nil)
}

// wrapper holds the line that is being written: what stands on it, then spaces, then a word that may still grow.
type wrapper struct {
	method       Method
	width        int
	out          strings.Builder
	used         int // cells of the line
	spaces, word strings.Builder
	gap, length  int // their cells
}

// add takes the next character or control sequence.
func (w *wrapper) add(seq string, cells int) {
	r, _ := utf8.DecodeRuneInString(seq)
	switch {
	case seq == "\n":
		w.endLine()
		w.newLine()
	case cells > w.width:
		w.breakUp(seq)
	case cells > 0 && unicode.IsSpace(r) && r != '\u00a0':
		w.endWord()
		w.spaces.WriteString(seq)
		w.gap += cells
	default:
		w.grow(seq, cells)
		if seq == "-" {
			w.endWord()
		}
	}
}

// grow adds a character to the word, which goes to the next line when this one cannot hold it, and is broken when no line can.
func (w *wrapper) grow(seq string, cells int) {
	if w.used+w.gap+w.length+cells > w.width {
		if w.used > 0 {
			w.newLine()
		}
		w.drop() // an indentation gives way to a long word
	}
	if w.length+cells > w.width {
		w.endWord()
		w.newLine()
	}
	w.word.WriteString(seq)
	w.length += cells
}

// breakUp adds a character that is wider than a line, code point by code point.
func (w *wrapper) breakUp(seq string) {
	for _, r := range seq {
		s := string(r)
		w.grow(s, w.method.StringWidth(s))
	}
}

// endWord puts the spaces and the word on the line.
func (w *wrapper) endWord() {
	if w.word.Len() == 0 {
		return
	}
	w.out.WriteString(w.spaces.String())
	w.out.WriteString(w.word.String())
	w.used += w.gap + w.length
	w.word.Reset()
	w.length = 0
	w.drop()
}

// drop forgets the spaces.
func (w *wrapper) drop() {
	w.spaces.Reset()
	w.gap = 0
}

// endLine puts on the line what is left. Spaces at its end stay if there is room.
func (w *wrapper) endLine() {
	w.endWord()
	if w.used+w.gap <= w.width {
		w.out.WriteString(w.spaces.String())
	}
	w.drop()
}

// newLine starts the next line, without the spaces between.
func (w *wrapper) newLine() {
	w.drop()
	w.out.WriteByte('\n')
	w.used = 0
}
