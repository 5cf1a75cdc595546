package engine

import (
	"context"
	"errors"
	"strings"
	"testing"

	"peregrine/model/generate"
	"peregrine/model/prompt"
)

// inquire returns a question about token at of a reply.
func inquire(r generate.Request, reply generate.Result, at int) generate.Inquiry {
	r.Continue, r.Sampling = reply.TokenIDs, reply.Sampling
	return generate.Inquiry{Request: r, Text: reply.Text, At: at, Candidates: 10}
}

func (f *fixture) explain(t *testing.T, q generate.Inquiry) generate.Explanation {
	t.Helper()
	x, err := f.Explain(t.Context(), q)
	if err != nil {
		t.Fatalf("Explain: %v", err)
	}
	return x
}

func TestExplainCountsThePenaltyAsTheReplyDid(t *testing.T) {
	f := says(" hello")
	f.decoder.logits = func(seq []int32, logits []float32) { logits[seq[len(seq)-1]] += 9.5 } // a repetition nearly wins
	f.start(t, Options{})
	r := user("hi")
	r.Sampling, r.Candidates = generate.Sampling{Temperature: 0.9, TopP: 0.8, RepetitionPenalty: 1.2}, 10
	s := f.begin(t, r)
	var tokens []generate.Token
	var result *generate.Result
	for result == nil {
		u, err := nextUpdate(t, s)
		if err != nil {
			t.Fatal("the reply has no end")
		}
		tokens, result = append(tokens, u.Tokens...), u.Result
	}
	for at, token := range tokens {
		x := f.explain(t, inquire(r, *result, at))
		for i, want := range token.Candidates {
			if got := x.Choices[i].Candidate; got != want {
				t.Errorf("token %d: got candidate %+v, want %+v as while decoding", at, got, want)
			}
		}
	}
}

func TestExplainGoesOnFromTheCache(t *testing.T) {
	f := says(" hello there").start(t, Options{Chunk: 4})
	r := user("hi")
	reply := f.answer(t, r)
	f.explain(t, inquire(r, reply, 0))
	f.decoder.taken()
	for at := 1; at < len(reply.TokenIDs); at++ {
		f.explain(t, inquire(r, reply, at))
		if n := prefilled(f.decoder.taken()); n != 1 {
			t.Errorf("token %d: got %d tokens forwarded, want 1", at, n)
		}
	}
	f.explain(t, inquire(r, reply, 3))
	if n := prefilled(f.decoder.taken()); n != 1 {
		t.Errorf("back: got %d tokens forwarded, want 1", n)
	}
	if again := f.answer(t, r); again.Text != reply.Text {
		t.Errorf("got %q after the questions, want %q", again.Text, reply.Text)
	}
}

func TestExplainSpellsWholeCharactersAndStopStrings(t *testing.T) {
	f := says("é漢!STOP it")
	f.start(t, Options{})
	r := user("hi")
	r.Stop = []string{"STOP"}
	reply := f.answer(t, r)
	x := f.explain(t, inquire(r, reply, 1))
	if got := strings.Join(x.Pieces, "|"); got != "|é|||漢|!|S|T|O|P" {
		t.Errorf("got pieces %q", got)
	}
	if x.Encoded || len(x.IDs) != len(reply.TokenIDs) {
		t.Errorf("got %d ids, encoded %v, want the reply's %d", len(x.IDs), x.Encoded, len(reply.TokenIDs))
	}
	best := x.Choices[0]
	if best.ID != 0xa9 || best.Piece != "é" || best.Text != "\uFFFD" {
		t.Errorf("got %+v, want the byte that completes é", best)
	}
}

// TestContinueFromAnyChoiceShowsTheDecodedIDs is what a branch from another token rests on: the pieces before it, the
// choice's own and what the engine then says are the text of all ids, wherever characters are cut.
func TestContinueFromAnyChoiceShowsTheDecodedIDs(t *testing.T) {
	f := says("né漢😀 ok")
	f.decoder.logits = func(_ []int32, logits []float32) { logits['x'], logits[0xe6] = 9, 8 } // another letter, another first byte
	f.start(t, Options{})
	r := user("hi")
	reply := f.answer(t, r)
	for at := range reply.TokenIDs {
		x := f.explain(t, inquire(r, reply, at))
		for _, choice := range x.Choices {
			if choice.Ends {
				continue
			}
			branch := r
			branch.Continue = append(append([]int32{}, x.IDs[:at]...), choice.ID)
			branch.MaxTokens = 30
			rest := f.answer(t, branch)
			shown := strings.Join(x.Pieces[:at], "") + choice.Piece + rest.Text
			d := &fakeDetokenizer{tokens: f.tokens}
			var want strings.Builder
			for _, id := range append(branch.Continue, rest.TokenIDs...) {
				want.WriteString(d.Push(id))
			}
			if rest.Finish == generate.FinishStop {
				want.WriteString(d.Flush())
			}
			if shown != want.String() {
				t.Fatalf("token %d, choice %d: shows %q, the ids decode to %q", at, choice.ID, shown, want.String())
			}
		}
	}
}

