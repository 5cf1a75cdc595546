package ui

import (
	"fmt"
	"strings"

	"peregrine/model/generate"
	"peregrine/ui/preset"
)

// sampling holds the values for the next token and knows which of them the user has chosen.
type sampling struct {
	now      generate.Sampling
	standard generate.Sampling // what a reset brings back: the model's, with the settings of config.toml and the flags
	chosen   map[string]bool   // parameters that the model's defaults do not change any more
	known    bool              // the model's defaults have been seen
	preset   string            // that gave the values, "" once one of them was changed
	presets  []preset.Preset   // that can be used: those built in, and the user's as they were read last
}

// Until the model has said its own defaults, those of the original model card's call stand.
var cardSampling = generate.Sampling{Temperature: 0.8, TopK: 50}

func newSampling(given *generate.Sampling) sampling {
	s := sampling{now: cardSampling, chosen: map[string]bool{}}
	if given != nil {
		s.now, s.known = *given, true
	}
	s.standard = s.now
	return s
}

// defaults takes over the model's values, except where the user has chosen already.
func (s *sampling) defaults(d generate.Sampling) {
	if s.known {
		return
	}
	s.known = true
	mine := s.now
	s.now, s.standard = d, d
	for _, p := range parameters() {
		if s.chosen[p.name] {
			p.take(&s.now, &mine)
		}
	}
}

// change sets a parameter from what was typed, and says the result.
func (s *sampling) change(p parameter, typed string) (string, error) {
	next := s.now
	if err := p.read(&next, typed); err != nil {
		return "", err
	}
	if err := next.Validate(); err != nil {
		return "", err
	}
	return s.put(p, next), nil
}

// nudge changes a parameter by one step.
func (s *sampling) nudge(p parameter, up bool) string {
	next := s.now
	p.nudge(&next, up)
	return s.put(p, next)
}

// put takes over values of which one parameter was chosen by the user, and says it.
func (s *sampling) put(p parameter, next generate.Sampling) string {
	s.now = next
	s.chosen[p.name] = true
	s.preset = ""
	return p.say(&s.now)
}

// reset gives a parameter the value that it has without the user's choice.
func (s *sampling) reset(p parameter) string {
	p.take(&s.now, &s.standard)
	delete(s.chosen, p.name)
	s.preset = ""
	return p.say(&s.now)
}

// resetAll resets every parameter.
func (s *sampling) resetAll() {
	s.now, s.preset = s.standard, ""
	clear(s.chosen)
}

// samplingText writes the values with which a reply was made, those that are off left out.
func samplingText(s generate.Sampling) []string {
	if s.Temperature == 0 {
		return append([]string{"greedy"}, penaltyText(s)...)
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
	return append(parts, penaltyText(s)...)
}

// changesText lists the tokens at which other values came into force, counted from 1.
func changesText(list []generate.Stretch) string {
	var at []string
	next := 1
	for _, s := range list {
		next += s.Tokens
		at = append(at, thousands(next))
	}
	return strings.Join(at, ", ")
}

// penaltyText is the part of samplingText that counts for greedy replies, too.
func penaltyText(s generate.Sampling) []string {
	if s.RepetitionPenalty > 0 && s.RepetitionPenalty != 1 {
		return []string{"penalty " + number(s.RepetitionPenalty)}
	}
	return nil
}
