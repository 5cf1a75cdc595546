package ui

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"peregrine/history"
	"peregrine/model/generate"
)

// turn is a reply that is being made.
type turn struct {
	id       string          // of the reply's message
	ctx      context.Context // it is handed from the command that plans to the one that starts
	cancel   context.CancelFunc
	request  generate.Request
	feed     *feed // nil until the stream has begun
	item     *item
	reply    history.Message   // so far
	base     history.Message   // what it continues
	oldPath  []history.Message // the branch that was left for it, shown again when nothing comes; nil: it goes on with the same one
	revised  string            // the message of which the user's is another version
	phase    generate.Phase
	read     int // prompt tokens read
	toRead   int
	draft    *editor // what the user has just written, to be put back if it cannot be sent; nil: it asks again
	stopped  bool    // the user wants it to end
	leftOut  int     // messages that the plan leaves out
	finished bool
	started  time.Time // when the stream was there
}

// Messages about a turn. id is the reply's.
type (
	plannedMsg struct {
		id   string
		plan generate.Plan
		err  error
	}
	startedMsg struct {
		id     string
		stream *generate.Stream
		err    error
	}
	tokensMsg   struct{ id string }
	measuredMsg struct {
		plan generate.Plan
		err  error
	}
)

// request returns what to ask for a reply to the first n messages of the branch.
func (m *Model) request(n int) generate.Request {
	return generate.Request{
		Messages: m.chat.messages(n), Template: m.chat.template, MaxTokens: m.chat.limit, Stop: m.opt.Stop,
		Sampling: m.sampling.now,
	}
}

// say sends what the user has written, as draft: it is saved first, then asked.
func (m *Model) say(text string, draft *editor) tea.Cmd {
	parent := ""
	if last, ok := m.chat.last(); ok {
		parent = last.ID
	}
	msg := history.Message{ID: history.NewID(), ParentID: parent, Role: generate.User, Content: text, CreatedAt: m.opt.Now()}
	m.chat.set(msg)
	m.transcript.add(newMessage(msg))
	m.transcript.toEnd()
	m.prepare(m.request(len(m.chat.path)), history.Message{})
	m.turn.draft = draft
	return m.saveUser(msg)
}

// handle goes on once what the user said is safe, or known not to be.
func (msg userSavedMsg) handle(m *Model) tea.Cmd {
	cmds := []tea.Cmd{savedMsg{keep: msg.keep, err: msg.err}.handle(m)}
	if msg.keep == m.chat.keep {
		m.markVersions()
	}
	if t := m.turn; t != nil && t.feed == nil && t.reply.ParentID == msg.id {
		cmds = append(cmds, m.begin())
	}
	return tea.Batch(cmds...)
}

// prepare makes the turn for a request. base is the reply that it continues, if any.
func (m *Model) prepare(r generate.Request, base history.Message) {
	t := &turn{request: r, base: base}
	if base.ID != "" {
		t.reply = base
		t.reply.TokenIDs = append([]int32(nil), base.TokenIDs...)
		t.reply.Finish, t.reply.Timings, t.reply.Partial = "", nil, false // being written again
		t.request.Continue = t.reply.TokenIDs[:len(t.reply.TokenIDs):len(t.reply.TokenIDs)]
		t.item = m.transcript.lastReply()
		t.item.message = t.reply
		t.item.changed()
	} else {
		parent := ""
		if last, ok := m.chat.last(); ok {
			parent = last.ID
		}
		t.reply = history.Message{
			ID: history.NewID(), ParentID: parent, Role: generate.Assistant, CreatedAt: m.opt.Now(), Model: m.info.Model,
		}
		t.item = newMessage(t.reply)
		m.transcript.add(t.item)
		m.chat.keep.turns.Add(1) // it will be where the branch ends
	}
	t.id = t.reply.ID
	t.item.waiting = "…"
	m.turn = t
	m.showPhase()
}

// begin asks what the turn would cost. That waits for the model.
func (m *Model) begin() tea.Cmd {
	t := m.turn
	ctx, cancel := context.WithCancel(context.Background())
	t.ctx, t.cancel = ctx, cancel
	if t.stopped {
		cancel()
	}
	gen, r, id := m.opt.Generator, t.request, t.id
	return func() tea.Msg {
		plan, err := gen.Plan(ctx, r)
		return plannedMsg{id, plan, err}
	}
}

