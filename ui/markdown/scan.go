package markdown

import "strings"

// scanner reads the lines of a document once and says before which of them everything above is finished for good: no later
// line can change how it is parsed. Where it is not sure it says nothing, which costs time and never correctness: the open
// part only grows.
//
// It knows just enough of CommonMark for that: a line without indentation after a blank line starts a new block at the top
// level, unless a fence or an HTML block is open; a fence interrupts whatever paragraph stands before it; an item of the same
// list at the list's own indentation ends the item before it.
type scanner struct {
	mode  scanMode
	blank bool // the line before was blank, or a fence ended there
	tags  bool // since the last blank line something looked like an HTML block

	fence  fence
	endTag string // what ends the HTML block
	list   listState
}

type scanMode int

const (
	scanText scanMode = iota
	scanFence
	scanHTML
	scanList
	scanOpaque // not sure of anything until the end
)

// fence is an open fenced code block.
type fence struct {
	char   byte
	length int
	indent int
	info   string
}

// listState is the list at the top level that the line before belongs to.
type listState struct {
	marker  byte // '-', '+', '*', '.', ')'; 0: not known
	content int  // column from which a line belongs to the current item; -1: not known
	text    bool // the item has been one paragraph so far, so that a line without indentation continues it
}

// line takes the next whole line, without its newline, and reports whether everything before it is finished.
func (s *scanner) line(line string) (cut bool) {
	indent, rest := indentation(line)
	if s.mode == scanFence {
		if s.fence.closedBy(indent, rest) {
			s.mode, s.blank = scanText, true
		}
		return false
	}
	if s.mode == scanOpaque {
		return false
	}
	if s.mode == scanHTML {
		s.htmlEnds(line)
		return false
	}
	if rest == "" {
		s.blank, s.tags, s.list.text = true, false, false
		return false
	}
	if s.mode == scanList && s.list.holds(indent) {
		s.insideItem(indent, rest)
	} else {
		cut = s.topLevel(indent, rest, s.blank && indent == 0)
	}
	s.blank = false
	return cut
}

// holds reports whether a line of this indentation belongs to the current item, or may belong to it.
func (l listState) holds(indent int) bool {
	if l.content < 0 {
		return indent > 0
	}
	return indent >= l.content
}

// insideItem looks at an indented line of a list item. What an item holds ends with it and needs no bookkeeping, as long as
// it is certain that the line is in the item.
func (s *scanner) insideItem(indent int, rest string) {
	s.list.text = s.list.text && isPlain(rest)
	if s.list.content >= 0 {
		return
	}
	s.list = unknownList // the line may have ended an empty item
	if indent > 3 {
		return
	}
	_, fenced := openFence(indent, rest)
	if fenced || rest[0] == '<' {
		s.mode = scanOpaque
	}
}

// topLevel looks at a line that is in no list item, or continues its paragraph lazily.
func (s *scanner) topLevel(indent int, rest string, fresh bool) (cut bool) {
	if indent > 3 {
		if s.blank && s.mode == scanList {
			s.mode = scanText
		}
		return false
	}
	if f, ok := openFence(indent, rest); ok {
		if s.tags {
			s.mode = scanOpaque
			return fresh
		}
		s.mode, s.fence = scanFence, f
		return true
	}
	if rest[0] == '<' {
		s.openTag(indent, rest)
		return fresh
	}
	if m, ok := listMarker(indent, rest); ok && !isRule(rest) {
		return s.item(m, fresh)
	}
	if s.mode == scanList {
		switch {
		case s.blank, isRule(rest), rest[0] == '>', isHeading(rest):
			s.mode = scanText
		case !s.list.text || !isPlain(rest):
			s.list = unknownList // the list may have ended
		}
	}
	return fresh
}

// item looks at a line that starts like a list item.
func (s *scanner) item(m marker, fresh bool) (cut bool) {
	known := listState{m.char, m.content, m.text}
	if s.mode == scanList && s.list.marker == m.char && !m.empty {
		s.list = known
		return true
	}
	s.mode, s.list = scanList, unknownList
	if s.blank || !m.empty && (m.bullet() || m.first) && !s.tags {
		s.list = known
	}
	return fresh
}

// unknownList is a list of which nothing is certain, not even that it is one.
var unknownList = listState{content: -1}

// openTag looks at a line that may start an HTML block.
func (s *scanner) openTag(indent int, rest string) {
	end := htmlEnd(rest)
	switch {
	case end == "":
		s.tags = true
		if s.mode == scanList {
			if s.blank {
				s.mode = scanText
			} else {
				s.list = unknownList
			}
		}
	case s.mode == scanList && indent > 0, s.tags:
		s.mode = scanOpaque
	default:
		s.mode, s.endTag = scanHTML, end
		s.htmlEnds(rest)
	}
}

// htmlEnds looks for what ends the open HTML block.
func (s *scanner) htmlEnds(line string) {
	found := strings.Contains(line, s.endTag)
	if s.endTag == "</" {
		lower := strings.ToLower(line)
		found = false
		for _, tag := range rawTags {
			found = found || strings.Contains(lower, "</"+tag+">")
		}
	}
	if found {
		s.mode, s.blank = scanText, false
	}
}

