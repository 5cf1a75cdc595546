package ui

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
)

// Run shows the chat until the user quits, the terminal goes away or ctx ends. What was said is saved in any case, a reply
// that is being written included. The terminal must be one; the caller checks that.
func Run(ctx context.Context, opt Options, more ...tea.ProgramOption) error {
	// Bubble Tea handles SIGINT and SIGTERM; a terminal that is closed sends SIGHUP.
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGHUP)
	defer stop()
	m := New(opt)
	m.stops = newStops()
	defer m.stops.close()
	more = append([]tea.ProgramOption{tea.WithContext(ctx), tea.WithInput(&pasteReader{File: os.Stdin})}, more...)
	if opt.NoColor { // Bubble Tea itself takes only some values of NO_COLOR for a yes
		more = append(more, tea.WithColorProfile(colorprofile.ASCII))
	}
	_, err := tea.NewProgram(m, more...).Run()
	if errors.Is(err, tea.ErrInterrupted) || ctx.Err() != nil && errors.Is(err, tea.ErrProgramKilled) {
		err = nil // asked to end, not broken
	}
	return errors.Join(err, m.close())
}

// close ends the reply that is being written, saves it and closes the conversation.
func (m *Model) close() error {
	defer m.downloadEnds()() // behind what would be lost
	saveDraft, keep, err := m.partDraft(m.unsent()), m.chat.keep, m.parting()()
	draftErr := saveDraft(err == nil)
	if err := m.composer.log.flush(); err != nil {
		m.opt.Log.Error("inputs", "error", err)
	}
	left := make(chan struct{})
	go func() {
		m.chat.leaving.Wait()
		close(left)
	}()
	select {
	case <-left:
	case <-time.After(settleWithin): // a disk that hangs
	}
	if draftErr != nil {
		draftErr = fmt.Errorf("the draft is not saved: %w", draftErr)
	}
	if err != nil {
		where := ""
		if file := keep.current(); file != nil {
			where = file.Path() + ": "
		}
		err = fmt.Errorf("the end of the conversation is not saved: %s%s", where, reason(err)) // nobody will try again
	}
	return errors.Join(err, draftErr)
}
