package history

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"peregrine/history/words"
)

// How well a conversation fits a query, from the worst to the best. Within a kind the weakest word counts most.
const (
	scattered = 1 << 10 // the letters stand in the title in this order, not far from each other
	inText    = 2 << 10 // all words are in the text or the title
	inTitle   = 3 << 10 // all words are in the title
	asTitle   = 4 << 10 // so is the query as it is
)

// Search returns the paths of the conversations that fit a query, the best first, of those the newest first. All its words must
// be in the text or the name, the last letters may be missing, and a longer word may have a mistake; case and accents do not
// matter. Only what a Listing has read is known. It reads no conversation, and ends with ctx.
func (s *Store) Search(ctx context.Context, query string) ([]string, error) {
	s.index.load()
	return s.index.search(ctx, query)
}

// Recent returns the newest n conversations that the index knows, of those whose files have not changed since. It is fast,
// whatever the store holds, and may lack some: a Listing has all.
func (s *Store) Recent(n int) []Entry {
	s.index.load()
	x := s.index
	x.mu.RLock()
	entries := make([]Entry, 0, n)
	for i := range x.files[:min(n, len(x.files))] { // in the order of the file
		entries = append(entries, x.files[i].entry)
	}
	x.mu.RUnlock()
	entries = slices.DeleteFunc(entries, func(e Entry) bool {
		var info unix.Stat_t
		return unix.Stat(e.Path, &info) != nil || stampOf(&info) != e.stamp
	})
	slices.SortFunc(entries, Entry.compare)
	return entries
}

// bits that the quality of one term takes in a number that holds those of all.
const bits = 4

func (x *index) search(ctx context.Context, query string) ([]string, error) {
	folded := strings.TrimSpace(words.Fold(query))
	if folded == "" {
		return nil, nil
	}
	terms := words.Parse(folded)
	x.mu.RLock()
	defer x.mu.RUnlock()
	fits := x.fits(ctx, terms)
	scores := make([]int, len(x.files))
	sideBySide(len(x.files), func(i int) {
		if ctx.Err() == nil {
			scores[i] = x.files[i].score(folded, terms, fits)
		}
	})
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var found []int
	for i, s := range scores {
		if s > 0 {
			found = append(found, i)
		}
	}
	slices.SortFunc(found, func(a, b int) int {
		if c := cmp.Compare(scores[b], scores[a]); c != 0 {
			return c
		}
		return x.files[a].entry.compare(x.files[b].entry)
	})
	paths := make([]string, len(found))
	for i, at := range found {
		paths[i] = x.files[at].entry.Path
	}
	return paths, nil
}

// fits says of each word how well it fits the terms, bits for each.
func (x *index) fits(ctx context.Context, terms words.Query) []uint32 {
	fits := make([]uint32, len(x.words))
	const run = 1 << 12
	sideBySide((len(fits)+run-1)/run, func(i int) {
		for id := i * run; id < min((i+1)*run, len(fits)) && ctx.Err() == nil; id++ {
			for t, term := range terms {
				fits[id] |= uint32(words.Fit(term, x.words[id])) << (bits * t)
			}
		}
	})
	return fits
}

// score says how well a conversation fits, 0: not at all.
func (f *indexed) score(query string, terms words.Query, fits []uint32) int {
	switch {
	case strings.Contains(f.folded, query):
		return asTitle
	case len(terms) == 0:
		return 0
	case !slices.ContainsFunc(terms, func(t string) bool { return !strings.Contains(f.folded, t) }):
		return inTitle
	}
	best := f.best(fits)
	sum := 0
	for _, q := range best[:len(terms)] {
		sum += int(q)
	}
	weakest := slices.Min(best[:len(terms)])
	switch {
	case weakest != words.None:
		return inText + int(weakest)<<6 + sum
	case nearby(query, f.folded):
		return scattered
	}
	return 0
}

// best returns how well the word that fits best does, for each term.
func (f *indexed) best(fits []uint32) (best [words.MaxTerms]words.Quality) {
	id := uint64(0)
	for i := 0; i < len(f.words); {
		n, size := step(f.words[i:])
		if id, i = id+n, i+size; id >= uint64(len(fits)) {
			return best
		}
		for t, fit := 0, fits[id]; fit != 0; t, fit = t+1, fit>>bits {
			best[t] = max(best[t], words.Quality(fit&(1<<bits-1)))
		}
	}
	return best
}

// nearby reports whether the letters of a query, of three at least, stand in a title in their order and within a part of it that
// is at most three times as long.
func nearby(query, title string) bool {
	query = strings.ReplaceAll(query, " ", "")
	if utf8.RuneCountInString(query) < 3 {
		return false
	}
	for start := range title {
		if !strings.HasPrefix(title[start:], query[:1]) {
			continue
		}
		rest := query
		for _, r := range title[start:min(start+3*len(query), len(title))] {
			if after, ok := strings.CutPrefix(rest, string(r)); ok {
				rest = after
			}
			if rest == "" {
				return true
			}
		}
	}
	return false
}
