package model

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
)

// GenerationConfig is what a checkpoint's generation_config.json says, field by field. A nil field is not said; the caller
// has defaults of its own.
type GenerationConfig struct {
	DoSample          *bool
	Temperature       *float64 // at least 0
	TopK              *int     // 0: all
	TopP              *float64 // 0 to 1
	MinP              *float64 // 0 to 1
	TypicalP          *float64 // 0 to 1
	RepetitionPenalty *float64 // above 0
	MaxNewTokens      *int
	BOS               *int32
	EOS               []int32
	StopStrings       []string
}

// readGeneration reads a generation_config.json; a missing file says nothing. A value that cannot be is left out with a
// warning: it would only have been a default.
func readGeneration(path string) (GenerationConfig, []string, error) {
	var g GenerationConfig
	f, err := readFields(path)
	if errors.Is(err, fs.ErrNotExist) {
		return g, nil, nil
	}
	if err != nil {
		return g, nil, err
	}
	var warnings []string
	// field runs read and reports its complaint as a warning.
	field := func(key string, read func()) {
		if !f.has(key) {
			return
		}
		read()
		if f.err != nil {
			warnings = append(warnings, f.err.Error()+"; ignored")
			f.err = nil
		}
	}
	number := func(key string, least, most float64, open bool) *float64 {
		var value *float64
		field(key, func() {
			x := f.float(0, key)
			switch {
			case f.err != nil:
			case x < least || x > most || open && x == least:
				f.fail(key, "is %v; want %s", x, span(least, most, open))
			default:
				value = &x
			}
		})
		return value
	}
	whole := func(key string) *int {
		var value *int
		field(key, func() {
			if x := f.integer(0, key); f.err == nil {
				value = &x
			}
		})
		return value
	}
	field("do_sample", func() {
		if x := f.boolean(false, "do_sample"); f.err == nil {
			g.DoSample = &x
		}
	})
	inf := math.Inf(1)
	g.Temperature = number("temperature", 0, inf, false)
	g.TopP = number("top_p", 0, 1, false)
	g.MinP = number("min_p", 0, 1, false)
	g.TypicalP = number("typical_p", 0, 1, false)
	g.RepetitionPenalty = number("repetition_penalty", 0, inf, true)
	g.TopK = whole("top_k")
	g.MaxNewTokens = whole("max_new_tokens")
	field("bos_token_id", func() {
		if x := f.special(-1); f.err == nil && x >= 0 {
			g.BOS = &x
		}
	})
	field("eos_token_id", func() { g.EOS = f.ids(nil, "eos_token_id") })
	field("stop_strings", func() { g.StopStrings = f.texts("stop_strings") })
	return g, warnings, nil
}

// span describes a range for an error message.
func span(least, most float64, open bool) string {
	switch {
	case open:
		return fmt.Sprintf("above %v", least)
	case math.IsInf(most, 1):
		return fmt.Sprintf("at least %v", least)
	}
	return fmt.Sprintf("%v to %v", least, most)
}
