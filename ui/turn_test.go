package ui

import (
	"context"
	"errors"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"

	"peregrine/history"
	"peregrine/model/generate"
)

func TestAMessageIsSavedAndAnswered(t *testing.T) {
	b := newBench(t, Options{Store: openStore(t)})
	b.say("hi")
	b.wantScreen("┃ hi", "hello there", "2 tokens", "20.0 tok/s", "temp 0.7", "top-k 40")
	got := b.saved()
	if len(got) != 2 || got[0].Content != "hi" || got[1].Content != "hello there" || got[1].Finish != generate.FinishStop {
		t.Fatalf("got %+v, want the message and its reply", got)
	}
	if got[1].Sampling == nil || got[1].Sampling.TopK != 40 || len(got[1].TokenIDs) != 2 || got[1].Model != "tiny-falcon" {
		t.Errorf("got reply %+v, want sampling, token ids and model in it", got[1])
	}
	if m := b.gen.last().Messages; len(m) != 1 || m[0].Content != "hi" {
		t.Errorf("got request %+v, want the one message", m)
	}
}

func TestTheSecondTurnHoldsTheFirst(t *testing.T) {
	b := newBench(t, Options{Store: openStore(t), System: "Be brief."})
	b.say("one")
	b.say("two")
	var got []string
	for _, m := range b.gen.last().Messages {
		got = append(got, string(m.Role)+":"+m.Content)
	}
	if want := "system:Be brief. user:one assistant:hello there user:two"; strings.Join(got, " ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

func TestTheUserTurnIsSavedBeforeTheReplyBegins(t *testing.T) {
	b := newBench(t, Options{Store: openStore(t)})
	words := b.gen.drip()
	b.keys("hi", "enter")
	b.until("the start", func() bool { return b.m.turn.feed != nil })
	if got := b.saved(); len(got) != 1 || got[0].Content != "hi" {
		t.Errorf("got %+v on disk, want the message", got)
	}
	close(words)
	b.ended()
}

func TestEscStopsAndKeepsTheText(t *testing.T) {
	b := newBench(t, Options{Store: openStore(t)})
	words := b.gen.drip()
	b.keys("hi", "enter")
	b.until("the start", func() bool { return b.m.turn.feed != nil })
	words <- "some "
	words <- "words"
	b.until("the words", func() bool { return strings.Contains(b.screen(), "some words") })
	b.keys("esc")
	b.ended()
	b.wantScreen("some words", "stopped")
	if got := b.saved(); len(got) != 2 || got[1].Content != "some words" || got[1].Finish != generate.FinishCancelled {
		t.Errorf("got %+v, want the text with finish reason cancelled", got)
	}
}

func TestStoppedBeforeTheFirstWordLeavesTheQuestion(t *testing.T) {
	b := newBench(t, Options{Store: openStore(t)})
	b.gen.drip()
	b.keys("hi", "enter")
	b.until("the start", func() bool { return b.m.turn.feed != nil })
	b.keys("esc")
	b.ended()
	b.wantScreen("┃ hi", "stopped before the first word")
	if n := len(b.m.chat.path); n != 1 {
		t.Errorf("got %d messages, want the question alone", n)
	}
	b.gen.says("now I answer")
	b.keys("/regenerate", "enter")
	b.until("the reply", func() bool { return len(b.m.chat.path) == 2 })
	b.wantScreen("now I answer")
}

func TestOneMayTypeAndSendWhileTheModelLoads(t *testing.T) {
	gen := newScript("at last")
	gen.loaded = make(chan struct{})
	gen.info.Ready, gen.info.Progress = false, 0.42
	b := newBench(t, Options{Generator: gen, Store: openStore(t)})
	b.wantScreen("loading 42 %", "you may write already")
	if bar := b.m.View().ProgressBar; bar == nil || bar.Value != 42 {
		t.Errorf("got progress bar %+v, want 42", bar)
	}
	b.keys("hi", "enter")
	b.until("the wait", func() bool {
		return strings.Contains(b.screen(), "waiting for the model: 42 % loaded") && b.m.chat.file != nil
	})
	if got := b.saved(); len(got) != 1 {
		t.Errorf("got %d messages on disk, want the one that waits", len(got))
	}
	b.keys("more")
	gen.set(func(i *generate.Info) { i.Ready, i.Progress = true, 1 })
	close(gen.loaded)
	b.until("the reply", func() bool { return b.m.turn == nil && b.m.info.Ready })
	b.wantScreen("at last", "❯ more")
	if bar := b.m.View().ProgressBar; bar != nil {
		t.Errorf("got progress bar %+v after loading, want none", bar)
	}
	if s := gen.last().Sampling; s.Temperature != 0.7 {
		t.Errorf("got temperature %v, want the model's default", s.Temperature)
	}
}

func TestAWaitingTurnCanBeStopped(t *testing.T) {
	gen := newScript("never")
	gen.loaded = make(chan struct{})
	gen.info.Ready = false
	b := newBench(t, Options{Generator: gen, Store: openStore(t)})
	b.keys("hi", "enter")
	b.until("the wait", func() bool { return b.m.turn != nil && b.m.turn.cancel != nil })
	b.keys("esc")
	b.ended()
	b.wantScreen("┃ hi", "stopped")
}

func TestALoadFailureIsSaid(t *testing.T) {
	gen := newScript("")
	gen.info.Ready, gen.info.Err = false, errors.New("gguf: x.gguf: tensor \"a\": cut short; fetch it again")
	b := newBench(t, Options{Generator: gen})
	b.wantScreen("cut short", "not loaded")
	b.keys("hi", "enter")
	b.wantScreen("❯ hi", "there is no model")
}

func TestSamplingChangesReachTheRunningReply(t *testing.T) {
	b := newBench(t, Options{Store: openStore(t)})
	words := b.gen.drip()
	b.keys("hi", "enter")
	b.until("the start", func() bool { return b.m.turn.feed != nil })
	words <- "a "
	b.keys("f6", "f6", "f8")
	b.wantScreen("temp 0.8", "top-k 50")
	words <- "b"
	close(words)
	b.ended()
	if s := b.saved()[1].Sampling; s.Temperature != 0.8 || s.TopK != 50 {
		t.Errorf("got %+v recorded, want what was set while it streamed", s)
	}
}

func TestAnErrorIsSaidWithTheRemedy(t *testing.T) {
	b := newBench(t, Options{Store: openStore(t)})
	b.gen.reply = func(_ context.Context, r generate.Request, w *generate.Writer) {
		w.Update(generate.Update{Text: "half a "})
		res := result(generate.FinishError, "half a ", []int32{1}, r.Sampling)
		res.Err = errors.New("cpu: out of memory")
		w.Update(generate.Update{Result: res})
	}
	b.say("hi")
	b.wantScreen("half a", "cpu: out of memory. /regenerate tries again")
	b.gen.says("whole")
	b.keys("/regenerate", "enter")
	b.until("the reply", func() bool { return b.m.turn == nil && strings.Contains(b.screen(), "whole") })
	b.wantNotScreen("half a")
}

func TestAFailedStartLeavesTheQuestion(t *testing.T) {
	b := newBench(t, Options{Store: openStore(t)})
	b.gen.startErr = errors.New("engine: no template \"x\"")
	b.say("hi")
	b.wantScreen("┃ hi", "no template")
	if len(b.m.chat.path) != 1 {
		t.Errorf("got %d messages, want 1", len(b.m.chat.path))
	}
}

func TestWhatIsLeftOutIsSaidBefore(t *testing.T) {
	b := newBench(t, Options{Store: openStore(t)})
	b.gen.plan = generate.Plan{Tokens: 2000, Limit: 2048, Dropped: 4}
	b.gen.reply = func(_ context.Context, r generate.Request, w *generate.Writer) {
		res := result(generate.FinishStop, "answer", []int32{1}, r.Sampling)
		res.Dropped = 4
		w.Update(generate.Update{Text: "answer", Result: res})
	}
	b.say("hi")
	b.wantScreen("context of 2,048 tokens is full", "4 messages", "left out")
	text := b.m.transcript.text(&b.m.theme)
	if strings.Index(text, "left out") > strings.Index(text, "answer") || strings.Count(text, "left out") != 1 {
		t.Errorf("want it said once, before the reply:\n%s", text)
	}
}

func TestRegenerateMakesAnotherVersion(t *testing.T) {
	b := newBench(t, Options{Store: openStore(t)})
	b.say("hi")
	b.gen.says("another answer")
	b.keys("/regenerate", "enter")
	b.until("the reply", func() bool { return strings.Contains(b.screen(), "another") })
	b.ended()
	b.wantNotScreen("hello there")
	b.wantScreen("version 2/2")
	c := b.m.chat.file.Conversation()
	if n := len(c.Siblings(c.Leaf())); n != 2 {
		t.Errorf("got %d versions in the file, want 2", n)
	}
	if m := b.gen.last().Messages; len(m) != 1 {
		t.Errorf("got %d messages asked, want the question alone", len(m))
	}
}

func TestARegenerationWithoutAWordLeavesTheOldReply(t *testing.T) {
	b := newBench(t, Options{Store: openStore(t)})
	b.say("hi")
	b.gen.drip()
	b.keys("/regenerate", "enter")
	b.until("the start", func() bool { return b.m.turn.feed != nil })
	b.keys("esc")
	b.ended()
	b.wantScreen("hello there")
	if n := len(b.m.chat.path); n != 2 {
		t.Errorf("got %d messages, want 2", n)
	}
}

func TestContinueGoesOnWithTheSameMessage(t *testing.T) {
	b := newBench(t, Options{Store: openStore(t)})
	b.gen.reply = func(_ context.Context, r generate.Request, w *generate.Writer) {
		w.Update(generate.Update{Text: "one two", Result: result(generate.FinishLength, "one two", []int32{7, 8}, r.Sampling)})
	}
	b.say("count")
	b.wantScreen("one two", "/continue goes on")
	b.gen.reply = func(_ context.Context, r generate.Request, w *generate.Writer) {
		w.Update(generate.Update{Text: " three", Result: result(generate.FinishStop, " three", []int32{9, 2}, r.Sampling)})
	}
	b.keys("/continue", "enter")
	b.until("the rest", func() bool { return strings.Contains(b.screen(), "one two three") })
	b.ended()
	r := b.gen.last()
	if len(r.Continue) != 2 || r.Continue[0] != 7 || len(r.Messages) != 1 {
		t.Errorf("got %+v, want the tokens so far after the question", r)
	}
	got := b.saved()
	if len(got) != 2 || got[1].Content != "one two three" || len(got[1].TokenIDs) != 4 || got[1].Finish != generate.FinishStop {
		t.Errorf("got %+v, want one reply with the whole text", got)
	}
}

func TestContinueRefusesWhatIsComplete(t *testing.T) {
	b := newBench(t, Options{Store: openStore(t)})
	b.keys("/continue", "enter")
	b.wantScreen("no reply to continue")
	b.say("hi")
	b.keys("/continue", "enter")
	b.wantScreen("the reply is complete")
}

func TestSendingWhileItStreamsKeepsTheDraft(t *testing.T) {
	b := newBench(t, Options{Store: openStore(t)})
	words := b.gen.drip()
	b.keys("hi", "enter")
	b.until("the start", func() bool { return b.m.turn.feed != nil })
	b.keys("next question", "enter")
	b.wantScreen("❯ next question", "still answering; Esc stops it")
	close(words)
	b.ended()
}

func TestInterruptClearsThenStopsThenQuits(t *testing.T) {
	b := newBench(t, Options{Store: openStore(t)})
	b.gen.drip()
	b.keys("hi", "enter")
	b.until("the start", func() bool { return b.m.turn.feed != nil })
	b.keys("draft", "ctrl+c")
	if !b.m.composer.empty() || b.m.turn.stopped {
		t.Fatal("the first ctrl+c should clear the draft and nothing else")
	}
	b.keys("ctrl+c")
	if !b.m.turn.stopped {
		t.Fatal("the second ctrl+c should stop the reply")
	}
	b.ended()
	b.keys("ctrl+c")
	b.until("the end of the program", func() bool { return b.quit })
}

func TestInterruptOnceDoesNotQuit(t *testing.T) {
	b := newBench(t, Options{})
	b.keys("ctrl+c")
	b.wantScreen("ctrl+c once more quits")
	b.keys("x", "backspace", "ctrl+c")
	b.idle()
	if b.quit {
		t.Error("a key in between should disarm")
	}
}

func TestCtrlDQuitsOnAnEmptyDraftAlone(t *testing.T) {
	b := newBench(t, Options{})
	b.keys("ab", "left", "ctrl+d")
	if b.m.composer.draft() != "a" {
		t.Errorf("got draft %q, want ctrl+d to delete forward", b.m.composer.draft())
	}
	b.keys("backspace", "ctrl+d")
	b.until("the end of the program", func() bool { return b.quit })
}

func TestQuittingWhileItStreamsSavesTheText(t *testing.T) {
	store := openStore(t)
	b := newBench(t, Options{Store: store})
	words := b.gen.drip()
	b.keys("hi", "enter")
	b.until("the start", func() bool { return b.m.turn.feed != nil })
	words <- "seen "
	b.until("the word", func() bool { return strings.Contains(b.screen(), "seen") })
	words <- "not seen yet"
	path := b.m.chat.file.Path()
	if err := b.m.close(); err != nil {
		t.Fatal(err)
	}
	got := readBack(t, path)
	if len(got) != 2 || got[1].Content != "seen not seen yet" || got[1].Finish != generate.FinishCancelled {
		t.Errorf("got %+v, want all that was written, cancelled", got)
	}
}

func TestQuittingAtOnceSavesTheQuestion(t *testing.T) {
	store := openStore(t)
	m := New(Options{Generator: newScript("x"), Store: store})
	m.Update(tea.WindowSizeMsg{Width: 80, Height: 24})
	m.composer.set("never lost")
	m.send() // its command never runs
	if err := m.close(); err != nil {
		t.Fatal(err)
	}
	path, err := store.Latest()
	if err != nil {
		t.Fatal(err)
	}
	if got := readBack(t, path); len(got) != 1 || got[0].Content != "never lost" {
		t.Errorf("got %+v, want the question", got)
	}
}

func TestAReplyIsOnDiskWhileItIsWritten(t *testing.T) {
	b := newBench(t, Options{Store: openStore(t)})
	words := b.gen.drip()
	b.keys("hi", "enter")
	b.until("the start", func() bool { return b.m.turn.feed != nil })
	words <- "so far"
	b.until("the text on disk", func() bool {
		got := b.saved()
		return len(got) == 2 && got[1].Content == "so far" && got[1].Partial
	})
	close(words)
	b.ended()
}

func TestAReplyThatDiedIsShownAndContinued(t *testing.T) {
	store := openStore(t)
	f, err := store.Create(history.Header{Name: "Died"})
	if err != nil {
		t.Fatal(err)
	}
	user, err := f.Append(history.Message{Role: generate.User, Content: "hi"})
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(
		f.Partial(history.Message{
			ID: history.NewID(), ParentID: user.ID, Role: generate.Assistant, Content: "half a", TokenIDs: []int32{5, 6},
		}),
		f.Close(), // as it is left when the program dies
	)
	if err != nil {
		t.Fatal(err)
	}
	gen := newScript(" reply")
	b := newBench(t, Options{Generator: gen, Store: store, Name: "Died"})
	b.until("the conversation", func() bool { return strings.Contains(b.screen(), "half a") })
	b.wantScreen("interrupted while it was written: /continue goes on")
	b.keys("/continue", "enter")
	b.wantNotScreen("interrupted while it was written")
	b.until("the rest", func() bool { return strings.Contains(b.screen(), "half a reply") })
	b.ended()
	if got := gen.last().Continue; len(got) != 2 {
		t.Errorf("got %v to continue, want the two tokens", got)
	}
	if got := b.saved(); len(got) != 2 || got[1].Content != "half a reply" || got[1].Partial {
		t.Errorf("got %+v, want the whole reply", got)
	}
}
