package engine

import (
	"context"
	"slices"
	"testing"

	"peregrine/model/generate"
)

func TestCandidatesComeWithEachToken(t *testing.T) {
	f := says("ab")
	f.decoder.logits = func(_ []int32, logits []float32) { logits[endID], logits[0xc3] = 9, 8 }
	f.start(t, Options{})
	r := user("hi")
	r.Candidates, r.MaxTokens = 3, 2
	s := f.begin(t, r)
	var tokens []generate.Token
	for u, err := nextUpdate(t, s); err == nil; u, err = nextUpdate(t, s) {
		tokens = append(tokens, u.Tokens...)
	}
	if len(tokens) != 2 || len(tokens[1].Candidates) != 3 {
		t.Fatalf("got %+v, want two tokens with three candidates each", tokens)
	}
	for i, want := range []generate.Candidate{{ID: 'b', Text: "b"}, {ID: endID, Text: "<|end|>"}, {ID: 0xc3, Text: "\uFFFD"}} {
		got := tokens[1].Candidates[i]
		if got.ID != want.ID || got.Text != want.Text || !(got.Prob > 0 && got.Prob < 1) {
			t.Errorf("candidate %d: got %+v, want %+v with a probability", i, got, want)
		}
	}
}

func TestCandidatesAreNotMoreThanTheVocabulary(t *testing.T) {
	f := says("a").start(t, Options{})
	r := user("hi")
	r.Candidates, r.MaxTokens = 1<<40, 1
	s := f.begin(t, r)
	n := 0
	for u, err := nextUpdate(t, s); err == nil; u, err = nextUpdate(t, s) {
		for _, token := range u.Tokens {
			n += len(token.Candidates)
		}
	}
	if n != pieces {
		t.Errorf("got %d candidates, want all %d", n, pieces)
	}
}

func TestTuneWorksFromTheNextToken(t *testing.T) {
	f := says("")
	var s *generate.Stream
	ready := make(chan struct{})
	f.decoder.before = func(_ context.Context, c call) error {
		<-ready
		if c.tokens == 1 && len(f.decoder.calls) == 4 {
			s.Tune(generate.Sampling{RepetitionPenalty: 100})
		}
		return nil
	}
	f.decoder.logits = func(_ []int32, logits []float32) {
		clear(logits)
		logits['a'], logits['b'] = 10, 5
	}
	f.start(t, Options{})
	r := user("hi")
	r.MaxTokens = 6
	s = f.begin(t, r)
	close(ready)
	got := finish(t, s)
	// Three tokens of the old values; then "a" stands in the reply and its logit of 10 becomes 0.1.
	if want := "aaabaa"; got.Text != want {
		t.Errorf("got %q, want %q: other values from the fourth token", got.Text, want)
	}
	if got.Sampling.RepetitionPenalty != 100 || got.Sampling.Seed == nil {
		t.Errorf("got %+v, want the values in force at the end", got.Sampling)
	}
	if e := got.Earlier; len(e) != 1 || e[0].Tokens != 3 || e[0].Sampling.RepetitionPenalty != 0 || e[0].Sampling.Seed == nil {
		t.Errorf("got %+v, want the three tokens of the old values", e)
	}
	repeated := 0
	calls := f.decoder.taken()
	for i := 1; i < len(calls); i++ {
		if calls[i].pos == calls[i-1].pos {
			repeated++
		}
	}
	if repeated != 1 {
		t.Errorf("%d tokens ran twice in %v, want one: the penalty needs all logits, the values before it did not", repeated, calls)
	}
}

func TestSeedRepeatsAReply(t *testing.T) {
	f := says("")
	f.decoder.logits = func(_ []int32, logits []float32) {
		clear(logits)
		logits[endID] = -1000
		for id := range logits[:'a'] {
			logits[id] = -1000
		}
	}
	f.start(t, Options{})
	r := user("hi")
	r.MaxTokens, r.Sampling.Temperature = 40, 1
	first := f.answer(t, r)
	if first.Sampling.Seed == nil {
		t.Fatal("got no seed in the result, want the one that was drawn")
	}
	r.Sampling.Seed = first.Sampling.Seed
	if again := f.answer(t, r); !slices.Equal(again.TokenIDs, first.TokenIDs) {
		t.Errorf("got %v, want %v again with seed %d", again.TokenIDs, first.TokenIDs, *r.Sampling.Seed)
	}
	r.Sampling.Seed = nil
	other := f.answer(t, r)
	if *other.Sampling.Seed == *first.Sampling.Seed || slices.Equal(other.TokenIDs, first.TokenIDs) {
		t.Errorf("got seed %d and the same reply, want new ones", *other.Sampling.Seed)
	}
}

func TestTuneWithoutSeedKeepsTheRandomSequence(t *testing.T) {
	run := func(tune func(*generate.Stream)) []int32 {
		f := says("")
		ready := make(chan struct{})
		f.decoder.before = func(context.Context, call) error { <-ready; return nil }
		f.decoder.logits = func(_ []int32, logits []float32) { clear(logits); logits[endID] = -1000 }
		f.start(t, Options{})
		seed := uint64(7)
		r := user("hi")
		r.MaxTokens, r.Sampling = 20, generate.Sampling{Temperature: 1, Seed: &seed}
		s := f.begin(t, r)
		tune(s)
		close(ready)
		return finish(t, s).TokenIDs
	}
	seven, eight := uint64(7), uint64(8)
	plain := run(func(*generate.Stream) {})
	if got := run(func(s *generate.Stream) { s.Tune(generate.Sampling{Temperature: 1}) }); !slices.Equal(got, plain) {
		t.Errorf("got %v, want %v: no seed keeps the sequence", got, plain)
	}
	if got := run(func(s *generate.Stream) { s.Tune(generate.Sampling{Temperature: 1, Seed: &seven}) }); !slices.Equal(got, plain) {
		t.Errorf("got %v, want %v: the same seed keeps it too", got, plain)
	}
	if got := run(func(s *generate.Stream) { s.Tune(generate.Sampling{Temperature: 1, Seed: &eight}) }); slices.Equal(got, plain) {
		t.Errorf("got %v again, want another sequence from another seed", got)
	}
}
