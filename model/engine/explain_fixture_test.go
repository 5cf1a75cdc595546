package engine_test

import (
	"errors"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"peregrine/model/engine"
	"peregrine/model/generate"
	"peregrine/model/tokenizer"
)

// TestExplainShowsWhatTheSamplerSaw compares the candidates that were reported while a tiny model wrote with those that are
// computed afterwards, in any order.
func TestExplainShowsWhatTheSamplerSaw(t *testing.T) {
	e := openEngine(t, engine.Options{})
	seed := uint64(7)
	for _, v := range []generate.Sampling{
		{Temperature: 0.9, TopK: 20, Seed: &seed},
		{Temperature: 1.3, TopP: 0.6, RepetitionPenalty: 1.2, Seed: &seed},
	} {
		r := generate.Request{
			Messages:  []generate.Message{{Role: generate.User, Content: "Write a story about 3 llamas, 漢字 and 😀"}},
			MaxTokens: 12, Candidates: 10, Sampling: v,
		}
		s, err := e.Start(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		var tokens []generate.Token
		var reply generate.Result
		for {
			u, err := s.Next(t.Context())
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			tokens = append(tokens, u.Tokens...)
			if u.Result != nil {
				reply = *u.Result
			}
		}
		r.Continue = reply.TokenIDs
		order := make([]int, len(tokens))
		for i := range order {
			order[i] = (i*5 + 3) % len(order)
		}
		for _, at := range order {
			x, err := e.Explain(t.Context(), generate.Inquiry{Request: r, Text: reply.Text, At: at, Candidates: 10})
			if err != nil {
				t.Fatal(err)
			}
			if x.Encoded || !slices.Equal(x.IDs, reply.TokenIDs) {
				t.Fatalf("got ids %v, want the reply's %v", x.IDs, reply.TokenIDs)
			}
			for i, want := range tokens[at].Candidates {
				got := x.Choices[i]
				if got.ID != want.ID || got.Text != want.Text || got.Kept != want.Kept || math.Abs(got.Prob-want.Prob) > 1e-6 {
					t.Errorf("token %d: got candidate %+v, want %+v", at, got.Candidate, want)
				}
			}
			if !slices.ContainsFunc(x.Choices, func(c generate.Choice) bool { return c.ID == reply.TokenIDs[at] && c.Chance > 0 }) {
				t.Errorf("token %d: the choices %+v lack the token that was drawn", at, x.Choices)
			}
		}
	}
}

// TestContinueFromAnotherTokenIsWhatTheTokenizerDecodes goes on from each candidate of a reply with characters of several
// tokens; what is shown must be what the ids decode to as a whole.
func TestContinueFromAnotherTokenIsWhatTheTokenizerDecodes(t *testing.T) {
	e := openEngine(t, engine.Options{})
	tok, err := tokenizer.FromFile(filepath.Join(fixture, "tokenizer.json"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tok.Close() })
	text := "ab 漢字 😀é!"
	r := generate.Request{Messages: []generate.Message{{Role: generate.User, Content: "Say " + text}}}
	first, err := e.Explain(t.Context(), generate.Inquiry{Request: r, Text: text, Candidates: 1})
	if err != nil {
		t.Fatal(err)
	}
	if !first.Encoded || strings.Join(first.Pieces, "") != text {
		t.Fatalf("got pieces %q, want those of the encoded text", first.Pieces)
	}
	r.Continue = first.IDs
	for at := range first.IDs {
		x, err := e.Explain(t.Context(), generate.Inquiry{Request: r, Text: text, At: at, Candidates: 4})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range x.Choices {
			if c.Ends {
				continue
			}
			branch := r
			branch.Continue = append(slices.Clone(x.IDs[:at]), c.ID)
			branch.MaxTokens = 4
			rest := answer(t, e, branch)
			ids := append(branch.Continue, rest.TokenIDs...)
			want, err := tok.Decode(ids, true)
			if err != nil {
				t.Fatal(err)
			}
			shown := strings.Join(x.Pieces[:at], "") + c.Piece + rest.Text
			open := strings.TrimSuffix(want, "\uFFFD") // a reply that was cut leaves an open character out
			if shown != want && shown != open {
				t.Errorf("token %d, candidate %q: shows %q, the ids decode to %q", at, c.Text, shown, want)
			}
		}
	}
}
