package ui

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	tea "charm.land/bubbletea/v2"

	"peregrine/history"
	"peregrine/ui/escape"
)

// open opens another conversation with what get returns. The present one is closed afterwards.
func (m *Model) open(get func() (*history.File, error)) tea.Cmd {
	store := m.opt.Store
	return func() tea.Msg { return opened(store, get) }
}

// opened opens a conversation and finds what was left of its draft.
func opened(store Store, get func() (*history.File, error)) openedMsg {
	f, err := get()
	msg := openedMsg{file: f, err: err}
	if err == nil && store != nil {
		msg.draft.place, msg.draft.text, msg.draft.err = store.Draft(f.Path())
	}
	return msg
}

// openFile opens a file anywhere on disk, whether conversations are kept or not.
func (m *Model) openFile(path string) tea.Cmd {
	get := history.Open
	if m.opt.Store != nil {
		get = m.opt.Store.Open
	}
	return m.open(func() (*history.File, error) { return get(path) })
}

// openAtStart opens what the options ask for.
func (m *Model) openAtStart() tea.Cmd {
	store := m.opt.Store
	switch {
	case m.opt.Open != "":
		return m.openFile(m.opt.Open)
	case store == nil:
		return nil
	case !m.opt.Resume && m.opt.Name == "":
		return m.findDraft()
	case m.opt.Name != "":
		return m.open(func() (*history.File, error) { return store.OpenID(m.opt.Name) })
	}
	return m.open(func() (*history.File, error) {
		path, err := store.Latest()
		if err != nil {
			return nil, err
		}
		return store.Open(path)
	})
}

// handle shows a conversation that was opened.
func (msg openedMsg) handle(m *Model) tea.Cmd {
	if msg.err != nil {
		text := msg.err.Error()
		if errors.Is(msg.err, history.ErrNotFound) && m.opt.Store != nil {
			text += "; /conversations lists those that are saved"
		}
		m.transcript.add(newNotice(levelBad, text))
		m.transcript.toEnd()
		if m.chat.draft.place == nil && m.chat.file == nil {
			return m.findDraft() // at the start; else it is found already
		}
		return nil
	}
	if m.chat.file != nil && samePath(m.chat.file.Path(), msg.file.Path()) {
		m.tell(levelInfo, "this conversation is open already")
		return tea.Batch(closeFile(msg.file), closeDraft(msg.draft.place))
	}
	leave := m.leave(msg.moves || m.draftMoves(msg.draft.text))
	c := msg.file.Conversation()
	m.chat = session{
		keep: &keeper{store: m.opt.Store, file: msg.file}, leaving: m.chat.leaving, gone: m.chat.gone, file: msg.file, path: c.Path(c.Leaf()), name: c.Header.Name, readOnly: msg.file.ReadOnly(),
		system: c.Header.System, template: m.opt.Template, limit: m.chat.limit,
	}
	if m.chat.template == "" {
		m.chat.template = c.Header.Template
	}
	items := make([]*item, 0, len(m.chat.path)+1)
	if m.chat.system != "" {
		items = append(items, newNotice(levelInfo, "system: "+m.chat.system))
	}
	for _, msg := range m.chat.path {
		it := newMessage(msg)
		it.version = versionOf(c, msg.ID)
		items = append(items, it)
	}
	for _, w := range c.Warnings {
		items = append(items, newNotice(levelWarn, w))
	}
	if m.chat.readOnly != "" {
		items = append(items, newNotice(levelWarn, "read-only: "+m.chat.readOnly+". /save FILE.jsonl goes on in a copy"))
	}
	m.transcript.reset(items)
	m.meters = meters{limit: m.meters.limit}
	m.restoreDraft(msg.draft.place, msg.draft.text, msg.draft.err)
	if msg.said != "" {
		m.tell(levelInfo, msg.said)
	}
	return tea.Batch(leave, m.measure())
}

// samePath reports whether two paths are one, as far as their spelling tells.
func samePath(a, b string) bool {
	x, errX := filepath.Abs(a)
	y, errY := filepath.Abs(b)
	return errX == nil && errY == nil && x == y
}

// leave ends what goes on in the conversation and saves it to its file, and the draft beside it, unless that moves to the
// conversation that is shown next.
func (m *Model) leave(draftMoves bool) tea.Cmd {
	save, leaving := m.parting(), m.chat.leaving
	text, moving := m.unsent(), m.draftEditor()
	if draftMoves {
		text.text = nil
	} else {
		moving = nil
	}
	saveDraft := m.partDraft(text)
	m.leaveComposer(moving)
	leaving.Add(1)
	return func() tea.Msg {
		defer leaving.Done()
		err := save()
		if err = errors.Join(err, saveDraft(err == nil)); err != nil {
			return failedMsg{err}
		}
		return nil
	}
}

