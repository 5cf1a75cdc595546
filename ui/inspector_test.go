package ui

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"

	"peregrine/history"
	"peregrine/model/generate"
)

// failingExplain answers no question.
func failingExplain(context.Context, generate.Inquiry) (generate.Explanation, error) {
	return generate.Explanation{}, errors.New("engine: no such luck")
}

// explainWords takes words for tokens, with ids as script.says gives them.
func explainWords(_ context.Context, q generate.Inquiry) (generate.Explanation, error) {
	x := generate.Explanation{At: q.At, IDs: q.Request.Continue, Pieces: strings.SplitAfter(q.Text, " ")}
	if len(x.IDs) == 0 {
		x.Encoded = true
		for i := range x.Pieces {
			x.IDs = append(x.IDs, int32(100+i))
		}
	}
	for len(x.Pieces) < len(x.IDs) {
		x.Pieces = append(x.Pieces, "")
	}
	choice := func(id int32, text string, prob, chance float64, cut generate.Filter) {
		x.Choices = append(x.Choices, generate.Choice{
			Candidate: generate.Candidate{ID: id, Text: text, Prob: prob, Kept: cut == ""},
			Chance:    chance, Cut: cut, Rank: len(x.Choices) + 1, Piece: text,
		})
	}
	choice(900, "other ", 0.412, 0.55, "")
	text := x.Pieces[q.At]
	choice(x.IDs[q.At], text, 0.3, 0.4, "")
	choice(901, "\n", 0.1, 0.05, "")
	choice(902, "<|end|>", 0.05, 0, generate.FilterTopP)
	x.Choices[3].Ends, x.Choices[3].Piece = true, ""
	choice(903, "漢字", 0.02, 0, generate.FilterTopP)
	for i := range 5 {
		choice(int32(904+i), fmt.Sprintf("rare%d", i), 0.004/float64(i+1), 0, generate.FilterTopK)
	}
	return x, nil
}

func (s *script) Explain(ctx context.Context, q generate.Inquiry) (generate.Explanation, error) {
	return s.explain(ctx, q)
}

// inspecting opens the inspector on the last reply.
func inspecting(t *testing.T, text string) *bench {
	t.Helper()
	b := newBench(t, Options{Store: openStore(t)})
	b.gen.says(text)
	b.say("hi")
	b.keys("alt+w")
	b.until("the candidates", func() bool { return strings.Contains(b.screen(), "41.2 %") })
	return b
}

func (b *bench) inspector() *inspector {
	b.t.Helper()
	x, ok := b.m.overlay.(*inspector)
	if !ok {
		b.t.Fatalf("the inspector is not open:\n%s", b.screen())
	}
	return x
}

func TestTheInspectorWalksThroughAReply(t *testing.T) {
	b := inspecting(t, "the fastest bird of all")
	b.wantScreen("Why this word", "temp 0.7 · top-k 40", "token 1 of 5", "● the␣", "❯", "41.2 %", "55.0 %", "top-p", "top-k", "<|end|>", "漢字", "↵")
	for i, keys := range []string{"right", "right", "left", "end", "home", "pgdown", "pgup"} {
		b.keys(keys)
		b.idle()
		want := []string{"token 2", "token 3", "token 2", "token 5", "token 1", "token 5", "token 1"}[i]
		b.wantScreen(want+" of 5", "41.2 %")
	}
	b.keys("esc")
	b.wantScreen("the fastest bird of all", "┃ hi")
	b.wantNotScreen("Why this word")
}

func TestAnotherTokenGoesOnAsANewBranch(t *testing.T) {
	b := inspecting(t, "the fastest bird of all")
	b.gen.says("kind of fish")
	b.keys("right", "right")
	b.idle()
	b.keys("up", "enter")
	b.ended()
	b.wantSpoken("hi | the fastest other kind of fish")
	b.wantScreen("version 2/2")
	r := b.gen.last()
	if want := []int32{100, 101, 900}; !slices.Equal(r.Continue, want) || len(r.Messages) != 1 {
		t.Errorf("got request %+v, want the question and to continue %v", r, want)
	}
	last, _ := b.m.chat.last()
	if want := []int32{100, 101, 900, 100, 101, 102}; !slices.Equal(last.TokenIDs, want) || last.Finish != generate.FinishStop {
		t.Errorf("got ids %v, %s, want %v, stop", last.TokenIDs, last.Finish, want)
	}
	b.keys("/version left", "enter")
	b.wantSpoken("hi | the fastest bird of all")
}

func TestAnEndTokenEndsTheBranchThere(t *testing.T) {
	b := inspecting(t, "the fastest bird of all")
	n := len(b.gen.requests)
	b.keys("right", "right")
	b.idle()
	b.keys("down", "down", "enter")
	b.ended()
	b.wantSpoken("hi | the fastest ")
	last, _ := b.m.chat.last()
	if last.Finish != generate.FinishStop || !slices.Equal(last.TokenIDs, []int32{100, 101, 902}) || len(b.gen.requests) != n {
		t.Errorf("got %+v, want it ended without asking the model", last)
	}
	b.wantScreen("version 2/2")
}

