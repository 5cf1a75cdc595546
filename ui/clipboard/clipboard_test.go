package clipboard

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// env returns an environment of these variables, NAME=value each.
func env(vars ...string) func(string) string {
	return func(name string) string {
		for _, v := range vars {
			if value, ok := strings.CutPrefix(v, name+"="); ok {
				return value
			}
		}
		return ""
	}
}

// program puts a shell script into the only folder of PATH, and returns the file to which it may write.
func program(t *testing.T, name, script string) (file string) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	file = filepath.Join(dir, "took")
	text := "#!/bin/sh\nPATH=/bin:/usr/bin\ntook='" + file + "'\n" + script + "\n"
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestOnlyAProgramThatTookTheTextConfirmsIt(t *testing.T) {
	for _, c := range []struct {
		name, program, script string
		env                   []string
		want                  string
	}{
		{"wayland", "wl-copy", `cat >"$took"`, []string{"WAYLAND_DISPLAY=wayland-0"}, "copied (5 bytes, wl-copy)"},
		{"X", "xclip", `cat >"$took"`, []string{"DISPLAY=:0"}, "copied (5 bytes, xclip)"},
		{"the other program of X", "xsel", `cat >"$took"`, []string{"DISPLAY=:0"}, "copied (5 bytes, xsel)"},
		{"macOS", "pbcopy", `cat >"$took"`, nil, "copied (5 bytes, pbcopy)"},
		{"a display that SSH forwards", "xclip", `cat >"$took"`, []string{"DISPLAY=localhost:10.0", "SSH_TTY=/dev/pts/1"}, "copied (5 bytes, xclip)"},
		{"the display of another machine", "xclip", `cat >"$took"`, []string{"DISPLAY=:0", "SSH_TTY=/dev/pts/1"}, "sent to the terminal (5 bytes)"},
		{"the desktop of another machine", "pbcopy", `cat >"$took"`, []string{"SSH_CONNECTION=1 2 3 4"}, "sent to the terminal (5 bytes)"},
		{"no display", "xclip", `cat >"$took"`, nil, "sent to the terminal (5 bytes)"},
		{"a program that fails", "xclip", `cat >/dev/null; exit 1`, []string{"DISPLAY=:0"}, "sent to the terminal (5 bytes)"},
		{"no program", "other", "", []string{"DISPLAY=:0"}, "sent to the terminal (5 bytes)"},
		{"tmux confirms its buffer alone", "tmux", `test "$*" = "load-buffer -w -" && cat >"$took"`, []string{"TMUX=/x,1,0"}, "in tmux's buffer, and sent to the terminal (5 bytes)"},
		{"tmux that cannot", "tmux", `exit 1`, []string{"TMUX=/x,1,0"}, "sent to the terminal (5 bytes)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := program(t, c.program, c.script)
			out := New(env(c.env...)).Copy(t.Context(), "hello")
			if out.String() != c.want {
				t.Errorf("got %q, want %q", out, c.want)
			}
			took, _ := os.ReadFile(file)
			if confirmed := out.Sure() || out.Tmux; confirmed != (string(took) == "hello") {
				t.Errorf("confirmed: %v, but the program took %q", confirmed, took)
			}
			if out.Sequence == "" {
				t.Error("the terminal must get the text in any case")
			}
		})
	}
}

func TestAProgramThatStaysBehindIsNotWaitedFor(t *testing.T) {
	program(t, "xclip", `cat >"$took"; sleep 30 & exit 0`)
	start := time.Now()
	if out := New(env("DISPLAY=:0")).Copy(t.Context(), "hello"); !out.Sure() {
		t.Errorf("got %q", out)
	}
	if took := time.Since(start); took > toolLimit {
		t.Errorf("it took %v", took)
	}
}

func TestAProgramThatHangsIsGivenUp(t *testing.T) {
	program(t, "xclip", `exec sleep 60`)
	start := time.Now()
	if out := New(env("DISPLAY=:0")).Copy(t.Context(), "hello"); out.Sure() {
		t.Errorf("got %q", out)
	}
	if took := time.Since(start); took > 3*toolLimit {
		t.Errorf("it took %v", took)
	}
}

func TestTheSequenceFitsWhatIsInBetween(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	text := "Grüße " + strings.Repeat("x", 2000)
	coded := base64.StdEncoding.EncodeToString([]byte(text))
	plain := "\x1b]52;c;" + coded + "\a"
	if got := New(env()).Copy(t.Context(), text).Sequence; got != plain {
		t.Errorf("got %q, want %q", got, plain)
	}
	if got, want := New(env("TMUX=x")).Copy(t.Context(), text).Sequence, plain+"\x1bPtmux;\x1b"+plain+"\x1b\\"; got != want {
		t.Errorf("tmux: got %q, want %q", got, want)
	}
	var joined strings.Builder
	for piece := range strings.SplitSeq(New(env("STY=x")).Copy(t.Context(), text).Sequence, "\x1b\\") {
		inner, ok := strings.CutPrefix(piece, "\x1bP")
		if piece != "" && !ok || len(inner) > 768 {
			t.Fatalf("screen does not pass on %q", piece)
		}
		joined.WriteString(inner)
	}
	if joined.String() != plain {
		t.Errorf("screen: got %q, want %q", joined.String(), plain)
	}
}

func TestWhatIsTooLongIsSaid(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for _, c := range []struct {
		size             int
		want             string
		doubtful, failed bool
	}{
		{1, "sent to the terminal (1 byte)", false, false},
		{TerminalLimit, "sent to the terminal (74994 bytes)", false, false},
		{TerminalLimit + 1, "sent to the terminal (74995 bytes), some terminals take 74994 at most", true, false},
		{SendLimit + 1, "not copied: 1048577 bytes, and at most 1048576 are sent to a terminal", true, true},
	} {
		out := new(Clipboard).Copy(t.Context(), strings.Repeat("x", c.size))
		if out.String() != c.want || out.Doubtful() != c.doubtful || out.Failed() != c.failed || (out.Sequence == "") != c.failed {
			t.Errorf("%d bytes: got %q (%v, %v), want %q", c.size, out, out.Doubtful(), out.Failed(), c.want)
		}
		if c.size <= TerminalLimit && len(out.Sequence) > 100_000 {
			t.Errorf("%d bytes: the sequence has %d", c.size, len(out.Sequence))
		}
	}
	program(t, "xclip", `cat >"$took"`)
	if out := New(env("DISPLAY=:0")).Copy(t.Context(), strings.Repeat("x", SendLimit+1)); !out.Sure() || out.Sequence != "" {
		t.Errorf("got %q: a program takes what a terminal does not", out)
	}
}
