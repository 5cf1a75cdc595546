package generate

import (
	"errors"
	"fmt"
	"math"
	"unicode/utf8"
)

// ErrPromptTooLong is wrapped by Result.Err when the last turn alone does not fit the context, so that leaving out older
// ones does not help.
var ErrPromptTooLong = errors.New("the prompt does not fit the context")

// Validate says which value is out of its range.
func (s Sampling) Validate() error {
	if !within(s.Temperature, math.MaxFloat64) {
		return fmt.Errorf("temperature %v: want a number from 0 up", s.Temperature)
	}
	if s.TopK < 0 {
		return fmt.Errorf("top-k %d: want 0 (all) or more", s.TopK)
	}
	for _, p := range []struct {
		name  string
		value float64
	}{{"top-p", s.TopP}, {"min-p", s.MinP}, {"typical-p", s.TypicalP}} {
		if !within(p.value, 1) {
			return fmt.Errorf("%s %v: want 0 to 1", p.name, p.value)
		}
	}
	if !within(s.RepetitionPenalty, math.MaxFloat64) {
		return fmt.Errorf("repetition penalty %v: want a number from 0 up (0 or 1: none)", s.RepetitionPenalty)
	}
	return nil
}

// Validate says what is wrong with r as far as that can be known without a model.
func (r Request) Validate() error {
	if len(r.Messages) == 0 {
		return errors.New("a request needs at least one message")
	}
	if r.MaxTokens < 0 {
		return fmt.Errorf("limit of new tokens %d: want 0 (none) or more", r.MaxTokens)
	}
	if r.Candidates < 0 {
		return fmt.Errorf("candidates %d: want 0 (none) or more", r.Candidates)
	}
	for _, stop := range r.Stop {
		if !utf8.ValidString(stop) {
			return fmt.Errorf("stop string %q is not valid UTF-8", stop)
		}
	}
	return r.Sampling.Validate()
}

// within reports 0 ≤ v ≤ most; it is false for NaN.
func within(v, most float64) bool { return v >= 0 && v <= most }
