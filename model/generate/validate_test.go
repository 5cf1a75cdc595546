package generate

import (
	"math"
	"strings"
	"testing"
)

func TestSamplingValidate(t *testing.T) {
	for _, c := range []struct {
		name string
		s    Sampling
		want string // part of the error; "" for none
	}{
		{"zero values", Sampling{}, ""},
		{"the original card's", Sampling{Temperature: 0.8, TopK: 50}, ""},
		{"all at their upper ends", Sampling{Temperature: 100, TopK: 1 << 30, TopP: 1, MinP: 1, TypicalP: 1, RepetitionPenalty: 9}, ""},
		{"negative temperature", Sampling{Temperature: -0.1}, "temperature -0.1"},
		{"temperature NaN", Sampling{Temperature: math.NaN()}, "temperature NaN"},
		{"temperature infinite", Sampling{Temperature: math.Inf(1)}, "temperature +Inf"},
		{"negative top-k", Sampling{TopK: -1}, "top-k -1"},
		{"top-p above one", Sampling{TopP: 1.5}, "top-p 1.5"},
		{"negative min-p", Sampling{MinP: -0.5}, "min-p -0.5"},
		{"typical-p NaN", Sampling{TypicalP: math.NaN()}, "typical-p NaN"},
		{"negative penalty", Sampling{RepetitionPenalty: -1}, "repetition penalty -1"},
	} {
		t.Run(c.name, func(t *testing.T) { checkError(t, c.s.Validate(), c.want) })
	}
}

func TestRequestValidate(t *testing.T) {
	messages := []Message{{Role: User, Content: "hi"}}
	for _, c := range []struct {
		name string
		r    Request
		want string
	}{
		{"one message", Request{Messages: messages}, ""},
		{"no messages", Request{}, "at least one message"},
		{"negative limit", Request{Messages: messages, MaxTokens: -1}, "limit of new tokens -1"},
		{"negative candidates", Request{Messages: messages, Candidates: -1}, "candidates -1"},
		{"stop string cut inside a character", Request{Messages: messages, Stop: []string{"\xc3"}}, "not valid UTF-8"},
		{"sampling out of range", Request{Messages: messages, Sampling: Sampling{TopP: 2}}, "top-p 2"},
	} {
		t.Run(c.name, func(t *testing.T) { checkError(t, c.r.Validate(), c.want) })
	}
}

func checkError(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("got %v, want no error", err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("got %v, want an error with %q", err, want)
	}
}
