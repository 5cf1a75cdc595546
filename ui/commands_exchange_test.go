package ui

import (
	"context"
	"errors"
	"testing"

	"peregrine/history"
	"peregrine/ui/trade"
)

// fakeExchanger notes what it is asked for.
type fakeExchanger struct {
	path, format string
	all          bool
	messages     int
	done         trade.Imported
	err          error
}

func (x *fakeExchanger) Formats() []string { return []string{"openai", "markdown"} }

func (x *fakeExchanger) Import(_ context.Context, path string) (trade.Imported, error) {
	x.path = path
	return x.done, x.err
}

func (x *fakeExchanger) Export(c *history.Conversation, path, format string, all bool) (trade.Exported, error) {
	x.path, x.format, x.all, x.messages = path, format, all, len(c.Messages)
	return trade.Exported{Format: "markdown", Notes: []string{"no place for: \x1b[31m times"}}, x.err
}

func TestExportHandsTheConversationOver(t *testing.T) {
	for name, opt := range map[string]Options{"with a store": {Store: openStore(t)}, "without": {}} {
		t.Run(name, func(t *testing.T) {
			x := &fakeExchanger{}
			opt.Exchange = x
			b := newBench(t, opt)
			b.keys("/export a.md", "enter")
			b.idle()
			b.wantScreen("nothing to export yet")
			b.say("hi")
			b.keys("/export my notes.md markdown all", "enter")
			b.idle()
			if x.path != "my notes.md" || x.format != "markdown" || !x.all || x.messages != 2 {
				t.Errorf("got %+v", x)
			}
			b.wantScreen("written to my notes.md (markdown)", "no place for: ␛[31m times")
			x.err = errors.New("my notes.md: there is a file already")
			b.keys("/export my notes.md", "enter")
			b.idle()
			b.wantScreen("there is a file already")
			if x.format != "" || x.all {
				t.Errorf("got %+v, want no format and one branch", x)
			}
		})
	}
}

func TestImportSaysWhatBecameOfIt(t *testing.T) {
	x := &fakeExchanger{done: trade.Imported{Saved: 1, Known: 2, Format: "chatgpt", Notes: []string{"1", "2", "3", "4", "5", "6", "7"}}}
	b := newBench(t, Options{Store: openStore(t), Exchange: x})
	b.keys("/import export.json", "enter")
	b.idle()
	b.wantScreen("export.json (chatgpt): 1 conversation saved, 2 there already", "and 2 more of the kind")
	x.done, x.err = trade.Imported{}, errors.New("no-file: no such file")
	b.keys("/import no-file", "enter")
	b.idle()
	b.wantScreen("no-file: no such file")
}

func TestWithoutAnExchangerTheCommandsSaySo(t *testing.T) {
	b := newBench(t, Options{})
	for _, c := range []string{"/import a", "/export a"} {
		b.keys(c, "enter")
		b.wantScreen("in this run")
	}
}

func TestSplitExport(t *testing.T) {
	formats := []string{"openai", "markdown"}
	for argument, want := range map[string]struct {
		path, format string
		all          bool
	}{
		"a.md":                 {"a.md", "", false},
		"a b.md":               {"a b.md", "", false},
		"a all":                {"a", "", true},
		"a all markdown":       {"a", "markdown", true},
		"a markdown branch":    {"a", "markdown", false},
		"all":                  {"all", "", false},
		"markdown openai":      {"markdown", "openai", false},
		"for all markdown all": {"for all", "markdown", true},
	} {
		if path, format, all := trade.SplitExport(argument, formats); path != want.path || format != want.format || all != want.all {
			t.Errorf("%q: got %q, %q, %v, want %+v", argument, path, format, all, want)
		}
	}
}
