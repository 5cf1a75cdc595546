package engine

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"peregrine/model/generate"
	"peregrine/model/prompt"
	"peregrine/model/sample"
)

func TestReplyEndsWithTheEndToken(t *testing.T) {
	f := says(" hello").start(t, Options{})
	got := f.answer(t, user("hi"))
	if got.Text != " hello" || got.Finish != generate.FinishStop {
		t.Errorf("got %q, %v, want \" hello\", stop", got.Text, got.Finish)
	}
	if n := len(got.TokenIDs); n != len(" hello")+1 || got.TokenIDs[n-1] != endID {
		t.Errorf("got ids %v, want those of the text and the end token", got.TokenIDs)
	}
}

func TestReplyEndsWithAnyOfSeveralEndTokens(t *testing.T) {
	f := says("ab~cd")
	f.model.EOS = []int32{endID, '~'}
	f.start(t, Options{})
	if got := f.answer(t, user("hi")); got.Text != "ab" || got.Finish != generate.FinishStop {
		t.Errorf("got %q, %v, want ab, stop", got.Text, got.Finish)
	}
}

func TestReplyWithoutTemplateCompletesTheText(t *testing.T) {
	f := says(" Hello, Girafatron!").start(t, Options{})
	got := f.answer(t, generate.Request{
		Raw:      true,
		Messages: []generate.Message{{Role: generate.User, Content: "Daniel: Hi\nResponse:"}},
	})
	if got.Text != " Hello, Girafatron!" || got.Timings.PromptTokens != len("Daniel: Hi\nResponse:") {
		t.Errorf("got %q after %d tokens, want the completion of the text alone", got.Text, got.Timings.PromptTokens)
	}
}

func TestStopStringEndsTheReply(t *testing.T) {
	for _, c := range []struct {
		name  string
		model []string
		r     []string
		says  string
		want  string
	}{
		{"of the template", nil, nil, " hello\n### Instruction: more", " hello"},
		{"of the model", []string{"STOP"}, nil, " hello STOP more", " hello "},
		{"of the request", nil, []string{"lo m"}, " hello more", " hel"},
		{"whichever ends first", []string{"more"}, []string{"llo", "hello m"}, " hello more", " he"},
		{"a control token of the vocabulary", []string{"<|start|>"}, nil, " hello", " hello"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := says(c.says)
			f.model.Stops = c.model
			if slices.Contains(c.model, "<|start|>") {
				f.decoder.script = append(f.decoder.script, startID, 'x')
			}
			f.start(t, Options{})
			r := user("hi")
			r.Stop = c.r
			if got := f.answer(t, r); got.Text != c.want || got.Finish != generate.FinishStop {
				t.Errorf("got %q, %v, want %q, stop", got.Text, got.Finish, c.want)
			}
		})
	}
}

func TestStopStringOfTheTemplateDoesNotEndARawCompletion(t *testing.T) {
	f := says(" a\n### Instruction: b").start(t, Options{})
	got := f.answer(t, generate.Request{Raw: true, Messages: []generate.Message{{Role: generate.User, Content: "Response:"}}})
	if want := " a\n### Instruction: b"; got.Text != want {
		t.Errorf("got %q, want %q", got.Text, want)
	}
}

func TestStopStringThatNeverCompletesIsShown(t *testing.T) {
	f := says(" hello\n### Instruct").start(t, Options{})
	if got := f.answer(t, user("hi")); got.Text != " hello\n### Instruct" {
		t.Errorf("got %q, want the held back text at the end", got.Text)
	}
}

