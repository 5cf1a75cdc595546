package markdown

import "strings"

// cut finishes the open piece before offset at, unless it is empty. blank says that a blank line stands there.
func (d *Doc) cut(at int, blank bool) {
	if at > d.open.start {
		d.finish(at)
	}
	d.open.blank = d.open.blank || blank
}

// finish renders the open piece for good and starts the next one.
func (d *Doc) finish(end int) {
	p := d.open
	p.end = end
	d.open = piece{start: end}
	d.lines = d.lines[:d.done]
	d.stale = true
	if p.start == end {
		return
	}
	p.long = snapshot{}
	p.blocks = d.blocks
	news := d.layout(&p)
	d.blocks = d.painter.numbered
	p.code, p.table = nil, nil
	d.pieces = append(d.pieces, p)
	if news {
		d.renderLinks()
		return
	}
	d.place(&d.pieces[len(d.pieces)-1])
	d.done = len(d.lines)
}

// layout renders a finished piece and reports whether it defines links.
func (d *Doc) layout(p *piece) (news bool) {
	d.painter.numbered = p.blocks
	switch {
	case p.code != nil && p.fence.indent == 0:
		p.lines = p.code.lines
		d.painter.numbered += p.code.count()
	case p.table != nil && p.table.ok:
		p.lines = p.table.grid.lines()
	default:
		ctx := d.refs.context()
		p.lines, p.list, p.joined = d.painter.document(d.src.String()[p.start:p.end], d.before(), ctx)
		return d.refs.collect(ctx)
	}
	return false
}

// before returns with which list the finished part ends.
func (d *Doc) before() listEnd {
	if n := len(d.pieces); n > 0 {
		return d.pieces[n-1].list
	}
	return listEnd{}
}

// place appends the lines of a piece to those of the document.
func (d *Doc) place(p *piece) {
	if len(d.lines) > 0 && len(p.lines) > 0 && (!p.joined || p.blank) {
		d.lines = append(d.lines, "")
	}
	p.first = len(d.lines)
	d.lines = append(d.lines, p.lines...)
}

// renderLinks renders anew what a link definition may have changed.
func (d *Doc) renderLinks() {
	all := d.pieces
	d.pieces, d.lines = d.pieces[:0:len(all)], d.lines[:0]
	for i := range all {
		p := &all[i]
		if p.fence == nil && strings.Contains(d.src.String()[p.start:p.end], "]") {
			_ = d.layout(p)
		}
		d.pieces = all[:i+1]
		d.place(p)
	}
	d.done = len(d.lines)
}

// render renders the open piece as it is now.
func (d *Doc) render() {
	d.stale = false
	d.lines = d.lines[:d.done]
	p := &d.open
	part := d.src.String()[d.at:]
	p.joined, p.list = false, listEnd{}
	d.painter.numbered = d.blocks
	if p.code != nil {
		p.lines = append(p.code.lines[:len(p.code.lines):len(p.code.lines)], d.codePreview(part)...)
		d.place(p)
		return
	}
	if p.table != nil && p.table.ok {
		if lines, ok := p.table.lines(d, part); ok {
			p.lines = lines
			d.place(p)
			return
		}
	}
	p.lines = d.openLines(p, d.src.String()[p.start:])
	d.place(p)
}

// codePreview renders the line of code that is being written. What may become the closing fence is not shown.
func (d *Doc) codePreview(part string) []string {
	indent, rest := indentation(part)
	if indent <= 3 && strings.Trim(rest, string(d.open.fence.char)) == "" {
		return nil
	}
	return d.open.code.preview(unindent(part, d.open.fence.indent))
}

// snapshot is a rendering of the first size bytes of an open piece.
type snapshot struct {
	size   int
	lines  []string
	joined bool
}

// longPiece is the size from which an open piece is not rendered anew for every token: the cost of that grows with the
// piece. The text since the last rendering is shown as it is written, until it has grown by a sixteenth.
const longPiece = 2048

func (d *Doc) openLines(p *piece, text string) []string {
	if len(text) < longPiece {
		lines, list, joined := d.painter.document(text, d.before(), d.refs.context())
		p.list, p.joined = list, joined
		return lines
	}
	if s := &p.long; s.size == 0 || len(text)-s.size > len(text)/16 {
		size := len(text)
		if i := strings.LastIndexByte(text, '\n'); i > len(text)*31/32 {
			size = i + 1
		}
		lines, _, joined := d.painter.document(text[:size], d.before(), d.refs.context())
		*s = snapshot{size, lines, joined}
	}
	p.joined = p.long.joined
	lines := p.long.lines
	if rest := strings.TrimRight(text[p.long.size:], "\n"); rest != "" {
		lines = append(lines[:len(lines):len(lines)], d.painter.style.literal(rest, d.painter.width)...)
	}
	return lines
}
