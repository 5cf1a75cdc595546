package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"peregrine/model/generate"
)

// prefilled returns how many prompt tokens were forwarded in these calls: all up to the one that wants logits.
func prefilled(calls []call) int {
	n := 0
	for _, c := range calls {
		n += c.tokens
		if c.rows > 0 {
			break
		}
	}
	return n
}

// follow returns r with a reply and the next message of the user.
func follow(r generate.Request, reply, next string) generate.Request {
	r.Messages = append(r.Messages[:len(r.Messages):len(r.Messages)],
		generate.Message{Role: generate.Assistant, Content: reply},
		generate.Message{Role: generate.User, Content: next})
	return r
}

func TestSecondTurnPrefillsOnlyWhatIsNew(t *testing.T) {
	f := says(" hello").start(t, Options{})
	r := user("a first question that is rather long")
	reply := f.answer(t, r)
	f.decoder.taken()
	got := f.answer(t, follow(r, reply.Text, "and?")).Timings
	fresh := len("\n\n### Instruction: and?\n### Response:")
	if n := prefilled(f.decoder.taken()); n != fresh || got.CachedTokens != got.PromptTokens-fresh {
		t.Errorf("got %d tokens prefilled, %d of %d cached, want %d prefilled", n, got.CachedTokens, got.PromptTokens, fresh)
	}
}

func TestRegenerateForwardsOneToken(t *testing.T) {
	f := says(" hello").start(t, Options{})
	f.answer(t, user("hi"))
	f.decoder.taken()
	got := f.answer(t, user("hi"))
	if n := prefilled(f.decoder.taken()); n != 1 || got.Text != " hello" {
		t.Errorf("got %d tokens prefilled and %q, want the last one alone and the reply", n, got.Text)
	}
}

func TestEditKeepsTheTurnsBefore(t *testing.T) {
	f := says(" hello").start(t, Options{})
	r := follow(user("first"), " hello", "second")
	f.answer(t, r)
	f.decoder.taken()
	r.Messages[2].Content = "sixth"
	f.answer(t, r)
	if n, want := prefilled(f.decoder.taken()), len("ixth\n### Response:"); n != want {
		t.Errorf("got %d tokens prefilled, want %d: those from the first other letter", n, want)
	}
}

func TestPromptWithinTheCachedOneForwardsItsLastToken(t *testing.T) {
	f := says(" hello").start(t, Options{})
	raw := generate.Request{Raw: true, Messages: []generate.Message{{Role: generate.User, Content: "Response: he"}}}
	f.answer(t, raw)
	raw.Messages[0].Content = "Response:"
	f.decoder.taken()
	if got := f.answer(t, raw); got.Text != " hello" {
		t.Errorf("got %q, want the reply to the shorter prompt", got.Text)
	}
	if first := f.decoder.taken()[0]; first.pos != len("Response:")-1 || first.tokens != 1 {
		t.Errorf("got %+v first, want the last prompt token alone", first)
	}
}

func TestPrefillRunsInChunksWithProgress(t *testing.T) {
	f := says("a")
	step := make(chan struct{})
	f.decoder.before = func(ctx context.Context, _ call) error {
		select {
		case <-step:
		case <-ctx.Done():
		}
		return nil
	}
	f.start(t, Options{Chunk: 10})
	s := f.begin(t, user("0123456789"))
	total := len("### Instruction: 0123456789\n### Response:")
	for done := 0; done < total; done += 10 {
		u := untilPhase(t, s, generate.Prefill)
		if u.PrefillDone != done || u.PrefillTotal != total {
			t.Errorf("got %d of %d, want %d of %d", u.PrefillDone, u.PrefillTotal, done, total)
		}
		step <- struct{}{}
	}
	close(step)
	finish(t, s)
	calls := f.decoder.taken()
	for i, want := range []call{{0, 10, 0}, {10, 10, 0}, {20, 10, 0}, {30, 10, 0}, {40, total - 40, 1}} {
		if calls[i] != want {
			t.Errorf("chunk %d: got %+v, want %+v", i, calls[i], want)
		}
	}
}

