package sample

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// choose fills x.kept, in the order of ids, with all scores that reach the k-th highest one, and returns the highest, the
// lowest id among equals; k 0 keeps all. Scores of −Inf are never kept. Ties at the border stay, those too that only the
// division by the temperature t makes equal, as transformers compares after it. Scores are not divided yet.
func (x *Sampler) choose(scores []float32, k int, t float32) (top scored, err error) {
	x.kept = x.kept[:0]
	low := float32(-math.MaxFloat32) // the lowest score that may be kept
	border := float32(math.Inf(-1))
	all := k <= 0 || k >= len(scores)
	if !all {
		if x.heap, err = highest(x.heap[:0], scores, k); err != nil {
			return scored{}, err
		}
		border = x.heap[0].score
		if border >= low {
			// A quotient is rounded by 2^-24 of itself: no score below this can divide to the border's.
			low = border - float32(math.Abs(float64(border)))*0x1p-22
		}
	}
	top.score = float32(math.Inf(-1))
	for i, s := range scores {
		switch {
		case s >= low:
			if s < border && (t == 0 || t == 1 || s/t < border/t) {
				continue
			}
			if s > top.score {
				top = scored{id: int32(i), score: s}
			}
			x.kept = append(x.kept, scored{id: int32(i), score: s})
		case s != s:
			return scored{}, notANumber(i, len(scores))
		}
	}
	if len(x.kept) == 0 {
		return scored{}, noneFinite(len(scores))
	}
	return top, nil
}

func noneFinite(n int) error {
	return fmt.Errorf("sample: %d logits: %w; the weights are damaged", n, ErrNone)
}

func notANumber(i, n int) error {
	return fmt.Errorf("sample: token %d of %d: %w; the weights are damaged, or the precision is too low", i, n, ErrNaN)
}

// highest returns the k highest scores as a heap whose first element is the lowest of them; among equals the lowest ids. Ids are
// stored as ^id, so that of two equal scores the higher id leaves first. It costs one comparison for a score that is not
// among them, which is nearly every one. 0 < k ≤ len(scores).
func highest(heap []scored, scores []float32, k int) ([]scored, error) {
	for i, s := range scores[:k] {
		if s != s {
			return heap, notANumber(i, len(scores))
		}
		heap = append(heap, scored{id: ^int32(i), score: s, key: float64(s)})
	}
	for at := k/2 - 1; at >= 0; at-- {
		sink(heap, at)
	}
	border := heap[0].score
	for i, s := range scores[k:] {
		if s <= border { // equal: the earlier, lower id stays
			continue
		}
		if s != s {
			return heap, notANumber(k+i, len(scores))
		}
		heap[0] = scored{id: ^int32(k + i), score: s, key: float64(s)}
		sink(heap, 0)
		border = heap[0].score
	}
	return heap, nil
}

// before orders by key, then by id.
func before(a, b scored) bool {
	return a.key < b.key || a.key == b.key && a.id < b.id
}

// sink restores the heap below at; the token that comes before all others is its first.
func sink(heap []scored, at int) {
	for {
		child := 2*at + 1
		if child >= len(heap) {
			return
		}
		if child+1 < len(heap) && before(heap[child+1], heap[child]) {
			child++
		}
		if !before(heap[child], heap[at]) {
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

// topP keeps the smallest set of most probable tokens whose mass reaches p.
func topP(kept []scored, p float64) []scored {
	for i := range kept {
		kept[i].key = -kept[i].prob
	}
	n, _ := reach(kept, p)
	return rescale(kept[:copy(kept, kept[len(kept)-n:])])
}

// reach moves to the end of kept, the first of them last, as many tokens as it takes in the order of their keys for their mass
// to reach p, and returns how many they are and the key of the last. A heap does it in time proportional to the vocabulary
// plus the tokens taken; sorting 131072 tokens would take longer than a small model needs for the token.
func reach(kept []scored, p float64) (n int, border float64) {
	for at := len(kept)/2 - 1; at >= 0; at-- {
		sink(kept, at)
	}
	var mass float64
	for left := kept; len(left) > 0; left = left[:len(left)-1] {
		last := len(left) - 1
		mass += left[0].prob
		border = left[0].key
		left[0], left[last] = left[last], left[0]
		n++
		if mass >= p {
			break
		}
		sink(left[:last], 0)
	}
	return n, border
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
	for i, k := range kept {
		kept[i].key = math.Abs(-math.Log(k.prob) - entropy)
	}
	_, border := reach(kept, p)
	return rescale(slices.DeleteFunc(kept, func(k scored) bool { return k.key > border }))
}
