package ui

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"
)

// Switcher is a Generator that can load its model on another backend, such as the CPU after a GPU was lost.
type Switcher interface {
	Backends() []string
	// Instead returns the backend that goes on after an error of a GPU; "" after any other error, which would meet it too.
	Instead(err error) string
	// UseBackend ends what runs and starts loading; it waits for the memory of the old backend to be given back.
	UseBackend(name string) error
}

// backends lists what /backend takes.
func backends(m *Model) []string {
	if s, ok := m.opt.Generator.(Switcher); ok {
		return s.Backends()
	}
	return nil
}

// switchedMsg is the end of a change of backend: loading has begun.
type switchedMsg struct{ err error }

func (m *Model) backendCommand(name string) tea.Cmd {
	s, ok := m.opt.Generator.(Switcher)
	switch {
	case name == "" && ok:
		m.tell(levelInfo, fmt.Sprintf("backend %s; there are %s", m.info.Backend, strings.Join(s.Backends(), ", ")))
		return nil
	case !ok:
		m.tell(levelWarn, "the backend cannot be changed here; start again with --backend")
		return nil
	case m.turn != nil:
		m.tell(levelWarn, "still answering; "+m.keys.label(actStop)+" stops it")
		return nil
	}
	m.info.Ready, m.info.Progress, m.info.Err = false, 0, nil
	m.meters.limit = 0
	m.hint()
	return func() tea.Msg { return switchedMsg{s.UseBackend(name)} }
}

// handle looks at the new engine.
func (msg switchedMsg) handle(m *Model) tea.Cmd {
	if msg.err != nil {
		m.fail(msg.err)
	}
	return m.look(0)
}

// wayOut says how to go on after an error of a GPU, without which the program can do; it is empty after any other.
func (m *Model) wayOut(err error) string {
	if s, ok := m.opt.Generator.(Switcher); ok {
		if name := s.Instead(err); name != "" {
			return ", /backend " + name + " goes on without the GPU"
		}
	}
	return ""
}
