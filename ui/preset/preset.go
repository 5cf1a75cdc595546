// Package preset names sets of choices (sampling values, system text, template) that the screen and the lines share. Where they lie
// is left to whoever fulfils [Keeper].
package preset

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"peregrine/model/generate"
)

// Preset is a named set of choices. What is nil it leaves as it is.
type Preset struct {
	Name              string
	Temperature       *float64
	TopK              *int
	TopP              *float64
	MinP              *float64
	TypicalP          *float64
	RepetitionPenalty *float64
	Seed              *uint64
	System            *string // the system text; "": none
	Template          *string // the chat template; "": the model's own
}

// Keeper keeps the user's presets. Its methods may wait for the disk.
type Keeper interface {
	// List returns all that can be read, and an error that names those that cannot.
	List() ([]Preset, error)
	// Save keeps a preset under its name. It refuses names that it cannot keep, and says what became of one that was there.
	Save(p Preset) (said string, err error)
}

// BuiltIn are the presets that are always there.
func BuiltIn() []Preset {
	named := func(name string, s generate.Sampling) Preset {
		return Preset{
			Name: name, Temperature: &s.Temperature, TopK: &s.TopK, TopP: &s.TopP, MinP: &s.MinP, TypicalP: &s.TypicalP,
			RepetitionPenalty: &s.RepetitionPenalty,
		}
	}
	return []Preset{
		named("precise", generate.Sampling{Temperature: 0.2, TopK: 20, TopP: 0.9}),
		named("balanced", generate.Sampling{Temperature: 0.7, TopK: 50, TopP: 0.95}),
		named("creative", generate.Sampling{Temperature: 1.1, MinP: 0.05, RepetitionPenalty: 1.05}),
	}
}

// All returns the built-in presets and the user's own, which stand in for built-in ones of the same name.
func All(own []Preset) []Preset {
	all := slices.DeleteFunc(BuiltIn(), func(b Preset) bool {
		return slices.ContainsFunc(own, func(p Preset) bool { return p.Name == b.Name })
	})
	return append(all, own...)
}

// Find returns the preset of a name, or an error that says which names there are.
func Find(all []Preset, name string) (Preset, error) {
	if i := slices.IndexFunc(all, func(p Preset) bool { return p.Name == name }); i >= 0 {
		return all[i], nil
	}
	return Preset{}, fmt.Errorf("there is no preset %q; there are %s", name, strings.Join(Names(all), ", "))
}

// Names returns the names of presets.
func Names(all []Preset) []string {
	names := make([]string, len(all))
	for i, p := range all {
		names[i] = p.Name
	}
	return names
}

// Of returns what is in force as a preset that sets everything.
func Of(name string, s generate.Sampling, system, template string) Preset {
	return Preset{
		Name: name, Temperature: &s.Temperature, TopK: &s.TopK, TopP: &s.TopP, MinP: &s.MinP, TypicalP: &s.TypicalP,
		RepetitionPenalty: &s.RepetitionPenalty, Seed: s.Seed, System: &system, Template: &template,
	}
}

// Apply lays the preset's values over s and returns the names of those that it has, as slash commands call them.
func (p Preset) Apply(s *generate.Sampling) []string {
	var has []string
	set := func(name string, there bool, put func()) {
		if there {
			put()
			has = append(has, name)
		}
	}
	set("temp", p.Temperature != nil, func() { s.Temperature = *p.Temperature })
	set("top-k", p.TopK != nil, func() { s.TopK = *p.TopK })
	set("top-p", p.TopP != nil, func() { s.TopP = *p.TopP })
	set("min-p", p.MinP != nil, func() { s.MinP = *p.MinP })
	set("typical-p", p.TypicalP != nil, func() { s.TypicalP = *p.TypicalP })
	set("repeat-penalty", p.RepetitionPenalty != nil, func() { s.RepetitionPenalty = *p.RepetitionPenalty })
	set("seed", p.Seed != nil, func() { s.Seed = p.Seed })
	return has
}

// Validate says which value is out of its range.
func (p Preset) Validate() error {
	var s generate.Sampling
	p.Apply(&s)
	if err := s.Validate(); err != nil {
		return fmt.Errorf("preset %s: %w", p.Name, err)
	}
	return nil
}

// Parts writes what the preset sets, a piece each. Texts are as the user's file has them: make them harmless before they are shown.
func (p Preset) Parts() []string {
	var parts []string
	number := func(name string, v *float64) {
		if v != nil {
			parts = append(parts, name+" "+strconv.FormatFloat(*v, 'g', 6, 64))
		}
	}
	number("temp", p.Temperature)
	if p.TopK != nil {
		parts = append(parts, "top-k "+strconv.Itoa(*p.TopK))
	}
	number("top-p", p.TopP)
	number("min-p", p.MinP)
	number("typical-p", p.TypicalP)
	number("penalty", p.RepetitionPenalty)
	if p.Seed != nil {
		parts = append(parts, "seed "+strconv.FormatUint(*p.Seed, 10))
	}
	if p.Template != nil {
		name := *p.Template
		if name == "" {
			name = "of the model"
		}
		parts = append(parts, "template "+name)
	}
	if p.System != nil {
		text := "no system text"
		if *p.System != "" {
			text = "system: " + *p.System
		}
		parts = append(parts, text)
	}
	return parts
}