func TestFailedForwardStartsAgainFromNothing(t *testing.T) {
	broken := errors.New("device lost")
	f := says(" hello")
	fail := true
	f.decoder.before = func(_ context.Context, c call) error {
		if fail && c.tokens == 1 {
			f.decoder.seq = nil // what a backend holds after an error is its own affair
			return broken
		}
		return nil
	}
	f.start(t, Options{})
	got := f.ask(t, user("hi"))
	if got.Finish != generate.FinishError || !errors.Is(got.Err, broken) || got.Text != " " {
		t.Errorf("got %q, %v, %v, want the first token and the decoder's error", got.Text, got.Finish, got.Err)
	}
	fail = false
	if got := f.answer(t, user("hi")); got.Text != " hello" || got.Timings.CachedTokens != 0 {
		t.Errorf("got %q with %d cached tokens, want the reply from position 0", got.Text, got.Timings.CachedTokens)
	}
}

// talk returns a conversation of n turns and one more question.
func talk(n int) generate.Request {
	r := generate.Request{Template: "instruction", Messages: []generate.Message{{Role: generate.System, Content: "Be brief."}}}
	for i := range n {
		r.Messages = append(r.Messages,
			generate.Message{Role: generate.User, Content: fmt.Sprintf("question %02d", i)},
			generate.Message{Role: generate.Assistant, Content: fmt.Sprintf(" answer %02d", i)})
	}
	r.Messages = append(r.Messages, generate.Message{Role: generate.User, Content: "the last question"})
	return r
}

