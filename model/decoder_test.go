package model

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
)

// scripted is an executor that answers with given logits and remembers what it was asked.
type scripted struct {
	logits []float32 // of every row
	err    error
	calls  int
	logSum bool // the last output wanted log sums
}

func (s *scripted) Forward(_ context.Context, _ []int32, _ int, out *Output) error {
	s.calls++
	s.logSum = out.LogSum != nil
	if s.err != nil {
		return s.err
	}
	for row := range out.Rows {
		FillOutput(out, row, s.logits)
	}
	return nil
}

func (s *scripted) Close() error { return nil }

func newScripted(logits ...float32) (*Decoder, *scripted) {
	s := &scripted{logits: logits}
	return NewDecoder(Config{Vocab: len(logits), MaxContext: 8}, s, 0), s
}

func TestDecoderRefusesBeforeTheExecutorIsAsked(t *testing.T) {
	for _, c := range []struct {
		name   string
		tokens []int32
		pos    int
		out    *Output
		want   string
	}{
		{"id past the vocabulary", []int32{0, 3}, 0, nil, "token 1 has id 3, outside the vocabulary of 3"},
		{"negative id", []int32{-1}, 0, nil, "id -1"},
		{"gap", []int32{0}, 1, nil, "position 1"},
		{"negative position", []int32{0}, -1, nil, "position -1"},
		{"no tokens", nil, 0, nil, "no tokens"},
		{"past the context", make([]int32, 9), 0, nil, "context of 8"},
		{"more rows than tokens", []int32{0}, 0, &Output{Rows: 2}, "2 rows"},
		{"short logits", []int32{0}, 0, &Output{Rows: 1, Logits: make([]float32, 2)}, "logits hold 2"},
		{"candidates for too few rows", []int32{0}, 0, &Output{Rows: 1, Top: [][]Candidate{}}, "0 rows"},
		{"more candidates than tokens there are", []int32{0}, 0, &Output{Rows: 1, Top: [][]Candidate{make([]Candidate, 4)}}, "4 top candidates"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, s := newScripted(1, 2, 3)
			err := d.Forward(context.Background(), c.tokens, c.pos, c.out)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got error %v, want %q in it", err, c.want)
			}
			if s.calls != 0 {
				t.Error("the executor was asked all the same")
			}
		})
	}
}

func TestDecoderReportsAFullContext(t *testing.T) {
	d, _ := newScripted(1, 2, 3)
	if err := d.Forward(context.Background(), make([]int32, 8), 0, nil); err != nil {
		t.Fatal(err)
	}
	if err := d.Forward(context.Background(), []int32{0}, 8, nil); !errors.Is(err, ErrContextFull) {
		t.Errorf("got %v, want %v", err, ErrContextFull)
	}
	if err := d.Forward(context.Background(), []int32{0}, 7, nil); err != nil {
		t.Errorf("the last position again: %v", err)
	}
}

func TestDecoderKeepsTheLength(t *testing.T) {
	d, s := newScripted(1, 2, 3)
	steps := []struct {
		tokens, pos, want int
		err               error
	}{
		{5, 0, 5, nil},
		{1, 5, 6, nil},
		{2, 3, 5, nil}, // forgets what lies behind
		{1, 4, 4, context.Canceled},
		{1, 5, 4, nil}, // refused: a gap
		{1, 4, 5, nil},
	}
	for i, step := range steps {
		s.err = step.err
		err := d.Forward(context.Background(), make([]int32, step.tokens), step.pos, nil)
		if step.err != nil && !errors.Is(err, step.err) {
			t.Errorf("step %d: got error %v, want %v", i, err, step.err)
		}
		if d.Len() != step.want {
			t.Errorf("step %d: length is %d, want %d", i, d.Len(), step.want)
		}
	}
}

func TestDecoderRefusesLogitsThatAreNotFinite(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, c := range []struct {
		name   string
		logits []float32
		out    *Output
	}{
		{"NaN among logits", []float32{1, nan, 2}, &Output{Rows: 1, Logits: make([]float32, 3)}},
		{"infinity among logits", []float32{1, inf, 2}, &Output{Rows: 1, Logits: make([]float32, 3)}},
		{"minus infinity among logits", []float32{1, -inf, 2}, &Output{Rows: 1, Logits: make([]float32, 3)}},
		{"NaN where only candidates are wanted", []float32{1, nan, 2}, &Output{Rows: 1, Top: [][]Candidate{make([]Candidate, 1)}}},
		{"all NaN", []float32{nan, nan, nan}, &Output{Rows: 1, Top: [][]Candidate{make([]Candidate, 1)}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, _ := newScripted(c.logits...)
			err := d.Forward(context.Background(), []int32{0, 1}, 0, c.out)
			if err == nil || !strings.Contains(err.Error(), "position 1") {
				t.Errorf("got error %v, want one that names position 1", err)
			}
		})
	}
}

func TestDecoderWritesIntoTheCallersBuffers(t *testing.T) {
	d, s := newScripted(1, 5, 3)
	out := &Output{Rows: 2, Logits: make([]float32, 6), Top: [][]Candidate{make([]Candidate, 2), nil}}
	if err := d.Forward(context.Background(), []int32{0, 1}, 0, out); err != nil {
		t.Fatal(err)
	}
	if want := []float32{1, 5, 3, 1, 5, 3}; !slices.Equal(out.Logits, want) {
		t.Errorf("logits are %v, want %v", out.Logits, want)
	}
	if want := []Candidate{{ID: 1, Logit: 5}, {ID: 2, Logit: 3}}; !slices.Equal(out.Top[0], want) {
		t.Errorf("candidates are %v, want %v", out.Top[0], want)
	}
	if out.LogSum != nil || !s.logSum {
		t.Error("the decoder asks for log sums and keeps them to itself")
	}
}

func TestFillOutputOrdersTies(t *testing.T) {
	out := &Output{Rows: 1, Top: [][]Candidate{make([]Candidate, 4)}, LogSum: make([]float32, 1)}
	FillOutput(out, 0, []float32{2, 7, 2, 7, 7, 1})
	if want := []Candidate{{ID: 1, Logit: 7}, {ID: 3, Logit: 7}, {ID: 4, Logit: 7}, {ID: 0, Logit: 2}}; !slices.Equal(out.Top[0], want) {
		t.Errorf("got %v, want %v: highest first, lowest id among equals", out.Top[0], want)
	}
	want := math.Log(3*math.Exp(7) + 2*math.Exp(2) + math.Exp(1))
	if math.Abs(float64(out.LogSum[0])-want) > 1e-6 {
		t.Errorf("log sum is %v, want %v", out.LogSum[0], want)
	}
}

func TestFillOutputOfLargeLogitsDoesNotOverflow(t *testing.T) {
	out := &Output{Rows: 1, LogSum: make([]float32, 1)}
	FillOutput(out, 0, []float32{1e4, 1e4})
	if want := float32(1e4 + math.Ln2); out.LogSum[0] != want {
		t.Errorf("log sum is %v, want %v", out.LogSum[0], want)
	}
}
