package ui

import (
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
)

// suspend gives the terminal back to the shell, as it was, and stops the program until the shell goes on with it.
func (m *Model) suspend() tea.Cmd {
	return m.lend(pause{m.stops}, func(err error) tea.Msg {
		if err != nil {
			return noticeMsg{levelWarn, "not suspended: " + err.Error()}
		}
		return nil
	})
}

// lend returns the command that gives the terminal, as it was, to something else for as long as that runs.
func (m *Model) lend(to tea.ExecCommand, back tea.ExecCallback) tea.Cmd {
	return tea.Exec(&loan{ExecCommand: to, whole: m.theme.cells.Method == ansi.GraphemeWidth}, back)
}

// loan takes the terminal back such that it measures as before: Bubble Tea switches mode 2027 off when it lends the terminal,
// and does not switch it on again.
type loan struct {
	tea.ExecCommand
	whole bool // the terminal measures whole characters
	out   io.Writer
}

// SetStdin hands on the terminal itself: of anything else a program would get a copy of what is typed, and end only after the next
// key.
func (l *loan) SetStdin(in io.Reader) {
	if r, ok := in.(*pasteReader); ok {
		in = r.File
	}
	l.ExecCommand.SetStdin(in)
}

// SetStdout notes where the terminal is.
func (l *loan) SetStdout(w io.Writer) {
	l.out = w
	l.ExecCommand.SetStdout(w)
}

// Run runs what has the terminal.
func (l *loan) Run() error {
	err := l.ExecCommand.Run()
	if l.whole && l.out != nil {
		_, _ = io.WriteString(l.out, ansi.SetModeUnicodeCore) // a terminal that is gone is noticed soon enough
	}
	return err
}

// stops are the requests from outside (kill -TSTP, a shell's suspend) that the program stop: the terminal must be as it was before
// it does. nil: nobody listens, and the kernel stops the program as it is.
type stops chan os.Signal

// stopMsg says that the program shall stop.
type stopMsg struct{}

// wait returns the command that waits for the next request.
func (s stops) wait() tea.Cmd {
	if s == nil {
		return nil
	}
	return func() tea.Msg {
		<-s
		return stopMsg{}
	}
}

// handle gives the terminal back and stops.
func (stopMsg) handle(m *Model) tea.Cmd { return tea.Batch(m.suspend(), m.stops.wait()) }

// errNoShell says that nobody could go on with the program, so that the kernel did not stop it.
var errNoShell = errors.New("no shell with job control is behind this terminal")

// stopsWithin is how long the kernel may take to stop the program.
const stopsWithin = 300 * time.Millisecond

// pause is what Bubble Tea runs while the terminal is not its own: it stops all processes of the job. (Bubble Tea's own way
// waits for ever where there is no shell with job control: the only program of an SSH session, a container or a tmux window.)
type pause struct{ stops stops }

// Run returns when the program has been stopped and goes on, or when it is known that it will not be stopped.
func (p pause) Run() error { return p.stops.byKernel(stopJob) }

func stopJob() error {
	resumed := make(chan os.Signal, 1)
	signal.Notify(resumed, syscall.SIGCONT)
	defer signal.Stop(resumed)
	if err := syscall.Kill(0, syscall.SIGTSTP); err != nil {
		return err
	}
	// The first timer has run out when the program goes on after a longer stop; the signal is then about to arrive.
	for range 2 {
		select {
		case <-resumed:
			return nil
		case <-time.After(stopsWithin / 2):
		}
	}
	return errNoShell
}

// SetStdin does nothing: the shell has the terminal itself.
func (pause) SetStdin(io.Reader) {}

// SetStdout does nothing.
func (pause) SetStdout(io.Writer) {}

// SetStderr does nothing.
func (pause) SetStderr(io.Writer) {}
