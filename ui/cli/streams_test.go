package cli

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"peregrine/model/backendtest"
)

// fullDisk takes nothing.
type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestOutputThatCannotBeWrittenIsAnError(t *testing.T) {
	home(t)
	fixture := backendtest.Path(t, "llama-smollm2")
	cases := []struct {
		args  []string
		stdin string
		code  int
	}{
		{[]string{"--help"}, "", ExitError},
		{[]string{"--version"}, "", ExitError},
		{[]string{"config", "show"}, "", ExitError},
		{[]string{"config", "path"}, "", ExitError},
		{[]string{"history", "path"}, "", ExitError},
		{[]string{"inspect", fixture}, "", ExitError},
		{[]string{"completion", "bash"}, "", ExitError},
		{[]string{"debug", "render", fixture}, `{"messages":[{"role":"user","content":"Hi"}]}`, ExitUsage},
		{[]string{"debug", "tokenize", fixture}, `["Hi"]`, ExitUsage},
	}
	for _, c := range cases {
		var errs bytes.Buffer
		code := run(context.Background(), c.args, streams{in: strings.NewReader(c.stdin), out: fullDisk{}, err: &errs})
		if code != c.code || !strings.Contains(errs.String(), "no space left") {
			t.Errorf("%v: exit code %d, %q; want %d and the reason", c.args, code, errs.String(), c.code)
		}
	}
}

func TestDebugInputThatIsNotTheFormIsRefused(t *testing.T) {
	home(t)
	fixture := backendtest.Path(t, "llama-smollm2")
	cases := []struct{ command, stdin, want string }{
		{"render", "", "it is empty"},
		{"render", "{}", `no "messages"`},
		{"render", "null", `no "messages"`},
		{"render", "[]", "a JSON array stands where none belongs"},
		{"render", `{"messages":[{"role":"user","content":5}]}`, "a JSON number stands"},
		{"render", `{"messages":[]} x`, "follows the JSON value"},
		{"render", `{"messages":`, "unexpected EOF"},
		{"tokenize", `["a", 3]`, `want ["text", …]`},
		{"tokenize", `["a"]["b"]`, "follows the JSON value"},
		{"tokenize", `null`, "it is null"},
		{"detokenize", `null`, "it is null"},
		{"detokenize", `[1]`, "want [[1, 2], …]"},
	}
	for _, c := range cases {
		code, out, errs := program(t, c.stdin, "debug", c.command, fixture)
		if code != ExitUsage || out != "" || !strings.Contains(errs, c.want) || strings.Count(errs, "\n") != 1 {
			t.Errorf("%s of %q: exit code %d, %q, %q; want one line with %q", c.command, c.stdin, code, out, errs, c.want)
		}
	}
}

func TestInterruptOfDebugIsNoUsageError(t *testing.T) {
	home(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var out, errs bytes.Buffer
	args := []string{"debug", "greedy", backendtest.Path(t, "llama-smollm2"), "--ids", "1,2"}
	code := run(ctx, args, streams{in: strings.NewReader(""), out: &out, err: &errs})
	if code != ExitInterrupted || out.Len() != 0 || errs.Len() != 0 {
		t.Errorf("exit code %d, %q, %q; want %d and nothing said", code, out.String(), errs.String(), ExitInterrupted)
	}
}
