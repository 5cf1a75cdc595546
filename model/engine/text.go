package engine

import (
	"strings"

	"peregrine/model/generate"
)

// replyText makes the text of one reply from its ids.
type replyText struct {
	detokenizer Detokenizer
	filter      *stopFilter
	all         strings.Builder // what was sent
	stopped     bool            // by a stop string; what may follow it is not shown
}

// newReplyText starts a reply whose first ids, following, belong to an earlier one. Their text is not sent again, but a
// character that they left unfinished is completed, and a stop string may begin in them.
func newReplyText(d Detokenizer, following []int32, stops []string) *replyText {
	t := &replyText{detokenizer: d, filter: newStopFilter(stops)}
	var before strings.Builder
	for _, id := range following {
		before.WriteString(d.Push(id))
	}
	t.filter.prime(before.String())
	return t
}

// push adds a token and returns the text to send. stopped says that a stop string came; all text ends before it.
func (t *replyText) push(id int32) (text string, stopped bool) {
	text, t.stopped = t.filter.push(t.detokenizer.Push(id))
	t.all.WriteString(text)
	return text, t.stopped
}

// end returns the text that was held back; there is none behind a stop string. A part of a character becomes U+FFFD where nothing can follow, and is left out where
// the reply can go on.
func (t *replyText) end(reason generate.FinishReason) string {
	if t.stopped {
		return ""
	}
	var last string
	if reason != generate.FinishLength && reason != generate.FinishCancelled {
		last = t.detokenizer.Flush()
	}
	text, stopped := t.filter.push(last)
	if !stopped {
		text += t.filter.rest()
	}
	t.all.WriteString(text)
	return text
}

// tokenText returns one token's own text: a control token by its name, a part of a character as U+FFFD.
func tokenText(t Tokenizer, id int32) string {
	if t.IsSpecial(id) {
		name, _ := t.Token(id)
		return name
	}
	return strings.ToValidUTF8(string(t.Bytes(id)), "\uFFFD")
}
