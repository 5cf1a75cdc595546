package sample

import (
	"cmp"
	"math"
	"slices"
)

// topK fills x.kept, in the order of ids, with all scores that reach the k-th highest one, ties included; k 0 keeps all
// that are above −Inf.
func (x *Sampler) topK(k int) {
	border := float32(math.Inf(-1))
	if k > 0 && k < len(x.scores) {
		x.heap = highest(x.heap[:0], x.scores, k)
		border = x.heap[0].score
	}
	x.kept = x.kept[:0]
	for i, s := range x.scores {
		if s >= border && !math.IsInf(float64(s), -1) {
			x.kept = append(x.kept, scored{id: int32(i), score: s})
		}
	}
}

// highest returns the k highest scores as a heap whose first element is the lowest of them; among equals the lowest ids.
// It costs one comparison for a score that is not among them, which is nearly every one.
func highest(heap []scored, scores []float32, k int) []scored {
	for i, s := range scores {
		if len(heap) < k {
			heap = append(heap, scored{id: int32(i), score: s})
			if len(heap) == k {
				for at := k/2 - 1; at >= 0; at-- {
					sink(heap, at)
				}
			}
			continue
		}
		if s > heap[0].score { // equal: the earlier, lower id stays
			heap[0] = scored{id: int32(i), score: s}
			sink(heap, 0)
		}
	}
	return heap
}

// sink restores the heap below at: the worst token, of the lowest score and then the highest id, comes first.
func sink(heap []scored, at int) {
	for {
		child := 2*at + 1
		if child >= len(heap) {
			return
		}
		if child+1 < len(heap) && byScore(heap[child+1], heap[child]) > 0 {
			child++
		}
		if byScore(heap[child], heap[at]) <= 0 {
			return
		}
		heap[at], heap[child] = heap[child], heap[at]
		at = child
	}
}

// byScore orders the best token first: the highest score, then the lowest id.
func byScore(a, b scored) int {
	if c := cmp.Compare(b.score, a.score); c != 0 {
		return c
	}
	return cmp.Compare(a.id, b.id)
}

// normalize sets the probabilities: softmax of the scores, of which top is the highest.
func normalize(kept []scored, top float32) {
	var sum float64
	for i, k := range kept {
		kept[i].prob = math.Exp(float64(k.score) - float64(top))
		sum += kept[i].prob
	}
	scale(kept, sum)
}

func scale(kept []scored, sum float64) {
	for i := range kept {
		kept[i].prob /= sum
	}
}

// rescale makes the probabilities of what is left add up to 1.
func rescale(kept []scored) []scored {
	var sum float64
	for _, k := range kept {
		sum += k.prob
	}
	scale(kept, sum)
	return kept
}

// topP keeps the smallest set of most probable tokens whose mass reaches p: a token stays while those before it have less.
func topP(kept []scored, p float64) []scored {
	kept = likely(kept, p)
	slices.SortFunc(kept, byScore)
	var before float64
	for i, k := range kept {
		if before >= p && i > 0 {
			return rescale(kept[:i])
		}
		before += k.prob
	}
	return rescale(kept)
}

// likely drops tokens that topP would drop as well, without sorting: it adds the mass up by powers of two of the probability
// and leaves out the powers below the one at which p is reached. Sorting 131072 tokens would take longer than a small model
// needs for the token.
func likely(kept []scored, p float64) []scored {
	const powers = 64
	var mass [powers]float64
	power := func(prob float64) int {
		_, exponent := math.Frexp(prob) // prob in [2^(exponent−1), 2^exponent)
		return min(max(1-exponent, 0), powers-1)
	}
	for _, k := range kept {
		mass[power(k.prob)] += k.prob
	}
	last, sum := 0, 0.0
	for ; last < powers-1; last++ {
		// Rounding may make this sum reach p a little before the sorted one does: one power more is kept then.
		if sum += mass[last]; sum >= p+1e-9 {
			break
		}
	}
	return slices.DeleteFunc(kept, func(k scored) bool { return power(k.prob) > last })
}

// minP removes what is less probable than p times the most probable token.
func minP(kept []scored, p float64) []scored {
	var high float64
	for _, k := range kept {
		high = max(high, k.prob)
	}
	return rescale(slices.DeleteFunc(kept, func(k scored) bool { return k.prob < p*high }))
}

// typicalP keeps the tokens whose surprise −ln p is nearest to the entropy, until their mass reaches p. Source: Meister et
// al. 2022, as in TypicalLogitsWarper: the token at which the mass is reached stays, and with it all that are as near.
func typicalP(kept []scored, p float64) []scored {
	var entropy float64
	for _, k := range kept {
		if k.prob > 0 {
			entropy -= k.prob * math.Log(k.prob)
		}
	}
	far := func(k scored) float64 { return math.Abs(-math.Log(k.prob) - entropy) }
	slices.SortFunc(kept, func(a, b scored) int {
		if c := cmp.Compare(far(a), far(b)); c != 0 {
			return c
		}
		return cmp.Compare(a.id, b.id)
	})
	var mass float64
	last := len(kept) - 1
	for i, k := range kept {
		if mass += k.prob; mass >= p {
			last = i
			break
		}
	}
	border := far(kept[last])
	return rescale(slices.DeleteFunc(kept, func(k scored) bool { return far(k) > border }))
}
