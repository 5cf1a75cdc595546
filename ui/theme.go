package ui

import (
	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"

	"peregrine/ui/cells"
	"peregrine/ui/markdown"
)

// colours is a set of colours. Every colour of the program is in this file; a test holds each to a contrast of at least
// 4.5:1 on the backgrounds that the set is for.
type colours struct {
	accent, user, muted, warn, bad                          string
	code, link                                              string
	keyword, text, comment, number, function, typ, ins, del string
}

// darkColours are for light text on a dark background.
var darkColours = colours{
	accent: "#8ab4f8", user: "#f2b866", muted: "#9e9e9e", warn: "#fdd663", bad: "#f6958c",
	code: "#9fd3b8", link: "#8ab4f8",
	keyword: "#c9a7f5", text: "#a8d5a2", comment: "#9e9e9e", number: "#f2b866", function: "#7fc8f8", typ: "#7fdbca",
	ins: "#81c995", del: "#f6958c",
}

// lightColours are for dark text on a light background.
var lightColours = colours{
	accent: "#0b57d0", user: "#8a4600", muted: "#626262", warn: "#7a4f00", bad: "#b3261e",
	code: "#0f5f4b", link: "#0b57d0",
	keyword: "#6f2dbd", text: "#146c2e", comment: "#626262", number: "#8a4600", function: "#0b57d0", typ: "#00646b",
	ins: "#146c2e", del: "#b3261e",
}

// theme is how things look on this terminal.
type theme struct {
	choice  string // what the user wants: "auto", "light", "dark"
	light   bool   // what it is
	colours colours
	plain   bool         // the screen has no colours: what they tell must be told otherwise
	cells   cells.Method // how the terminal measures text
}

// newTheme returns the theme for a choice. "auto" is dark until the terminal has told its background.
func newTheme(choice string) theme {
	t := theme{choice: choice}
	if t.choice == "" {
		t.choice = "auto"
	}
	t.set(choice == "light")
	return t
}

// set switches between light and dark.
func (t *theme) set(light bool) {
	t.light, t.colours = light, darkColours
	if light {
		t.colours = lightColours
	}
}

// markdown returns the theme for rendered Markdown.
func (t *theme) markdown() markdown.Style {
	c := t.colours
	return markdown.Style{
		Heading: c.accent, Code: c.code, Link: c.link, Quote: c.muted, Muted: c.muted,
		Keyword: c.keyword, String: c.text, Comment: c.comment, Number: c.number, Function: c.function, Type: c.typ,
		Inserted: c.ins, Deleted: c.del, Marks: t.plain, Cells: t.cells,
	}
}

// paint returns text in one colour; it must hold no styling of its own.
func paint(colour, s string) string {
	if s == "" || colour == "" {
		return s
	}
	return ansi.Style{}.ForegroundColor(lipgloss.Color(colour)).Styled(s)
}

// strong returns bold text in one colour.
func strong(colour, s string) string {
	if s == "" {
		return s
	}
	style := ansi.Style{}.Bold()
	if colour != "" {
		style = style.ForegroundColor(lipgloss.Color(colour))
	}
	return style.Styled(s)
}

// hit returns text that was searched for. Where there are no colours the line under it tells.
func (t *theme) hit(s string) string {
	return ansi.Style{}.Bold().Underline(true).ForegroundColor(lipgloss.Color(t.colours.user)).Styled(s)
}

func (t *theme) muted(s string) string  { return paint(t.colours.muted, s) }
func (t *theme) accent(s string) string { return paint(t.colours.accent, s) }

// level is how serious something is that the screen says.
type level int

const (
	levelInfo level = iota
	levelWarn
	levelBad
)

// say colours text by its level.
func (t *theme) say(l level, s string) string {
	switch l {
	case levelWarn:
		return paint(t.colours.warn, s)
	case levelBad:
		return paint(t.colours.bad, s)
	}
	return paint(t.colours.muted, s)
}
