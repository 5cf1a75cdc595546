package plain

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"

	"peregrine/history"
	"peregrine/model/generate"
)

// chatting runs a conversation of these lines.
func chatting(t *testing.T, opt Options, lines ...string) (out, errs string, err error) {
	t.Helper()
	opt.Interactive = true
	opt.In = strings.NewReader(strings.Join(lines, "\n") + "\n")
	return talk(t, opt)
}

func TestConversationLineByLine(t *testing.T) {
	for _, x := range []struct {
		name  string
		lines []string
		want  string
	}{
		{"two turns", []string{"one", "two"}, "re: one\nre: two\n"},
		{"empty lines are no turns", []string{"", "one", " \t", "two"}, "re: one\nre: two\n"},
		{"quit", []string{"one", "/quit", "two"}, "re: one\n"},
		{"start of a command", []string{"one", "/q", "two"}, "re: one\n"},
		{"a line that goes on", []string{`one\`, "two", "three"}, "re: one\ntwo\nre: three\n"},
		{"a block", []string{`"""`, "a", `b\`, "", "c", `"""`, "d"}, "re: a\nb\\\n\nc\nre: d\n"},
		{"a block that begins and ends beside text", []string{`"""a`, `b"""`}, "re: a\nb\n"},
		{"a block on one line", []string{`"""a"""`}, "re: a\n"},
		{"a block without an end", []string{`"""`, "a", "b"}, "re: a\nb\n"},
		{"text with a slash", []string{"//etc/passwd?"}, "re: /etc/passwd?\n"},
		{"carriage returns", []string{"one\r", "two\r"}, "re: one\nre: two\n"},
	} {
		t.Run(x.name, func(t *testing.T) {
			out, errs, err := chatting(t, Options{Generator: echoes()}, x.lines...)
			if err != nil || errs != "" || out != x.want {
				t.Errorf("got %q, notes %q, %v, want %q", out, errs, err, x.want)
			}
		})
	}
}

func TestConversationIsSavedAndGoesOn(t *testing.T) {
	s, g := store(t), echoes()
	if _, _, err := chatting(t, Options{Generator: g, Store: s}, "one", "two"); err != nil {
		t.Fatal(err)
	}
	if got := texts(latest(t, s)); got != "user: one\nassistant: re: one\nuser: two\nassistant: re: two" {
		t.Errorf("got %q", got)
	}
	if n := len(g.requests[1].Messages); n != 3 {
		t.Errorf("the second request has %d messages, want 3", n)
	}
}

func TestRetryMakesAnotherVersion(t *testing.T) {
	s, g := store(t), echoes()
	if _, _, err := chatting(t, Options{Generator: g, Store: s}, "/retry", "one", "/retry", "two"); err != nil {
		t.Fatal(err)
	}
	c := latest(t, s)
	if got := texts(c); got != "user: one\nassistant: re: one\nuser: two\nassistant: re: two" || len(c.Messages) != 5 {
		t.Errorf("got %q of %d messages", got, len(c.Messages))
	}
	if first := c.Messages[1].ID; len(c.Siblings(first)) != 2 {
		t.Errorf("got versions %v, want 2", c.Siblings(first))
	}
	if m := g.requests[1].Messages; len(m) != 1 || m[0].Content != "one" {
		t.Errorf("retry asked %+v", m)
	}
}

func TestFailedTurnIsKeptBesideAndCanBeRetried(t *testing.T) {
	s, g := store(t), echoes()
	works := g.answer
	calls := 0
	g.answer = func(ctx context.Context, r generate.Request, w *generate.Writer) {
		if calls++; calls == 1 {
			w.Update(generate.Update{Result: &generate.Result{Finish: generate.FinishError, Err: errors.New("out of luck\x1b[31m")}})
			return
		}
		works(ctx, r, w)
	}
	out, errs, err := chatting(t, Options{Generator: g, Store: s}, "one", "/retry", "two")
	if err != nil || out != "re: one\nre: two\n" || errs != "error: out of luck␛[31m\n" {
		t.Errorf("got %q, notes %q, %v", out, errs, err)
	}
	if got := texts(latest(t, s)); got != "user: one\nassistant: re: one\nuser: two\nassistant: re: two" {
		t.Errorf("got %q", got)
	}
}

func TestTurnAfterAFailedOneDoesNotFollowIt(t *testing.T) {
	s, g := store(t), echoes()
	works := g.answer
	g.answer = func(ctx context.Context, r generate.Request, w *generate.Writer) {
		if len(r.Messages) == 1 && r.Messages[0].Content == "bad" {
			w.Update(generate.Update{Result: &generate.Result{Finish: generate.FinishError, Err: errors.New("no")}})
			return
		}
		works(ctx, r, w)
	}
	if _, _, err := chatting(t, Options{Generator: g, Store: s}, "bad", "good"); err != nil {
		t.Fatal(err)
	}
	c := latest(t, s)
	if got := texts(c); got != "user: good\nassistant: re: good" || len(c.Messages) != 3 {
		t.Errorf("got %q of %d messages, want the failed turn beside", got, len(c.Messages))
	}
}

func TestContinueAddsToTheReply(t *testing.T) {
	s, g := store(t), says("ab", "cd")
	out, _, err := chatting(t, Options{Generator: g, Store: s}, "/continue", "go", "/continue")
	if err != nil || out != "abcd\nabcd\n" {
		t.Fatalf("got %q, %v", out, err)
	}
	r := g.requests[1]
	if len(r.Continue) != 2 || len(r.Messages) != 1 {
		t.Errorf("got %+v, want the tokens so far after the user's turn", r)
	}
	c := latest(t, s)
	if m := c.Messages[1]; len(c.Messages) != 2 || m.Content != "abcdabcd" || len(m.TokenIDs) != 4 || m.TokenIDs[3] != 3 || m.Partial {
		t.Errorf("got %+v, want one longer reply", m)
	}
}

func TestInterruptStopsTheReplyOnly(t *testing.T) {
	said, s := make(chan struct{}), store(t)
	g := hangs("so far", said)
	first := g.answer
	works := echoes().answer
	g.answer = func(ctx context.Context, r generate.Request, w *generate.Writer) {
		if len(r.Messages) == 1 {
			first(ctx, r, w)
			return
		}
		works(ctx, r, w)
	}
	interrupt := make(chan os.Signal)
	in, typed := io.Pipe()
	var out, errs bytes.Buffer
	done := make(chan error)
	go func() {
		done <- Run(t.Context(), Options{Generator: g, Store: s, Interactive: true, In: in, Out: &out, Err: &errs, Interrupt: interrupt})
	}()
	_, _ = io.WriteString(typed, "one\n")
	<-said
	interrupt <- os.Interrupt
	_, _ = io.WriteString(typed, "two\n")
	_, _ = io.WriteString(typed, "\n") // read ahead
	_, _ = io.WriteString(typed, "\n") // read once that one was taken: after the second reply
	interrupt <- os.Interrupt
	if err := <-done; ExitCode(err) != ExitInterrupted {
		t.Errorf("got %v, want the second one, at the prompt, to end it", err)
	}
	if out.String() != "so far\nre: two\n" || !strings.Contains(errs.String(), "stopped") {
		t.Errorf("got %q, notes %q", out.String(), errs.String())
	}
	if got := texts(latest(t, s)); got != "user: one\nassistant: so far\nuser: two\nassistant: re: two" {
		t.Errorf("got %q", got)
	}
}

func TestNewOpenListSave(t *testing.T) {
	s := store(t)
	copied := filepath.Join(t.TempDir(), "copy.jsonl")
	out, errs, err := chatting(t, Options{Generator: echoes(), Store: s},
		"/save early", "one", "/save First one", "/save "+copied, "/new", "two", "/list", "/open first one", "three", "/open nobody", "/open none.jsonl", "/open")
	if err != nil || out != "re: one\nre: two\nre: three\n" {
		t.Fatalf("got %q, %v", out, err)
	}
	for _, want := range []string{
		"nothing to save yet", "saved as First one", copied, "First one, 2 messages", "Assistant: re: one", "open what?",
		`"nobody": no such conversation in ` + s.Dir() + "; /list shows", "none.jsonl: no such conversation: no such file or directory; /list shows",
	} {
		if !strings.Contains(errs, want) {
			t.Errorf("notes: %q is missing in\n%s", want, errs)
		}
	}
	entries, err := s.List(t.Context())
	if err != nil || len(entries) != 2 {
		t.Fatalf("got %+v, %v, want two conversations", entries, err)
	}
	f, err := s.OpenID("First one")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got := texts(f.Conversation()); got != "user: one\nassistant: re: one\nuser: three\nassistant: re: three" {
		t.Errorf("got %q", got)
	}
	if c, err := history.Read(copied); err != nil || texts(c) != "user: one\nassistant: re: one" {
		t.Errorf("copy: %v", err)
	}
}

func TestSamplingChangesBetweenTurns(t *testing.T) {
	g := echoes()
	_, errs, err := chatting(t, Options{Generator: g}, "/temperature 0.2", "one", "/top-k 3", "two", "/temperature -1", "/top-k x", "three")
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []generate.Sampling{{Temperature: 0.2, TopK: 50}, {Temperature: 0.2, TopK: 3}, {Temperature: 0.2, TopK: 3}} {
		if got := g.requests[i].Sampling; got != want {
			t.Errorf("turn %d: got %+v, want %+v", i, got, want)
		}
	}
	if strings.Count(errs, "error: ") != 2 {
		t.Errorf("got %q, want two errors", errs)
	}
}

func TestUnknownCommandIsNotSent(t *testing.T) {
	g := echoes()
	out, errs, err := chatting(t, Options{Generator: g}, "/nonsense x", "/", "/help")
	if err != nil || out != "" || len(g.requests) != 0 || !strings.Contains(errs, "no command /nonsense") {
		t.Errorf("got %q, notes %q, %v", out, errs, err)
	}
	for _, c := range commands() {
		if !strings.Contains(errs, "/"+c.name) {
			t.Errorf("help does not list /%s", c.name)
		}
	}
}

func TestDroppedMessagesAreSaidBefore(t *testing.T) {
	g := echoes()
	g.plan = generate.Plan{Tokens: 60, Limit: 64, Dropped: 2}
	_, errs, err := chatting(t, Options{Generator: g}, "one", "two")
	if err != nil || strings.Count(errs, "the 2 oldest messages are left out") != 1 {
		t.Errorf("got %q, %v", errs, err)
	}
}

func TestJSONLines(t *testing.T) {
	out, _, err := chatting(t, Options{Generator: echoes(), JSON: true}, "one", "two")
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(strings.NewReader(out))
	for _, want := range []string{"re: one", "re: two"} {
		var r Reply
		if err := d.Decode(&r); err != nil || r.Text != want {
			t.Errorf("got %+v, %v, want %q", r, err, want)
		}
	}
}

// screen collects what a terminal would get.
func screen(t *testing.T) (terminal, keyboard *os.File, shown func() string) {
	t.Helper()
	keyboard, terminal, err := pty.Open()
	if err != nil {
		t.Skipf("no terminal to be had: %v", err)
	}
	const end = "<end of test>" // a blocked reader keeps the terminal open, so that its end cannot be waited for
	done := make(chan string)
	go func() {
		var text []byte
		b := make([]byte, 4096)
		for {
			n, err := keyboard.Read(b)
			text = append(text, b[:n]...)
			if s, ok := strings.CutSuffix(string(text), end); ok || err != nil {
				done <- s
				return
			}
		}
	}()
	return terminal, keyboard, func() string {
		_, _ = terminal.WriteString(end)
		return <-done
	}
}

func TestTerminalGetsNoControlCharacters(t *testing.T) {
	terminal, keyboard, shown := screen(t)
	g := says("\x1b]0;owned\a", "\u009b31m\u202ered\r\x00")
	done := make(chan error)
	go func() {
		done <- Run(t.Context(), Options{Generator: g, Interactive: true, In: terminal, Out: terminal, Err: terminal})
	}()
	_, _ = io.WriteString(keyboard, "hi\n")
	time.Sleep(200 * time.Millisecond)
	_, _ = io.WriteString(keyboard, "/quit\n")
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	got := shown()
	if strings.ContainsAny(got, "\x1b\a\x00\u009b\u202e") {
		t.Errorf("got %q", got)
	}
	if !strings.Contains(got, "Assistant: ␛]0;owned␇‹U+009B›31m‹U+202E›red␍␀\r\nYou: ") {
		t.Errorf("got %q, want symbols and the next prompt", got)
	}
}

func TestLoadingIsShownOnATerminal(t *testing.T) {
	terminal, _, shown := screen(t)
	g := says("x")
	g.info = generate.Info{Model: "tiny\x1b", Progress: 0.42}
	time.AfterFunc(2*loadQuiet, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.info = ready
	})
	var out bytes.Buffer
	if err := Run(t.Context(), Options{Generator: g, Prompt: "x", Out: &out, Err: terminal}); err != nil || out.String() != "x\n" {
		t.Errorf("got %q, %v", out.String(), err)
	}
	if got := shown(); !strings.HasPrefix(got, "loading tiny␛  42 %") || !strings.HasSuffix(got, " \r") {
		t.Errorf("got %q, want the percentage, and it gone at the end", got)
	}
}
