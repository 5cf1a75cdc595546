package ui

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"peregrine/history"
	"peregrine/model/generate"
)

// wantReply makes sure that the reply so far was saved.
func wantReply(t *testing.T, folder string) {
	t.Helper()
	store, err := history.OpenStore(folder)
	if err != nil {
		t.Fatal(err)
	}
	path, err := store.Latest()
	if err != nil {
		t.Fatal(err)
	}
	if got := readBack(t, path); len(got) != 2 || !strings.HasSuffix(got[1].Content, "word9 ") || got[1].Finish != generate.FinishCancelled {
		t.Errorf("got %+v, want the reply so far", got)
	}
}

func TestTheTerminalIsAsBeforeHoweverTheProgramEnds(t *testing.T) {
	signalled := func(s os.Signal) func(*terminal, *os.Process) {
		return func(term *terminal, p *os.Process) {
			if err := p.Signal(s); err != nil {
				term.t.Error(err)
			}
		}
	}
	keys := func(keys ...string) func(*terminal, *os.Process) {
		return func(term *terminal, _ *os.Process) { term.send(keys...) }
	}
	for name, c := range map[string]struct {
		end   func(*terminal, *os.Process)
		fails string // what standard error says
	}{
		"ctrl+d":                             {keys(ctrlD), ""},
		"ctrl+c twice":                       {keys(ctrlC, ctrlC), ""},
		"quit":                               {keys("/quit", enterKey), ""},
		"quit without the mouse":             {keys("/mouse off", enterKey, ctrlD), ""},
		"SIGTERM":                            {signalled(syscall.SIGTERM), ""},
		"SIGHUP":                             {signalled(syscall.SIGHUP), ""},
		"SIGINT":                             {signalled(syscall.SIGINT), ""},
		"a panic in Update":                  {keys("\x1b[20~"), "in Update"},
		"a panic in View":                    {keys("\x1b[21~"), "in View"},
		"a panic in a command":               {keys("\x1b[23~"), "in a command"},
		"a panic in one of several commands": {keys("\x1b[24~"), "experienced a panic"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			term, process := startProgram(t, folder, false)
			before := fresh(t)
			term.answer()
			set := term.left()
			for _, mode := range []string{"mode 1049", "mode 1002", "mode 1006", "mode 2004", "mode 2027", "kitty entries", "other keys", "title"} {
				if !strings.Contains(strings.Join(set, ", "), mode) {
					t.Errorf("%s is not set while the program runs, so this proves nothing: %v", mode, set)
				}
			}
			raw, ok := term.termios()
			if !ok || raw == before {
				t.Errorf("the line is not raw while the program runs: %+v", raw)
			}
			c.end(term, process)
			err := term.over()
			if failed := err != nil; failed != (c.fails != "") {
				t.Errorf("the program ended with %v; behind the screen there is:\n%s", err, term.behind())
			}
			if left := term.left(); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
			if got, ok := term.termios(); !ok || got != before {
				t.Errorf("the settings of the line are %+v, were %+v", got, before)
			}
			if tail := term.behind(); !strings.Contains(tail, c.fails) {
				t.Errorf("behind the screen there is %q, want %q in it", tail, c.fails)
			}
			wantReply(t, folder)
		})
	}
}

// fresh returns the settings of a line that nobody has touched.
func fresh(t *testing.T) unix.Termios {
	t.Helper()
	master, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = master.Close(), tty.Close() }()
	settings, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return *settings
}

func TestAClosedTerminalKeepsTheReply(t *testing.T) {
	folder := t.TempDir()
	term, _ := startProgram(t, folder, false)
	term.answer()
	_ = term.master.Close()
	if err := term.over(); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() < 0 {
			t.Errorf("the program ended with %v", err)
		}
	}
	wantReply(t, folder)
}

const ctrlZ = "\x1a"

func TestTheShellGetsTheTerminalAndGivesItBack(t *testing.T) {
	folder := t.TempDir()
	term, _ := startProgram(t, folder, true)
	term.answer()
	for _, stop := range []func(){
		func() { term.send(ctrlZ) },
		func() { // another program asks
			conn, err := term.master.SyscallConn()
			if err != nil {
				t.Fatal(err)
			}
			_ = conn.Control(func(fd uintptr) {
				job, err := unix.IoctlGetInt(int(fd), unix.TIOCGPGRP)
				if err == nil {
					err = unix.Kill(job, unix.SIGTSTP)
				}
				if err != nil {
					t.Error(err)
				}
			})
		},
		func() { term.send(ctrlZ) },
	} {
		before := term.screen()
		during := term.left()
		if len(during) == 0 {
			t.Fatal("nothing is set while the program runs, so this proves nothing")
		}
		stop()
		term.wait("Stopped", "shell>")
		if left := term.left(); len(left) > 0 {
			t.Errorf("left behind while the shell has the terminal: %v", left)
		}
		if s := term.screen(); strings.Contains(s, "word9") {
			t.Errorf("the shell's screen has the program's text:\n%s", s)
		}
		term.send("echo from the $((1+1))nd program", enterKey)
		term.wait("from the 2nd program")
		term.send("fg", enterKey)
		term.wait("word9", "Esc stops")
		term.quiet(100 * time.Millisecond)
		if after := term.screen(); after != before {
			t.Errorf("the screen is\n%s\nand was\n%s", after, before)
		}
		if got := fmt.Sprint(term.left()); got != fmt.Sprint(during) {
			t.Errorf("set after fg: %v, before: %v", got, during)
		}
	}
	term.send("typed")
	term.wait("❯ typed")
	term.send(ctrlC, ctrlD)
	term.wait("shell>")
	term.send("exit", enterKey)
	if err := term.over(); err != nil {
		t.Errorf("the shell ended with %v", err)
	}
	if left := term.left(); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	wantReply(t, folder)
}

func TestWithoutAShellTheProgramIsNotSuspended(t *testing.T) {
	term, _ := startProgram(t, t.TempDir(), false)
	term.answer()
	term.send(ctrlZ)
	term.wait("not suspended: no shell with job control", "word9")
	term.send("typed")
	term.wait("❯ typed")
	term.send(ctrlC, ctrlD)
	if err := term.over(); err != nil {
		t.Errorf("the program ended with %v", err)
	}
	if left := term.left(); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
