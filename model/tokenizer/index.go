package tokenizer

import "hash/maphash"

// index finds a token's id by its text. Checking a vocabulary takes some hundred thousand look-ups while the user waits; this
// takes a third of the time of a map of strings, because it holds nothing but ids.
type index struct {
	tokens []string // by id
	slots  []int32  // id+1 at the hash of its text or behind it, 0 where free; at most half of them are taken
	seed   maphash.Seed
	taken  int
}

func newIndex(tokens []string) *index {
	size := 16
	for size < 2*len(tokens) {
		size *= 2
	}
	return &index{tokens: tokens, slots: make([]int32, size), seed: maphash.MakeSeed()}
}

// slot returns the slot that holds text, or the free one where it belongs.
func (x *index) slot(text string) *int32 {
	mask := uint64(len(x.slots) - 1)
	for h := maphash.String(x.seed, text); ; h++ {
		slot := &x.slots[h&mask]
		if *slot == 0 || x.tokens[*slot-1] == text {
			return slot
		}
	}
}

// add enters a token; it says no if the text is there already.
func (x *index) add(id int32) bool {
	slot := x.slot(x.tokens[id])
	if *slot != 0 {
		return false
	}
	*slot = id + 1
	x.taken++
	return true
}

func (x *index) find(text string) (id int32, ok bool) {
	slot := *x.slot(text)
	return slot - 1, slot != 0
}
