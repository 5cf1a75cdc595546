package ui

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"peregrine/model/generate"
)

// parameter is one of the values with which a token is chosen.
type parameter struct {
	name   string // as in a slash command
	config string // as in config.toml, and at the start of the names of its actions
	label  string
	off    string // what 0 means, for the seed: what its absence means
	keys   parameterKeys
	// text writes the value as it is typed.
	text func(*generate.Sampling) string
	// read sets the value from what was typed.
	read func(s *generate.Sampling, typed string) error
	// nudge changes the value by one step.
	nudge func(s *generate.Sampling, up bool)
	// take copies the value from another set.
	take func(to, from *generate.Sampling)
}

// parameterKeys are the keys of a parameter's actions.
type parameterKeys struct{ down, up, set, reset []string }

// neighbours gives a parameter the keys of two neighbours on the keyboard: they step; with shift the first asks for a value and the
// second takes the change back. Names that some terminals have for the shifted keys come after them.
func neighbours(first, second string, others ...string) parameterKeys {
	k := parameterKeys{[]string{first}, []string{second}, []string{"shift+" + first}, []string{"shift+" + second}}
	if len(others) == 2 {
		k.set, k.reset = append(k.set, others[0]), append(k.reset, others[1])
	}
	return k
}

// parameters returns all of them, in the order in which they are shown.
func parameters() []parameter {
	penalty := func(v float64, up bool) float64 { return between(around(max(v, 1), 0.05, up), 1, 2) }
	mass := func(v float64, up bool) float64 { // 0 and 1 are both off: 1 is above 0.95
		if v = around(orOne(v), 0.05, up); v >= 1 {
			return 0
		}
		return max(v, 0.05)
	}
	share := func(v float64, up bool) float64 { return between(around(v, 0.01, up), 0, 1) }
	warmth := func(v float64, up bool) float64 { return between(around(v, 0.05, up), 0, 5) }
	return []parameter{
		floating("temp", "temperature", "temperature", "always the most probable token", neighbours("f5", "f6", "f17", "f18"),
			func(s *generate.Sampling) *float64 { return &s.Temperature }, warmth),
		topK(),
		floating("top-p", "top_p", "top-p", "off", neighbours("f9", "f10", "f21", "f22"),
			func(s *generate.Sampling) *float64 { return &s.TopP }, mass),
		floating("min-p", "min_p", "min-p", "off", parameterKeys{
			[]string{"ctrl+f9"}, []string{"ctrl+f10"}, []string{"ctrl+f11"}, []string{"ctrl+f12"},
		}, func(s *generate.Sampling) *float64 { return &s.MinP }, share),
		floating("typical-p", "typical_p", "typical-p", "off", parameterKeys{},
			func(s *generate.Sampling) *float64 { return &s.TypicalP }, mass),
		floating("repeat-penalty", "repetition_penalty", "repetition penalty", "off", neighbours("f11", "f12", "f23", "f24"),
			func(s *generate.Sampling) *float64 { return &s.RepetitionPenalty }, penalty),
		seed(),
	}
}

// floating describes a number of which 0 turns something off. step returns the next one.
func floating(name, config, label, off string, keys parameterKeys, field func(*generate.Sampling) *float64,
	step func(v float64, up bool) float64,
) parameter {
	return parameter{
		name: name, config: config, label: label, off: off, keys: keys,
		text: func(s *generate.Sampling) string { return number(*field(s)) },
		read: func(s *generate.Sampling, typed string) error {
			v, err := strconv.ParseFloat(strings.Replace(strings.TrimSpace(typed), ",", ".", 1), 64)
			if err != nil || math.IsInf(v, 0) || math.IsNaN(v) {
				return fmt.Errorf("%s: %q is no number", label, typed)
			}
			*field(s) = v
			return nil
		},
		nudge: func(s *generate.Sampling, up bool) { *field(s) = step(*field(s), up) },
		take:  func(to, from *generate.Sampling) { *field(to) = *field(from) },
	}
}

