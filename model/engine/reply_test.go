package engine

import (
	"context"
	"errors"
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

func TestMaxTokensEndsTheReply(t *testing.T) {
	f := says(" hello world").start(t, Options{})
	r := user("hi")
	r.MaxTokens = 6
	got := f.answer(t, r)
	if got.Text != " hello" || got.Finish != generate.FinishLength || len(got.TokenIDs) != 6 {
		t.Errorf("got %q, %v, %d tokens, want \" hello\", length, 6", got.Text, got.Finish, len(got.TokenIDs))
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
