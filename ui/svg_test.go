package ui

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
)

// look is how a stretch of text looks.
type look struct {
	colour                             string // "": the terminal's own
	bold, italic, line, struck, turned bool   // line: underlined; turned: foreground and background exchanged
}

// stretch is text of one look on one line.
type stretch struct {
	look
	text      string
	at, cells int
}

// Of the picture, in pixels.
const (
	cellWidth, cellHeight = 8.4, 19.0
	fontSize              = 14
	edge                  = 16.0
	titleBar              = 34.0
)

// Of the terminal that is drawn, a dark one.
const (
	paperColour = "#1e1e1e"
	inkColour   = "#e0e0e0"
	barColour   = "#303030"
)

// svg draws lines of styled text, width cells wide, as a terminal window with a title.
func svg(title string, lines []string, width int) string {
	w := float64(width)*cellWidth + 2*edge
	h := float64(len(lines))*cellHeight + titleBar + 2*edge
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%g" height="%g" viewBox="0 0 %g %g" role="img" aria-label="%s">`+"\n",
		w, h, w, h, xmlText(title))
	fmt.Fprintf(&b, `<rect width="%g" height="%g" rx="8" fill="%s"/>`+"\n", w, h, paperColour)
	fmt.Fprintf(&b, `<path d="M0 %g V8 a8 8 0 0 1 8 -8 H%g a8 8 0 0 1 8 8 V%g z" fill="%s"/>`+"\n", titleBar, w-8, titleBar, barColour)
	fmt.Fprintf(&b, `<g font-family="'DejaVu Sans Mono', Menlo, Consolas, monospace" font-size="%d" fill="%s">`+"\n", fontSize, inkColour)
	fmt.Fprintf(&b, `<text x="%g" y="%g" text-anchor="middle" fill="#b0b0b0">%s</text>`+"\n", w/2, titleBar/2+5, xmlText(title))
	for i, line := range lines {
		for _, s := range stretches(line) {
			s.draw(&b, titleBar+edge+float64(i)*cellHeight)
		}
	}
	b.WriteString("</g>\n</svg>\n")
	return b.String()
}

// draw writes a stretch whose line has its top at y. Its width is fixed, so that another font keeps the cells.
func (s stretch) draw(b *strings.Builder, y float64) {
	x, w := edge+float64(s.at)*cellWidth, float64(s.cells)*cellWidth
	colour := s.colour
	if s.turned {
		fmt.Fprintf(b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>`+"\n", x, y, w, cellHeight, inkColour)
		colour = paperColour
	}
	text := strings.TrimLeft(s.text, " ") // not every reader keeps spaces at the start
	x, w = x+float64(len(s.text)-len(text))*cellWidth, w-float64(len(s.text)-len(text))*cellWidth
	short := strings.TrimRight(text, " ")
	w -= float64(len(text)-len(short)) * cellWidth
	if short == "" {
		return
	}
	var attributes strings.Builder
	add := func(there bool, text string) {
		if there {
			attributes.WriteString(" " + text)
		}
	}
	add(colour != "", fmt.Sprintf(`fill="%s"`, colour))
	add(s.bold, `font-weight="bold"`)
	add(s.italic, `font-style="italic"`)
	add(s.line, `text-decoration="underline"`)
	add(s.struck, `text-decoration="line-through"`)
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f" textLength="%.1f" xml:space="preserve"%s>%s</text>`+"\n",
		x, y+cellHeight-5, w, attributes.String(), xmlText(short))
}

func xmlText(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;").Replace(s)
}

// stretches takes a line apart. Sequences other than colours and attributes, such as links, show nothing.
func stretches(line string) []stretch {
	var out []stretch
	now := look{}
	at := 0
	state := byte(0)
	for len(line) > 0 {
		seq, width, n, next := ansi.GraphemeWidth.DecodeSequenceInString(line, state, nil)
		state, line = next, line[n:]
		if width == 0 {
			if parameters, ok := strings.CutPrefix(seq, "\x1b["); ok && strings.HasSuffix(seq, "m") {
				now = now.after(strings.TrimSuffix(parameters, "m"))
			}
			continue
		}
		if last := len(out) - 1; last >= 0 && out[last].look == now {
			out[last].text += seq
			out[last].cells += width
		} else {
			out = append(out, stretch{now, seq, at, width})
		}
		at += width
	}
	return out
}

// after returns the look after a sequence of attributes.
func (l look) after(sequence string) look {
	codes := strings.Split(sequence, ";")
	for i := 0; i < len(codes); i++ {
		switch codes[i] {
		case "", "0":
			l = look{}
		case "1":
			l.bold = true
		case "3":
			l.italic = true
		case "4":
			l.line = true
		case "7":
			l.turned = true
		case "9":
			l.struck = true
		case "39":
			l.colour = ""
		case "38":
			if i+4 < len(codes) && codes[i+1] == "2" {
				l.colour = "#"
				for _, c := range codes[i+2 : i+5] {
					v, _ := strconv.Atoi(c) // what is no number is black, which the test of the picture would show
					l.colour += fmt.Sprintf("%02x", min(max(v, 0), 255))
				}
				i += 4
			}
		}
	}
	return l
}

func TestStretchesKnowColoursWidthsAndLinks(t *testing.T) {
	got := stretches("a\x1b[1;38;2;255;0;16m漢b\x1b[m\x1b]8;;x\x07l\x1b]8;;\x07 \x1b[7mr\x1b[0m.")
	want := []stretch{
		{look{}, "a", 0, 1},
		{look{colour: "#ff0010", bold: true}, "漢b", 1, 3},
		{look{}, "l ", 4, 2},
		{look{turned: true}, "r", 6, 1},
		{look{}, ".", 7, 1},
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
