package ui

import (
	"slices"
	"strings"

	"peregrine/ui/markdown"
)

// transcript is the conversation on the screen: a list of items and what part of it is in sight. Only items in sight are
// laid out, so that a long conversation costs no more than a short one.
type transcript struct {
	items  []*item
	width  int
	height int

	// follow keeps the end in sight. When it is off, the line in sight at the top stays there whatever happens: top says
	// which it is at this width, and anchor what it holds, so that another width finds it again.
	follow bool
	top    place
	anchor anchor

	find *finding // what is searched for; nil: nothing
}

// place is a line of an item.
type place struct{ item, line int }

// anchor is a place that does not depend on the width.
type anchor struct {
	set  bool
	item *item
	at   markdown.Position
	line int // for what is no reply: the line, or how far it is into the item
	of   int // of so many lines
}

func newTranscript() transcript { return transcript{follow: true} }

// reset shows other items, at their end.
func (tr *transcript) reset(items []*item) {
	*tr = transcript{items: items, width: tr.width, height: tr.height, follow: true, find: tr.find}
}

// add appends an item.
func (tr *transcript) add(it *item) { tr.items = append(tr.items, it) }

// remove takes an item out.
func (tr *transcript) remove(it *item) {
	for i, other := range tr.items {
		if other == it {
			tr.items = append(tr.items[:i], tr.items[i+1:]...)
			if tr.top.item > i {
				tr.top.item--
			}
			return
		}
	}
}

// removeMessage takes out the item of a message.
func (tr *transcript) removeMessage(id string) {
	for _, it := range tr.items {
		if it.message.ID == id && id != "" {
			tr.remove(it)
			return
		}
	}
}

// replaceFrom keeps the first n messages with the notices around them, and puts more in the place of what follows. What stands
// at the top stays there unless it goes.
func (tr *transcript) replaceFrom(n int, more []*item) {
	keep := 0
	for _, it := range tr.items {
		if it.message.ID != "" {
			if n == 0 {
				break
			}
			n--
		}
		keep++
	}
	gone := !tr.follow && tr.top.item >= keep
	tr.items = append(tr.items[:keep:keep], more...)
	if gone || tr.anchor.set && !slices.Contains(tr.items, tr.anchor.item) {
		tr.toEnd()
	}
}

// versionOf says which version the message on the screen is, "" when it is the only one.
func (tr *transcript) versionOf(id string) string {
	for _, it := range tr.items {
		if it.message.ID == id {
			return it.version
		}
	}
	return ""
}

// choose marks the message that is chosen, and no other; "": none.
func (tr *transcript) choose(id string) {
	for _, it := range tr.items {
		if chosen := id != "" && it.message.ID == id; chosen != it.chosen {
			it.chosen = chosen
			it.changed()
		}
	}
}

// reveal brings a message in sight: all of it, or its first lines where it is longer than the screen.
func (tr *transcript) reveal(id string, t *theme) {
	i := slices.IndexFunc(tr.items, func(it *item) bool { return it.message.ID == id })
	if i < 0 || tr.width == 0 {
		return
	}
	end := tr.bottom(t)
	now := tr.top
	if tr.follow || end.before(now) {
		now = end
	}
	first, last := place{i, 1}, tr.above(i, t) // the lowest and the highest place to look from
	if first.before(last) {
		last = first
	}
	switch {
	case first.before(now):
		now = first
	case now.before(last):
		now = last
	default:
		return
	}
	tr.top, tr.anchor = now, anchor{}
	tr.follow = !now.before(end)
}

// lastReply returns the last item that is a reply, or nil.
func (tr *transcript) lastReply() *item {
	for i := len(tr.items) - 1; i >= 0; i-- {
		if tr.items[i].isReply() {
			return tr.items[i]
		}
	}
	return nil
}

// setSize changes what is in sight. The reading position stays.
func (tr *transcript) setSize(width, height int, t *theme) {
	tr.height = max(height, 0)
	if width == tr.width {
		return
	}
	tr.hold(t)
	tr.width = width
	tr.release(t)
}

// hold remembers what stands at the top, before lines change in another way than by the width.
func (tr *transcript) hold(t *theme) {
	if !tr.follow && !tr.anchor.set && tr.width > 0 {
		tr.anchor = tr.anchorOf(tr.top, t)
	}
}

// release finds again what hold remembered.
func (tr *transcript) release(t *theme) {
	if !tr.follow && tr.anchor.set {
		tr.top = tr.placeOf(tr.anchor, t)
	}
}

