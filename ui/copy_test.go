package ui

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"

	"peregrine/ui/clipboard"
)

// took returns the texts that the terminal was told to take since the last call.
func (b *bench) took() []string {
	b.t.Helper()
	b.idle()
	var texts []string
	for _, raw := range b.raw {
		coded, ok := strings.CutPrefix(raw, "\x1b]52;c;")
		text, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(coded, "\a"))
		if !ok || err != nil {
			b.t.Errorf("the terminal got %q: %v", raw, err)
		}
		texts = append(texts, string(text))
	}
	b.raw = nil
	return texts
}

const withCode = "Do *this*:\n\n```sh\nls -l\n```\n\nand\n\n1. that\n\n   ```go\n   x := 1\n\n   y()\n   ```\n"

func TestCopyTakesTheSource(t *testing.T) {
	b := newBench(t, Options{Store: openStore(t)})
	b.gen.says("An **earlier** reply.")
	b.say("first")
	b.gen.says(withCode)
	b.say("How?")
	b.wantScreen("[1] sh", "[2] go")
	for _, c := range []struct {
		keys         []string
		text, notice string
	}{
		{[]string{"alt+y"}, withCode, fmt.Sprintf("the reply: sent to the terminal (%d bytes)", len(withCode))},
		{[]string{"/copy", "enter"}, withCode, "the reply: sent to the terminal"},
		{[]string{"/copy 1", "enter"}, "ls -l", "code block 1: sent to the terminal (5 bytes)"},
		{[]string{"/copy 2", "enter"}, "x := 1\n\ny()", "code block 2: sent to the terminal"},
		{
			[]string{"/copy all", "enter"},
			"**You**\n\nfirst\n\n**Assistant**\n\nAn **earlier** reply.\n\n**You**\n\nHow?\n\n**Assistant**\n\n" + strings.TrimSpace(withCode) + "\n\n",
			"the conversation: sent to the terminal",
		},
	} {
		b.keys(c.keys...)
		if got := b.took(); len(got) != 1 || got[0] != c.text {
			t.Errorf("%v: got %q, want %q", c.keys, got, c.text)
		}
		b.wantScreen(c.notice)
		b.wantNotScreen("copied")
	}
	b.keys("/copy 3", "enter")
	b.wantScreen("there is no code block 3: the reply has 2 code blocks")
	b.keys("/copy it", "enter")
	b.wantScreen("copy: it?")
	if got := b.took(); got != nil {
		t.Errorf("got %q, want nothing", got)
	}
	b.keys("/copy ")
	b.wantScreen("all", "1", "2")
}

func TestCopyTakesTheChosenMessage(t *testing.T) {
	b := newBench(t, Options{Store: openStore(t)})
	b.gen.says("the first reply")
	b.say("the first question")
	b.gen.says("the second reply")
	b.say("the second question")
	for _, key := range []string{"y", "alt+y"} {
		b.keys("shift+tab", "up", "up", key)
		if got := b.took(); len(got) != 1 || got[0] != "the first reply" {
			t.Errorf("%s: got %q, want the first reply", key, got)
		}
		b.wantScreen("the reply: sent to the terminal", "▌ the first reply")
		b.keys("up", key)
		if got := b.took(); len(got) != 1 || got[0] != "the first question" {
			t.Errorf("%s: got %q, want the first question", key, got)
		}
		b.keys("esc", "alt+y")
		if got := b.took(); len(got) != 1 || got[0] != "the second reply" {
			t.Errorf("%s: got %q after the choice, want the last reply", key, got)
		}
	}
}

