package sample

import (
	"math"
	"slices"
)

// Scored is a token that could come next.
type Scored struct {
	ID   int32
	Prob float64 // under the unmodified logits: temperature 1, no penalty, nothing cut off
	Kept bool    // the values of this moment let it through
}

// Candidates returns the k most probable tokens, the most probable first, the lowest id among equals. Logits that Next
// would refuse give none. It draws no random number.
func (x *Sampler) Candidates(logits []float32, k int) []Scored {
	k = min(k, len(logits))
	if k <= 0 || x.filter(logits) != nil {
		return nil
	}
	top := slices.Max(logits)
	if math.IsInf(float64(top), 0) {
		return nil
	}
	var sum float64
	for _, l := range logits {
		sum += math.Exp(float64(l) - float64(top))
	}
	kept := x.keptIDs()
	x.heap, _ = highest(x.heap[:0], logits, k) // filter has seen that no logit is NaN
	for i := range x.heap {
		x.heap[i].id = ^x.heap[i].id
	}
	slices.SortFunc(x.heap, byScore)
	out := make([]Scored, k)
	for i, token := range x.heap {
		out[i] = Scored{ID: token.id, Prob: math.Exp(float64(token.score)-float64(top)) / sum, Kept: kept[token.id]}
	}
	return out
}

func (x *Sampler) keptIDs() map[int32]bool {
	kept := make(map[int32]bool, len(x.kept))
	for _, token := range x.kept {
		kept[token.id] = true
	}
	return kept
}
