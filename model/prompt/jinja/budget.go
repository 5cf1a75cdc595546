package jinja

import "fmt"

// maxDepth bounds nested evaluation, macros and nested values; Python's own limit is 1000 frames.
const maxDepth = 500

// budget bounds one rendering. It needs no clock and no second goroutine: every step is paid before it is taken, so the same
// template is refused at the same point on every machine.
type budget struct {
	left, limit int
	depth       int
}

// spend pays n units: a node evaluated, a list element touched.
func (b *budget) spend(n int) error {
	if n < 0 || n > b.left {
		b.left = 0
		return &Error{Message: fmt.Sprintf("needs more than %d steps: it loops or its text grows without end", b.limit)}
	}
	b.left -= n
	return nil
}

// spendText pays for n bytes of text that are read or written: 16 bytes are a unit.
func (b *budget) spendText(n int) error { return b.spend(1 + n/16) }

// spendRunes pays for work on each character of a text.
func (b *budget) spendRunes(t Text) error { return b.spend(1 + len(t.String)/2 + len(t.User)) }

// spendTexts pays for moving texts, their spans included.
func (b *budget) spendTexts(ts ...Text) error {
	n := 0
	for _, t := range ts {
		n += len(t.String)/16 + len(t.User) + 1
	}
	return b.spend(n)
}

// enter goes one level deeper; each call is paired with leave.
func (b *budget) enter() error {
	b.depth++
	if b.depth > maxDepth {
		return &Error{Message: fmt.Sprintf("nests more than %d deep: a macro, a loop or a value holds itself", maxDepth)}
	}
	return b.spend(1)
}

func (b *budget) leave() { b.depth-- }