// restyle renders everything anew.
func (tr *transcript) restyle() {
	for _, it := range tr.items {
		it.restyle()
	}
}

// anchorOf says what a line holds.
func (tr *transcript) anchorOf(p place, t *theme) anchor {
	if p.item >= len(tr.items) {
		return anchor{}
	}
	it := tr.items[p.item]
	lines := it.lines(tr.width, t)
	a := anchor{set: true, item: it, line: p.line, of: len(lines)}
	if it.doc != nil && p.line > 0 {
		a.at = it.doc.Locate(p.line - 1) // the first line is the empty one
	}
	return a
}

// placeOf finds what an anchor holds at the present width.
func (tr *transcript) placeOf(a anchor, t *theme) place {
	for i, it := range tr.items {
		if it != a.item {
			continue
		}
		lines := it.lines(tr.width, t)
		switch {
		case a.line == 0:
			return place{i, 0}
		case it.doc != nil:
			return place{i, min(it.doc.Find(a.at)+1, len(lines)-1)}
		default:
			return place{i, min(a.line*len(lines)/max(a.of, 1), len(lines)-1)}
		}
	}
	return place{}
}

// count returns how many lines an item has.
func (tr *transcript) count(i int, t *theme) int { return len(tr.items[i].lines(tr.width, t)) }

// bottom returns the top line that has the end in sight.
func (tr *transcript) bottom(t *theme) place { return tr.above(len(tr.items)-1, t) }

// above returns the top line that has the end of an item in sight, as the last line.
func (tr *transcript) above(last int, t *theme) place {
	room := tr.height
	for i := last; i >= 0; i-- {
		n := tr.count(i, t)
		if i == 0 {
			n-- // nothing sets the first item apart from
		}
		if n >= room {
			return place{i, tr.count(i, t) - room}
		}
		room -= n
	}
	return place{0, min(1, len(tr.items))}
}

// topNow returns the line that stands at the top of the screen.
func (tr *transcript) topNow(t *theme) place {
	if end := tr.bottom(t); tr.follow || end.before(tr.top) {
		return end
	}
	return tr.top
}

// before reports whether a is above b.
func (a place) before(b place) bool {
	return a.item < b.item || a.item == b.item && a.line < b.line
}

// scroll moves by n lines, up when n is negative.
func (tr *transcript) scroll(n int, t *theme) {
	if len(tr.items) == 0 || tr.width == 0 {
		return
	}
	end := tr.bottom(t)
	p := tr.top
	if tr.follow || end.before(p) {
		p = end
	}
	for ; n < 0; n++ {
		switch {
		case p.line > 0 && (p.item > 0 || p.line > 1):
			p.line--
		case p.item > 0:
			p.item--
			p.line = tr.count(p.item, t) - 1
		}
	}
	for ; n > 0 && p.before(end); n-- {
		if p.line++; p.line >= tr.count(p.item, t) {
			p = place{p.item + 1, 0}
		}
	}
	tr.follow, tr.anchor = !p.before(end), anchor{}
	tr.top = p
}

// toTop shows the start.
func (tr *transcript) toTop(t *theme) {
	if len(tr.items) == 0 {
		return
	}
	tr.top, tr.anchor = place{0, 1}, anchor{}
	tr.follow = !tr.top.before(tr.bottom(t))
}

// toEnd shows the end and follows it.
func (tr *transcript) toEnd() { tr.follow, tr.anchor = true, anchor{} }

// more reports whether there is text below what is in sight.
func (tr *transcript) more(t *theme) bool {
	return !tr.follow && tr.top.before(tr.bottom(t))
}

// view returns the lines in sight, height of them. A conversation that does not fill the screen stands at its top.
func (tr *transcript) view(t *theme) []string {
	lines := make([]string, 0, tr.height)
	if len(tr.items) > 0 && tr.width > 0 {
		p := tr.topNow(t)
		for i := p.item; i < len(tr.items) && len(lines) < tr.height; i++ {
			rows := tr.marked(tr.items[i], t)
			if i == p.item {
				rows = rows[min(p.line, len(rows)):]
			}
			lines = append(lines, rows[:min(len(rows), tr.height-len(lines))]...)
		}
	}
	for len(lines) < tr.height {
		lines = append(lines, "")
	}
	return lines
}

// text returns everything as plain lines, for tests and searches.
func (tr *transcript) text(t *theme) string {
	var all []string
	for _, it := range tr.items {
		all = append(all, it.lines(tr.width, t)...)
	}
	return strings.Join(all, "\n")
}
