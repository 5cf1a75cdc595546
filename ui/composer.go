package ui

import (
	"fmt"
	"slices"
	"strings"

	"charm.land/bubbles/v2/textarea"
	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
	"github.com/atotto/clipboard"

	"peregrine/ui/escape"
)

// A paste beyond these sizes is shown as one short mark in the draft and put back, byte for byte, when the draft is sent:
// the text field would take seconds for thousands of lines, turns tabs into spaces and ends at 10,000 lines.
const (
	foldLines = 60
	foldBytes = 8 << 10
)

// promptWidth is the width of the sign before the draft.
const promptWidth = 2

// composer is where one types.
type composer struct {
	area   textarea.Model
	pastes map[string]string // mark → what was pasted
	marks  int               // how many marks there were, so that each is different
	width  int
	most   int      // rows that it may have
	drawn  []string // as it was drawn last; nil when it has changed
	at     *tea.Cursor
}

func newComposer(t *theme) composer {
	c := composer{area: textarea.New()}
	c.area.ShowLineNumbers = false
	c.area.DynamicHeight = true
	c.area.MinHeight = 1
	c.area.MaxHeight = 8
	c.area.CharLimit = 0
	c.area.SetVirtualCursor(false)
	c.area.KeyMap.InsertNewline.SetEnabled(false) // newlines are the key table's affair
	c.area.KeyMap.Paste.SetEnabled(false)         // see readClipboard
	c.area.KeyMap.PageUp.SetEnabled(false)
	c.area.KeyMap.PageDown.SetEnabled(false)
	c.setTheme(t)
	c.area.Focus()
	return c
}

func (c *composer) setTheme(t *theme) {
	plain := lipgloss.NewStyle()
	state := textarea.StyleState{
		Base: plain, Text: plain, LineNumber: plain, CursorLineNumber: plain, CursorLine: plain, EndOfBuffer: plain,
		Placeholder: lipgloss.NewStyle().Foreground(lipgloss.Color(t.colours.muted)),
		Prompt:      lipgloss.NewStyle().Foreground(lipgloss.Color(t.colours.user)).Bold(true),
		Selection:   lipgloss.NewStyle().Reverse(true),
	}
	c.drawn = nil
	c.area.SetStyles(textarea.Styles{Focused: state, Blurred: state, Cursor: textarea.CursorStyle{Blink: true}})
	c.area.SetPromptFunc(promptWidth, func(p textarea.PromptInfo) string {
		if p.LineNumber == 0 {
			return "❯ "
		}
		return "  "
	})
}

// setSize makes the composer width cells wide and at most rows high.
func (c *composer) setSize(width, rows int) {
	if width == c.width && rows == c.most {
		return
	}
	c.width, c.most, c.drawn = width, rows, nil
	c.area.MaxHeight = max(rows, 1)
	c.area.MaxWidth = 0
	c.area.SetWidth(width)
	c.area.SetHeight(c.area.Height())
}

// setHint says what the empty field shows.
func (c *composer) setHint(hint string) {
	if len(hint) >= c.area.Width() {
		hint = ""
	}
	if hint != c.area.Placeholder {
		c.area.Placeholder, c.drawn = hint, nil
	}
}

// press passes an editing key on.
func (c *composer) press(key tea.KeyPressMsg) tea.Cmd {
	var cmd tea.Cmd
	c.drawn = nil
	c.area, cmd = c.area.Update(key)
	return cmd
}

// update passes on the text field's own messages.
func (c *composer) update(msg tea.Msg) tea.Cmd {
	var cmd tea.Cmd
	c.drawn = nil
	c.area, cmd = c.area.Update(msg)
	return cmd
}

// paste inserts pasted text. It is never sent by itself, whatever newlines it has.
func (c *composer) paste(text string) {
	c.drawn = nil
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
	lines := strings.Count(text, "\n") + 1
	if lines <= foldLines && len(text) <= foldBytes {
		c.area.InsertString(escape.Visible(text))
		return
	}
	c.marks++
	mark := fmt.Sprintf("⟦paste %d: %s⟧", c.marks, plural(lines, "line"))
	if lines == 1 {
		mark = fmt.Sprintf("⟦paste %d: %s⟧", c.marks, plural(len([]rune(text)), "character"))
	}
	if c.pastes == nil {
		c.pastes = map[string]string{}
	}
	c.pastes[mark] = text
	c.area.InsertString(mark)
}

// readClipboard pastes from the clipboard of the machine that the program runs on. The text field's own way to do that would
// not know of large pastes.
func readClipboard() tea.Msg {
	text, err := clipboard.ReadAll()
	if err != nil {
		return noticeMsg{levelWarn, "no clipboard here: " + err.Error() + "; paste with the terminal's own key"}
	}
	return tea.PasteMsg{Content: text}
}

// newline starts a new line at the cursor.
func (c *composer) newline() {
	c.drawn = nil
	c.area.InsertRune('\n')
}

// text returns the draft with pastes in place of their marks.
func (c *composer) text() string {
	s := c.area.Value()
	for mark, paste := range c.pastes {
		s = strings.Replace(s, mark, paste, 1)
	}
	return s
}

// draft returns what stands in the field.
func (c *composer) draft() string { return c.area.Value() }

// empty reports whether there is nothing to lose.
func (c *composer) empty() bool { return c.area.Value() == "" }

// set replaces what stands in the field.
func (c *composer) set(draft string) {
	c.drawn = nil
	c.area.SetValue(draft)
	c.area.MoveToEnd()
}

// clear empties the field.
func (c *composer) clear() {
	c.drawn = nil
	c.area.Reset()
	c.pastes = nil
}

// rows returns how high the composer is now.
func (c *composer) rows() int { return c.area.Height() }

// view returns the lines of the composer. Drawing it costs more than all the rest of a screen, so it is done when something
// has changed.
func (c *composer) view() []string {
	if c.drawn == nil {
		c.drawn, c.at = strings.Split(c.area.View(), "\n"), c.area.Cursor()
	}
	return slices.Clone(c.drawn)
}

// cursor returns where the terminal's cursor is, relative to the composer.
func (c *composer) cursor() *tea.Cursor {
	c.view()
	if c.at == nil {
		return nil
	}
	at := *c.at
	return &at
}

// plural writes a number with a noun.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return thousands(n) + " " + noun + "s"
}

// thousands writes a number with separators.
func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
