package prompt

import (
	"slices"
	"unicode/utf8"

	"peregrine/model/prompt/jinja"
)

// specials finds special tokens in a text. nil finds none; one without texts does not know them.
type specials struct {
	texts   map[string]struct{}
	lengths [256][]int // by first byte: the lengths that occur, ascending
	longest int
}

func newSpecials(texts []string) *specials {
	s := &specials{}
	if texts == nil {
		return s
	}
	s.texts = make(map[string]struct{}, len(texts))
	for _, t := range texts {
		// A token of one byte has no inside in which a guard could lie; no tokenizer has one.
		if len(t) < 2 {
			continue
		}
		s.texts[t] = struct{}{}
		s.longest = max(s.longest, len(t))
		if of := &s.lengths[t[0]]; !slices.Contains(*of, len(t)) {
			*of = append(*of, len(t))
		}
	}
	for i := range s.lengths {
		slices.Sort(s.lengths[i])
	}
	return s
}

// guard returns the text with a guard inside of every special token in whose spelling user text takes part.
func (s *specials) guard(t jinja.Text) Text {
	out := Text{String: t.String}
	for _, span := range t.User {
		if s.texts == nil {
			for i := span.Start; i < span.End; i++ {
				if utf8.RuneStart(t.String[i]) {
					out.Guards = append(out.Guards, i)
				}
			}
			out.Guards = append(out.Guards, span.End)
			continue
		}
		for i := max(0, span.Start-s.longest+1); i < span.End; i++ {
			for _, n := range s.lengths[t.String[i]] {
				end := i + n
				if end > len(t.String) {
					break
				}
				if end <= span.Start {
					continue
				}
				if _, ok := s.texts[t.String[i:end]]; ok {
					out.Guards = append(out.Guards, inside(i, end, span))
				}
			}
		}
	}
	slices.Sort(out.Guards)
	out.Guards = slices.Compact(out.Guards)
	return out
}

// inside returns an offset strictly between start and end that lies in the span or at its border, so that it cannot lie inside
// of a special token that is the template's alone.
func inside(start, end int, span jinja.Span) int {
	switch {
	case span.Start > start:
		return span.Start
	case span.End < end:
		return span.End
	default:
		return start + 1
	}
}
