package ui

import (
	"context"
	"errors"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"peregrine/history"
	"peregrine/model/generate"
)

// Explainer is a Generator that can say which tokens could have stood at a place of a reply.
type Explainer interface {
	// Explain may wait for the model and for replies that are being made.
	Explain(ctx context.Context, q generate.Inquiry) (generate.Explanation, error)
}

// inspector walks through the tokens of a reply: which could have stood at a place, how likely each was, and what the sampling
// values cut off. From any of them the reply can go on as another version.
type inspector struct {
	inquiry generate.Inquiry // about the first token; At is the place now
	reply   history.Message
	borrow  bool // the reply does not say its sampling values: those of now are taken

	ids    []int32 // of the reply; nil until the first answer
	pieces []string
	known  map[int][]generate.Choice
	row    int // the choice that is selected
	err    error
	cancel context.CancelFunc // of the question on its way; nil: none

	drawn passage // of the last view
}

// explainedMsg answers an inspector.
type explainedMsg struct {
	of          *inspector
	explanation generate.Explanation
	err         error
}

// shownChoices is how many tokens are shown for a place.
const shownChoices = 10

// inspect opens the inspector on message i of the branch, a reply.
func (m *Model) inspect(i int) tea.Cmd {
	if _, ok := m.opt.Generator.(Explainer); !ok {
		m.tell(levelWarn, "whoever answers here cannot say why")
		return nil
	}
	if !m.idle() {
		return nil
	}
	reply := m.chat.path[i]
	if i == 0 || reply.Content == "" && len(reply.TokenIDs) == 0 {
		m.tell(levelInfo, "there is nothing to look into: the reply is empty, or answers nothing")
		return nil
	}
	r := m.request(i)
	r.Raw, r.Continue = reply.Raw, reply.TokenIDs
	x := &inspector{reply: reply, borrow: reply.Sampling == nil, known: map[int][]generate.Choice{}}
	x.inquiry = generate.Inquiry{Request: r, Text: reply.Content, Candidates: shownChoices}
	m.overlay = x
	return x.ask(m)
}

// ask asks about the place where one is, unless that is known. The question before is given up.
func (x *inspector) ask(m *Model) tea.Cmd {
	x.drop()
	x.err = nil
	if choices, ok := x.known[x.inquiry.At]; ok {
		x.stand(choices)
		return nil
	}
	if values := x.reply.SamplingAt(x.inquiry.At); values != nil {
		x.inquiry.Request.Sampling = *values
	}
	ctx, cancel := context.WithCancel(context.Background())
	x.cancel = cancel
	gen, q := m.opt.Generator.(Explainer), x.inquiry
	return func() tea.Msg {
		explanation, err := gen.Explain(ctx, q)
		return explainedMsg{x, explanation, err}
	}
}

// drop gives the question up that is on its way.
func (x *inspector) drop() {
	if x.cancel != nil {
		x.cancel()
		x.cancel = nil
	}
}

// handle shows what was found out.
func (msg explainedMsg) handle(m *Model) tea.Cmd {
	x := msg.of
	if m.overlay != overlay(x) {
		return nil
	}
	if msg.err != nil {
		if !errors.Is(msg.err, context.Canceled) { // else another question is on its way
			x.err = msg.err
			x.drop()
		}
		return nil
	}
	e := msg.explanation
	if x.ids == nil {
		x.ids, x.pieces = e.IDs, e.Pieces
		switch {
		case e.Encoded:
			m.tell(levelInfo, "the reply's own tokens are not known; these spell its text")
		case x.borrow:
			m.tell(levelInfo, "how the reply was sampled is not known; these are the values of now")
		}
	}
	x.known[e.At] = e.Choices
	if e.At == x.inquiry.At {
		x.drop()
		x.stand(e.Choices)
	}
	return nil
}

// stand selects the token that stands at the place.
func (x *inspector) stand(choices []generate.Choice) {
	id := x.ids[x.inquiry.At]
	x.row = max(slices.IndexFunc(choices, func(c generate.Choice) bool { return c.ID == id }), 0)
}

// tokenPage is how many tokens the keys that turn pages go over.
const tokenPage = 10

func (x *inspector) press(m *Model, key tea.KeyPressMsg) tea.Cmd {
	switch a := m.keys.find(key, inInspector, inList, inChat); a {
	case actTokenBack:
		return x.walk(m, x.inquiry.At-1)
	case actTokenOn:
		return x.walk(m, x.inquiry.At+1)
	case actPageUp:
		return x.walk(m, x.inquiry.At-tokenPage)
	case actPageDown:
		return x.walk(m, x.inquiry.At+tokenPage)
	case actTokenFirst, actTop:
		return x.walk(m, 0)
	case actTokenLast, actBottom:
		return x.walk(m, len(x.ids)-1)
	case actUp:
		x.wheel(m, -1)
	case actDown:
		x.wheel(m, 1)
	case actChoose:
		return x.pick(m)
	case actClose, actInspect:
		x.drop()
		m.overlay = nil
	}
	return nil
}

// walk goes to another token.
func (x *inspector) walk(m *Model, at int) tea.Cmd {
	at = max(min(at, len(x.ids)-1), 0)
	if at == x.inquiry.At && x.err == nil {
		return nil
	}
	x.inquiry.At = at
	return x.ask(m)
}

func (x *inspector) wheel(_ *Model, lines int) {
	x.row = max(min(x.row+lines, len(x.known[x.inquiry.At])-1), 0)
}

func (x *inspector) paste(string) {}

// pick goes on from the selected token, as another version of the reply.
func (x *inspector) pick(m *Model) tea.Cmd {
	choices := x.known[x.inquiry.At]
	if x.row >= len(choices) || !m.ready() {
		return nil
	}
	if _, ok := m.tree(); !ok {
		return nil
	}
	i := slices.IndexFunc(m.chat.path, func(msg history.Message) bool { return msg.ID == x.reply.ID })
	if i < 0 {
		m.tell(levelWarn, "the reply is not in the conversation any more")
		return nil
	}
	m.overlay = nil
	return m.branchAt(i, x.begun(choices[x.row], m))
}

// begun returns the reply up to the place where one is, with choice there. Its text is what its ids decode to as far as
// characters are complete; the rest of an open one comes with what follows.
func (x *inspector) begun(choice generate.Choice, m *Model) history.Message {
	at := x.inquiry.At
	base := history.Message{
		ID: history.NewID(), ParentID: x.reply.ParentID, Role: generate.Assistant, CreatedAt: m.opt.Now(), Model: m.info.Model,
		Content: strings.Join(x.pieces[:at], "") + choice.Piece, TokenIDs: append(slices.Clone(x.ids[:at]), choice.ID),
		Raw: x.reply.Raw, Finish: generate.FinishCancelled,
	}
	if choice.Ends {
		values := x.inquiry.Request.Sampling
		base.Finish, base.Sampling = generate.FinishStop, &values
	}
	return base
}

// branchAt makes base another version of message i of the branch, a reply, and lets the model go on with it unless it has ended.
func (m *Model) branchAt(i int, base history.Message) tea.Cmd {
	old := m.chat.path
	m.show(old[:i])
	it := newMessage(base)
	m.transcript.add(it)
	m.transcript.toEnd()
	m.chat.keep.turns.Add(1) // it will be where the branch ends
	if base.Finish == generate.FinishStop {
		m.chat.set(base)
		m.markVersion(it)
		return tea.Batch(m.saveReply(base), m.measure())
	}
	r := m.request(i)
	r.Raw = base.Raw
	m.prepare(r, base)
	m.turn.oldPath = old
	return m.begin()
}
