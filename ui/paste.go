package ui

import (
	"fmt"
	"strings"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"
	"github.com/atotto/clipboard"
)

// A paste beyond these sizes stands in the draft as one short mark: nobody wants to scroll through it there.
const (
	foldLines = 60
	foldBytes = 8 << 10
)

// paste is a text that a mark in the draft stands for. The mark is one character to whoever edits: it is passed, selected and
// erased as a whole.
type paste struct {
	text string
	name string // what the mark says
}

func (p *paste) mark() string { return "⟦" + p.name + "⟧" }

// pasted makes of pasted text what goes into the draft: lines end as they do in messages, everything else stays byte for byte.
func pasted(text string) string {
	return strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
}

// large reports whether a pasted text is shown as a mark.
func large(text string) bool {
	return len(text) > foldBytes || strings.Count(text, "\n") >= foldLines
}

// newPaste returns the paste with a number.
func newPaste(text string, number int) *paste {
	return &paste{text: text, name: fmt.Sprintf("paste %d: %s", number, pasteSize(text))}
}

// pasteSize says how large a pasted text is.
func pasteSize(text string) string {
	if !strings.Contains(text, "\n") {
		return plural(utf8.RuneCountInString(text), "character")
	}
	return plural(strings.Count(strings.TrimSuffix(text, "\n"), "\n")+1, "line")
}

// readClipboard pastes from the clipboard of the machine that the program runs on.
func readClipboard() tea.Msg {
	text, err := clipboard.ReadAll()
	if err != nil {
		return noticeMsg{levelWarn, "no clipboard here: " + err.Error() + "; paste with the terminal's own key"}
	}
	return tea.PasteMsg{Content: text}
}