// handle says what will be left out, before it is, and asks for the reply with the values of this moment: the model's own
// may have become known while the turn waited.
func (msg plannedMsg) handle(m *Model) tea.Cmd {
	t := m.turn
	if t == nil || t.id != msg.id {
		return nil
	}
	if msg.err == nil {
		m.meters.used, m.meters.limit = msg.plan.Tokens, msg.plan.Limit
		t.leftOut = msg.plan.Dropped
		if msg.plan.Tokens < msg.plan.Limit {
			if t.leftOut > m.chat.unsent { // what was left out before is marked already
				m.transcript.remove(t.item)
				m.transcript.add(newNotice(levelWarn, m.leftOut(t.leftOut, msg.plan.Limit)))
				m.transcript.add(t.item)
			}
			m.markOldest(t.leftOut, 0)
		}
	}
	gen := m.opt.Generator
	if info := gen.Info(); info.Ready {
		m.info = info
		m.sampling.defaults(info.Defaults)
	}
	t.request.Sampling = m.sampling.now
	ctx, r, id := t.ctx, t.request, t.id
	return func() tea.Msg {
		stream, err := gen.Start(ctx, r)
		return startedMsg{id, stream, err}
	}
}

// handle reads the stream from now on.
func (msg startedMsg) handle(m *Model) tea.Cmd {
	t := m.turn
	if t == nil || t.id != msg.id {
		if msg.stream != nil {
			msg.stream.Cancel()
		}
		return nil
	}
	if msg.err != nil {
		finish, err := generate.FinishError, msg.err
		if t.stopped || errors.Is(err, context.Canceled) {
			finish, err = generate.FinishCancelled, nil
		}
		return m.finish(generate.Result{Finish: finish, Err: err, Sampling: t.request.Sampling})
	}
	t.feed, t.started = &feed{stream: msg.stream}, m.opt.Now()
	if t.stopped {
		msg.stream.Cancel()
	}
	if s := m.sampling.now; s != t.request.Sampling {
		msg.stream.Tune(s) // changed while the turn waited
	}
	return t.feed.wait(t.id)
}

// handle takes what has been read.
func (msg tokensMsg) handle(m *Model) tea.Cmd {
	t := m.turn
	if t == nil || t.id != msg.id {
		return nil
	}
	var result *generate.Result
	for _, u := range t.feed.take() {
		m.apply(t, u)
		if u.Result != nil {
			result = u.Result
		}
	}
	if result != nil {
		return m.finish(*result)
	}
	m.showPhase()
	if m.chat.file != nil && m.chat.readOnly == "" && t.reply.Content != t.base.Content {
		if err := m.chat.file.Partial(t.reply); err != nil && m.chat.lost == nil {
			return tea.Batch(t.feed.wait(t.id), savedMsg{keep: m.chat.keep, err: err}.handle(m))
		}
	}
	return t.feed.wait(t.id)
}

// apply adds one update to the reply.
func (m *Model) apply(t *turn, u generate.Update) {
	t.phase = u.Phase
	if u.PrefillTotal > 0 {
		t.read, t.toRead = u.PrefillDone, u.PrefillTotal
	}
	if u.TokensPerSecond > 0 {
		m.meters.rate = u.TokensPerSecond
	}
	if u.Text != "" {
		t.item.write(u.Text)
		t.reply.Content = t.item.message.Content
	}
	if len(u.Tokens) > 0 && len(t.reply.TokenIDs) == len(t.base.TokenIDs) {
		m.meters.first = m.opt.Now().Sub(t.started) // the result will say it more exactly
	}
	for _, token := range u.Tokens {
		t.reply.TokenIDs = append(t.reply.TokenIDs, token.ID)
	}
	if u.Sampling != nil {
		t.reply.Sampling = u.Sampling
		t.reply.Earlier = history.Stretches(t.base, generate.Result{
			TokenIDs: t.reply.TokenIDs[len(t.base.TokenIDs):], Sampling: *u.Sampling, Earlier: u.Earlier,
		})
	}
	if t.toRead > 0 {
		m.meters.used = t.toRead + len(t.reply.TokenIDs) - len(t.base.TokenIDs)
	}
}

// waitingBar is the width of the bar in the place of a reply that has no text yet.
const waitingBar = 16

// showPhase says what a reply without text is doing.
func (m *Model) showPhase() {
	t := m.turn
	if t == nil {
		return
	}
	text := "…"
	switch {
	case t.stopped:
		text = "stopping …"
	case !m.info.Ready && m.info.Err == nil:
		text = fmt.Sprintf("waiting for the model: %.0f %% loaded %s", 100*m.info.Progress, bar(m.info.Progress, waitingBar))
	case t.phase == generate.Prefill && t.toRead > 0:
		text = fmt.Sprintf("reading %s of %s tokens %s", thousands(t.read), thousands(t.toRead), bar(float64(t.read)/float64(t.toRead), waitingBar))
	}
	if t.item.waiting != text {
		t.item.waiting = text
		t.item.changed()
	}
}

