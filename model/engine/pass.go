package engine

import (
	"context"
	"time"

	"peregrine/model/sample"
)

// pass is the last forward pass of a reply: what came out, for the last token that is certain and for the drafted tokens
// behind it.
type pass struct {
	out   *sample.Output
	row   int     // of out, for the next token: so many drafted tokens were accepted
	ahead []int32 // what may follow, found after a match of so many tokens
	match int
	draft int // so many tokens of ahead were taken along
	took  time.Duration
}

// foresaw reports whether a token is the one that was drafted for its place. The pass holds the next token's logits then.
func (t *turn) foresaw(id int32) bool {
	p := &t.pass
	if p.row >= len(p.ahead) || p.row > 0 && p.row >= p.draft {
		return false
	}
	right := p.ahead[p.row] == id
	t.speculate.learn(p.match, right)
	if !right || p.row >= p.draft {
		return false
	}
	p.row++
	return true
}

// logits returns all logits for the next token, nil where the pass brought the highest ones alone.
func (p *pass) logits(vocab int) []float32 {
	if p.out.Logits == nil {
		return nil
	}
	return p.out.Logits[p.row*vocab : (p.row+1)*vocab]
}

// top returns the highest logits for the next token, and log Σ exp of all.
func (p *pass) top() ([]sample.Candidate, float32) { return p.out.Top[p.row], p.out.LogSum[p.row] }

// step forwards the last token, and what is drafted to come behind it. A draft changes no token of the reply: each is sampled
// from the logits of its own place, with the same random numbers, and the first that is not as drafted ends the draft.
func (t *turn) step(ctx context.Context) error {
	t.settle()
	at := len(t.prompt) + len(t.ids) - 1
	ahead, match, n := t.draft()
	tokens := append(t.ids[len(t.ids)-1:len(t.ids):len(t.ids)], ahead[:n]...)
	t.pass = pass{out: t.want(len(tokens)), ahead: ahead, match: match, draft: n}
	begun := time.Now()
	err := t.kv.forward(ctx, tokens, at, t.pass.out)
	t.pass.took = time.Since(begun)
	return err
}

// settle takes the account of the last pass, unless it was the prompt's or a repeated one.
func (t *turn) settle() {
	p := &t.pass
	if p.took == 0 {
		return
	}
	t.timings.Drafted += p.draft
	t.timings.Accepted += p.row
	if t.speculate != nil {
		t.speculate.done(p.draft, p.row, p.took)
	}
}

// draft returns what may follow the last token, and how much of it is worth to be taken along.
func (t *turn) draft() (ids []int32, match, n int) {
	if t.lookup == nil {
		return nil, 0, 0
	}
	most := min(mostDraft, t.model.Decoder.Context()-len(t.prompt)-len(t.ids))
	if limit := t.request.MaxTokens; limit > 0 {
		most = min(most, limit-len(t.ids)-1)
	}
	ids, match = t.lookup.draft(most)
	return ids, match, t.speculate.size(match, len(ids))
}

// want chooses what the next forward pass has to bring: all logits only where the sampling values look at all of them.
func (t *turn) want(rows int) *sample.Output {
	if t.sampler.NeedsLogits() || t.request.Candidates > sample.TopCount {
		return t.outputs.all(rows)
	}
	return t.outputs.highest(rows)
}

// outputs are the buffers that forward passes fill, shared by all replies.
type outputs struct {
	vocab   int
	full    []float32 // [rows, vocab]
	tops    [][]sample.Candidate
	logSums []float32
}

// all asks for all logits of the last rows tokens.
func (o *outputs) all(rows int) *sample.Output {
	if len(o.full) < rows*o.vocab {
		o.full = make([]float32, rows*o.vocab)
	}
	return &sample.Output{Rows: rows, Logits: o.full[:rows*o.vocab]}
}

// highest asks for the highest logits of each of the last rows tokens.
func (o *outputs) highest(rows int) *sample.Output {
	for len(o.tops) < rows {
		o.tops = append(o.tops, make([]sample.Candidate, min(sample.TopCount, o.vocab)))
		o.logSums = append(o.logSums, 0)
	}
	return &sample.Output{Rows: rows, Top: o.tops[:rows], LogSum: o.logSums[:rows]}
}