func topK() parameter {
	return parameter{
		name: "top-k", config: "top_k", label: "top-k", off: "all tokens", keys: neighbours("f7", "f8", "f19", "f20"),
		text: func(s *generate.Sampling) string { return strconv.Itoa(s.TopK) },
		read: func(s *generate.Sampling, typed string) error {
			v, err := strconv.ParseFloat(strings.TrimSpace(typed), 64) // 1e3 is a number, too
			if err != nil || math.IsNaN(v) {
				return fmt.Errorf("top-k: %q is no number", typed)
			}
			if v != math.Trunc(v) || math.Abs(v) > 1<<30 {
				return fmt.Errorf("top-k: %q is no whole number", typed)
			}
			s.TopK = int(v)
			return nil
		},
		nudge: func(s *generate.Sampling, up bool) { s.TopK = rung(s.TopK, up) },
		take:  func(to, from *generate.Sampling) { to.TopK = from.TopK },
	}
}

// seedOff is how the absence of a seed is written and typed.
const seedOff = "off"

func seed() parameter {
	return parameter{
		name: "seed", config: "seed", label: "seed", off: "a new seed for each reply", keys: parameterKeys{
			[]string{"ctrl+f5"}, []string{"ctrl+f6"}, []string{"ctrl+f7"}, []string{"ctrl+f8"},
		},
		text: func(s *generate.Sampling) string {
			if s.Seed == nil {
				return seedOff
			}
			return strconv.FormatUint(*s.Seed, 10)
		},
		read: func(s *generate.Sampling, typed string) error {
			if typed = strings.TrimSpace(typed); typed == seedOff {
				s.Seed = nil
				return nil
			}
			v, err := strconv.ParseUint(typed, 10, 64)
			if err != nil {
				return fmt.Errorf("seed: %q is no number from 0 up", typed)
			}
			s.Seed = &v
			return nil
		},
		nudge: nudgeSeed,
		take:  func(to, from *generate.Sampling) { to.Seed = from.Seed },
	}
}

// nudgeSeed steps through off, 0, 1, 2 and so on.
func nudgeSeed(s *generate.Sampling, up bool) {
	next := uint64(0)
	switch {
	case s.Seed == nil && !up, s.Seed != nil && *s.Seed == 0 && !up:
		s.Seed = nil
		return
	case s.Seed == nil:
	case up && *s.Seed < math.MaxUint64:
		next = *s.Seed + 1
	case up:
		next = math.MaxUint64
	default:
		next = *s.Seed - 1
	}
	s.Seed = &next
}

// parameterOf returns the parameter of a name.
func parameterOf(name string) parameter {
	all := parameters()
	return all[slices.IndexFunc(all, func(p parameter) bool { return p.name == name })]
}

// say writes the parameter with its value.
func (p parameter) say(s *generate.Sampling) string {
	v := p.text(s)
	switch {
	case v == seedOff:
		return "no " + p.label + ": " + p.off
	case v == "0" && p.name != "seed":
		return p.label + " 0: " + p.off
	}
	return p.label + " " + v
}

// around returns the next multiple of step above or below v, without the noise of binary fractions.
func around(v, step float64, up bool) float64 {
	n := math.Round(v / step)
	if up {
		n++
	} else {
		n--
	}
	return math.Round(n*step*100) / 100
}

func between(v, least, most float64) float64 { return min(max(v, least), most) }

// orOne returns 1 for 0: what is off keeps all.
func orOne(v float64) float64 {
	if v == 0 {
		return 1
	}
	return v
}

// ladder are the values of top-k that keys step through; beyond the last one it is off.
var ladder = []int{1, 2, 3, 5, 10, 15, 20, 30, 40, 50, 60, 80, 100, 150, 200, 300, 500, 1000}

// rung returns the value of the ladder next to k.
func rung(k int, up bool) int {
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
		return ladder[0]
	case i >= len(ladder):
		return 0
	}
	return ladder[i]
}

// number writes a value without needless digits.
func number(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }
