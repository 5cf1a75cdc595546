package engine

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"time"

	"peregrine/model/generate"
	"peregrine/model/sample"
)

// worker is what the decode goroutine owns from one reply to the next.
type worker struct {
	model   *Model
	prompts *prompts
	kv      kv
	outputs outputs
	chunk   int // tokens of a prefill step
	// speculate chooses how far drafts go; nil: there are none.
	speculate *speculation
}

func newWorker(m *Model, p *prompts, opt Options) *worker {
	w := &worker{model: m, prompts: p, kv: kv{decoder: m.Decoder}, outputs: outputs{vocab: m.Decoder.Vocab()}, chunk: opt.Chunk}
	if opt.Speculate {
		w.speculate = new(speculation)
	}
	return w
}

// turn is one reply in the making.
type turn struct {
	*worker
	request generate.Request
	writer  *generate.Writer
	begun   time.Time // of Start

	prompt   []int32
	ids      []int32        // of the reply
	ends     map[int32]bool // ids that end the reply
	text     *replyText
	sampler  *sample.Sampler
	sampling generate.Sampling // in force, Seed set
	earlier  []generate.Stretch
	retuned  bool // sampling has changed, and nobody has been told
	pass     pass
	lookup   *lookup // nil: nothing is drafted
	dropped  int
	timings  generate.Timings
	first    time.Time // of the first token
}

// run makes the reply and returns its end, for the caller to write. Text and tokens go to the writer as they come. A panic
// ends the reply with ErrBroken; the worker must not be used again then.
func (w *worker) run(ctx context.Context, r generate.Request, writer *generate.Writer, begun time.Time) generate.Update {
	t := &turn{worker: w, request: r, writer: writer, begun: begun, sampling: seeded(r.Sampling)}
	reason, err := t.guarded(ctx)
	if err != nil {
		if reason = generate.FinishError; cancelled(err) && ctx.Err() != nil {
			reason, err = generate.FinishCancelled, nil
		}
	}
	last := generate.Update{Phase: generate.Done}
	result := &generate.Result{
		Finish: reason, Err: err, TokenIDs: t.ids, Sampling: t.sampling, Earlier: t.earlier, Timings: t.timings, Dropped: t.dropped,
	}
	if t.text != nil {
		if !errors.Is(err, ErrBroken) { // else the detokenizer may be what broke
			last.Text = t.text.end(reason)
		}
		result.Text = t.text.all.String()
	}
	last.Result = result
	return last
}

// guarded is reply with a panic as an error.
func (t *turn) guarded(ctx context.Context) (reason generate.FinishReason, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicError{value: v, stack: debug.Stack()}
		}
	}()
	return t.reply(ctx)
}

// panicError is a panic of the decode goroutine. It is an ErrBroken.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("%v: %v", ErrBroken, e.value) }
func (e *panicError) Unwrap() error { return ErrBroken }

func (t *turn) reply(ctx context.Context) (generate.FinishReason, error) {
	if err := t.prepare(ctx); err != nil {
		return "", err
	}
	if err := t.prefill(ctx); err != nil {
		return "", err
	}
	defer t.settle()
	for {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		token, err := t.sample(ctx)
		if err != nil {
			return "", err
		}
		reason, text := t.accept(token.ID)
		u := generate.Update{
			Phase: generate.Decoding, Text: text, Tokens: []generate.Token{token},
			TokensPerSecond: t.timings.DecodePerSecond,
		}
		if t.retuned || len(t.ids) == 1 {
			values := t.sampling
			u.Sampling, u.Earlier, t.retuned = &values, slices.Clone(t.earlier), false
		}
		t.writer.Update(u)
		if reason != "" {
			return reason, nil
		}
		if t.foresaw(token.ID) {
			continue
		}
		if err := t.step(ctx); err != nil {
			return "", err
		}
	}
}

