package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"peregrine/model/generate"
	"peregrine/model/prompt"
	"peregrine/model/sample"
)

// inquiry is a question about a token that waits in the queue as a request does.
type inquiry struct {
	generate.Inquiry
	answer chan answer // takes the one answer without waiting
}

type answer struct {
	explanation generate.Explanation
	err         error
}

// Explain computes anew what the sampler saw at one place of a reply. It waits for the model to load and for replies that were
// asked for before, and returns ctx's error soon after ctx ends. Of the prompt and the reply before that place the KV cache
// keeps what it holds already, so that the next place costs one token.
func (e *Engine) Explain(ctx context.Context, q generate.Inquiry) (generate.Explanation, error) {
	if err := q.Validate(); err != nil {
		return generate.Explanation{}, fmt.Errorf("engine: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return generate.Explanation{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	i := &inquiry{Inquiry: q, answer: make(chan answer, 1)}
	j := &job{ctx: ctx, request: q.Request, inquiry: i, begun: time.Now()}
	e.mu.Lock()
	if err := e.err; err != nil {
		e.mu.Unlock()
		cancel()
		return generate.Explanation{}, err
	}
	e.enqueue(j, cancel)
	e.mu.Unlock()
	got := <-i.answer // comes when ctx ends, too
	return got.explanation, got.err
}

// reply answers an inquiry and says whether the worker must not be used again.
func (e *Engine) reply(w *worker, j *job) (broken bool) {
	explanation, err := w.explain(j.ctx, j.inquiry.Inquiry)
	var panicked *panicError
	if errors.As(err, &panicked) {
		e.log.Error("panic while explaining a token", "panic", panicked.value, "stack", string(panicked.stack))
	}
	if broken = errors.Is(err, ErrBroken); broken { // before the asker sees the answer and asks again
		e.refuse(err)
	}
	j.inquiry.answer <- answer{explanation, err}
	j.release()
	return broken
}

// explain answers an inquiry. A panic is ErrBroken; the worker must not be used again then.
func (w *worker) explain(ctx context.Context, q generate.Inquiry) (x generate.Explanation, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicError{value: v, stack: debug.Stack()}
		}
	}()
	if x, err = w.spell(q); err != nil {
		return x, err
	}
	if q.At >= len(x.IDs) {
		return x, fmt.Errorf("engine: explain token %d: the reply has %s", q.At, countTokens(len(x.IDs)))
	}
	before := q.Request
	before.Continue = nil // what was left out of the prompt was decided before there was a reply
	p, err := w.prompts.prepare(ctx, before)
	if err != nil {
		return x, err
	}
	ids := slices.Concat(p.ids, x.IDs[:q.At])
	if limit := w.model.Decoder.Context(); len(ids) >= limit {
		return x, fmt.Errorf("engine: explain token %d: it stands behind %s, the context holds %d; load the model with a larger context",
			q.At, countTokens(len(ids)), limit)
	}
	out := w.outputs.all(1)
	if err := w.read(ctx, ids, out, func(int) {}); err != nil {
		return x, err
	}
	sampler := sample.New(q.Request.Sampling, 0)
	for _, id := range ids {
		sampler.Observe(id)
	}
	ends, _ := w.splitStops(p.stops)
	for _, v := range sampler.Explain(out.Logits, q.Candidates, x.IDs[q.At]) {
		x.Choices = append(x.Choices, generate.Choice{
			Candidate: generate.Candidate{ID: v.ID, Text: tokenText(w.model.Tokenizer, v.ID), Prob: v.Prob, Kept: v.Kept},
			Chance:    v.Chance, Cut: v.Cut, Rank: v.Rank, Ends: ends[v.ID], Piece: w.piece(q.Request, x.IDs[:q.At], v.ID),
		})
	}
	if len(x.Choices) == 0 {
		return x, fmt.Errorf("engine: explain token %d: the model gives no probabilities there", q.At)
	}
	return x, nil
}

// spell finds the tokens of the reply: those that are known if they spell its text, else those that encode it.
func (w *worker) spell(q generate.Inquiry) (generate.Explanation, error) {
	x := generate.Explanation{At: q.At, IDs: slices.Clone(q.Request.Continue)}
	vocab := w.model.Decoder.Vocab()
	if !slices.ContainsFunc(x.IDs, func(id int32) bool { return id < 0 || int(id) >= vocab }) {
		x.Pieces = w.pieces(q.Request, x.IDs)
		if len(x.IDs) > 0 && strings.HasPrefix(strings.Join(x.Pieces, ""), q.Text) {
			return x, nil
		}
	}
	text := prompt.Raw(q.Text, w.prompts.source.Specials)
	by := w.model.Tokenizer.EncodeGuarded
	if w.prompts.continues(q.Request) {
		by = w.model.Tokenizer.EncodeContinued
	}
	encoded, err := w.prompts.encode(by, text, nil)
	switch {
	case err != nil:
		return x, err
	case encoded.ids == nil:
		return x, fmt.Errorf("engine: explain: the reply has %s or more, the context holds %d; load the model with a larger context",
			countTokens(encoded.size), w.model.Decoder.Context())
	}
	x.IDs, x.Encoded = encoded.ids, true
	x.Pieces = w.pieces(q.Request, x.IDs)
	return x, nil
}

// pieces returns what each token adds to the text of a reply to r; the last one also completes it.
func (w *worker) pieces(r generate.Request, ids []int32) []string {
	d := w.model.Detokenizer(w.prompts.continues(r))
	pieces := make([]string, len(ids))
	for i, id := range ids {
		pieces[i] = d.Push(id)
	}
	if len(ids) > 0 {
		pieces[len(ids)-1] += d.Flush()
	}
	return pieces
}

// piece returns what id adds to the text of the tokens before it.
func (w *worker) piece(r generate.Request, before []int32, id int32) string {
	d := w.model.Detokenizer(w.prompts.continues(r))
	for _, b := range before {
		d.Push(b)
	}
	return d.Push(id)
}

// countTokens writes a number of tokens.
func countTokens(n int) string {
	if n == 1 {
		return "1 token"
	}
	return fmt.Sprintf("%d tokens", n)
}