// parting returns what is left to do when the conversation is left. It may wait for the reply to end and for the disk.
func (m *Model) parting() func() error {
	t, keep, header, path := m.turn, m.chat.keep, m.header(), slices.Clone(m.chat.path)
	m.turn = nil
	return func() error {
		if t != nil {
			if reply, said := t.settle(); said {
				s := session{path: path}
				s.set(reply)
				path = s.path
			}
		}
		return keep.close(header, path)
	}
}

// versionOf says which of how many versions a message is, "" when it is the only one.
func versionOf(c *history.Conversation, id string) string {
	versions := c.Siblings(id)
	if len(versions) < 2 {
		return ""
	}
	for i, v := range versions {
		if v == id {
			return fmt.Sprintf("%d/%d", i+1, len(versions))
		}
	}
	return ""
}

// closeFile closes a file that is not needed.
func closeFile(file *history.File) tea.Cmd {
	return func() tea.Msg {
		if err := file.Close(); err != nil {
			return failedMsg{err}
		}
		return nil
	}
}

// fresh starts a new conversation.
func (m *Model) fresh() tea.Cmd {
	leave := m.leave(m.draftMoves(history.Text{}))
	m.blank()
	return tea.Batch(leave, m.findDraft())
}

// blank shows a conversation in which nothing was said. What was there must have been taken care of.
func (m *Model) blank() {
	m.chat = session{
		keep: &keeper{store: m.opt.Store}, leaving: m.chat.leaving, gone: m.chat.gone,
		system: m.opt.System, template: m.chat.template, limit: m.chat.limit,
	}
	m.transcript.reset(nil)
	m.meters = meters{limit: m.meters.limit}
}

// remove deletes a conversation. The open one is closed first, and a new one begins.
func (m *Model) remove(e history.Entry) tea.Cmd {
	store, path := m.opt.Store, e.Path
	release := func() error { return nil }
	var find tea.Cmd
	if m.chat.file != nil && m.chat.file.Path() == path {
		keep, t, place := m.chat.keep, m.turn, m.chat.draft.place
		m.turn = nil
		m.leaveComposer(m.draftEditor())
		m.blank()
		find = m.findDraft()
		release = func() error {
			if t != nil {
				t.settle()
			}
			var err error
			if place != nil { // what is typed goes along
				_ = place.Set(unsent{}.kept) // Close says what is wrong
				err = place.Close()
			}
			return errors.Join(keep.discard(), err)
		}
	}
	return tea.Batch(find, func() tea.Msg {
		if err := release(); err != nil {
			return deletedMsg{err: err}
		}
		undo, err := store.Delete(path)
		return deletedMsg{e, undo, err}
	})
}

// rename names a conversation, the open one or another.
func (m *Model) rename(path, name string) tea.Cmd {
	name = history.CleanName(name)
	if m.chat.file != nil && m.chat.file.Path() == path {
		m.chat.name = name
		run := m.chat.keep.note(func(f *history.File) error { return f.SetName(name) })
		return func() tea.Msg { return renamedMsg{path, name, run()} }
	}
	store := m.opt.Store
	return func() tea.Msg { return renamedMsg{path, name, store.Rename(path, name)} }
}

// copyTo writes a copy of the conversation. From a read-only one the chat goes on in the copy.
func (m *Model) copyTo(path string) tea.Cmd {
	file, store, move := m.chat.file, m.opt.Store, m.chat.readOnly != ""
	path = expandHome(path)
	if file == nil {
		return m.saveAt(path)
	}
	said := "a copy is in " + escape.Line(path)
	return func() tea.Msg {
		if err := file.CopyTo(path); err != nil {
			return failedMsg{fmt.Errorf("no copy in %s: %w", path, err)}
		}
		if !move {
			return noticeMsg{levelInfo, said}
		}
		msg := opened(store, func() (*history.File, error) { return history.Open(path) })
		msg.said, msg.moves = "this is the copy "+escape.Line(path), true
		return msg
	}
}

// saveAt makes the file of a conversation that has none, because there is no store. It goes on there.
func (m *Model) saveAt(path string) tea.Cmd {
	if len(m.chat.path) == 0 || m.opt.Store != nil { // with a store there is a file as soon as something is said
		m.tell(levelWarn, "nothing to save yet: say something first")
		return nil
	}
	keep, header, messages := m.chat.keep, m.header(), slices.Clone(m.chat.path)
	said := "the conversation is kept in " + escape.Line(path)
	return func() tea.Msg {
		if err := keep.createAt(path, header, messages); err != nil {
			return failedMsg{fmt.Errorf("not saved in %s: %w", path, err)}
		}
		return savedMsg{keep: keep, said: said}
	}
}

// expandHome replaces a ~ at the start of a path.
func expandHome(path string) string {
	home, err := os.UserHomeDir()
	if err != nil {
		return path
	}
	return history.ExpandHome(path, home)
}
