package engine

// lookup drafts what may come next by looking at what came before: where the sequence ended as it does now, and what followed
// there (prompt lookup decoding). Edited texts, quotations and code repeat long stretches of the prompt, prose hardly anything.
// It costs a map entry a token and no model.
type lookup struct {
	ids    []int32        // the sequence
	latest map[gram]int32 // where the latest of each run of gramSize tokens ends
	before []int32        // [len(ids)] where the run before ends that is equal to the one that ends here; -1: none
}

// gramSize is how many tokens must be equal: with two, prose is full of matches that lead nowhere.
const gramSize = 3

// gram is a run of tokens.
type gram [gramSize]int32

// The longest match that is told apart, and how many places are looked at for it.
const (
	longestMatch = 16
	mostPlaces   = 32
)

func newLookup(prompt []int32) *lookup {
	l := &lookup{latest: make(map[gram]int32, len(prompt))}
	for _, id := range prompt {
		l.add(id)
	}
	return l
}

// add appends a token to the sequence.
func (l *lookup) add(id int32) {
	l.ids = append(l.ids, id)
	end, before := len(l.ids), int32(-1)
	if end >= gramSize {
		key := gram(l.ids[end-gramSize:])
		if at, ok := l.latest[key]; ok {
			before = at
		}
		l.latest[key] = int32(end)
	}
	l.before = append(l.before, before)
}

// draft returns at most n tokens that followed the longest equal ending, the latest among equals, and how many tokens were
// equal there, at most longestMatch. It returns none where no ending is equal. The tokens belong to l.
func (l *lookup) draft(n int) (ids []int32, match int) {
	end := len(l.ids)
	if end == 0 || n <= 0 {
		return nil, 0
	}
	best := 0
	for at, i := l.before[end-1], 0; at >= 0 && i < mostPlaces && match < longestMatch; at, i = l.before[at-1], i+1 {
		if m := l.equal(int(at), end); m > match {
			best, match = int(at), m
		}
	}
	if match == 0 {
		return nil, 0
	}
	return l.ids[best:min(best+n, end)], match
}

// equal returns how many tokens before a and before b are equal, at most longestMatch.
func (l *lookup) equal(a, b int) int {
	n := 0
	for n < longestMatch && n < a && l.ids[a-1-n] == l.ids[b-1-n] {
		n++
	}
	return n
}