// prepare renders and encodes the prompt, and sets up what the decode loop needs.
func (t *turn) prepare(ctx context.Context) error {
	if err := t.checkContinue(); err != nil {
		return err
	}
	p, err := t.prompts.prepare(ctx, t.request)
	t.dropped, t.timings.PromptTokens = p.dropped, p.size
	if err != nil {
		return err
	}
	t.prompt = p.ids
	ends, stops := t.splitStops(p.stops)
	t.ends, t.text = ends, newReplyText(t.model.Detokenizer(t.prompts.continues(t.request)), t.request.Continue, stops)
	t.reseed()
	if t.speculate != nil {
		t.speculate.begin()
		t.lookup = newLookup(t.prompt)
	}
	return nil
}

// checkContinue refuses ids that no embedding has.
func (t *turn) checkContinue() error {
	vocab := t.model.Decoder.Vocab()
	for i, id := range t.request.Continue {
		if id < 0 || int(id) >= vocab {
			return fmt.Errorf("engine: continue: token %d is %d; the model has ids 0 to %d", i, id, vocab-1)
		}
	}
	return nil
}

// splitStops returns the ids that end a reply and the stop strings to look for in its text. A stop string that is a control
// token never appears in the text: it ends the reply by its id.
func (w *worker) splitStops(stops []string) (ends map[int32]bool, text []string) {
	ends = map[int32]bool{}
	for _, id := range w.model.EOS {
		ends[id] = true
	}
	for _, s := range stops {
		if id, ok := w.model.Tokenizer.ID(s); ok && w.model.Tokenizer.IsSpecial(id) {
			ends[id] = true
			continue
		}
		text = append(text, s)
	}
	return ends, text
}

// prefill forwards what of the prompt the KV cache does not hold, in chunks.
func (t *turn) prefill(ctx context.Context) error {
	begun := time.Now()
	t.timings.CachedTokens = t.kv.common(t.prompt)
	t.pass = pass{out: t.want(1)}
	return t.read(ctx, t.prompt, t.pass.out, func(at int) {
		if fresh := at - t.timings.CachedTokens; fresh > 0 {
			t.timings.Prefill = time.Since(begun)
			t.timings.PrefillPerSecond = perSecond(fresh, t.timings.Prefill)
		}
		t.writer.Update(generate.Update{Phase: generate.Prefill, PrefillDone: at, PrefillTotal: len(t.prompt)})
	})
}

// read forwards what of ids the KV cache does not hold, in chunks, the last of which fills out. It tells said before the first
// and after each how many are done.
func (w *worker) read(ctx context.Context, ids []int32, out *sample.Output, said func(done int)) error {
	at := w.kv.common(ids)
	for said(at); at < len(ids); said(at) {
		end, wanted := min(at+w.chunk, len(ids)), &sample.Output{}
		if end == len(ids) {
			wanted = out
		}
		if err := w.kv.forward(ctx, ids[at:end], at, wanted); err != nil {
			return err
		}
		at = end
	}
	return nil
}

// sample picks the next token with the sampling values of this moment. Where those need more than the last forward pass
// brought, because they changed since or equal logits lie across the border, it repeats the pass of the last token, without
// what was drafted behind it.
func (t *turn) sample(ctx context.Context) (generate.Token, error) {
	if v, changed := t.writer.Sampling(); changed {
		t.tune(v)
	}
	id, err := t.next()
	if errors.Is(err, sample.ErrMore) {
		t.settle()
		last := len(t.prompt) + len(t.ids) - 1
		t.pass = pass{out: t.outputs.all(1)}
		if err := t.kv.forward(ctx, slices.Clone(t.kv.ids[last:last+1]), last, t.pass.out); err != nil {
			return generate.Token{}, err
		}
		id, err = t.next()
	}
	if err != nil {
		return generate.Token{}, fmt.Errorf("engine: token %d of the reply: %w", len(t.ids), err)
	}
	token := generate.Token{ID: id}
	if t.request.Candidates > 0 {
		token.Candidates = t.candidates(t.request.Candidates)
	}
	return token, nil
}

