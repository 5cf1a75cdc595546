package history

import (
	"slices"

	"peregrine/model/generate"
)

// Stretches returns the parts of a reply that were made with other values than its end: those of base, which it continues (the
// zero Message: nothing), and those of the new part, of which r has the values and at least one token. A seed is no such value.
func Stretches(base Message, r generate.Result) []generate.Stretch {
	list := slices.Clone(base.Earlier)
	if base.Sampling != nil && len(r.TokenIDs) > 0 {
		tokens, next := len(base.TokenIDs), r.Sampling
		if len(r.Earlier) > 0 {
			next = r.Earlier[0].Sampling
		}
		for _, s := range list {
			tokens -= s.Tokens
		}
		last := *base.Sampling
		last.Seed = next.Seed
		if tokens > 0 && last != next {
			list = append(list, generate.Stretch{Tokens: tokens, Sampling: *base.Sampling})
		}
	}
	return append(list, r.Earlier...)
}

// SamplingAt returns the values with which the token at a place of a reply, counted from 0, was chosen; nil: they are not known.
func (m Message) SamplingAt(at int) *generate.Sampling {
	for i := range m.Earlier {
		if at < m.Earlier[i].Tokens {
			return &m.Earlier[i].Sampling
		}
		at -= m.Earlier[i].Tokens
	}
	return m.Sampling
}
