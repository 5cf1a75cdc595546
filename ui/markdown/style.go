package markdown

import (
	"strings"

	"charm.land/glamour/v2/ansi"
	"charm.land/lipgloss/v2"
	xansi "github.com/charmbracelet/x/ansi"

	"peregrine/ui/cells"
)

// Style holds the colours of rendered Markdown: "#rrggbb", a palette index such as "110", or "" for the terminal's own. Text
// itself always has the terminal's own colour.
type Style struct {
	Heading string
	Code    string // code in running text, and plain code in blocks
	Link    string
	Quote   string
	Muted   string // rules, list markers, table lines, HTML

	Keyword, String, Comment, Number, Function, Type string
	Inserted, Deleted                                string // in diffs

	// Marks keeps the signs of headings and code, for screens without colours.
	Marks bool

	// Cells is how the terminal measures text; unless it says otherwise, by code points.
	Cells cells.Method
}

// wrap breaks styled text into lines of at most width cells, each with its own styling.
func (s Style) wrap(text string, width int) []string {
	var b strings.Builder
	w := lipgloss.NewWrapWriter(&b) // carries styling over the ends of lines
	_, _ = w.Write([]byte(s.Cells.Wrap(text, width)))
	_ = w.Close() // a strings.Builder takes everything
	return strings.Split(b.String(), "\n")
}

// glamour returns the style sheet for what Glamour renders: one paragraph, heading or cell at a time, without margins.
func (s Style) glamour() ansi.StyleConfig {
	yes := true
	color := func(c string) *string {
		if c == "" {
			return nil
		}
		return &c
	}
	heading := func(mark string, underline bool) ansi.StyleBlock {
		b := ansi.StyleBlock{StylePrimitive: ansi.StylePrimitive{Bold: &yes, Color: color(s.Heading)}}
		if underline && !s.Marks {
			b.Underline = &yes
		}
		if s.Marks {
			b.Prefix = mark + " "
		}
		return b
	}
	code := ansi.StyleBlock{StylePrimitive: ansi.StylePrimitive{Color: color(s.Code)}}
	if s.Marks {
		code.Prefix, code.Suffix = "`", "`"
	}
	return ansi.StyleConfig{
		H1: heading("#", true), H2: heading("##", false), H3: heading("###", false),
		H4: heading("####", false), H5: heading("#####", false), H6: heading("######", false),
		Strikethrough: ansi.StylePrimitive{CrossedOut: &yes},
		Emph:          ansi.StylePrimitive{Italic: &yes},
		Strong:        ansi.StylePrimitive{Bold: &yes},
		Link:          ansi.StylePrimitive{Color: color(s.Link), Underline: &yes},
		LinkText:      ansi.StylePrimitive{Color: color(s.Link)},
		Image:         ansi.StylePrimitive{Color: color(s.Link), Underline: &yes},
		ImageText:     ansi.StylePrimitive{Color: color(s.Muted), Format: "Image: {{.text}} →"},
		Code:          code,
	}
}

// paint returns s in one colour.
func paint(color, s string) string {
	if color == "" || s == "" {
		return s
	}
	return pen(color) + s + xansi.ResetStyle
}

// pen returns what switches to a colour.
func pen(color string) string {
	return xansi.Style{}.ForegroundColor(lipgloss.Color(color)).String()
}
