package ui

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"peregrine/model/generate"
)

// sampling holds the values for the next token and knows which of them the user has chosen.
type sampling struct {
	now    generate.Sampling
	chosen map[string]bool // parameters that the model's defaults do not change any more
	known  bool            // the model's defaults have been seen
}

// Until the model has said its own defaults, those of the original model card's call stand.
var cardSampling = generate.Sampling{Temperature: 0.8, TopK: 50}

func newSampling(given *generate.Sampling) sampling {
	s := sampling{now: cardSampling, chosen: map[string]bool{}}
	if given != nil {
		s.now, s.known = *given, true
	}
	return s
}

// defaults takes over the model's values, except where the user has chosen already.
func (s *sampling) defaults(d generate.Sampling) {
	if s.known {
		return
	}
	s.known = true
	mine := s.now
	s.now = d
	for _, p := range parameters() {
		if s.chosen[p.name] {
			p.set(&s.now, p.get(&mine))
		}
	}
}

// parameter is one of the values.
type parameter struct {
	name  string // as in a slash command
	label string
	whole bool
	get   func(*generate.Sampling) float64
	set   func(*generate.Sampling, float64)
	off   string // what 0 means
}

func parameters() []parameter {
	return []parameter{
		{
			"temp", "temperature", false,
			func(s *generate.Sampling) float64 { return s.Temperature },
			func(s *generate.Sampling, v float64) { s.Temperature = v }, "always the most probable token",
		},
		{
			"top-k", "top-k", true,
			func(s *generate.Sampling) float64 { return float64(s.TopK) },
			func(s *generate.Sampling, v float64) { s.TopK = int(v) }, "all tokens",
		},
		{
			"top-p", "top-p", false,
			func(s *generate.Sampling) float64 { return s.TopP },
			func(s *generate.Sampling, v float64) { s.TopP = v }, "off",
		},
		{
			"min-p", "min-p", false,
			func(s *generate.Sampling) float64 { return s.MinP },
			func(s *generate.Sampling, v float64) { s.MinP = v }, "off",
		},
		{
			"typical-p", "typical-p", false,
			func(s *generate.Sampling) float64 { return s.TypicalP },
			func(s *generate.Sampling, v float64) { s.TypicalP = v }, "off",
		},
		{
			"repeat-penalty", "repetition penalty", false,
			func(s *generate.Sampling) float64 { return s.RepetitionPenalty },
			func(s *generate.Sampling, v float64) { s.RepetitionPenalty = v }, "off",
		},
	}
}

// parameterOf returns the parameter of a name.
func parameterOf(name string) parameter {
	all := parameters()
	return all[slices.IndexFunc(all, func(p parameter) bool { return p.name == name })]
}

// say writes a parameter with its value.
func (p parameter) say(v float64) string {
	if v == 0 {
		return fmt.Sprintf("%s 0: %s", p.label, p.off)
	}
	return p.label + " " + number(v)
}

// change sets a parameter from what was typed, and says the result.
func (s *sampling) change(p parameter, typed string) (string, error) {
	v, err := strconv.ParseFloat(strings.Replace(strings.TrimSpace(typed), ",", ".", 1), 64)
	if err != nil || math.IsInf(v, 0) || math.IsNaN(v) {
		return "", fmt.Errorf("%s: %q is no number", p.label, typed)
	}
	if p.whole && (v != math.Trunc(v) || math.Abs(v) > 1<<30) {
		return "", fmt.Errorf("%s: %q is no whole number", p.label, typed)
	}
	next := s.now
	p.set(&next, v)
	if err := next.Validate(); err != nil {
		return "", err
	}
	s.now = next
	s.chosen[p.name] = true
	return p.say(v), nil
}

// step is what one key changes the temperature by.
const step = 0.05

// warm changes the temperature by so many steps.
func (s *sampling) warm(steps int) string {
	s.chosen["temp"] = true
	t := math.Round(s.now.Temperature/step) + float64(steps)
	s.now.Temperature = min(max(math.Round(t*step*100)/100, 0), 5)
	return parameterOf("temp").say(s.now.Temperature)
}

// ladder are the values of top-k that keys step through; beyond the last one it is off.
var ladder = []int{1, 2, 3, 5, 10, 15, 20, 30, 40, 50, 60, 80, 100, 150, 200, 300, 500, 1000}

// widen changes top-k by one value of the ladder.
func (s *sampling) widen(up bool) string {
	s.chosen["top-k"] = true
	k := s.now.TopK
	if k == 0 {
		k = math.MaxInt
	}
	i, exact := slices.BinarySearch(ladder, k)
	switch {
	case !up:
		i--
	case exact:
		i++
	}
	switch {
	case i < 0:
		s.now.TopK = ladder[0]
	case i >= len(ladder):
		s.now.TopK = 0
	default:
		s.now.TopK = ladder[i]
	}
	return parameterOf("top-k").say(float64(s.now.TopK))
}

// number writes a value without needless digits.
func number(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }

// samplingText writes the values with which a reply was made, those that are off left out.
func samplingText(s generate.Sampling) []string {
	if s.Temperature == 0 {
		return []string{"greedy"}
	}
	parts := []string{"temp " + number(s.Temperature)}
	if s.TopK > 0 {
		parts = append(parts, fmt.Sprintf("top-k %d", s.TopK))
	}
	if s.TopP > 0 && s.TopP < 1 {
		parts = append(parts, "top-p "+number(s.TopP))
	}
	if s.MinP > 0 {
		parts = append(parts, "min-p "+number(s.MinP))
	}
	if s.TypicalP > 0 && s.TypicalP < 1 {
		parts = append(parts, "typical-p "+number(s.TypicalP))
	}
	if s.RepetitionPenalty > 0 && s.RepetitionPenalty != 1 {
		parts = append(parts, "penalty "+number(s.RepetitionPenalty))
	}
	return parts
}
