package sample

import (
	"errors"
	"math"
	"slices"
)

// TopCount is how many of the highest logits a decoder is asked for where that is enough: the usual top-k of 50, with some
// room for equals at its border.
const TopCount = 64

// ErrMore is returned where the highest logits alone do not settle the choice: ask with all logits then.
var ErrMore = errors.New("sample: more logits are needed")

// NeedsLogits reports whether the values look at more than the TopCount highest logits: a repetition penalty may lift
// others among them, and without a top-k every token counts.
func (x *Sampler) NeedsLogits() bool {
	v := x.values
	if v.RepetitionPenalty != 0 && v.RepetitionPenalty != 1 {
		return true
	}
	return v.Temperature != 0 && (v.TopK <= 0 || v.TopK >= TopCount)
}

// NextTop is Next from the highest logits of a vocabulary of so many tokens, sorted as [Output.Top] is. The id and the random
// number drawn are those of Next. It returns ErrMore, without drawing, where it cannot tell.
func (x *Sampler) NextTop(top []Candidate, vocab int) (int32, error) {
	if err := x.filterTop(top, vocab); err != nil {
		return 0, err
	}
	return pick(x.kept, x.random.Float64()), nil
}

// filterTop is filter for the highest logits.
func (x *Sampler) filterTop(top []Candidate, vocab int) error {
	if x.NeedsLogits() || len(top) == 0 {
		return ErrMore
	}
	for _, c := range top {
		if c.Logit != c.Logit {
			return notANumber(int(c.ID), vocab)
		}
	}
	if top[0].Logit < -math.MaxFloat32 {
		return noneFinite(vocab)
	}
	best := scored{id: top[0].ID, score: top[0].Logit}
	t := float32(x.values.Temperature)
	if t == 0 {
		x.kept = append(x.kept[:0], best)
		return x.narrow(best)
	}
	k := min(x.values.TopK, len(top))
	border := top[k-1].Logit
	keeps := func(s float32) bool {
		return s >= -math.MaxFloat32 && (s >= border || t != 1 && s/t >= border/t)
	}
	if len(top) < vocab && (k < x.values.TopK || keeps(top[len(top)-1].Logit)) {
		return ErrMore // the next one, which is not here, may be kept too
	}
	x.kept = x.kept[:0]
	for _, c := range top {
		if keeps(c.Logit) {
			x.kept = append(x.kept, scored{id: c.ID, score: c.Logit})
		}
	}
	slices.SortFunc(x.kept, func(a, b scored) int { return int(a.id - b.id) })
	return x.narrow(best)
}

// CandidatesTop is Candidates from the highest logits and log Σ exp of all. It lists at most as many as there are.
func (x *Sampler) CandidatesTop(top []Candidate, logSum float32, vocab, k int) []Scored {
	k = min(k, len(top))
	if k <= 0 || x.filterTop(top, vocab) != nil || math.IsInf(float64(top[0].Logit), 0) {
		return nil
	}
	kept := x.keptIDs()
	out := make([]Scored, k)
	for i, c := range top[:k] {
		out[i] = Scored{ID: c.ID, Prob: math.Exp(float64(c.Logit) - float64(logSum)), Kept: kept[c.ID]}
	}
	return out
}
