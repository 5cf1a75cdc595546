package engine

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestDraftIsWhatFollowedTheSameEnding(t *testing.T) {
	for name, c := range map[string]struct {
		ids   []int32
		n     int
		want  []int32
		match int
	}{
		"nothing said":                  {nil, 4, nil, 0},
		"nothing repeats":               {[]int32{1, 2, 3, 4, 5, 6}, 4, nil, 0},
		"two equal tokens are no match": {[]int32{1, 2, 9, 8, 1, 2}, 4, nil, 0},
		"three are":                     {[]int32{1, 2, 3, 7, 8, 9, 1, 2, 3}, 2, []int32{7, 8}, 3},
		"the longest of two":            {[]int32{5, 1, 2, 3, 7, 1, 2, 3, 8, 5, 1, 2, 3}, 1, []int32{7}, 4},
		"the latest of equals":          {[]int32{1, 2, 3, 7, 1, 2, 3, 8, 9, 1, 2, 3}, 1, []int32{8}, 3},
		"up to the end":                 {[]int32{4, 4, 4, 4}, 7, []int32{4}, 3},
		"none wanted":                   {[]int32{1, 2, 3, 7, 1, 2, 3}, 0, nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			got, match := newLookup(c.ids).draft(c.n)
			if !slices.Equal(got, c.want) || match != c.match {
				t.Errorf("got %v after a match of %d, want %v after %d", got, match, c.want, c.match)
			}
		})
	}
}

// TestDraftIsThatOfASearch compares with a search of all places, where there are so few that none is left out.
func TestDraftIsThatOfASearch(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	found := 0
	for range 300 {
		l := newLookup(nil)
		for range 60 {
			l.add(int32(random.IntN(3)))
			best, match := 0, gramSize-1
			for at := len(l.ids) - 1; at >= gramSize; at-- {
				n := 0
				for n < longestMatch && n < at && l.ids[at-1-n] == l.ids[len(l.ids)-1-n] {
					n++
				}
				if n > match {
					best, match = at, n
				}
			}
			var want []int32
			if best > 0 {
				want = l.ids[best:min(best+5, len(l.ids))]
				found++
			} else {
				match = 0
			}
			if got, m := l.draft(5); !slices.Equal(got, want) || m != match {
				t.Fatalf("%v: got %v after %d, want %v after %d", l.ids, got, m, want, match)
			}
		}
	}
	if found < 1000 {
		t.Errorf("only %d drafts: too few to have tested anything", found)
	}
}