func TestStopStringNeverLeaksHoweverTheTextIsCut(t *testing.T) {
	const text, stop, want = " naïve 日本語 text\nUser: and", "\nUser:", " naïve 日本語 text"
	r := rand.New(rand.NewPCG(3, 4))
	for range 60 {
		var cut []string // into tokens of 1 to 7 bytes: inside characters too
		for rest := text; rest != ""; {
			n := min(1+r.IntN(7), len(rest))
			cut, rest = append(cut, rest[:n]), rest[n:]
		}
		f := saysPieces(cut...)
		e := New(func(context.Context, func(float64)) (*Model, error) { return f.model, nil }, Options{})
		f.Engine = e
		q := user("hi")
		q.Stop = []string{stop}
		if got := f.answer(t, q); got.Text != want || got.Finish != generate.FinishStop {
			t.Fatalf("cut as %q: got %q, %v, want %q, stop", cut, got.Text, got.Finish, want)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestStopStringHidesTheRestOfItsToken(t *testing.T) {
	f := saysPieces(" a", "b STOP é \xc3", "more").start(t, Options{})
	r := user("hi")
	r.Stop = []string{"STOP"}
	if got := f.answer(t, r); got.Text != " ab " {
		t.Errorf("got %q, want nothing behind the stop string, half a character neither", got.Text)
	}
}

func TestMaxTokensEndsTheReply(t *testing.T) {
	f := says(" hello world").start(t, Options{})
	r := user("hi")
	r.MaxTokens = 6
	got := f.answer(t, r)
	if got.Text != " hello" || got.Finish != generate.FinishLength || len(got.TokenIDs) != 6 {
		t.Errorf("got %q, %v, %d tokens, want \" hello\", length, 6", got.Text, got.Finish, len(got.TokenIDs))
	}
}

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

func TestHalfACharacterAtTheEndBecomesReplacement(t *testing.T) {
	f := says(" a\xe6\x97").start(t, Options{})
	if got := f.answer(t, user("hi")); got.Text != " a\uFFFD" {
		t.Errorf("got %q, want U+FFFD for what can no longer be completed", got.Text)
	}
}

func TestReplyFillsTheContext(t *testing.T) {
	f := says(strings.Repeat("x", 1000))
	f.decoder.context = 64
	f.start(t, Options{})
	got := f.answer(t, user("hi"))
	if got.Finish != generate.FinishContext || got.Timings.PromptTokens+len(got.TokenIDs) != 64 {
		t.Errorf("got %v after %d + %d tokens, want context after 64", got.Finish, got.Timings.PromptTokens, len(got.TokenIDs))
	}
}

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

func TestNaNLogitsEndTheReplyWithAnError(t *testing.T) {
	f := says("abc")
	nan := float32(0)
	nan /= nan
	f.decoder.logits = func(seq []int32, logits []float32) {
		if seq[len(seq)-1] == 'b' {
			logits[3] = nan
		}
	}
	f.start(t, Options{})
	got := f.ask(t, user("hi"))
	if got.Finish != generate.FinishError || !errors.Is(got.Err, sample.ErrNaN) || got.Text != "ab" {
		t.Errorf("got %q, %v, %v, want ab and ErrNaN", got.Text, got.Finish, got.Err)
	}
}

func TestRequestOutOfRangeIsRefusedAtOnce(t *testing.T) {
	f := says("a").start(t, Options{})
	r := user("hi")
	r.Sampling.Temperature = -1
	if _, err := f.Start(t.Context(), r); err == nil || !strings.Contains(err.Error(), "temperature -1") {
		t.Errorf("Start: got %v, want an error that names the temperature", err)
	}
	if _, err := f.Plan(t.Context(), generate.Request{}); err == nil || !strings.Contains(err.Error(), "message") {
		t.Errorf("Plan: got %v, want an error that asks for a message", err)
	}
}

func TestUnknownTemplateEndsTheReplyWithItsError(t *testing.T) {
	f := says("a").start(t, Options{})
	r := user("hi")
	r.Template = "no/such/template.jinja"
	if got := f.ask(t, r); got.Finish != generate.FinishError || !strings.Contains(got.Err.Error(), "no/such/template.jinja") {
		t.Errorf("got %v, %v, want an error that names the template", got.Finish, got.Err)
	}
}

func TestEmptyPromptIsAnError(t *testing.T) {
	f := says("a").start(t, Options{})
	got := f.ask(t, generate.Request{Raw: true, Messages: []generate.Message{{Role: generate.User}}})
	if got.Finish != generate.FinishError || !strings.Contains(got.Err.Error(), "empty") {
		t.Errorf("got %v, %v, want an error that says so", got.Finish, got.Err)
	}
}

func TestTimingsAreHonest(t *testing.T) {
	const step = 5 * time.Millisecond
	f := says("abcd")
	f.decoder.before = func(context.Context, call) error { time.Sleep(step); return nil }
	f.start(t, Options{Chunk: 16})
	before := time.Now()
	m := f.answer(t, user("hi")).Timings
	whole := time.Since(before)
	chunks := time.Duration((m.PromptTokens + 15) / 16)
	if m.Prefill < chunks*step || m.FirstToken < m.Prefill || m.FirstToken > whole {
		t.Errorf("got prefill %v, first token %v, want at least %v for %d chunks and at most %v", m.Prefill, m.FirstToken, chunks*step, chunks, whole)
	}
	if m.ReplyTokens != 5 || m.Decode < 4*step || m.Decode > whole-m.FirstToken+step {
		t.Errorf("got %d tokens in %v, want 5 (with the end token) in four steps of %v", m.ReplyTokens, m.Decode, step)
	}
	if rate := 4 / m.Decode.Seconds(); m.DecodePerSecond != rate {
		t.Errorf("got %v tokens/s, want %v: four tokens after the first", m.DecodePerSecond, rate)
	}
	if rate := float64(m.PromptTokens) / m.Prefill.Seconds(); m.PrefillPerSecond != rate {
		t.Errorf("got %v tokens/s in prefill, want %v", m.PrefillPerSecond, rate)
	}
}

// The detokenizer is told whether a reply is a text of its own, whose first space a SentencePiece vocabulary leaves out.
func TestTheDetokenizerKnowsWhetherTheTextGoesOn(t *testing.T) {
	for _, c := range []struct {
		name    string
		request generate.Request
		want    bool
	}{
		{"raw", generate.Request{Raw: true}, true},
		{"no template", generate.Request{Template: prompt.None}, true},
		{"a template", generate.Request{Template: prompt.Falcon}, false},
		{"the model's template", generate.Request{}, false},
	} {
		f := says("x")
		var asked []bool
		f.model.Detokenizer = func(continues bool) Detokenizer {
			asked = append(asked, continues)
			return &fakeDetokenizer{tokens: f.tokens}
		}
		f.start(t, Options{})
		c.request.Messages = []generate.Message{{Role: generate.User, Content: "Response:"}}
		f.ask(t, c.request)
		f.explain(t, generate.Inquiry{Request: c.request, Text: "x", Candidates: 1})
		if len(asked) < 3 || slices.Contains(asked, !c.want) {
			t.Errorf("%s: asked %v, want %v each time", c.name, asked, c.want)
		}
	}
}

// A prompt begins with BOS once, whoever writes it.
func TestOneBOS(t *testing.T) {
	const body = "Say {{ messages[0]['content'] }}"
	id := int32(endID)
	for _, c := range []struct {
		name     string
		template string
		bos      *int32
		request  generate.Request
		want     string // the ids as text, BOS as ^
	}{
		{"the template writes none", body, &id, generate.Request{}, "^Say Response:"},
		{"the template writes it", "{{ bos_token }}" + body, &id, generate.Request{}, "^Say Response:"},
		{"the template writes it behind white space", " \n{{ bos_token }}" + body, &id, generate.Request{}, " \n^Say Response:"},
		{"the template writes it behind text", "x {{ bos_token }}" + body, &id, generate.Request{}, "^x ^Say Response:"},
		{"the template writes white space alone", " \n" + body, &id, generate.Request{}, "^ \nSay Response:"},
		{"the template writes it, the model wants none", "{{ bos_token }}" + body, nil, generate.Request{}, "^Say Response:"},
		{"nobody wants it", body, nil, generate.Request{}, "Say Response:"},
		{"raw", body, &id, generate.Request{Raw: true}, "^Response:"},
		{"a reply that goes on", body, &id, generate.Request{Continue: []int32{'x'}}, "^Say Response:x"},
		{"another template", body, &id, generate.Request{Template: prompt.None}, "^Response:"},
	} {
		f := says("x")
		f.model.BOS = c.bos
		f.model.Templates = prompt.Source{ChatTemplate: c.template, BOSToken: "<|end|>", Specials: []string{"<|end|>", "<|start|>"}}
		f.start(t, Options{})
		c.request.Messages, c.request.MaxTokens = []generate.Message{{Role: generate.User, Content: "Response:"}}, 1
		got := f.ask(t, c.request)
		var sent strings.Builder
		for _, id := range f.decoder.seq {
			if id == endID {
				sent.WriteByte('^')
			}
			sent.Write(f.tokens.Bytes(id))
		}
		if sent.String() != c.want || got.Timings.PromptTokens != len(c.want) {
			t.Errorf("%s: %d tokens %q, want %q", c.name, got.Timings.PromptTokens, sent.String(), c.want)
		}
		plan, err := f.Plan(t.Context(), c.request)
		if err != nil || plan.Tokens != len(c.want) {
			t.Errorf("%s: planned %d tokens, %v, want %d", c.name, plan.Tokens, err, len(c.want))
		}
	}
}
