package ui

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	tea "charm.land/bubbletea/v2"

	"peregrine/history"
	"peregrine/model/generate"
	"peregrine/ui/escape"
)

// session is the conversation that is open: what of it is read, and its file.
type session struct {
	keep     *keeper
	leaving  *sync.WaitGroup // conversations that are still being saved and closed; every session has the same one
	file     *history.File   // nil until the first message is saved
	draft    draft
	path     []history.Message
	name     string
	readOnly string // why nothing can be written
	system   string
	template string
	limit    int        // of new tokens in a reply
	lost     error      // why the last message could not be saved
	warned   bool       // the user wanted to quit and was told of lost
	unsent   int        // messages at the start that the last turn left out
	gone     *deletions // the conversations that were deleted; every session has the same
	pruned   pruning    // the branch that was deleted last
	busy     bool       // the tree is being changed on disk: nothing may be said until it is known how
	revising revision
	ends     map[string]string // where the branch ended that was read below a version, by the version's id
}

// unsaved reports whether something waits for the disk, or has nowhere to go.
func (s *session) unsaved() bool { return s.lost != nil }

// last returns the last message of the branch.
func (s *session) last() (history.Message, bool) {
	if len(s.path) == 0 {
		return history.Message{}, false
	}
	return s.path[len(s.path)-1], true
}

// set adds a message, or replaces the one with its id.
func (s *session) set(msg history.Message) {
	for i := range s.path {
		if s.path[i].ID == msg.ID {
			s.path[i] = msg
			return
		}
	}
	s.path = append(s.path, msg)
}

// title is what the conversation is called.
func (s *session) title() string {
	if s.name != "" {
		return escape.Line(s.name)
	}
	for _, msg := range s.path {
		if msg.Role == generate.User {
			line, _, _ := strings.Cut(strings.TrimSpace(msg.Content), "\n")
			return escape.Line(line)
		}
	}
	return ""
}

// messages returns what is sent: the system text and the branch up to n messages.
func (s *session) messages(n int) []generate.Message {
	var out []generate.Message
	if s.system != "" {
		out = append(out, generate.Message{Role: generate.System, Content: s.system})
	}
	for _, msg := range s.path[:n] {
		out = append(out, generate.Message{Role: msg.Role, Content: msg.Content})
	}
	return out
}

// Messages that commands of the session return.
type (
	userSavedMsg struct {
		id   string // of the message
		keep *keeper
		err  error
	}
	savedMsg struct {
		keep *keeper
		err  error
		said string // what to say when it worked
	}
	openedMsg struct {
		file  *history.File
		err   error
		said  string
		draft draftMsg // its place, and what was left there
		moves bool     // what is typed goes along
	}
	deletedMsg struct {
		entry history.Entry
		undo  func() error
		err   error
	}
	restoredMsg struct {
		path string
		err  error
	}
	renamedMsg struct {
		path, name string
		err        error
	}
	retryMsg struct{ keep *keeper }
)

// header describes a new conversation.
func (m *Model) header() history.Header {
	return history.Header{
		Name: m.chat.name, Created: m.opt.Now(), Model: m.info.Model, Quantization: m.info.Quantization,
		Template: m.chat.template, System: m.chat.system, Context: m.info.Context,
	}
}

// saveUser saves what the user said.
func (m *Model) saveUser(msg history.Message) tea.Cmd {
	keep, header, path := m.chat.keep, m.header(), slices.Clone(m.chat.path)
	return func() tea.Msg { return userSavedMsg{msg.ID, keep, keep.save(header, path, msg)} }
}

// saveReply saves a finished reply, and what has changed about the conversation.
func (m *Model) saveReply(msg history.Message) tea.Cmd {
	keep, now, path := m.chat.keep, m.header(), slices.Clone(m.chat.path)
	note := keep.note(func(f *history.File) error {
		err := describe(f, now)
		h := f.Conversation().Header
		if h.Model == now.Model && h.Quantization == now.Quantization && h.Template == now.Template && h.Context == now.Context {
			return err
		}
		return errors.Join(err, f.SetHeader(now))
	})
	return func() tea.Msg {
		err := keep.save(now, path, msg)
		return savedMsg{keep: keep, err: errors.Join(err, note())}
	}
}

// retryAfter is how long a disk that refused is left alone.
const retryAfter = 3 * time.Second

// handle notes whether the conversation is safe, and tries again later when it is not.
func (msg savedMsg) handle(m *Model) tea.Cmd {
	if msg.keep != m.chat.keep {
		return nil
	}
	if m.chat.file == nil {
		if m.chat.file = msg.keep.current(); m.chat.file != nil && m.chat.draft.place != nil {
			m.chat.draft.place.Belong(m.chat.file.Path())
		}
	}
	was := m.chat.lost
	m.chat.lost = msg.err
	if msg.err == nil {
		m.chat.warned = false
		if was != nil {
			m.tell(levelInfo, "saved again")
		}
		if msg.said != "" {
			m.tell(levelInfo, msg.said)
		}
		return m.sentIsSafe()
	}
	m.opt.Log.Error("save", "error", msg.err)
	if errors.Is(msg.err, history.ErrReadOnly) && m.chat.file != nil {
		m.chat.readOnly, m.chat.lost = m.chat.file.ReadOnly(), nil
		m.fail(msg.err)
		return nil
	}
	if was == nil {
		m.transcript.add(newNotice(levelBad, "not saved: "+msg.err.Error()))
	}
	m.tell(levelBad, "not saved: "+reason(msg.err)+"; /save FILE.jsonl copies it elsewhere")
	keep := msg.keep
	return tea.Tick(retryAfter, func(time.Time) tea.Msg { return retryMsg{keep} })
}

// reason is what the system said, without the paths, so that it fits on a line.
func reason(err error) string {
	var code syscall.Errno
	if errors.As(err, &code) {
		return code.Error()
	}
	return err.Error()
}

// handle writes what waits.
func (msg retryMsg) handle(m *Model) tea.Cmd {
	if msg.keep != m.chat.keep || m.chat.lost == nil {
		return nil
	}
	return m.onFile("", (*history.File).Sync)
}

// onFile runs something that may wait for the disk and says the outcome.
func (m *Model) onFile(said string, change func(*history.File) error) tea.Cmd {
	keep := m.chat.keep
	run := keep.note(change)
	return func() tea.Msg { return savedMsg{keep, run(), said} }
}
