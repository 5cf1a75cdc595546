package plain

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"peregrine/model/generate"
)

func TestVersionsLineByLine(t *testing.T) {
	for _, x := range []struct {
		name  string
		lines []string
		want  string // the branch in the file
		notes []string
	}{
		{
			"the reply before the last",
			[]string{"one", "two", "/regenerate 2", "three"},
			"user: one\nassistant: re: one\nuser: three\nassistant: re: three", nil,
		},
		{
			"another text",
			[]string{"one", "two", "/revise deux"},
			"user: one\nassistant: re: one\nuser: deux\nassistant: re: deux", nil,
		},
		{
			"an earlier message, as the next turn",
			[]string{"one", "two", "/revise 2", "eins\\", "zwei", "three"},
			"user: eins\nzwei\nassistant: re: eins\nzwei\nuser: three\nassistant: re: three",
			[]string{"You: one\nyour next turn"},
		},
		{
			"the last message, as a turn that begins with a slash",
			[]string{"one", "two", "/revise", "//deux"},
			"user: one\nassistant: re: one\nuser: /deux\nassistant: re: /deux",
			[]string{"You: two\nyour next turn"},
		},
		{
			"a message that is left as it is",
			[]string{"one", "/revise", "/details", "two"},
			"user: one\nassistant: re: one\nuser: two\nassistant: re: two",
			[]string{"not revised\nmodel: tiny"},
		},
		{
			"the version before",
			[]string{"one", "two", "/revise deux", "/version left"},
			"user: one\nassistant: re: one\nuser: two\nassistant: re: two",
			[]string{"version 1 of 2\nYou: two\nAssistant: re: two\n"},
		},
		{
			"a version by its number",
			[]string{"one", "two", "/revise deux", "/version 1", "/version 2", "/version right", "/version x"},
			"user: one\nassistant: re: one\nuser: deux\nassistant: re: deux",
			[]string{"version 2 of 2\nYou: deux\n", "this is version 2 of 2", `version "x": want`},
		},
		{"a branch is deleted", []string{"one", "two", "/delete-branch 2"}, "user: one\nassistant: re: one", []string{"/undo brings it back"}},
		{
			"and comes back",
			[]string{"one", "two", "/delete-branch 2", "/undo", "three"},
			"user: one\nassistant: re: one\nuser: two\nassistant: re: two\nuser: three\nassistant: re: three",
			[]string{"it is back"},
		},
		{
			"numbers that there are not",
			[]string{"/revise", "one", "/regenerate 2", "/delete-branch x", "/revise 2", "/revise -1", "/version"},
			"user: one\nassistant: re: one",
			[]string{"yours? there are 0 of them", "yours? there are 1 of them", `"x": want a number`, `"-1": want a number`, "one version of every message"},
		},
	} {
		t.Run(x.name, func(t *testing.T) {
			s := store(t)
			_, errs, err := chatting(t, Options{Generator: echoes(), Store: s}, x.lines...)
			if err != nil {
				t.Fatal(err)
			}
			if got := texts(latest(t, s)); got != x.want {
				t.Errorf("got %q, want %q; notes: %s", got, x.want, errs)
			}
			for _, n := range x.notes {
				if !strings.Contains(errs, n) {
					t.Errorf("the notes lack %q:\n%s", n, errs)
				}
			}
		})
	}
}

