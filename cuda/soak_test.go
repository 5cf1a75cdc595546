package cuda

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"peregrine/cuda/driver"
	"peregrine/cuda/emulator"
	"peregrine/model"
	"peregrine/model/backendtest"
)

// Conversations of all kinds leave nothing behind: replies that are cut off, turns that are generated again, prompts that do
// not fit. Device memory stays what it was, and the first question has the same answer to the bit.
func TestConversationsLeaveNothingBehind(t *testing.T) {
	t.Run("emulator", func(t *testing.T) {
		if testing.Short() {
			t.Skip("NOT RUN: conversations take the emulator ten seconds; make test runs them")
		}
		converse(t, emulator.Open(emulator.Options{}), 1, 0)
	})
	t.Run("card", func(t *testing.T) {
		requireCard(t)
		d, err := driver.Open(0)
		must(t, err)
		conversations := 400
		if testing.Short() {
			conversations = 10 // a checker of memory makes each a hundred times longer
		}
		converse(t, d, conversations, 8<<20) // other processes may use the card
	})
}

// converse holds so many conversations on d; the free memory may have become `slack` bytes less.
func converse(t *testing.T, d driver.Device, conversations int, slack int64) {
	const limit = 60
	p := small()
	b := New(d)
	t.Cleanup(func() { must(t, b.Close()) })
	e, err := b.Load(context.Background(), p, model.LoadOptions{Context: limit})
	must(t, err)
	question := backendtest.RandomTokens(5, 20, p.Config.Vocab)
	answer := func() []float32 {
		out := &model.Output{Rows: 1, Logits: make([]float32, p.Config.Vocab)}
		must(t, e.Forward(context.Background(), question, 0, out))
		return out.Logits
	}
	want := answer()
	random, tokens := rand.New(rand.NewPCG(6, 7)), 0
	talk(t, e, random, limit, p.Config.Vocab) // the first makes graphs
	before, err := d.Free()
	must(t, err)
	for range conversations {
		tokens += talk(t, e, random, limit, p.Config.Vocab)
	}
	after, err := d.Free()
	must(t, err)
	if before-after > slack {
		t.Errorf("%d tokens in %d conversations took %d bytes of device memory", tokens, conversations, before-after)
	}
	if !slices.Equal(answer(), want) {
		t.Error("the answer to the first question has changed")
	}
	t.Logf("%d conversations, %d tokens; %d bytes were free, %d are", conversations, tokens, before, after)
}

// talk fills a context with passes of every size that has a graph and prompts, some of them again from an earlier place, one of
// them cancelled, and one too many. It returns how many tokens were computed.
func talk(t *testing.T, e model.Executor, random *rand.Rand, limit, vocab int) (tokens int) {
	t.Helper()
	pass := func(ctx context.Context, n, rows, pos int) error {
		out := &model.Output{Rows: rows, LogSum: make([]float32, rows)}
		for range rows {
			out.Top = append(out.Top, make([]model.Candidate, 4))
		}
		return e.Forward(ctx, backendtest.RandomTokens(random.Uint64(), n, vocab), pos, out)
	}
	pos := 0
	for n := 1; n <= decodeTokens; n++ {
		for _, rows := range []int{0, n} {
			must(t, pass(context.Background(), n, rows, max(0, pos-n)))
			pos, tokens = max(pos, n), tokens+n
		}
	}
	for again := 3; pos < limit; {
		n := min(1+random.IntN(12), limit-pos)
		must(t, pass(context.Background(), n, 1, pos))
		pos, tokens = pos+n, tokens+n
		if again > 0 && random.IntN(4) == 0 {
			pos, again = random.IntN(pos), again-1
		}
	}
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	if err := pass(cancelled, 9, 1, pos/2); !errors.Is(err, context.Canceled) {
		t.Fatalf("a cancelled pass: %v", err)
	}
	if err := pass(context.Background(), 1, 1, limit); err == nil {
		t.Fatalf("a token behind a context of %d was computed", limit)
	}
	return tokens
}
