package ui

import (
	"strings"

	"peregrine/history"
	"peregrine/model/generate"
	"peregrine/ui/escape"
	"peregrine/ui/markdown"
)

// item is one thing in the transcript: a message or a notice. It keeps its lines until its width, its text or the theme
// changes.
type item struct {
	message history.Message // of role User or Assistant; no role: a notice
	version string          // "2/3" when there are several versions
	chosen  bool            // by the user, to do something with it
	waiting string          // what a reply without text does
	mark    string          // said below a turn of the user that the context does not hold
	notice  string
	level   level

	doc    *markdown.Doc // of a reply
	cached []string
	width  int // of cached; 0: none
	below  int // lines at the end of cached that are about the text: values, versions
}

// maxText is the widest text: longer lines are hard to read.
const maxText = 100

// indent sets replies apart from the edge; what users say has its bar there.
const indent = "  "

func newMessage(m history.Message) *item { return &item{message: m} }

func newNotice(l level, text string) *item { return &item{notice: text, level: l} }

// changed forgets the lines.
func (it *item) changed() { it.width = 0 }

// restyle forgets everything that has colours.
func (it *item) restyle() {
	it.doc = nil
	it.changed()
}

// lines returns the item as lines of at most width cells. The first is the empty line that sets it apart.
func (it *item) lines(width int, t *theme) []string {
	if it.width == width {
		return it.cached
	}
	it.width, it.below = width, 0
	text := max(min(width, maxText)-len(indent), 1)
	if width < 12 {
		text = width
	}
	lines := []string{""}
	switch {
	case it.message.Role == generate.User:
		lines = append(lines, it.userLines(text, width, t)...)
	case it.isReply():
		lines = append(lines, it.replyLines(text, width, t)...)
	default:
		for _, l := range strings.Split(t.cells.Wrap(spaced(it.notice), text), "\n") {
			lines = append(lines, margin(width)+t.say(it.level, l))
		}
	}
	it.cached = lines
	return lines
}

// edge returns the two cells at the left of the item's lines, nothing on very narrow screens.
func (it *item) edge(width int, t *theme) string {
	switch {
	case width < 12:
		return ""
	case it.chosen:
		return strong(t.colours.accent, "▌ ")
	case it.mark != "":
		return t.muted("┊ ")
	case it.message.Role == generate.User:
		return paint(t.colours.user, "┃ ")
	}
	return margin(width)
}

// spaced makes a text of several lines harmless. A tab's width depends on the terminal, so it becomes spaces.
func spaced(text string) string { return strings.ReplaceAll(escape.Visible(text), "\t", "    ") }

// margin returns the indentation of replies, none on very narrow screens.
func margin(width int) string {
	if width < 12 {
		return ""
	}
	return indent
}
