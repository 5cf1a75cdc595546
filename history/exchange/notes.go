package exchange

import (
	"fmt"
	"strconv"
	"unicode/utf8"
)

// maxNotes bounds how many different things are said of one file.
const maxNotes = 50

// notes gathers what could not be kept: each thing once, with how often it came.
type notes struct {
	order []string
	count map[string]int
	other int // how often something came that has no room
}

// add notes one thing. Arguments from a file go through quote.
func (n *notes) add(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if n.count[text] == 0 {
		if len(n.order) == maxNotes {
			n.other++
			return
		}
		if n.count == nil {
			n.count = map[string]int{}
		}
		n.order = append(n.order, text)
	}
	n.count[text]++
}

// list returns the notes as sentences.
func (n *notes) list() []string {
	list := make([]string, 0, len(n.order)+1)
	for _, text := range n.order {
		if c := n.count[text]; c > 1 {
			text += fmt.Sprintf(" (%d times)", c)
		}
		list = append(list, text)
	}
	if n.other > 0 {
		list = append(list, fmt.Sprintf("%d more things of other kinds were left out", n.other))
	}
	return list
}

// quote returns a name from a file, short and harmless.
func quote(s string) string {
	const most = 40
	if len(s) > most {
		cut := most
		for cut > 0 && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut] + "…"
	}
	return strconv.Quote(s)
}
