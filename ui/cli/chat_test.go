package cli

import (
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/creack/pty"
)

// aTerminal returns one end of a pseudo-terminal.
func aTerminal(t *testing.T) *os.File {
	t.Helper()
	master, tty, err := pty.Open()
	if err != nil {
		t.Fatalf("no pseudo-terminal: %v", err)
	}
	t.Cleanup(func() { _, _ = tty.Close(), master.Close() })
	return tty
}

func TestWhatKindOfChatItIs(t *testing.T) {
	tty := aTerminal(t)
	pipe := strings.NewReader("text")
	for name, c := range map[string]struct {
		in               io.Reader
		out              io.Writer
		accessible, term string
		plain, prompt    bool
		want             mode
		refused          string
	}{
		"a terminal":                 {in: tty, out: tty, term: "xterm-256color", want: fullScreen},
		"--plain":                    {in: tty, out: tty, term: "xterm-256color", plain: true, want: lineByLine},
		"ACCESSIBLE=1":               {in: tty, out: tty, term: "xterm-256color", accessible: "1", want: lineByLine},
		"TERM=dumb":                  {in: tty, out: tty, term: "dumb", want: lineByLine},
		"--plain into a pipe":        {in: tty, out: io.Discard, plain: true, want: lineByLine},
		"text with -p":               {in: tty, out: tty, prompt: true, want: oneAnswer},
		"text on standard input":     {in: pipe, out: tty, accessible: "1", want: oneAnswer},
		"nowhere to draw the screen": {in: tty, out: io.Discard, term: "xterm-256color", refused: "use --plain"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("ACCESSIBLE", c.accessible)
			t.Setenv("TERM", c.term)
			s := &settings{plain: c.plain, promptSet: c.prompt}
			got, err := s.mode(streams{in: c.in, out: c.out, err: io.Discard})
			if c.refused != "" {
				if err == nil || !strings.Contains(err.Error(), c.refused) {
					t.Errorf("got %v, want %q in it", err, c.refused)
				}
				return
			}
			if err != nil || got != c.want {
				t.Errorf("got %v, %v, want %v", got, err, c.want)
			}
		})
	}
}

func TestNoColorTakesTheColours(t *testing.T) {
	home(t)
	s := &settings{log: slog.New(slog.DiscardHandler)}
	for value, want := range map[string]bool{"": false, "1": true, "0": true, "false": true} {
		t.Setenv("NO_COLOR", value)
		if got := s.screenOptions(nil).NoColor; got != want {
			t.Errorf("NO_COLOR=%q: no colours: %v, want %v", value, got, want)
		}
	}
}