// A reply that was to be another version and has no word leaves the branch as it was, in the file and for the next turn.
func TestAVersionWithoutAWordLeavesTheBranch(t *testing.T) {
	both := "user: one\nassistant: re: one\nuser: two\nassistant: re: two"
	for _, x := range []struct {
		name      string
		cancelled bool
		lines     []string // the request after the second is the one that goes wrong
		want      string
		asked     string // last message of the last request
		notes     string
	}{
		{"the last reply fails", false, []string{"one", "two", "/regenerate"}, both, "two", "no word came; the version before stays\nerror: no luck\n"},
		{"the last reply is stopped", true, []string{"one", "two", "/retry"}, both, "two", "no word came; the version before stays\n"},
		{"an earlier reply fails", false, []string{"one", "two", "/regenerate 2"}, both, "one", "no word came"},
		{"an earlier reply is stopped", true, []string{"one", "two", "/regenerate 2"}, both, "one", "no word came"},
		{
			"and the chat goes on behind it", true,
			[]string{"one", "two", "/regenerate 2", "three"},
			both + "\nuser: three\nassistant: re: three", "three", "no word came",
		},
		{
			"and a turn without an answer is still the one to retry", false,
			[]string{"one", "bad", "/regenerate 1", "/retry"},
			"user: one\nassistant: re: one", "bad", "error: no luck\nno word came",
		},
	} {
		t.Run(x.name, func(t *testing.T) {
			s, g, interrupt := store(t), echoes(), make(chan os.Signal, 1)
			works, calls := g.answer, 0
			g.answer = func(ctx context.Context, r generate.Request, w *generate.Writer) {
				calls++
				result := generate.Result{Finish: generate.FinishError, Err: errors.New("no luck")}
				switch {
				case calls == 3 && x.cancelled:
					interrupt <- os.Interrupt
					<-ctx.Done()
					result = generate.Result{Finish: generate.FinishCancelled}
				case calls != 3 && r.Messages[len(r.Messages)-1].Content != "bad":
					works(ctx, r, w)
					return
				}
				w.Update(generate.Update{Result: &result})
			}
			_, errs, err := chatting(t, Options{Generator: g, Store: s, Interrupt: interrupt}, x.lines...)
			if err != nil {
				t.Fatal(err)
			}
			if got := texts(latest(t, s)); got != x.want {
				t.Errorf("got %q, want %q", got, x.want)
			}
			last := g.requests[len(g.requests)-1].Messages
			if got := last[len(last)-1].Content; got != x.asked {
				t.Errorf("asked %q at last, want %q", got, x.asked)
			}
			wantNotes(t, errs, x.notes)
			if strings.Contains(errs, "/continue") {
				t.Errorf("the notes offer to go on with another reply: %s", errs)
			}
		})
	}
}

func TestVersionsNeedAFile(t *testing.T) {
	g := echoes()
	_, errs, err := chatting(t, Options{Generator: g}, "one", "two", "/regenerate 2", "/revise deux", "/revise 2", "/version", "/delete-branch", "three")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(errs, "versions are kept in the conversation's file"); n != 5 {
		t.Errorf("got %d refusals, want 5: %s", n, errs)
	}
	if got := g.requests[len(g.requests)-1].Messages; len(got) != 5 {
		t.Errorf("got %d messages asked, want all 5", len(got))
	}
}

func TestAMessageWithoutAnAnswerIsRevised(t *testing.T) {
	s, g := store(t), echoes()
	works := g.answer
	g.answer = func(ctx context.Context, r generate.Request, w *generate.Writer) {
		if r.Messages[len(r.Messages)-1].Content == "bad" {
			w.Update(generate.Update{Result: &generate.Result{Finish: generate.FinishError, Err: errors.New("no")}})
			return
		}
		works(ctx, r, w)
	}
	_, errs, err := chatting(t, Options{Generator: g, Store: s}, "one", "bad", "/revise", "good", "bad", "/revise 2", "better")
	if err != nil {
		t.Fatal(err)
	}
	if got := texts(latest(t, s)); got != "user: one\nassistant: re: one\nuser: better\nassistant: re: better" {
		t.Errorf("got %q", got)
	}
	for _, want := range []string{"You: bad\nyour next turn", "You: good\nyour next turn"} {
		if !strings.Contains(errs, want) {
			t.Errorf("the notes lack %q:\n%s", want, errs)
		}
	}
}

func TestValuesAreResetAndDetailsSaid(t *testing.T) {
	g := echoes()
	_, errs, err := chatting(
		t, Options{Generator: g}, "/details", "/temp 0.1", "/top-k 3", "/reset temp", "/reset heat", "one", "/details", "/reset", "two",
	)
	if err != nil {
		t.Fatal(err)
	}
	first, second := g.requests[0].Sampling, g.requests[1].Sampling
	if first.Temperature != ready.Defaults.Temperature || first.TopK != 3 || second != ready.Defaults {
		t.Errorf("got %+v, then %+v", first, second)
	}
	for _, want := range []string{
		"there is no reply yet", "temp 0.8\n", `there is no value "heat"; there are temp, top-k`, "model: tiny\nended: stop\ntemp 0.8\ntop-k 3\n", "seed off\n",
	} {
		if !strings.Contains(errs, want) {
			t.Errorf("the notes lack %q:\n%s", want, errs)
		}
	}
}
