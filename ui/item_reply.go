package ui

import (
	"fmt"
	"strings"

	"peregrine/history"
	"peregrine/model/generate"
	"peregrine/ui/markdown"
)

// isReply reports whether the item is the model's.
func (it *item) isReply() bool { return it.message.Role == generate.Assistant }

// write adds text to a reply.
func (it *item) write(text string) {
	it.message.Content += text
	if it.doc != nil {
		it.doc.Write(text)
	}
	it.changed()
}

// finish says that a reply is complete.
func (it *item) finish(m history.Message) {
	if it.doc != nil && it.message.Content != m.Content {
		it.doc = nil // what streamed is not what the result says
	}
	it.message, it.waiting = m, ""
	if it.doc != nil {
		it.doc.Finish()
	}
	it.changed()
}

// replyLines renders what the model said.
func (it *item) replyLines(text, width int, t *theme) []string {
	if it.doc == nil {
		it.doc = markdown.New(text, t.markdown())
		it.doc.Write(it.message.Content)
		if it.message.Finish != "" || it.message.Partial {
			it.doc.Finish()
		}
	}
	it.doc.SetWidth(text)
	pad := it.edge(width, t)
	body := it.doc.Lines()
	lines := make([]string, 0, len(body)+2)
	for _, l := range body {
		if l != "" || it.chosen {
			l = pad + l
		}
		lines = append(lines, l)
	}
	if len(body) == 0 && it.waiting != "" {
		lines = append(lines, pad+t.muted(it.waiting))
	}
	if foot := it.footer(); foot != "" {
		if len(body) == 0 {
			foot = "(nothing) " + foot
		}
		colour := t.colours.muted
		if it.footerWarns() {
			colour = t.colours.warn
		}
		for _, l := range strings.Split(t.cells.Wrap(foot, text), "\n") {
			lines = append(lines, pad+paint(colour, strings.TrimRight(l, " ")))
			it.below++
		}
	}
	return lines
}

// footer says how the reply came about.
func (it *item) footer() string {
	m := it.message
	var parts []string
	switch {
	case m.Partial:
		parts = append(parts, "interrupted while it was written: /continue goes on, /regenerate asks again")
	case m.Finish == generate.FinishLength:
		parts = append(parts, "cut at the limit: /continue goes on")
	case m.Finish == generate.FinishContext:
		parts = append(parts, "the context is full")
	case m.Finish == generate.FinishCancelled:
		parts = append(parts, "stopped")
	case m.Finish == generate.FinishError:
		parts = append(parts, "broken off by an error: /regenerate asks again")
	case m.Finish == "":
		return ""
	}
	if it.version != "" {
		parts = append(parts, "version "+it.version)
	}
	if t := m.Timings; t != nil && t.ReplyTokens > 0 {
		parts = append(parts, plural(max(t.ReplyTokens, len(m.TokenIDs)), "token")) // a continued reply has more than its last part
		if t.DecodePerSecond > 0 {
			parts = append(parts, rateText(t.DecodePerSecond))
		}
		if t.FirstToken > 0 {
			parts = append(parts, "first "+seconds(t.FirstToken))
		}
	}
	if m.Sampling != nil {
		parts = append(parts, samplingText(*m.Sampling)...)
	}
	if len(m.Earlier) > 0 {
		parts = append(parts, "changed at token "+changesText(m.Earlier))
	}
	return strings.Join(parts, " · ")
}

// footerWarns reports whether the reply is not what it could be.
func (it *item) footerWarns() bool {
	m := it.message
	return m.Partial || m.Finish == generate.FinishLength || m.Finish == generate.FinishContext || m.Finish == generate.FinishError
}

// rateText writes a speed.
func rateText(perSecond float64) string {
	if perSecond >= 100 {
		return fmt.Sprintf("%.0f tok/s", perSecond)
	}
	return fmt.Sprintf("%.1f tok/s", perSecond)
}
