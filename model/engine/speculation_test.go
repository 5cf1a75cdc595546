package engine

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"peregrine/model/generate"
	"peregrine/model/sample"
)

// device simulates replies on a device on which a pass of n tokens takes cost(n), with drafts of which a token is right with
// probability p. It returns how much longer they take than token by token.
func device(s *speculation, replies, tokens int, p float64, cost func(n int) time.Duration) (relative float64) {
	random := rand.New(rand.NewPCG(3, 4))
	var took, plain time.Duration
	for range replies {
		s.begin()
		for left := tokens; left > 0; {
			n := s.size(5, min(mostDraft, left-1))
			accepted := 0
			for i := range max(n, 1) { // the first is seen without being taken along
				right := random.Float64() < p
				if s.learn(5, right); !right {
					break
				}
				accepted = min(i+1, n)
			}
			pass := cost(n + 1)
			s.done(n, accepted, pass)
			took += pass
			left -= accepted + 1
		}
		plain += time.Duration(tokens) * cost(1)
	}
	return float64(took) / float64(plain)
}

var devices = map[string]func(n int) time.Duration{
	"memory": func(n int) time.Duration { return time.Millisecond * time.Duration(100+n) / 100 },
	"cores":  func(n int) time.Duration { return time.Millisecond * time.Duration(40+60*n) / 100 },
	"none":   func(n int) time.Duration { return time.Millisecond * time.Duration(n) },
	"worse":  func(n int) time.Duration { return time.Millisecond * time.Duration(2*n-1) },
}

func TestDraftsThatAreWrongCostLittle(t *testing.T) {
	for name, cost := range devices {
		for _, p := range []float64{0, 0.1, 0.3} {
			if got := device(new(speculation), 20, 200, p, cost); got > 1.02 {
				t.Errorf("%s, %.1f right: %.3f times the time of token by token, want at most 1.02", name, p, got)
			}
		}
	}
}

func TestDraftsThatAreRightAreWorthIt(t *testing.T) {
	for name, most := range map[string]float64{"memory": 0.25, "cores": 0.8} {
		if got := device(new(speculation), 20, 200, 0.95, devices[name]); got > most {
			t.Errorf("%s: %.3f times the time of token by token, want at most %.2f", name, got, most)
		}
	}
}

// babble makes the fake decoder a model whose next token depends on the two before it, so that it repeats itself often but
// not always. Each pass takes hardly longer for several tokens.
func babble(f *fixture) *fixture {
	f.decoder.logits = func(seq []int32, logits []float32) {
		clear(logits)
		a, b := seq[len(seq)-1], seq[len(seq)-2]
		random := rand.New(rand.NewPCG(uint64(a), uint64(b)))
		for range 4 {
			logits['a'+random.IntN(12)] = float32(3 + 6*random.Float64())
		}
	}
	f.decoder.before = func(_ context.Context, c call) error {
		time.Sleep(time.Duration(200+5*c.tokens) * time.Microsecond)
		return nil
	}
	return f
}

func TestDraftsChangeNoToken(t *testing.T) {
	accepted := 0
	for name, values := range map[string]generate.Sampling{
		"greedy":          {},
		"top-k":           {Temperature: 0.8, TopK: 4},
		"all tokens":      {Temperature: 0.7},
		"top-p and min-p": {Temperature: 1.1, TopK: 20, TopP: 0.9, MinP: 0.05},
		"penalty":         {Temperature: 0.9, RepetitionPenalty: 1.2},
		"sharp":           {Temperature: 0.2, TopK: 50},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(2) {
				r := user("say something")
				r.Sampling, r.MaxTokens = values, 100
				r.Sampling.Seed = &seed
				want := babble(says("")).start(t, Options{}).answer(t, r)
				got := babble(says("")).start(t, Options{Speculate: true}).answer(t, r)
				if !slices.Equal(got.TokenIDs, want.TokenIDs) {
					t.Fatalf("seed %d: got %q, want %q as without drafts", seed, got.Text, want.Text)
				}
				if want.Timings.Drafted != 0 || got.Timings.Accepted > got.Timings.Drafted {
					t.Errorf("seed %d: drafted %d without, accepted %d of %d with drafts",
						seed, want.Timings.Drafted, got.Timings.Accepted, got.Timings.Drafted)
				}
				accepted += got.Timings.Accepted
			}
		})
	}
	if accepted == 0 {
		t.Error("no draft was accepted, so nothing was tested")
	}
}

// repeats is a text in which drafts are nearly always right.
var repeats = strings.Repeat("the falcon, the falcon, the falcon. ", 12)