func TestCopyTakesWhatIsBeingRead(t *testing.T) {
	b := newBench(t, Options{})
	long := func(name string) string { return strings.Repeat("Words of the "+name+" reply.\n\n", 40) }
	b.gen.says(long("first"))
	b.say("one")
	b.gen.says(long("second"))
	b.say("two")
	b.keys("home", "alt+y")
	if got := b.took(); len(got) != 1 || got[0] != long("first") {
		t.Errorf("at the start: got %.40q", got)
	}
	b.keys("end", "alt+y")
	if got := b.took(); len(got) != 1 || got[0] != long("second") {
		t.Errorf("at the end: got %.40q", got)
	}
	question := strings.Repeat("x", 4000)
	b.say(question)
	b.m.transcript.follow, b.m.transcript.top = false, place{len(b.m.transcript.items) - 2, 1}
	b.keys("alt+y")
	if got := b.took(); len(got) != 1 || got[0] != question {
		t.Errorf("in a question: got %.40q", got)
	}
	b.wantScreen("your message: sent to the terminal")
}

func TestNothingToCopyIsSaid(t *testing.T) {
	b := newBench(t, Options{})
	for _, keys := range [][]string{{"alt+y"}, {"/copy all", "enter"}, {"/copy 1", "enter"}} {
		b.keys(keys...)
		b.wantScreen("nothing to copy yet")
	}
}

func TestCopiedIsSaidOfAProgramsWordAlone(t *testing.T) {
	dir := t.TempDir()
	took := filepath.Join(dir, "took")
	script := "#!/bin/sh\n/bin/cat >'" + took + "'\n"
	if err := os.WriteFile(filepath.Join(dir, "xclip"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	clip := clipboard.New(func(name string) string { return map[string]string{"DISPLAY": ":0"}[name] })
	b := newBench(t, Options{Clipboard: clip})
	b.say("x")
	b.keys("alt+y")
	b.until("the notice", func() bool { return b.m.echo.notice.text != "" })
	b.wantScreen("the reply: copied (11 bytes, xclip)")
	if text, err := os.ReadFile(took); err != nil || string(text) != "hello there" {
		t.Errorf("the program took %q, %v", text, err)
	}
}

func TestWhatATerminalWouldObeyIsCopiedAsSymbols(t *testing.T) {
	b := newBench(t, Options{})
	b.gen.says("```\nls\x1b[201~\nrm\n```")
	b.say("x")
	b.keys("/copy 1", "enter")
	if got := b.took(); len(got) != 1 || got[0] != "ls␛[201~\nrm" {
		t.Errorf("got %q", got)
	}
	b.keys("alt+y")
	if got := b.took(); len(got) != 1 || got[0] != "```\nls␛[201~\nrm\n```" {
		t.Errorf("got %q", got)
	}
	b.wantScreen("control characters as symbols")
}

func TestALargeCopyIsDoubtful(t *testing.T) {
	b := newBench(t, Options{})
	b.gen.says(strings.Repeat("x", clipboard.TerminalLimit+1))
	b.say("x")
	b.keys("alt+y")
	b.took()
	if b.m.echo.notice.level != levelWarn || !strings.Contains(b.m.echo.notice.text, "some terminals take 74994 at most") {
		t.Errorf("got %+v", b.m.echo.notice)
	}
}

func TestTheMouseGoesToTheTerminalAndComesBack(t *testing.T) {
	b := newBench(t, Options{})
	for _, c := range []struct {
		keys   []string
		want   tea.MouseMode
		notice string
	}{
		{nil, tea.MouseModeCellMotion, ""},
		{[]string{"alt+m"}, tea.MouseModeNone, "mouse off: it selects text, as the terminal does; alt+m takes it back"},
		{[]string{"alt+m"}, tea.MouseModeCellMotion, "mouse on"},
		{[]string{"/mouse off", "enter"}, tea.MouseModeNone, "mouse off"},
		{[]string{"/mouse", "enter"}, tea.MouseModeCellMotion, "mouse on"},
		{[]string{"/mouse maybe", "enter"}, tea.MouseModeCellMotion, "mouse: maybe?"},
	} {
		b.keys(c.keys...)
		if got := b.m.View().MouseMode; got != c.want {
			t.Errorf("%v: got mode %v, want %v", c.keys, got, c.want)
		}
		b.wantScreen(c.notice)
	}
}