// early reports whether a line that is still being written starts a new block whatever follows.
func (s *scanner) early(part string) bool {
	switch s.mode {
	case scanFence, scanHTML, scanOpaque:
		return false
	}
	indent, rest := indentation(part)
	if rest == "" || indent > 0 {
		return false
	}
	if s.blank {
		return true
	}
	m, ok := listMarker(0, rest)
	return ok && s.mode == scanList && s.list.marker == m.char && m.text
}

// indentation returns the column of the first character that is no white space, tabs counted to multiples of four, and the
// line from there without trailing white space.
func indentation(line string) (int, string) {
	column := 0
	for i := 0; i < len(line); i++ {
		switch line[i] {
		case ' ':
			column++
		case '\t':
			column += 4 - column%4
		default:
			return column, strings.TrimRight(line[i:], " \t\v\f\r")
		}
	}
	return column, ""
}

// openFence reports whether a line opens a fenced code block.
func openFence(indent int, rest string) (fence, bool) {
	c := rest[0]
	if indent > 3 || c != '`' && c != '~' {
		return fence{}, false
	}
	n := len(rest) - len(strings.TrimLeft(rest, string(c)))
	info := strings.TrimSpace(rest[n:])
	if n < 3 || c == '`' && strings.Contains(info, "`") {
		return fence{}, false
	}
	return fence{char: c, length: n, indent: indent, info: info}, true
}

// closedBy reports whether a line closes the fence.
func (f fence) closedBy(indent int, rest string) bool {
	if indent > 3 || len(rest) < f.length {
		return false
	}
	return strings.Trim(rest, string(f.char)) == ""
}

// marker is the start of a list item.
type marker struct {
	char    byte
	size    int  // bytes, without white space
	first   bool // the number 1
	empty   bool // nothing follows
	text    bool // what follows is the start of a paragraph
	content int  // the column where the item's content starts; -1: not known
}

func (m marker) bullet() bool { return m.char == '-' || m.char == '+' || m.char == '*' }

// listMarker reports whether a line starts with a list marker.
func listMarker(indent int, rest string) (marker, bool) {
	m := marker{char: rest[0], size: 1}
	if !m.bullet() {
		digits := 0
		for digits < len(rest) && rest[digits] >= '0' && rest[digits] <= '9' {
			digits++
		}
		if digits == 0 || digits > 9 || digits == len(rest) || rest[digits] != '.' && rest[digits] != ')' {
			return marker{}, false
		}
		m.char, m.size, m.first = rest[digits], digits+1, rest[:digits] == "1"
	}
	after := rest[m.size:]
	text := strings.TrimLeft(after, " ")
	spaces := len(after) - len(text)
	switch {
	case after == "":
		m.empty, m.content = true, -1
	case text == "" || text[0] == '\t' || spaces > 4:
		m.content = -1
	case spaces == 0:
		return marker{}, false
	default:
		m.content = indent + m.size + spaces
		m.text = isPlain(text)
	}
	return m, true
}

// isPlain reports whether a line can be nothing but a paragraph's.
func isPlain(rest string) bool {
	c := rest[0]
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80 || c == '"' || c == '(' || strings.HasPrefix(rest, "**") && !isRule(rest)
}

// isRule reports whether a line is a thematic break.
func isRule(rest string) bool {
	c, n := rest[0], 0
	if c != '-' && c != '*' && c != '_' {
		return false
	}
	for i := 0; i < len(rest); i++ {
		switch rest[i] {
		case c:
			n++
		case ' ', '\t':
		default:
			return false
		}
	}
	return n >= 3
}

// isHeading reports whether a line is a heading of the # kind.
func isHeading(rest string) bool {
	text := strings.TrimLeft(rest, "#")
	n := len(rest) - len(text)
	return n >= 1 && n <= 6 && (text == "" || text[0] == ' ' || text[0] == '\t')
}

// rawTags open HTML blocks that hold everything up to their end tag, blank lines too.
var rawTags = []string{"script", "pre", "style", "textarea"}

// htmlEnd returns what ends the HTML block that a line opens, when that is not the next blank line. "</" stands for the end
// of one of rawTags.
func htmlEnd(rest string) string {
	switch {
	case strings.HasPrefix(rest, "<!--"):
		return "-->"
	case strings.HasPrefix(rest, "<?"):
		return "?>"
	case strings.HasPrefix(rest, "<![CDATA["):
		return "]]>"
	case len(rest) > 2 && rest[1] == '!' && rest[2] >= 'A' && rest[2] <= 'Z':
		return ">"
	}
	lower := strings.ToLower(rest)
	for _, tag := range rawTags {
		after, ok := strings.CutPrefix(lower, "<"+tag)
		if ok && (after == "" || after[0] == ' ' || after[0] == '\t' || after[0] == '>' || strings.HasPrefix(after, "/>")) {
			return "</"
		}
	}
	return ""
}