func TestABranchWithoutAWordShowsTheOldReply(t *testing.T) {
	b := inspecting(t, "the fastest bird of all")
	b.gen.drip()
	b.keys("up", "enter")
	b.until("the start", func() bool { return b.m.turn != nil && b.m.turn.feed != nil })
	b.keys("esc")
	b.ended()
	b.wantSpoken("hi | the fastest bird of all")
}

func TestABranchThatIsLeftAtOnceIsKept(t *testing.T) {
	b := inspecting(t, "the fastest bird of all")
	words := b.gen.drip()
	b.keys("up", "enter")
	b.until("the start", func() bool { return b.m.turn != nil && b.m.turn.feed != nil })
	words <- "half"
	path := b.m.chat.file.Path()
	if err := b.m.close(); err != nil {
		t.Fatal(err)
	}
	got := readBack(t, path)
	if len(got) != 2 || got[1].Content != "other half" {
		t.Errorf("got %+v, want the branch as far as it came", got)
	}
}

func TestTheInspectorGivesOldQuestionsUp(t *testing.T) {
	b := inspecting(t, "a b c d e f g h")
	asked, ended := make(chan int, 100), make(chan int, 100)
	b.gen.explain = func(ctx context.Context, q generate.Inquiry) (generate.Explanation, error) {
		asked <- q.At
		if q.At < 7 {
			<-ctx.Done()
			ended <- q.At
			return generate.Explanation{}, ctx.Err()
		}
		return explainWords(ctx, q)
	}
	for range 7 {
		b.keys("right")
	}
	b.until("the last answer", func() bool { return len(b.inspector().known[7]) > 0 })
	b.wantScreen("token 8 of 8", "41.2 %")
	for range 6 {
		<-ended
	}
	b.keys("left")
	<-asked
	b.keys("esc")
	b.until("the end of the question", func() bool { return len(ended) == 1 })
}

func TestAnErrorOfTheInspectorIsShown(t *testing.T) {
	b := newBench(t, Options{Store: openStore(t)})
	b.say("hi")
	b.gen.explain = failingExplain
	b.keys("alt+w")
	b.idle()
	b.wantScreen("engine: no such luck")
	b.gen.explain = explainWords
	b.keys("left")
	b.idle()
	b.wantScreen("token 1 of 2")
}

func TestAReplyWithoutTokensIsSpelled(t *testing.T) {
	b := newBench(t, Options{Store: openStore(t)})
	b.gen.reply = func(_ context.Context, r generate.Request, w *generate.Writer) {
		w.Update(generate.Update{Result: result(generate.FinishStop, "no ids here", nil, r.Sampling)})
	}
	b.say("hi")
	b.keys("alt+w")
	b.idle()
	b.wantScreen("the reply's own tokens are not known; these spell its text", "token 1 of 3")
}

func TestTheHighlightShowsWholeCharactersAndControlTokens(t *testing.T) {
	x := &inspector{
		reply:  history.Message{Content: "né漢\n\x1b[31m"},
		ids:    []int32{1, 2, 3, 4, 5, 6, 7, 8, 9},
		pieces: []string{"n", "", "é", "", "", "漢", "\n", "\x1b[31m", ""},
		known: map[int][]generate.Choice{
			1: {{Candidate: generate.Candidate{ID: 2, Text: "\uFFFD"}}}, 8: {{Candidate: generate.Candidate{ID: 9, Text: "<|end|>"}}},
		},
	}
	for at, want := range map[int]string{
		0: "[n]é漢|␛[31m", 1: "n[é]漢|␛[31m", 2: "n[é]漢|␛[31m", 3: "né[漢]|␛[31m", 5: "né[漢]|␛[31m", 6: "né漢[↵]|[]␛[31m", 7: "né漢|[␛[31m]",
		8: "né漢|␛[31m[<|end|>]",
	} {
		x.inquiry.At = at
		d := x.lay(40, x.label(), newTheme("").cells)
		got := strings.NewReplacer(litOn, "[", litOff, "]").Replace(strings.Join(d.lines, "|"))
		if got != want {
			t.Errorf("token %d: got %q, want %q", at, got, want)
		}
		for _, l := range d.lines {
			if strings.Count(l, litOn) != strings.Count(l, litOff) {
				t.Errorf("token %d: line %q leaves the highlight on", at, l)
			}
		}
	}
}

func TestTheInspectorFitsAnySize(t *testing.T) {
	b := inspecting(t, strings.Repeat("word 漢字 ", 60))
	for w := 1; w < 60; w += 3 {
		for h := 1; h < 30; h += 2 {
			b.send(tea.WindowSizeMsg{Width: w, Height: h})
			lines := strings.Split(b.screen(), "\n")
			if len(lines) > h {
				t.Errorf("%dx%d: got %d lines", w, h, len(lines))
			}
			for _, l := range lines {
				if n := b.m.theme.cells.StringWidth(l); n > w {
					t.Errorf("%dx%d: line %q is %d wide", w, h, l, n)
				}
			}
		}
	}
}
