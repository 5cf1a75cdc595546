package engine

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// stopFilter lets text through until a stop string comes, and holds back what may be the beginning of one. What it lets
// through does not depend on how the text is cut into pieces: of all stop strings the one that ends first counts, of those
// that end together the longest.
type stopFilter struct {
	stops []string
	held  string // the longest end of the text so far that begins a stop string
	shown int    // leading bytes of held that the reader has from an earlier reply; they can match but are not given again
}

// newStopFilter leaves out empty strings, which would match everywhere, and those that no text can contain.
func newStopFilter(stops []string) *stopFilter {
	f := &stopFilter{}
	for _, s := range stops {
		if s != "" && utf8.ValidString(s) && !slices.Contains(f.stops, s) {
			f.stops = append(f.stops, s)
		}
	}
	return f
}

// prime tells the filter the text in front of the first piece. A stop string may begin in it.
func (f *stopFilter) prime(text string) {
	f.held = text[len(text)-f.partial(text):]
	f.shown = len(f.held)
}

// push adds a piece and returns what can be shown now. After stopped it returns nothing more.
func (f *stopFilter) push(piece string) (text string, stopped bool) {
	if piece == "" {
		return "", false
	}
	f.held += piece
	cut, stopped := f.match()
	if !stopped {
		cut = len(f.held) - f.partial(f.held)
	}
	text = f.held[min(f.shown, cut):cut]
	if stopped {
		f.held, f.shown = "", 0
		return text, true
	}
	f.held, f.shown = f.held[cut:], max(f.shown-cut, 0)
	return text, false
}

// rest ends the text and returns what was held back: it began like a stop string and was none.
func (f *stopFilter) rest() string {
	text := f.held[f.shown:]
	f.held, f.shown = "", 0
	return text
}

// match returns where the stop string begins that ends first in held, of those that end after what was shown.
func (f *stopFilter) match() (start int, found bool) {
	end := 0
	for _, s := range f.stops {
		from := max(f.shown-len(s)+1, 0)
		i := strings.Index(f.held[from:], s)
		if i < 0 {
			continue
		}
		i += from
		if e := i + len(s); !found || e < end || e == end && i < start {
			start, end, found = i, e, true
		}
	}
	return start, found
}

// partial returns the length of the longest end of text that begins a stop string without completing it.
func (f *stopFilter) partial(text string) int {
	longest := 0
	for _, s := range f.stops {
		for n := min(len(s)-1, len(text)); n > longest; n-- {
			if strings.HasSuffix(text, s[:n]) {
				longest = n
			}
		}
	}
	return longest
}