func TestExplainKnowsTheEnd(t *testing.T) {
	f := says("ab").start(t, Options{})
	r := user("hi")
	reply := f.answer(t, r)
	x := f.explain(t, inquire(r, reply, 2))
	if c := x.Choices[0]; !c.Ends || c.Text != "<|end|>" || c.Piece != "" || c.ID != reply.TokenIDs[2] {
		t.Errorf("got %+v, want the end token", c)
	}
	if c := x.Choices[1]; c.Ends {
		t.Errorf("got %+v as an end", c)
	}
}

func TestExplainEncodesWhatItsIDsDoNotSpell(t *testing.T) {
	f := says("ab").start(t, Options{})
	r := user("hi")
	for name, ids := range map[string][]int32{
		"none": nil, "another model's": {'x', 'y'}, "beyond the vocabulary": {70000, -1}, "too few": {'a'},
	} {
		q := inquire(r, generate.Result{Text: "ab", TokenIDs: ids}, 1)
		x := f.explain(t, q)
		if !x.Encoded || len(x.IDs) != 2 || x.Choices[0].ID != 'b' {
			t.Errorf("%s: got %+v, want the text encoded", name, x)
		}
	}
}

func TestExplainRefusesWhatIsNotThere(t *testing.T) {
	f := says("ab").start(t, Options{})
	r := user("hi")
	reply := f.answer(t, r)
	long := inquire(r, reply, 0)
	long.Request.Messages = []generate.Message{{Role: generate.User, Content: strings.Repeat("x", 5000)}}
	for name, q := range map[string]generate.Inquiry{
		"is the 4th token": inquire(r, reply, 3), "-1": inquire(r, reply, -1), "empty": inquire(r, generate.Result{}, 0), "does not fit": long,
		"candidates 0": {Request: r, Text: "ab"},
	} {
		if _, err := f.Explain(t.Context(), q); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
	if got := f.answer(t, r); got.Text != "ab" {
		t.Errorf("got %q afterwards, want ab", got.Text)
	}
}

func TestExplainEndsWithItsContextAndTheEngine(t *testing.T) {
	f := says("ab").start(t, Options{})
	r := user("hi")
	reply := f.answer(t, r)
	running := make(chan struct{}, 10)
	f.decoder.mu.Lock()
	f.decoder.before = func(ctx context.Context, _ call) error {
		running <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	}
	f.decoder.mu.Unlock()
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan error, 2)
	go func() { _, err := f.Explain(ctx, inquire(r, reply, 0)); got <- err }()
	<-running
	waiting, giveUp := context.WithCancel(t.Context())
	go func() { _, err := f.Explain(waiting, inquire(r, reply, 1)); got <- err }()
	giveUp()
	if err := <-got; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v for the one that waits, want cancelled", err)
	}
	cancel()
	if err := <-got; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v for the one that runs, want cancelled", err)
	}
	go func() { _, err := f.Explain(t.Context(), inquire(r, reply, 0)); got <- err }()
	<-running
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-got; err == nil {
		t.Error("got an answer of a closed engine")
	}
	if _, err := f.Explain(t.Context(), inquire(r, reply, 0)); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v, want ErrClosed", err)
	}
}

func TestAPanicWhileExplainingBreaksTheEngineAlone(t *testing.T) {
	f := says("ab").start(t, Options{})
	r := user("hi")
	reply := f.answer(t, r)
	f.decoder.mu.Lock()
	f.decoder.before = func(context.Context, call) error { panic("a bug") }
	f.decoder.mu.Unlock()
	if _, err := f.Explain(t.Context(), inquire(r, reply, 0)); !errors.Is(err, ErrBroken) {
		t.Errorf("got %v, want ErrBroken", err)
	}
	if _, err := f.Start(t.Context(), r); !errors.Is(err, ErrBroken) {
		t.Errorf("got %v, want the engine to refuse", err)
	}
}

func TestExplainEncodesAReplyThatGoesOnWithoutASpaceInFront(t *testing.T) {
	for name, c := range map[string]struct {
		request generate.Request
		want    string
	}{
		"a text of its own": {generate.Request{}, " ab"},
		"raw":               {generate.Request{Raw: true}, "ab"},
		"no template":       {generate.Request{Template: prompt.None}, "ab"},
	} {
		f := says("ab")
		f.tokens.blank = true
		f.start(t, Options{})
		c.request.Messages = user("Response:").Messages
		x := f.explain(t, inquire(c.request, generate.Result{Text: "ab"}, 0))
		if got := strings.Join(x.Pieces, ""); !x.Encoded || got != c.want {
			t.Errorf("%s: got the text encoded as %q, want %q", name, got, c.want)
		}
	}
}