// next asks the sampler, which answers ErrMore where the highest logits are not enough.
func (t *turn) next() (int32, error) {
	if logits := t.pass.logits(t.outputs.vocab); logits != nil {
		return t.sampler.Next(logits)
	}
	top, _ := t.pass.top()
	return t.sampler.NextTop(top, t.outputs.vocab)
}

// tune puts new values in force. Another seed starts another random sequence.
func (t *turn) tune(v generate.Sampling) {
	seed := *t.sampling.Seed
	if v.Seed == nil {
		v.Seed = &seed
	}
	t.note(v)
	t.retuned = true
	t.sampling = seeded(v)
	if *v.Seed != seed {
		t.reseed()
		return
	}
	t.sampler.Tune(t.sampling)
}

// note keeps the values in force, if tokens were chosen with them, before v takes their place.
func (t *turn) note(v generate.Sampling) {
	old := t.sampling
	same := *v.Seed == *old.Seed
	v.Seed = old.Seed
	tokens := len(t.ids)
	for _, s := range t.earlier {
		tokens -= s.Tokens
	}
	if same && v == old || tokens == 0 {
		return
	}
	t.earlier = append(t.earlier, generate.Stretch{Tokens: tokens, Sampling: old})
}

// candidates lists the n most probable tokens, all of them if there are fewer.
func (t *turn) candidates(n int) []generate.Candidate {
	var scored []sample.Scored
	if logits := t.pass.logits(t.outputs.vocab); logits != nil {
		scored = t.sampler.Candidates(logits, n)
	} else {
		top, logSum := t.pass.top()
		scored = t.sampler.CandidatesTop(top, logSum, t.outputs.vocab, n)
	}
	list := make([]generate.Candidate, len(scored))
	for i, s := range scored {
		list[i] = generate.Candidate{ID: s.ID, Text: tokenText(t.model.Tokenizer, s.ID), Prob: s.Prob, Kept: s.Kept}
	}
	return list
}

// accept makes id a token of the reply. It returns the text to send and, when the reply ends with it, why.
func (t *turn) accept(id int32) (reason generate.FinishReason, text string) {
	now := time.Now()
	stopped := t.ends[id]
	if !stopped {
		text, stopped = t.text.push(id)
	}
	if len(t.ids) == 0 {
		t.first = now
		t.timings.FirstToken = now.Sub(t.begun)
	}
	t.ids = append(t.ids, id)
	if t.lookup != nil {
		t.lookup.add(id)
	}
	t.sampler.Observe(id)
	t.timings.ReplyTokens = len(t.ids)
	t.timings.Decode = now.Sub(t.first)
	t.timings.DecodePerSecond = perSecond(len(t.ids)-1, t.timings.Decode)
	switch {
	case stopped:
		return generate.FinishStop, text
	case len(t.ids) == t.request.MaxTokens:
		return generate.FinishLength, text
	case len(t.prompt)+len(t.ids) >= t.model.Decoder.Context():
		return generate.FinishContext, text
	}
	return "", text
}

// reseed starts a new random sequence over the same history.
func (t *turn) reseed() {
	t.sampler = sample.New(t.sampling, *t.sampling.Seed)
	for _, ids := range [][]int32{t.prompt, t.ids} {
		for _, id := range ids {
			t.sampler.Observe(id)
		}
	}
}

// seeded returns v with a seed of its own, a new one if it has none.
func seeded(v generate.Sampling) generate.Sampling {
	seed := rand.Uint64()
	if v.Seed != nil {
		seed = *v.Seed
	}
	v.Seed = &seed
	return v
}

// perSecond returns a rate, and 0 while it is not known.
func perSecond(n int, d time.Duration) float64 {
	if n <= 0 || d <= 0 {
		return 0
	}
	return float64(n) / d.Seconds()
}
