package plain

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"peregrine/history"
	"peregrine/model/generate"
	"peregrine/ui/escape"
)

// grace is how long a stopped generator may take to hand over what it has.
const grace = 10 * time.Second

// ask sends a user's turn and writes the reply. stopped says that Interrupt ended it; what there was is kept.
func (c *chat) ask(ctx context.Context, text string) (stopped bool, err error) {
	m := history.Message{
		ID: history.NewID(), ParentID: c.leaf(), Role: generate.User, Content: text, CreatedAt: time.Now().UTC(), Raw: c.opt.Raw,
	}
	info, err := c.ready(ctx)
	if err != nil {
		return false, err
	}
	c.file.begin(c.header(info))
	c.file.append(m)
	_, stopped, err = c.answer(ctx, info, c.turns, m, &m)
	return stopped, err
}

// goOn continues the last reply where it was cut.
func (c *chat) goOn(ctx context.Context) (stopped bool, err error) {
	n := len(c.turns)
	if n < 2 || c.turns[n-1].Role != generate.Assistant || len(c.turns[n-1].TokenIDs) == 0 {
		c.note("there is no reply to continue")
		return false, nil
	}
	info, err := c.ready(ctx)
	if err != nil {
		return false, err
	}
	c.file.begin(c.header(info))
	reply := c.turns[n-1]
	c.turns = c.turns[:n-1]
	return c.generate(ctx, info, reply)
}

func (c *chat) leaf() string {
	if len(c.turns) == 0 {
		return ""
	}
	return c.turns[len(c.turns)-1].ID
}

func (c *chat) header(info generate.Info) history.Header {
	template := c.opt.Template
	if template == "" {
		template = info.Template
	}
	if c.opt.Raw {
		template = "none"
	}
	return history.Header{
		Model: info.Model, Quantization: info.Quantization, Template: template, System: c.system, Context: info.Context,
	}
}

// answer writes a reply to the user's turn, as what follows turns. Without a word of it the branch stays what it was, so that the
// next turn has an answered one before it; the turn is in the file all the same. unasked is then what /retry is about.
func (c *chat) answer(
	ctx context.Context, info generate.Info, turns []history.Message, user history.Message, unasked *history.Message,
) (answered, stopped bool, err error) {
	before := c.turns
	c.turns, c.unasked = append(slices.Clip(turns), user), nil
	stopped, err = c.generate(ctx, info, history.Message{
		ID: history.NewID(), ParentID: user.ID, Role: generate.Assistant, CreatedAt: time.Now().UTC(), Model: info.Model, Raw: c.opt.Raw,
	})
	if answered = c.leaf() != user.ID; !answered {
		c.turns, c.unasked = before, unasked
		c.file.setLeaf(c.leaf())
	}
	return answered, stopped, err
}

// request asks for a reply to the turns so far, beginning with the tokens given.
func (c *chat) request(info generate.Info, begin []int32) generate.Request {
	r := generate.Request{
		Raw: c.opt.Raw, Template: c.opt.Template, Continue: begin, MaxTokens: c.opt.MaxTokens, Stop: c.opt.Stop, Sampling: info.Defaults,
	}
	if c.sampling != nil {
		r.Sampling = *c.sampling
	}
	if r.MaxTokens == 0 {
		r.MaxTokens = info.MaxTokens
	}
	turns := c.turns
	switch {
	case c.opt.Raw:
		turns = turns[len(turns)-1:]
	case c.system != "":
		r.Messages = append(r.Messages, generate.Message{Role: generate.System, Content: c.system})
	}
	for _, m := range turns {
		r.Messages = append(r.Messages, generate.Message{Role: m.Role, Content: m.Content})
	}
	return r
}

// generate writes a reply, or more of one that has text already, and takes it into the branch and the file.
func (c *chat) generate(ctx context.Context, info generate.Info, reply history.Message) (stopped bool, err error) {
	r := c.request(info, reply.TokenIDs)
	announced := 0
	if len(r.Messages) > 1 {
		if plan, err := c.opt.Generator.Plan(ctx, r); err == nil && plan.Dropped > 0 {
			announced = plan.Dropped
			c.noteDropped(announced, plan.Limit)
		}
	}
	run := &run{chat: c, reply: reply, request: r, had: len(reply.TokenIDs), before: len(reply.Content)}
	run.text.WriteString(reply.Content)
	run.reply.Sampling, run.reply.TokenIDs = &r.Sampling, slices.Clip(reply.TokenIDs)
	result := run.do(ctx)
	if ctx.Err() != nil && errors.Is(result.Err, ctx.Err()) {
		result.Finish, result.Err = generate.FinishCancelled, nil
	}
	if run.reply.Content != "" {
		run.reply.Finish, run.reply.Timings, run.reply.Sampling = result.Finish, &result.Timings, &result.Sampling
		run.reply.Earlier = history.Stretches(reply, result)
		c.turns = append(slices.Clip(c.turns), run.reply)
		c.file.append(run.reply)
	}
	if result.Dropped > announced {
		c.noteDropped(result.Dropped, info.Context)
	}
	if err := run.end(result, info); err != nil {
		return false, err
	}
	switch {
	case ctx.Err() != nil:
		return false, &Error{Code: ExitInterrupted}
	case run.interrupted && !c.opt.Interactive:
		return false, &Error{Code: ExitInterrupted}
	}
	return run.interrupted, nil
}

