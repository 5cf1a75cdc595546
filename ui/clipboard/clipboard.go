// Package clipboard hands text to whoever sits in front of the terminal, and says truthfully how far that is known to have
// worked.
//
// There are two ways, and both are taken. A program of the desktop (wl-copy, xclip, xsel, pbcopy) confirms what it took, but
// only on the machine where it runs. The sequence OSC 52 goes wherever the terminal is, over SSH too, but no terminal answers
// it, and many ignore it or cut it short. So "copied" is said of the first way alone. tmux is between the two: it confirms its
// own buffer, and passes the text on as it is set up to.
package clipboard

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"
)

const (
	// TerminalLimit is how many bytes of text every terminal takes that takes OSC 52 at all: some cut the sequence at 100,000
	// bytes, of which 8 are its frame and the rest is base64.
	TerminalLimit = 74_994
	// SendLimit is the most that is sent to a terminal: a slow link would be busy with more for minutes.
	SendLimit = 1 << 20
	// toolLimit is how long a program may take. They read the text and go into the background at once.
	toolLimit = 2 * time.Second
	// screenPiece is how much of a passed-on sequence GNU screen takes at a time; it drops what is longer than 768 bytes.
	screenPiece = 512
)

// tool is a program that sets a clipboard.
type tool struct {
	name string
	args []string
	// here reports whether the clipboard that it sets is the one of the person at the terminal.
	here func(env func(string) string) bool
}

// tools are tried in this order until one confirms.
var tools = []tool{
	{"wl-copy", nil, func(env func(string) string) bool { return env("WAYLAND_DISPLAY") != "" && !remote(env) }},
	{"xclip", []string{"-in", "-selection", "clipboard"}, hasDisplay},
	{"xsel", []string{"--input", "--clipboard"}, hasDisplay},
	{"pbcopy", nil, func(env func(string) string) bool { return !remote(env) }},
	{"termux-clipboard-set", nil, func(env func(string) string) bool { return !remote(env) }},
}

// remote reports whether the terminal is on another machine.
func remote(env func(string) string) bool { return env("SSH_CONNECTION") != "" || env("SSH_TTY") != "" }

// hasDisplay reports whether there is an X display in front of the person: over SSH a forwarded one, which names a host.
func hasDisplay(env func(string) string) bool {
	display := env("DISPLAY")
	return display != "" && (!remote(env) || !strings.HasPrefix(display, ":"))
}

// Clipboard knows the ways to the clipboard from one terminal. The zero value knows OSC 52 alone.
type Clipboard struct {
	tools        []tool
	tmux, screen bool // what runs between the program and the terminal
}

// New returns the ways that an environment shows.
func New(env func(string) string) *Clipboard {
	c := &Clipboard{tmux: env("TMUX") != "", screen: env("STY") != ""}
	for _, t := range tools {
		if t.here(env) {
			c.tools = append(c.tools, t)
		}
	}
	return c
}

// Outcome says what became of a text.
type Outcome struct {
	Bytes    int
	Tool     string // the program that confirmed it; "": none did
	Tmux     bool   // it is in tmux's buffer
	Sequence string // to be written to the terminal; "" when the text is too long for that
}

// Copy runs the programs and returns the sequence for the terminal, which the caller writes. It waits for the programs, at
// most some seconds.
func (c *Clipboard) Copy(ctx context.Context, text string) Outcome {
	out := Outcome{Bytes: len(text)}
	for _, t := range c.tools {
		if run(ctx, t.name, t.args, text) == nil {
			out.Tool = t.name
			break
		}
	}
	if len(text) > SendLimit {
		return out
	}
	if c.tmux {
		// -w passes it to the terminal, which tmux's own settings allow where they ignore the sequences of programs.
		out.Tmux = run(ctx, "tmux", []string{"load-buffer", "-w", "-"}, text) == nil
	}
	out.Sequence = c.sequence(text)
	return out
}

// sequence returns what makes the terminal take the text.
func (c *Clipboard) sequence(text string) string {
	plain := ansi.SetSystemClipboard(text)
	switch {
	case c.tmux: // it takes the plain one or the other, or none, by its settings
		return plain + ansi.TmuxPassthrough(plain)
	case c.screen:
		return ansi.ScreenPassthrough(plain, screenPiece)
	}
	return plain
}

// run gives a program the text and waits until it has taken it.
func run(ctx context.Context, name string, args []string, text string) error {
	ctx, cancel := context.WithTimeout(ctx, toolLimit)
	defer cancel()
	// Its output goes nowhere: these programs leave a copy of themselves behind, for which a pipe would wait.
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = strings.NewReader(text)
	cmd.WaitDelay = toolLimit
	return cmd.Run()
}

// Sure reports whether a program confirmed that the text is on the clipboard.
func (o Outcome) Sure() bool { return o.Tool != "" }

// Failed reports whether there was no way at all.
func (o Outcome) Failed() bool { return o.Tool == "" && o.Sequence == "" }

// Doubtful reports whether the text may be more than the terminal takes, and no program has it.
func (o Outcome) Doubtful() bool { return o.Tool == "" && o.Bytes > TerminalLimit }

// String says what became of the text, and no more than is known.
func (o Outcome) String() string {
	size := fmt.Sprintf("%d bytes", o.Bytes)
	if o.Bytes == 1 {
		size = "1 byte"
	}
	switch {
	case o.Sure():
		return fmt.Sprintf("copied (%s, %s)", size, o.Tool)
	case o.Failed():
		return fmt.Sprintf("not copied: %s, and at most %d are sent to a terminal", size, SendLimit)
	}
	said := "sent to the terminal (" + size + ")"
	if o.Tmux {
		said = "in tmux's buffer, and " + said
	}
	if o.Doubtful() {
		said += fmt.Sprintf(", some terminals take %d at most", TerminalLimit)
	}
	return said
}
