package ui

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/vt"
	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"peregrine/history"
	"peregrine/model/generate"
)

// childFolder names the variable that makes of this test binary the program that a test runs as a process of its own. Its
// value is the folder of the conversations.
const childFolder = "PEREGRINE_TEST_CONVERSATIONS"

// TestAsAProgram is no test: it is the program, when another test has started it as one.
func TestAsAProgram(*testing.T) {
	folder := os.Getenv(childFolder)
	if folder == "" {
		return
	}
	if err := chatAsAProgram(folder); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// chatAsAProgram chats with a model that says ten words and then waits until it is stopped. Some keys make it fail.
func chatAsAProgram(folder string) error {
	store, err := history.OpenStore(folder)
	if err != nil {
		return err
	}
	gen := newScript("")
	gen.reply = func(ctx context.Context, r generate.Request, w *generate.Writer) {
		text := ""
		for i := range 10 {
			word := fmt.Sprintf("word%d ", i)
			text += word
			w.Update(generate.Update{Phase: generate.Decoding, Text: word, Tokens: []generate.Token{{ID: int32(i)}}, PrefillDone: 20, PrefillTotal: 20})
		}
		<-ctx.Done()
		w.Update(generate.Update{Result: result(generate.FinishCancelled, text, nil, r.Sampling)})
	}
	return Run(context.Background(), Options{Generator: gen, Store: store}, tea.WithFilter(fail))
}

// fail makes keys mean failures.
func fail(model tea.Model, msg tea.Msg) tea.Msg {
	key, ok := msg.(tea.KeyPressMsg)
	if !ok {
		return msg
	}
	switch key.Keystroke() {
	case "f9":
		return failing{nil}
	case "f10":
		model.(*Model).overlay = bomb{}
	case "f11":
		return failing{func() tea.Msg { panic("in a command") }}
	case "f12":
		return failing{tea.Batch(func() tea.Msg { panic("in one of several commands") }, func() tea.Msg { return nil })}
	}
	return msg
}

// failing fails in Update, or in its command.
type failing struct{ cmd tea.Cmd }

func (f failing) handle(*Model) tea.Cmd {
	if f.cmd == nil {
		panic("in Update")
	}
	return f.cmd
}

// bomb is an overlay that cannot be drawn.
type bomb struct{ overlay }

func (bomb) press(*Model, tea.KeyPressMsg) tea.Cmd                 { return nil }
func (bomb) view(*Model, int, int) (lines []string, c *tea.Cursor) { panic("in View") }

// watchRaces returns the variable with which a program that has the race detector writes what it finds to files. At its end the test
// fails for each race but one: when Bubble Tea is killed, by a panic or its context, it closes its reader while that still looks at
// it (Program.shutdown does not wait for the read loop then). That would be the program's exit code too, which hence stays as it is.
func watchRaces(t *testing.T) (variable string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "race")
	t.Cleanup(func() {
		files, err := filepath.Glob(path + ".*")
		if err != nil {
			t.Error(err)
		}
		for _, name := range files {
			all, err := os.ReadFile(name)
			if err != nil {
				t.Error(err)
			}
			for report := range strings.SplitSeq(string(all), strings.Repeat("=", 18)) {
				closing := strings.Contains(report, "(*epollCancelReader).Close()") && strings.Contains(report, "(*epollCancelReader).wait()")
				if strings.Contains(report, "DATA RACE") && !closing {
					t.Errorf("the program has a race: %s", report)
				}
			}
		}
	})
	return "GORACE=exitcode=0 log_path=" + path
}

// startProgram runs the program as a process in a terminal of 80×24, by itself or from a shell with job control.
func startProgram(t *testing.T, folder string, shell bool) (*terminal, *os.Process) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"-test.run=^TestAsAProgram$"}
	cmd := exec.Command(self, args...)
	env := []string{watchRaces(t), childFolder + "=" + folder, "TERM=xterm-256color", "COLORTERM=truecolor", "HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH")}
	if shell {
		inputrc := filepath.Join(t.TempDir(), "inputrc") // the shell's own modes would be mistaken for the program's
		if err := os.WriteFile(inputrc, []byte("set enable-bracketed-paste off\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd = exec.Command("bash", "--norc", "--noprofile", "-i")
		env = append(env, "INPUTRC="+inputrc, "PS1=shell> ", "HISTFILE=")
	}
	cmd.Env = env
	master, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 24, Cols: 80})
	if err != nil {
		t.Fatalf("no pseudo-terminal: %v", err)
	}
	term := &terminal{t: t, master: closable(t, master), emu: vt.NewEmulator(80, 24), done: make(chan error, 1)}
	master = term.master
	_, _ = term.emu.WriteString("\x1b[?2026l\x1b[?2027l") // known, and off
	read := make(chan bool)
	go func() {
		defer close(read)
		buf := make([]byte, 1<<16)
		for {
			n, err := master.Read(buf)
			term.mu.Lock()
			term.raw = append(term.raw, buf[:n]...)
			_, _ = term.emu.Write(buf[:n])
			term.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	go func() { _, _ = io.Copy(master, term.emu) }()
	go func() {
		err := cmd.Wait()
		<-read
		term.done <- err
	}()
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = master.Close()
	})
	if shell {
		term.wait("shell>")
		term.send(self + " " + args[0] + enterKey)
	}
	return term, cmd.Process
}

// closable returns the same end of a pseudo-terminal as a file that can be closed while it is read.
func closable(t *testing.T, master *os.File) *os.File {
	t.Helper()
	fd, err := unix.Dup(int(master.Fd()))
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	if err == nil {
		err = master.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fd), master.Name())
}

// termios returns the settings of the line, false when there is none any more.
func (term *terminal) termios() (settings unix.Termios, ok bool) {
	conn, err := term.master.SyscallConn()
	if err != nil {
		return settings, false
	}
	_ = conn.Control(func(fd uintptr) {
		if now, err := unix.IoctlGetTermios(int(fd), unix.TCGETS); err == nil {
			settings, ok = *now, true
		}
	})
	return settings, ok
}

// left lists what the program has changed about the terminal so far and not put back.
func (term *terminal) left() []string {
	term.mu.Lock()
	defer term.mu.Unlock()
	return modesOf(string(term.raw)).left()
}

// behind returns what was written when the program's screen was left.
func (term *terminal) behind() string {
	term.mu.Lock()
	defer term.mu.Unlock()
	_, tail, _ := strings.Cut(string(term.raw), "\x1b[?1049l")
	return tail
}

// answer waits for the answer's words.
func (term *terminal) answer() {
	term.t.Helper()
	term.wait("Write a message")
	term.send("go", enterKey)
	term.wait("word9", "Esc stops")
}

// over waits for the end of the program.
func (term *terminal) over() error {
	term.t.Helper()
	select {
	case err := <-term.done:
		return err
	case <-time.After(20 * time.Second):
		term.t.Fatalf("the program did not end:\n%s", term.screen())
		return nil
	}
}