func (c *chat) noteDropped(n, limit int) {
	c.note("note: the context holds %d tokens: the %d oldest messages are left out", limit, n)
}

// run is one reply on its way.
type run struct {
	*chat
	request     generate.Request
	reply       history.Message
	had, before int // tokens and bytes that a continued reply had already
	text        strings.Builder
	wrote       error // why Out took no more
	interrupted bool
}

// do runs the reply to its end, or to where the context, an interrupt or a failing Out stops it.
func (r *run) do(ctx context.Context) generate.Result {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var watch sync.WaitGroup
	defer watch.Wait()
	over := make(chan struct{})
	defer close(over)
	watch.Go(func() {
		select {
		case <-ctx.Done():
		case <-r.opt.Interrupt:
			r.interrupted = true
		case <-over:
			return
		}
		cancel()
	})
	return r.read(work, cancel)
}

// read takes the reply from the stream. When work ends it stops the stream and still takes what it hands over.
func (r *run) read(work context.Context, cancel context.CancelFunc) generate.Result {
	stream, err := r.opt.Generator.Start(work, r.request)
	if err != nil {
		if work.Err() != nil {
			return generate.Result{Finish: generate.FinishCancelled, Sampling: r.request.Sampling}
		}
		return generate.Result{Finish: generate.FinishError, Err: err, Sampling: r.request.Sampling}
	}
	ctx, stopped := work, false
	for {
		u, err := stream.Next(ctx)
		if err != nil {
			if stopped || errors.Is(err, io.EOF) {
				return generate.Result{Finish: generate.FinishCancelled, Sampling: r.request.Sampling}
			}
			stopped = true
			stream.Cancel()
			var end context.CancelFunc
			ctx, end = context.WithTimeout(context.WithoutCancel(work), grace)
			defer end()
			continue
		}
		r.take(u)
		if u.Result != nil {
			return *u.Result
		}
		if r.wrote != nil {
			cancel()
		}
	}
}

// take writes and keeps what is new.
func (r *run) take(u generate.Update) {
	for _, t := range u.Tokens {
		r.reply.TokenIDs = append(r.reply.TokenIDs, t.ID)
	}
	if u.Result != nil {
		r.reply.TokenIDs = append(r.reply.TokenIDs[:r.had:r.had], u.Result.TokenIDs...)
	}
	if u.Text == "" {
		return
	}
	if r.text.Len() == r.before {
		r.label()
	}
	r.text.WriteString(u.Text)
	r.reply.Content = r.text.String()
	r.file.partial(r.reply)
	if !r.opt.JSON {
		r.print(u.Text)
	}
}

// speaker says who a message is from, to a person who does not see where it stands.
var speaker = map[generate.Role]string{generate.User: "You", generate.Assistant: "Assistant", generate.System: "System"}

// label says to a person who speaks, before the first word of a reply.
func (r *run) label() {
	if r.terminal && r.opt.Interactive && !r.opt.JSON {
		r.print(speaker[generate.Assistant] + ": ")
	}
}

// print writes text to Out until Out fails.
func (r *run) print(text string) {
	if r.terminal {
		text = escape.Visible(text)
	}
	if r.wrote == nil {
		_, r.wrote = io.WriteString(r.opt.Out, text)
	}
}

// fresh returns the text that came in this run.
func (r *run) fresh() string { return r.text.String()[r.before:] }

// end writes what ends a reply: a newline, or the JSON object, and a note when it was cut. An *Error says that Out failed,
// any other error why the model did.
func (r *run) end(result generate.Result, info generate.Info) error {
	failed := result.Finish == generate.FinishError
	if failed && result.Err == nil {
		result.Err = errors.New("the model failed without a reason")
	}
	switch text := r.fresh(); {
	case r.opt.JSON && r.wrote == nil:
		r.wrote = writeJSON(r.opt.Out, r.object(result, info))
	case !r.opt.JSON && !strings.HasSuffix(text, "\n") && (text != "" || !failed):
		r.print("\n")
	}
	switch {
	case r.wrote != nil:
		return &Error{Code: ExitFailed, Err: fmt.Errorf("write the reply: %w", r.wrote)}
	case failed:
		return result.Err
	case r.opt.JSON:
	case result.Finish == generate.FinishLength:
		r.note("note: the reply was cut at %d tokens", len(result.TokenIDs))
	case result.Finish == generate.FinishContext:
		r.note("note: the reply was cut: the context of %d tokens is full", info.Context)
	}
	return nil
}
