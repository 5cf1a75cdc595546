package ui

import (
	"fmt"
	"strings"

	"peregrine/history"
	"peregrine/model/generate"
	"peregrine/ui/escape"
)

// showDetails shows with which values the last reply was made and what it cost.
func (m *Model) showDetails() {
	for i := len(m.chat.path) - 1; i >= 0; i-- {
		if reply := m.chat.path[i]; reply.Role == generate.Assistant {
			m.overlay = &pager{title: "The last reply", text: func(m *Model, width int) []string { return m.detailLines(reply, width) }}
			return
		}
	}
	m.tell(levelWarn, "there is no reply yet")
}

// detailLines writes all that is kept of a reply beside its text.
func (m *Model) detailLines(reply history.Message, width int) []string {
	rows := [][2]string{
		{"model", reply.Model},
		{"written", reply.CreatedAt.Local().Format("2006-01-02 15:04:05")},
		{"ended", string(reply.Finish)},
	}
	if s := reply.Sampling; s != nil {
		for _, p := range parameters() {
			rows = append(rows, [2]string{p.label, p.text(s)})
		}
	}
	for _, s := range reply.Earlier {
		rows = append(rows, [2]string{"before", plural(s.Tokens, "token") + " with " + strings.Join(samplingText(s.Sampling), separator)})
	}
	if t := reply.Timings; t != nil {
		rows = append(
			rows,
			[2]string{"first token", seconds(t.FirstToken)},
			[2]string{"prompt", fmt.Sprintf("%s, %s of them read before, %s", plural(t.PromptTokens, "token"), thousands(t.CachedTokens), rateText(t.PrefillPerSecond))},
			[2]string{"reply", fmt.Sprintf("%s, %s", plural(max(t.ReplyTokens, len(reply.TokenIDs)), "token"), rateText(t.DecodePerSecond))},
		)
		if t.Drafted > 0 {
			rows = append(rows, [2]string{"drafted", fmt.Sprintf("%s, %s accepted", plural(t.Drafted, "token"), thousands(t.Accepted))})
		}
	}
	var shown [][2]string
	for _, r := range rows {
		if r[1] = escape.Line(strings.TrimSpace(r[1])); r[1] != "" {
			shown = append(shown, r)
		}
	}
	return columns(shown, width, m.theme.cells, m.theme.accent)
}
