package ui

import (
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	tea "charm.land/bubbletea/v2"
)

// suspend gives the terminal back to the shell, as it was, and stops the program until the shell goes on with it.
func (m *Model) suspend() tea.Cmd {
	return tea.Exec(pause{}, func(err error) tea.Msg {
		if err != nil {
			return noticeMsg{levelWarn, "not suspended: " + err.Error()}
		}
		return nil
	})
}

// errNoShell says that nobody could go on with the program, so that the kernel did not stop it.
var errNoShell = errors.New("no shell with job control is behind this terminal")

// stopsWithin is how long the kernel may take to stop the program.
const stopsWithin = 300 * time.Millisecond

// pause is what Bubble Tea runs while the terminal is not its own: it stops all processes of the job. (Bubble Tea's own way
// waits for ever where there is no shell with job control: the only program of an SSH session, a container or a tmux window.)
type pause struct{}

// Run returns when the program has been stopped and goes on, or when it is known that it will not be stopped.
func (pause) Run() error {
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
