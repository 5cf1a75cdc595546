package ui

import (
	"context"
	"math"
	"strings"
	"testing"
	"time"

	"peregrine/model/generate"
)

func TestABarIsEmptyForNothingAndFullForAllOnly(t *testing.T) {
	for part, want := range map[float64]string{
		0: "░░░░", 1e-9: "█░░░", 0.5: "██░░", 0.999: "███░", 1: "████", 1.5: "████", -1: "░░░░", math.Inf(1): "████",
	} {
		if got := bar(part, 4); got != want {
			t.Errorf("bar(%v) = %s, want %s", part, got, want)
		}
	}
	if got := bar(math.NaN(), 4); got != "░░░░" {
		t.Errorf("got %s for no number", got)
	}
}

func TestTheStatusLineHasTheContextAsABar(t *testing.T) {
	b := newBench(t, Options{})
	b.gen.plan = generate.Plan{Tokens: 1000, Limit: 2048}
	b.gen.reply = func(_ context.Context, r generate.Request, w *generate.Writer) {
		res := result(generate.FinishStop, "hello", []int32{1, 2}, r.Sampling)
		res.Timings.PromptTokens, res.Timings.FirstToken = 1022, 210*time.Millisecond
		w.Update(generate.Update{Text: "hello", Result: res})
	}
	b.send(sized(160, 24))
	b.say("hi")
	for _, want := range []string{"████░░░░ 1k/2k", "first 0.21 s · 20.0 tok/s"} {
		if !strings.Contains(b.status(), want) {
			t.Errorf("the status line has no %q: %s", want, b.status())
		}
	}
	b.wantScreen("2 tokens · 20.0 tok/s · first 0.21 s")
}

func TestTheTimeToTheFirstTokenIsShownWhileTheReplyStreams(t *testing.T) {
	now := testNow
	b := newBench(t, Options{Now: func() time.Time { return now }})
	b.send(sized(160, 24))
	words := b.gen.drip()
	b.keys("hi", "enter")
	b.until("the start", func() bool { return b.m.turn.feed != nil })
	now = now.Add(1500 * time.Millisecond)
	words <- "a "
	b.until("the word", func() bool { return b.m.turn.item.message.Content != "" })
	if !strings.Contains(b.status(), "first 1.50 s") {
		t.Errorf("got %s", b.status())
	}
	now = now.Add(time.Minute)
	words <- "b"
	b.until("the other", func() bool { return b.m.turn.item.message.Content == "a b" })
	if !strings.Contains(b.status(), "first 1.50 s") {
		t.Errorf("after another token got %s", b.status())
	}
	close(words)
	b.ended()
}

func TestLoadingAndReadingShowHowFarTheyAre(t *testing.T) {
	gen := newScript("")
	gen.info.Ready, gen.info.Progress = false, 0.25
	b := newBench(t, Options{Generator: gen})
	b.wantScreen("loading, 25 % ████░░░░░░░░░░░░")
	if p := b.m.View().ProgressBar; p == nil || p.Value != 25 {
		t.Errorf("got progress %+v for the terminal, want 25", p)
	}
	gen.set(func(i *generate.Info) { i.Ready, i.Progress = true, 1 })
	b.until("the model", func() bool { return b.m.info.Ready })
	done := make(chan struct{})
	gen.reply = func(_ context.Context, r generate.Request, w *generate.Writer) {
		w.Update(generate.Update{Phase: generate.Prefill, PrefillDone: 500, PrefillTotal: 1000})
		<-done
		w.Update(generate.Update{Result: result(generate.FinishStop, "x", []int32{1}, r.Sampling)})
	}
	b.keys("hi", "enter")
	b.until("reading", func() bool {
		return strings.Contains(b.screen(), "reading 500 of 1,000 tokens ████████░░░░░░░░")
	})
	if p := b.m.View().ProgressBar; p == nil || p.Value != 50 {
		t.Errorf("got progress %+v for the terminal, want 50", p)
	}
	close(done)
	b.ended()
	if p := b.m.View().ProgressBar; p != nil {
		t.Errorf("got progress %+v after the reply, want none", p)
	}
}

func TestWhatTheNextTurnLeavesOutIsSaidBeforeItIsSent(t *testing.T) {
	b := newBench(t, Options{Store: openStore(t), System: "Be kind."})
	b.say("Tell me about falcons\nand their prey")
	b.gen.plan = generate.Plan{Tokens: 1500, Limit: 2048}
	b.gen.reply = func(_ context.Context, r generate.Request, w *generate.Writer) {
		b.gen.plan.Dropped = 2 // from the next question on
		res := result(generate.FinishStop, "answer", []int32{1}, r.Sampling)
		res.Timings.PromptTokens = 1900
		w.Update(generate.Update{Text: "answer", Result: res})
	}
	b.keys("And owls?", "enter")
	b.until("the warning", func() bool { return b.m.echo.notice.text != "" })
	b.wantScreen("the next message leaves out “Tell me about f…”: the context is full", markLeaving)
	if turn := b.m.transcript.items[0]; turn.mark != markLeaving {
		t.Errorf("the first turn is marked %q", turn.mark)
	}
	b.gen.says("more")
	b.keys("And storks?", "enter")
	b.ended()
	text := b.m.transcript.text(&b.m.theme)
	if n := strings.Count(text, "oldest 2 messages"); n != 1 || !strings.Contains(text, markUnsent) || strings.Contains(text, markLeaving) {
		t.Errorf("want the turn marked and the notice once, got it %d times:\n%s", n, text)
	}
	b.say("And herons?")
	if n := strings.Count(b.m.transcript.text(&b.m.theme), "will be left out"); n != 1 {
		t.Errorf("what is left out already was said %d times, want once", n)
	}
	b.gen.plan.Dropped = 0 // a model with a larger context
	b.say("And gulls?")
	if strings.Contains(b.m.transcript.text(&b.m.theme), markUnsent) {
		t.Error("the mark stays although the turn is sent again")
	}
}

func TestAnOpenedConversationMarksWhatTheModelDoesNotHold(t *testing.T) {
	store := openStore(t)
	b := newBench(t, Options{Store: store})
	b.say("the first of all")
	b.say("the second")
	path := b.m.chat.file.Path()
	b.keys("/new", "enter")
	b.idle()
	b.gen.plan = generate.Plan{Tokens: 1500, Limit: 2048, Dropped: 2}
	b.m.composer.set("/open " + path)
	b.keys("enter")
	b.until("the mark", func() bool { return strings.Contains(b.m.transcript.text(&b.m.theme), markUnsent) })
	if turn := b.m.transcript.items[2]; turn.mark != "" {
		t.Errorf("the second turn is marked %q, want nothing", turn.mark)
	}
}
