package ui

import (
	"context"
	"strings"
	"testing"

	"peregrine/history"
	"peregrine/model/generate"
)

func TestThePaletteHasEverythingWithItsKey(t *testing.T) {
	b := newBench(t, Options{})
	shown := map[string]string{}
	for _, s := range b.m.suggest("/") {
		shown[s.command.name] = s.key
	}
	for _, a := range keyTable() {
		if a.scope != inChat || len(a.keys) == 0 {
			continue
		}
		found := false
		for _, c := range allCommands() {
			found = found || c.action == a.action && shown[c.name] == b.m.keys.label(a.action)
		}
		if typing := strings.Contains("send newline interrupt undo redo palette", string(a.action)); !found && !typing {
			t.Errorf("the palette has no %s with its key %s", a.action, a.keys[0])
		}
	}
	for _, name := range []string{
		"model", "about", "template", "system", "preset", "sampling", "open", "save", "export", "import", "rename", "search", "theme", "help", "backend", "details",
		"new", "conversations", "regenerate", "continue", "page_up", "temperature_up",
	} {
		if _, ok := shown[name]; !ok {
			t.Errorf("the palette has no /%s", name)
		}
	}
}

func TestThePaletteFindsByWhatIsMeant(t *testing.T) {
	for typed, want := range map[string]string{
		"/colours": "theme", "/tmpl": "template", "/repetition pe": "", "/penalty": "repeat-penalty", "/versi": "regenerate", "/scroll": "page_up",
		"/REG": "regenerate",
	} {
		b := newBench(t, Options{})
		got := ""
		for _, s := range b.m.suggest(typed) {
			got += " " + s.command.name
		}
		if want != "" && !strings.Contains(got+" ", " "+want+" ") || want == "" && got != "" {
			t.Errorf("%s: got%s, want %s", typed, got, want)
		}
	}
}

func TestActionsRunByTheirName(t *testing.T) {
	b := newBench(t, Options{})
	b.keys("/temperature_up", "enter")
	b.wantScreen("temp 0.75")
	b.gen.says(strings.Repeat("line\n\n", 60))
	b.say("x")
	b.obey("/top")
	b.wantScreen("┃ x", "↓ more below")
}

func TestDetailsShowEveryValueOfTheLastReply(t *testing.T) {
	b := newBench(t, Options{})
	b.obey("/details")
	b.wantScreen("there is no reply yet")
	b.obey("/seed 18446744073709551615")
	b.say("hi")
	b.keys("f6")
	b.obey("/details")
	b.wantScreen("The last reply", "tiny-falcon", "temperature", "0.7", "18446744073709551615", "20 tokens", "2 tokens, 20.0 tok/s")
	b.wantNotScreen("temperature         0.75")
}

func TestValuesThatChangeAreInTheFileBeforeTheReplyEnds(t *testing.T) {
	b := newBench(t, Options{Store: openStore(t)})
	b.gen.reply = func(ctx context.Context, r generate.Request, w *generate.Writer) {
		first, second := r.Sampling, r.Sampling
		second.TopK = 7
		w.Update(generate.Update{Text: "one ", Tokens: []generate.Token{{ID: 1}, {ID: 2}}, Sampling: &first})
		w.Update(generate.Update{
			Text: "two ", Tokens: []generate.Token{{ID: 3}}, Sampling: &second, Earlier: []generate.Stretch{{Tokens: 2, Sampling: first}},
		})
		<-ctx.Done()
		w.Update(generate.Update{Result: result(generate.FinishCancelled, "one two ", []int32{1, 2, 3}, second)})
	}
	b.send(sized(120, 24))
	b.keys("hi", "enter")
	b.until("the words", func() bool { return strings.Contains(b.screen(), "one two") })
	reply := b.m.turn.reply
	if reply.Sampling == nil || reply.Sampling.TopK != 7 || len(reply.Earlier) != 1 || reply.Earlier[0].Sampling.TopK != 40 {
		t.Errorf("got %+v and %+v while the reply is written, want both values", reply.Sampling, reply.Earlier)
	}
	if err := b.m.chat.file.Sync(); err != nil {
		t.Fatal(err)
	}
	c, err := history.Read(b.m.chat.file.Path())
	if err != nil {
		t.Fatal(err)
	}
	if saved, ok := c.Message(reply.ID); !ok || !saved.Partial || saved.Sampling == nil || saved.Sampling.TopK != 7 || len(saved.Earlier) != 1 {
		t.Errorf("got %+v in the file, want both values", saved)
	}
	b.keys("esc")
	b.ended()
}

func TestValuesThatChangeInTheMiddleOfAReplyAreRecorded(t *testing.T) {
	b := newBench(t, Options{Store: openStore(t)})
	b.gen.reply = func(_ context.Context, r generate.Request, w *generate.Writer) {
		res := result(generate.FinishLength, "cut", []int32{1, 2, 3}, r.Sampling)
		res.Earlier = []generate.Stretch{{Tokens: 2, Sampling: generate.Sampling{Temperature: 0.2}}}
		w.Update(generate.Update{Text: "cut", Result: res})
	}
	b.send(sized(120, 24))
	b.say("hi")
	b.wantScreen("temp 0.7 · top-k 40 · changed at", "token 3")
	b.gen.says(" off")
	b.keys("f6")
	b.obey("/continue")
	b.ended()
	b.wantScreen("temp 0.75 · top-k 40 · changed at token 3, 4")
	got := b.saved()[1].Earlier
	if len(got) != 2 || got[0].Tokens != 2 || got[1].Tokens != 1 || got[1].Sampling.Temperature != 0.7 {
		t.Errorf("got %+v in the file, want two stretches before the last", got)
	}
	b.obey("/details")
	b.wantScreen("2 tokens with temp 0.2", "1 token with temp 0.7 · top-k 40")
}
