package plain

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"peregrine/history/words"
	"peregrine/model/generate"
)

// explainer says why a token stands where it does. A Generator that can fulfils it.
type explainer interface {
	Explain(ctx context.Context, q generate.Inquiry) (generate.Explanation, error)
}

// whyCandidates is how many tokens /why lists.
const whyCandidates = 10

// lookCommands are those that look at what was said.
func lookCommands() []command {
	return []command{
		{"why", "[TOKEN [N]]", "the words that could have stood at a token of the last reply, or of the N-th from the end", (*chat).why},
		{"search", "TEXT", "say the places of the conversation that have a text", (*chat).search},
	}
}

// why lists the tokens of a reply, or what could have stood at one of them.
func (c *chat) why(ctx context.Context, arg string) (bool, error) {
	x, can := c.opt.Generator.(explainer)
	if !can {
		return false, errors.New("this model does not say why")
	}
	token, which, _ := strings.Cut(arg, " ")
	i, err := c.nth(strings.TrimSpace(which), isReply)
	if err != nil {
		return false, fmt.Errorf("look into which reply? %w", err)
	}
	at := 1
	if token != "" {
		if at, err = strconv.Atoi(token); err != nil || at < 1 {
			return false, fmt.Errorf("why %q: want the number of a token, from 1 up", token)
		}
	}
	info, err := c.ready(ctx)
	if err != nil {
		return false, err
	}
	explained, err := x.Explain(ctx, c.inquiry(info, i, at-1))
	if err != nil {
		return false, err
	}
	if token == "" {
		return false, c.sayPieces(explained)
	}
	c.sayChoices(explained, at)
	return false, nil
}

// inquiry asks about a token of the i-th turn, which is a reply.
func (c *chat) inquiry(info generate.Info, i, at int) generate.Inquiry {
	reply := c.turns[i]
	before := *c
	before.turns = c.turns[:i]
	r := before.request(info, reply.TokenIDs)
	r.Raw = reply.Raw
	if values := reply.SamplingAt(at); values != nil {
		r.Sampling = *values
	}
	return generate.Inquiry{Request: r, Text: reply.Content, At: at, Candidates: whyCandidates}
}

// sayPieces numbers the tokens of a reply.
func (c *chat) sayPieces(x generate.Explanation) error {
	var b strings.Builder
	for i, piece := range x.Pieces {
		if i > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(&b, "%d:%q", i+1, piece)
	}
	c.note("%s", b.String())
	c.note("/why TOKEN says what could have stood there")
	return nil
}

// sayChoices lists what could have stood at a token, the most probable first.
func (c *chat) sayChoices(x generate.Explanation, at int) {
	for _, choice := range x.Choices {
		said := ""
		if at <= len(x.IDs) && choice.ID == x.IDs[at-1] {
			said = ", said"
		}
		what := choice.Piece
		if what == "" {
			what = choice.Text
		}
		fate := fmt.Sprintf("chance %.1f %%", 100*choice.Chance)
		if choice.Cut != generate.FilterNone {
			fate = "cut off by " + string(choice.Cut)
		}
		c.note("%d. %q %.1f %%, %s%s", choice.Rank, what, 100*choice.Prob, fate, said)
	}
}

// search says the messages that have a text, whatever its case and accents, with some words around it.
func (c *chat) search(_ context.Context, what string) (bool, error) {
	if what == "" {
		return false, errors.New("search for what? give a text")
	}
	found := 0
	for i, m := range c.turns {
		text := strings.Join(strings.Fields(m.Content), " ")
		for _, at := range words.Find(text, what) {
			found++
			c.note("message %d, %s: %s", len(c.turns)-i, speaker[m.Role], around(text, at.Start, at.End))
		}
	}
	c.note("%d found; messages are counted from the end", found)
	return false, nil
}

// contextRunes is how much of a text is said before and after what was found.
const contextRunes = 30

// around cuts the part of a text out that has some characters before start and after end.
func around(text string, start, end int) string {
	before, after := []rune(text[:start]), []rune(text[end:])
	out := text[start:end]
	if n := len(before) - contextRunes; n > 0 {
		before = append([]rune("…"), before[n:]...)
	}
	if len(after) > contextRunes {
		after = append(after[:contextRunes:contextRunes], '…')
	}
	return string(before) + out + string(after)
}