func TestDraftsRespectTheLimits(t *testing.T) {
	slow := func(f *fixture) *fixture {
		f.decoder.before = func(context.Context, call) error { time.Sleep(200 * time.Microsecond); return nil }
		return f
	}
	drafted := 0
	for _, limit := range []int{1, 2, 5, 60, 61, 62, 63, 64, 65, 66, 67, 68} {
		f := slow(says(repeats)).start(t, Options{Speculate: true})
		r := user("x")
		r.MaxTokens = limit
		got := f.answer(t, r)
		if got.Text != repeats[:limit] || got.Finish != generate.FinishLength {
			t.Errorf("%d tokens: got %q, finish %q", limit, got.Text, got.Finish)
		}
		drafted += got.Timings.Drafted
		f = slow(says(repeats))
		plan, err := f.start(t, Options{Speculate: true}).Plan(t.Context(), user("x"))
		if err != nil {
			t.Fatal(err)
		}
		f = slow(says(repeats))
		f.decoder.context = plan.Tokens + limit
		if got = f.start(t, Options{Speculate: true}).answer(t, user("x")); got.Text != repeats[:limit] || got.Finish != generate.FinishContext {
			t.Errorf("room for %d tokens: got %q, finish %q", limit, got.Text, got.Finish)
		}
	}
	if drafted == 0 {
		t.Error("nothing was drafted, so nothing was tested")
	}
}

func TestValuesMayChangeInTheMiddleOfADraft(t *testing.T) {
	f := says(repeats)
	changed := make(chan struct{})
	var stream *generate.Stream
	var once bool
	ready := make(chan struct{})
	f.decoder.before = func(_ context.Context, c call) error {
		<-ready
		time.Sleep(200 * time.Microsecond)
		if c.rows > 1 && !once {
			once = true
			stream.Tune(generate.Sampling{RepetitionPenalty: 1.001}) // needs all logits, and changes nothing
			close(changed)
		}
		return nil
	}
	f.start(t, Options{Speculate: true})
	stream = f.begin(t, user("x"))
	close(ready)
	got := finish(t, stream)
	if got.Err != nil || got.Text != repeats {
		t.Errorf("got %q, error %v; want the whole text", got.Text, got.Err)
	}
	select {
	case <-changed:
	default:
		t.Error("nothing was drafted, so nothing was tested")
	}
	if got.Sampling.RepetitionPenalty != 1.001 {
		t.Errorf("got %v, want the changed values", got.Sampling)
	}
}

func TestDraftsAreHeldByTheCacheWhenTheyWereRight(t *testing.T) {
	f := babble(says("")).start(t, Options{Speculate: true})
	r := user("say something")
	r.MaxTokens = 120
	first := f.answer(t, r)
	f.decoder.taken()
	r.Continue, r.MaxTokens = first.TokenIDs, 40
	onward := f.answer(t, r)
	if onward.Timings.CachedTokens < onward.Timings.PromptTokens-1 {
		t.Errorf("got %d of %d tokens from the cache, want all but the last", onward.Timings.CachedTokens, onward.Timings.PromptTokens)
	}
	r.Continue, r.MaxTokens = nil, 160
	fresh := babble(says("")).start(t, Options{}).answer(t, r)
	if whole := append(slices.Clone(first.TokenIDs), onward.TokenIDs...); !slices.Equal(whole, fresh.TokenIDs) {
		t.Errorf("got %v, want %v as in one go", whole, fresh.TokenIDs)
	}
}

func TestAFailedVerificationEndsTheReplyWithWhatIsCertain(t *testing.T) {
	f := says(repeats)
	f.decoder.before = func(_ context.Context, c call) error {
		time.Sleep(200 * time.Microsecond)
		if c.rows > 1 {
			return fmt.Errorf("device lost")
		}
		return nil
	}
	f.start(t, Options{Speculate: true})
	got := f.ask(t, user("x"))
	if got.Finish != generate.FinishError || got.Text == "" || !strings.HasPrefix(repeats, got.Text) {
		t.Errorf("got %q, finish %q, error %v; want the beginning of the text and the error", got.Text, got.Finish, got.Err)
	}
}

func TestOutputsOfSeveralRows(t *testing.T) {
	o := outputs{vocab: 5}
	for _, rows := range []int{1, 8, 2} {
		if out := o.all(rows); len(out.Logits) != rows*5 || out.Rows != rows {
			t.Errorf("all: got %d logits for %d rows", len(out.Logits), rows)
		}
		out := o.highest(rows)
		if len(out.Top) != rows || len(out.LogSum) != rows || len(out.Top[0]) != min(5, sample.TopCount) || out.Logits != nil {
			t.Errorf("highest: got %v for %d rows", out, rows)
		}
	}
}
