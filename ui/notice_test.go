package ui

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	tea "charm.land/bubbletea/v2"

	"peregrine/history"
	"peregrine/model/generate"
)

func TestALongErrorIsReadWhole(t *testing.T) {
	path := "/home/someone/" + strings.Repeat("deeply/", 12) + "nested.jsonl"
	err := fmt.Errorf("history: %w", &fs.PathError{Op: "open", Path: path, Err: syscall.EACCES})
	for name, message := range map[string]func(*Model) tea.Msg{
		"the backend":          func(*Model) tea.Msg { return switchedMsg{err} },
		"deleting a branch":    func(m *Model) tea.Msg { return prunedMsg{keep: m.chat.keep, err: err} },
		"deleting a file":      func(*Model) tea.Msg { return deletedMsg{err: err} },
		"bringing a file back": func(*Model) tea.Msg { return restoredMsg{path, err} },
		"a new name":           func(*Model) tea.Msg { return renamedMsg{path, "name", err} },
		"the context":          func(*Model) tea.Msg { return measuredMsg{err: err} },
		"another writer": func(m *Model) tea.Msg {
			return savedMsg{keep: m.chat.keep, err: errors.Join(history.ErrReadOnly, err)}
		},
		"leaving a draft": func(*Model) tea.Msg { return failedMsg{err} },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, Options{Store: openStore(t)})
			b.say("hi")
			b.send(message(b.m))
			b.send(message(b.m)) // it comes again, and stands there once
			screen := strings.Join(strings.Fields(b.screen()), "")
			if n := strings.Count(screen, "open"+path+":permissiondenied"); n != 1 {
				t.Errorf("the error stands there %d times in full, want once:\n%s", n, b.screen())
			}
			if !strings.HasPrefix(b.m.echo.notice.text, "permission denied") {
				t.Errorf("the line says %q, want what the system said", b.m.echo.notice.text)
			}
		})
	}
}

func TestNotesOfAModelAreSaidOnce(t *testing.T) {
	b := newBench(t, Options{})
	b.gen.set(func(i *generate.Info) { i.Ready = false })
	b.send(infoMsg{b.gen.Info()})
	b.gen.set(func(i *generate.Info) { i.Ready, i.Notes = true, []string{"the weights\tare kept"} })
	b.until("the model", func() bool { return b.m.info.Ready })
	b.idle()
	b.wantScreen("the weights")
	b.say("hi")
	b.send(infoMsg{b.gen.Info()})
	if strings.Contains(b.screen(), "the weights") {
		t.Error("the note is said again")
	}
}