func TestOldestTurnsAreLeftOutAndCounted(t *testing.T) {
	size := func(r generate.Request) int {
		p, err := says("").start(t, Options{}).Plan(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		return p.Tokens
	}
	r := talk(12)
	whole := size(r)
	for limit := whole + 20 + 14; limit > 120; limit -= 7 { // one limit fits exactly
		f := says(" ok")
		f.decoder.context = limit
		f.start(t, Options{})
		r.MaxTokens = 20
		plan, err := f.Plan(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		want := 0 // the fewest messages, two by two, that leave 20 tokens
		for ; ; want += 2 {
			shorter := r
			shorter.Messages = append([]generate.Message{r.Messages[0]}, r.Messages[1+want:]...)
			if n := size(shorter); n+20 <= limit {
				if plan != (generate.Plan{Tokens: n, Limit: limit, Dropped: want}) {
					t.Errorf("context %d: got %+v, want %d tokens, %d messages left out", limit, plan, n, want)
				}
				break
			}
		}
		got := f.answer(t, r)
		if got.Dropped != want || got.Timings.PromptTokens != plan.Tokens {
			t.Errorf("context %d: got %d left out and %d tokens, want what the plan said: %+v", limit, got.Dropped, got.Timings.PromptTokens, plan)
		}
		text := f.decoded()
		if !strings.HasPrefix(text, "Be brief.\n\n### Instruction: ") || !strings.Contains(text, "the last question") {
			t.Errorf("context %d: got prompt %q, want the system message and the last turn kept", limit, text)
		}
	}
}

// decoded returns the decoder's sequence as text.
func (f *fixture) decoded() string {
	f.decoder.mu.Lock()
	defer f.decoder.mu.Unlock()
	var b strings.Builder
	for _, id := range f.decoder.seq {
		b.Write(f.tokens.Bytes(id))
	}
	return b.String()
}

func TestLastTurnMayUseTheReserve(t *testing.T) {
	f := says(" ok")
	f.decoder.context = 100
	f.start(t, Options{})
	frame := len("### Instruction: \n### Response:")
	got := f.answer(t, user(strings.Repeat("x", 100-frame-2)))
	if got.Finish != generate.FinishContext || got.Text != " o" {
		t.Errorf("got %q, %v, want the two tokens that fit", got.Text, got.Finish)
	}
}

func TestPromptLongerThanTheContextIsAnError(t *testing.T) {
	for _, c := range []struct {
		name   string
		over   int
		encode bool
	}{{"by nothing", 0, true}, {"by one token", 1, true}, {"by far", 1 << 20, false}} {
		t.Run(c.name, func(t *testing.T) {
			f := says(" ok")
			f.decoder.context = 100
			f.start(t, Options{})
			frame := len("### Instruction: \n### Response:")
			r := follow(user("old"), " reply", strings.Repeat("x", 100-frame+c.over))
			got := f.ask(t, r)
			if got.Finish != generate.FinishError || !errors.Is(got.Err, generate.ErrPromptTooLong) {
				t.Fatalf("got %v, %v, want ErrPromptTooLong", got.Finish, got.Err)
			}
			if !strings.Contains(got.Err.Error(), "holds 100") {
				t.Errorf("got %q, want the limit in it", got.Err)
			}
			plan, err := f.Plan(t.Context(), r)
			if err != nil || plan.Tokens < plan.Limit || plan.Dropped != 2 {
				t.Errorf("got %+v, %v, want a plan that says so without an error", plan, err)
			}
			if long := f.tokens.longest; (long >= 100) != c.encode {
				t.Errorf("got a text of %d bytes encoded, want a hopeless one left alone", long)
			}
		})
	}
}

func TestContinueCountsAsPrompt(t *testing.T) {
	f := says("abcdef").start(t, Options{})
	r := user("hi")
	plain, err := f.Plan(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	r.Continue = []int32{'a', 'b', 'c'}
	plan, err := f.Plan(t.Context(), r)
	if err != nil || plan.Tokens != plain.Tokens+3 {
		t.Errorf("got %+v, %v, want three tokens more than %d", plan, err, plain.Tokens)
	}
	if got := f.answer(t, r); got.Text != "def" || got.Timings.PromptTokens != plan.Tokens {
		t.Errorf("got %q after %d tokens, want def after %d", got.Text, got.Timings.PromptTokens, plan.Tokens)
	}
}

func TestPlanDoesNotWaitForARunningReply(t *testing.T) {
	f := says("abc")
	f.decoder.before = func(ctx context.Context, _ call) error { <-ctx.Done(); return ctx.Err() }
	f.start(t, Options{})
	s := f.begin(t, user("hi"))
	untilPhase(t, s, generate.Prefill)
	if plan, err := f.Plan(t.Context(), user("hello")); err != nil || plan.Tokens == 0 {
		t.Errorf("got %+v, %v, want a plan while the reply runs", plan, err)
	}
	s.Cancel()
	finish(t, s)
}

func TestTurns(t *testing.T) {
	for _, c := range []struct {
		name   string
		roles  string // s, u, a
		system int
		cuts   []int
	}{
		{"one question", "u", 0, []int{0}},
		{"system and question", "su", 1, []int{1}},
		{"three turns", "uauau", 0, []int{0, 2, 4}},
		{"system and three turns", "suauau", 1, []int{1, 3, 5}},
		{"a greeting before the first question", "auau", 0, []int{0, 1, 3}},
		{"a reply to go on with", "uaua", 0, []int{0, 2}},
		{"system alone", "s", 0, []int{0}},
		{"two system messages", "ssu", 2, []int{2}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var m []generate.Message
			for _, r := range c.roles {
				role := map[rune]generate.Role{'s': generate.System, 'u': generate.User, 'a': generate.Assistant}[r]
				m = append(m, generate.Message{Role: role})
			}
			system, cuts := turns(m)
			if system != c.system || fmt.Sprint(cuts) != fmt.Sprint(c.cuts) {
				t.Errorf("got %d, %v, want %d, %v", system, cuts, c.system, c.cuts)
			}
		})
	}
}
