package ui

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	tea "charm.land/bubbletea/v2"

	"peregrine/model/generate"
	"peregrine/ui/escape"
	"peregrine/ui/markdown"
)

// copyCommand copies a message as its Markdown source, a code block of it, or the whole conversation.
func (m *Model) copyCommand(argument string) tea.Cmd {
	if argument == "all" {
		if len(m.chat.path) == 0 {
			m.tell(levelInfo, "nothing to copy yet")
			return nil
		}
		return copying("the conversation", m.conversationText())
	}
	it := m.transcript.read(&m.theme)
	if it == nil || it.message.Content == "" {
		m.tell(levelInfo, "nothing to copy yet")
		return nil
	}
	what := "the reply"
	if !it.isReply() {
		what = "your message"
	}
	if argument == "" {
		return copying(what, it.message.Content)
	}
	number, err := strconv.Atoi(argument)
	if err != nil {
		m.tell(levelWarn, "copy: "+argument+"? It takes the number of a code block, or all")
		return nil
	}
	code, count, ok := markdown.Code(it.message.Content, number)
	if !ok {
		m.tell(levelWarn, fmt.Sprintf("there is no code block %d: %s has %s", number, what, plural(count, "code block")))
		return nil
	}
	return copying(fmt.Sprintf("code block %d", number), code)
}

// blockNumbers lists what /copy takes.
func blockNumbers(m *Model) []string {
	values := []string{"all"}
	if it := m.transcript.read(&m.theme); it != nil {
		_, count, _ := markdown.Code(it.message.Content, 0)
		for i := range count {
			values = append(values, strconv.Itoa(i+1))
		}
	}
	return values
}

// read returns the message that is being read: the one that is chosen, else while the end is followed the last reply, else the
// one of which most is in sight. It is nil when there is none.
func (tr *transcript) read(t *theme) *item {
	if i := slices.IndexFunc(tr.items, func(it *item) bool { return it.chosen }); i >= 0 {
		return tr.items[i]
	}
	if last := tr.lastReply(); tr.follow && last != nil {
		return last
	}
	var best *item
	most := 0
	p, room := tr.topNow(t), tr.height
	for i := p.item; i < len(tr.items) && room > 0; i++ {
		rows := tr.count(i, t)
		if i == p.item {
			rows -= p.line
		}
		rows = min(rows, room)
		room -= rows
		if it := tr.items[i]; it.message.Role != "" && rows > most {
			best, most = it, rows
		}
	}
	return best
}

// conversationText writes the branch as Markdown: a line in bold says who speaks.
func (m *Model) conversationText() string {
	var b strings.Builder
	for _, msg := range m.chat.path {
		who := "**You**"
		if msg.Role == generate.Assistant {
			who = "**Assistant**"
		}
		fmt.Fprintf(&b, "%s\n\n%s\n\n", who, strings.TrimSpace(msg.Content))
	}
	return b.String()
}

// Messages about a copy.
type (
	copyMsg struct{ what, text string }
	// copiedMsg brings the notice, and what the terminal is to be told.
	copiedMsg struct {
		notice   notice
		sequence string
	}
)

// copying returns the command that copies a text; what says which.
func copying(what, text string) tea.Cmd {
	return func() tea.Msg { return copyMsg{what, text} }
}

// handle has the text copied. What a terminal would obey is copied as the symbol that the screen shows: text that is pasted
// into a shell must not do more than one sees.
func (msg copyMsg) handle(m *Model) tea.Cmd {
	clip := m.opt.Clipboard
	return func() tea.Msg {
		text := escape.Visible(msg.text)
		out := clip.Copy(context.Background(), text)
		n := notice{levelInfo, msg.what + ": " + out.String()}
		if text != msg.text {
			n.text += "; control characters as symbols"
		}
		if out.Doubtful() {
			n.level = levelWarn
		}
		return copiedMsg{n, out.Sequence}
	}
}

// handle says what is known of the copy.
func (msg copiedMsg) handle(m *Model) tea.Cmd {
	m.tell(msg.notice.level, msg.notice.text)
	if msg.sequence == "" {
		return nil
	}
	return tea.Raw(msg.sequence)
}
