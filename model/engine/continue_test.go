package engine

import (
	"strings"
	"testing"

	"peregrine/model/generate"
)

func TestContinueGoesOnWithTheReply(t *testing.T) {
	const text = " hé日😀llo"
	for cut := 1; cut < len(text); cut++ { // between and inside characters
		f := says(text).start(t, Options{})
		r := user("hi")
		r.MaxTokens = cut
		first := f.answer(t, r)
		r.Continue, r.MaxTokens = first.TokenIDs, 0
		second := f.answer(t, r)
		if got := first.Text + second.Text; got != text {
			t.Errorf("cut after %d bytes: got %q + %q, want %q", cut, first.Text, second.Text, text)
		}
		if len(second.TokenIDs) != len(text)-cut+1 {
			t.Errorf("cut after %d bytes: got %d ids, want those of the rest", cut, len(second.TokenIDs))
		}
		if second.Timings.PromptTokens-second.Timings.CachedTokens != 1 {
			t.Errorf("cut after %d bytes: got %d tokens to prefill, want the last alone", cut,
				second.Timings.PromptTokens-second.Timings.CachedTokens)
		}
	}
}

func TestContinueFindsAStopStringOverTheBorder(t *testing.T) {
	f := says(" a\nUser: b").start(t, Options{})
	r := user("hi")
	r.Stop, r.MaxTokens = []string{"\nUser:"}, 4
	first := f.answer(t, r)
	if first.Text != " a\nU" {
		t.Fatalf("got %q, want the begun stop string shown at the end", first.Text)
	}
	r.Continue, r.MaxTokens = first.TokenIDs, 0
	if got := f.answer(t, r); got.Text != "" || got.Finish != generate.FinishStop {
		t.Errorf("got %q, %v, want nothing more, stop", got.Text, got.Finish)
	}
}

func TestContinueRefusesIdsWithoutEmbedding(t *testing.T) {
	f := says(" a").start(t, Options{})
	for _, id := range []int32{-1, pieces} {
		r := user("hi")
		r.Continue = []int32{'a', id}
		if got := f.ask(t, r); got.Finish != generate.FinishError || !strings.Contains(got.Err.Error(), "token 1 is") {
			t.Errorf("id %d: got %v, %v, want an error that names the token", id, got.Finish, got.Err)
		}
	}
}