// finish ends the turn with its result.
func (m *Model) finish(r generate.Result) tea.Cmd {
	t := m.turn
	m.turn = nil
	t.finished = true
	if t.cancel != nil {
		t.cancel()
	}
	reply := t.reply
	if r.Text != "" {
		reply.Content = t.base.Content + r.Text
	}
	if r.TokenIDs != nil {
		reply.TokenIDs = append(t.base.TokenIDs[:len(t.base.TokenIDs):len(t.base.TokenIDs)], r.TokenIDs...)
	}
	timings, values := r.Timings, r.Sampling
	if reply.Model == "" {
		reply.Model = m.info.Model
	}
	reply.Finish, reply.Timings, reply.Sampling, reply.Partial = r.Finish, &timings, &values, false
	reply.Earlier = history.Stretches(t.base, r)
	if timings.DecodePerSecond > 0 {
		m.meters.rate = timings.DecodePerSecond
	}
	if timings.FirstToken > 0 {
		m.meters.first = timings.FirstToken
	}
	if timings.PromptTokens > 0 {
		m.meters.used = timings.PromptTokens + timings.ReplyTokens
	}
	if r.Dropped > 0 && r.Dropped != t.leftOut {
		m.transcript.add(newNotice(levelWarn, fmt.Sprintf("%s left out of this turn: the context is full",
			plural(r.Dropped, "message"))))
	}
	if errors.Is(r.Err, generate.ErrPromptTooLong) && t.draft != nil {
		return m.takeBack(t)
	}
	if r.Err != nil {
		m.opt.Log.Error("reply", "error", r.Err)
		m.transcript.add(newNotice(levelBad, r.Err.Error()+". /regenerate tries again"+m.wayOut(r.Err)))
	}
	unsaid := strings.TrimSpace(reply.Content) == strings.TrimSpace(t.base.Content)
	if unsaid && r.Finish != generate.FinishStop && r.Finish != generate.FinishLength {
		m.unsaid(t, r)
		return nil
	}
	t.item.finish(reply)
	m.chat.set(reply)
	m.markVersion(t.item)
	return tea.Batch(m.saveReply(reply), m.foresee())
}

// unsaid ends a turn of which no word came: the screen is as before, the question stays.
func (m *Model) unsaid(t *turn, r generate.Result) {
	switch {
	case t.oldPath != nil && t.draft == nil:
		m.transcript.remove(t.item)
		m.show(t.oldPath)
	case t.base.ID != "":
		t.item.finish(t.base)
	default:
		m.transcript.remove(t.item)
		if r.Finish == generate.FinishCancelled {
			m.tell(levelInfo, "stopped before the first word; /regenerate asks again")
		}
	}
}

// markVersion says which version of a reply this is.
func (m *Model) markVersion(it *item) {
	if m.chat.file == nil {
		return
	}
	c := m.chat.file.Conversation()
	if _, saved := c.Message(it.message.ID); saved {
		it.version = versionOf(c, it.message.ID)
	} else if n := len(c.Children(it.message.ParentID)); n > 0 {
		it.version = fmt.Sprintf("%d/%d", n+1, n+1)
	}
	it.changed()
}

// stop ends the reply; what was written stays.
func (m *Model) stop() bool {
	t := m.turn
	if t == nil {
		return false
	}
	t.stopped = true
	if t.feed != nil {
		t.feed.stream.Cancel()
	} else if t.cancel != nil {
		t.cancel()
	}
	m.showPhase()
	return true
}

// tune makes changed sampling values count from the next token on.
func (m *Model) tune() {
	if t := m.turn; t != nil && t.feed != nil {
		t.feed.stream.Tune(m.sampling.now)
	}
}

// measure asks how full the context is.
func (m *Model) measure() tea.Cmd {
	if len(m.chat.path) == 0 || !m.info.Ready {
		return nil
	}
	gen, r := m.opt.Generator, m.request(len(m.chat.path))
	return func() tea.Msg {
		plan, err := gen.Plan(context.Background(), r)
		return measuredMsg{plan, err}
	}
}

// handle shows how full the context is.
func (msg measuredMsg) handle(m *Model) tea.Cmd {
	switch {
	case msg.err != nil:
		m.fail(msg.err)
	case m.turn == nil:
		m.meters.used, m.meters.limit = msg.plan.Tokens, msg.plan.Limit
		m.markOldest(msg.plan.Dropped, 0)
	}
	return nil
}
