package ui

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// multiplexer is a tmux server of the test's own, with the program in its only pane.
type multiplexer struct {
	t   *testing.T
	env []string
}

// inTmux starts the program in tmux, which is set up as its manual says for keys with modifiers. PEREGRINE_REQUIRE_TMUX makes its
// absence a failure.
func inTmux(t *testing.T, folder string) *multiplexer {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		if os.Getenv("PEREGRINE_REQUIRE_TMUX") != "" {
			t.Fatalf("%v, and PEREGRINE_REQUIRE_TMUX is set; install tmux", err)
		}
		t.Skipf("NOT TESTED: keys in tmux: %v; install it", err)
	}
	sockets, err := os.MkdirTemp("", "tmux") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(sockets, "conf")
	if err := os.WriteFile(config, []byte("set -s extended-keys on\nset -s escape-time 0\nset -g status off\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tm := &multiplexer{t, append(os.Environ(), watchRaces(t), "TMUX=", "TMUX_TMPDIR="+sockets, childFolder+"="+folder, "TERM=xterm-256color")}
	t.Cleanup(func() {
		tm.end()
		_ = os.RemoveAll(sockets)
	})
	tm.run("-f", config, "new-session", "-d", "-x", "80", "-y", "24", "'"+self+"' '-test.run=^TestAsAProgram$'")
	return tm
}

func (tm *multiplexer) command(args ...string) *exec.Cmd {
	cmd := exec.Command("tmux", args...)
	cmd.Env = tm.env
	return cmd
}

// end quits the program and waits until it has ended: what it saves at its end goes to a folder that the test takes away. The server
// ends with its only pane.
func (tm *multiplexer) end() {
	for start := time.Now(); time.Since(start) < 20*time.Second; time.Sleep(50 * time.Millisecond) {
		if tm.command("send-keys", "C-c").Run() != nil {
			return
		}
	}
	tm.t.Error("the program does not end by ctrl+c")
	_ = tm.command("kill-server").Run()
}

// run gives tmux a command and returns what it prints.
func (tm *multiplexer) run(args ...string) string {
	tm.t.Helper()
	out, err := tm.command(args...).CombinedOutput()
	if err != nil {
		tm.t.Errorf("tmux %q: %v: %s", args, err, out)
	}
	return string(out)
}

// wait waits until the pane shows all the texts.
func (tm *multiplexer) wait(texts ...string) {
	tm.t.Helper()
	shown := ""
	for start := time.Now(); time.Since(start) < 20*time.Second; time.Sleep(20 * time.Millisecond) {
		shown = tm.run("capture-pane", "-p")
		missing := false
		for _, text := range texts {
			missing = missing || !strings.Contains(shown, text)
		}
		if !missing {
			return
		}
	}
	tm.t.Fatalf("the pane does not show %q:\n%s", texts, shown)
}

func TestNewlineKeysInTmux(t *testing.T) {
	tm := inTmux(t, t.TempDir())
	tm.wait("Write a message")
	for _, key := range []string{"C-j", "M-Enter", "S-Enter"} {
		tm.run("send-keys", "-l", "before "+key)
		tm.run("send-keys", key)
	}
	tm.run("send-keys", "-l", "the end")
	tm.wait("❯ before C-j\n", "  before M-Enter\n", "  before S-Enter\n", "  the end\n")
	if shown := tm.run("capture-pane", "-p"); strings.Contains(shown, "┃") {
		t.Errorf("a key that starts a line has sent something:\n%s", shown)
	}
	tm.run("send-keys", "Enter")
	tm.wait("┃ before C-j\n", "┃ before M-Enter\n", "┃ before S-Enter\n", "┃ the end\n", "word9")
}
