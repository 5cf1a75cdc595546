package ui

import (
	"fmt"
	"slices"

	tea "charm.land/bubbletea/v2"

	"peregrine/history"
	"peregrine/model/generate"
)

// What one does with the conversation's tree: read another version of a message, make one, delete one. The tree is the
// file's; on the screen is one branch of it, session.path.

// revision is a message of the user's that is being written anew.
type revision struct {
	id    string  // of the message; "": none
	shown []unit  // its text as it stood in the field at first
	draft *editor // the draft from before, which comes back afterwards; nil: none
}

// untouched reports whether text is that of the message as it was.
func (r revision) untouched(text []unit) bool { return r.id != "" && same(r.shown, text) }

// before returns the draft from before, an empty one where there was none.
func (r revision) before() *editor {
	if r.draft == nil {
		return newEditor()
	}
	return r.draft
}

// pruning is a deletion of a branch of the conversation on the screen.
type pruning struct {
	undo   func() error // nil: there was none
	before *pruning
	after  int // so many conversations had been deleted
}

// Messages about branches.
type (
	prunedMsg struct {
		keep *keeper
		undo func() error // nil: nothing was deleted
		err  error
	}
	unprunedMsg struct {
		keep *keeper
		err  error
	}
)

// tree returns the conversation with all its versions. It says why there is none.
func (m *Model) tree() (*history.Conversation, bool) {
	last, said := m.chat.last()
	switch {
	case !said && m.chat.file == nil:
		m.tell(levelInfo, "nothing has been said yet")
		return nil, false
	case m.chat.file == nil:
		m.tell(levelWarn, "versions are kept in the conversation's file, and it has none; /save FILE.jsonl makes one")
		return nil, false
	}
	c := m.chat.file.Conversation()
	if _, saved := c.Message(last.ID); said && !saved {
		m.tell(levelWarn, "the last message is still being saved; try again")
		return nil, false
	}
	return c, true
}

// idle reports whether another branch can be shown now, and says why not.
func (m *Model) idle() bool {
	switch {
	case m.turn != nil:
		m.tell(levelWarn, "still answering; "+m.keys.label(actStop)+" stops it")
	case m.chat.busy:
		m.tell(levelWarn, "the disk is at work; try again")
	default:
		return true
	}
	return false
}

// show makes path the branch on the screen. What it has in common with the present one stays as it is, notices included.
func (m *Model) show(path []history.Message) {
	same := 0
	for same < len(path) && same < len(m.chat.path) && path[same].ID == m.chat.path[same].ID {
		same++
	}
	if same < len(m.chat.path) {
		if m.chat.ends == nil {
			m.chat.ends = map[string]string{}
		}
		m.chat.ends[m.chat.path[same].ID] = m.chat.path[len(m.chat.path)-1].ID
	}
	var more []*item
	for _, msg := range path[same:] {
		more = append(more, newMessage(msg))
	}
	m.transcript.replaceFrom(same, more)
	m.chat.path = slices.Clip(slices.Clone(path))
	m.markVersions()
	m.meters.used = 0
}

// markVersions says at each message which version it is.
func (m *Model) markVersions() {
	if m.chat.file == nil {
		return
	}
	c := m.chat.file.Conversation()
	for _, it := range m.transcript.items {
		if _, saved := c.Message(it.message.ID); !saved {
			continue
		}
		if v := versionOf(c, it.message.ID); v != it.version {
			it.version = v
			it.changed()
		}
	}
}

// setLeaf notes in the file which branch is read, unless another is by then.
func (m *Model) setLeaf(id string) tea.Cmd {
	keep, turn := m.chat.keep, m.chat.keep.turns.Add(1)
	return m.onFile("", func(f *history.File) error {
		if keep.turns.Load() != turn {
			return nil
		}
		return f.SetLeaf(id)
	})
}

// version shows another version of message i of the branch, so many steps to the right of it.
func (m *Model) version(i, steps int) tea.Cmd {
	if i < 0 || i >= len(m.chat.path) || !m.idle() {
		return nil
	}
	c, ok := m.tree()
	if !ok {
		return nil
	}
	versions := c.Siblings(m.chat.path[i].ID)
	at := slices.Index(versions, m.chat.path[i].ID)
	switch to := at + steps; {
	case len(versions) < 2:
		m.tell(levelInfo, "there is one version of this message")
	case to < 0 || to >= len(versions):
		m.tell(levelInfo, fmt.Sprintf("this is version %d of %d", at+1, len(versions)))
	default:
		return m.goTo(c, versions[to])
	}
	return nil
}

// goTo shows the branch that a message is on, down to where it was read before, or else to its newest end.
func (m *Model) goTo(c *history.Conversation, id string) tea.Cmd {
	tip := m.chat.ends[id]
	path := c.Path(tip)
	if !slices.ContainsFunc(path, func(msg history.Message) bool { return msg.ID == id }) {
		tip = c.Tip(id)
		path = c.Path(tip)
	}
	m.show(path)
	m.tell(levelInfo, "version "+versionOf(c, id))
	return tea.Batch(m.setLeaf(tip), m.measure())
}

// again answers message i of the branch once more, or the message that it answers, as another version.
func (m *Model) again(i int) tea.Cmd {
	path, cut := m.chat.path, i+1
	if path[i].Role == generate.Assistant {
		cut = i
	}
	if !m.ready() {
		return nil
	}
	if cut == 0 {
		m.tell(levelWarn, "there is no message to answer")
		return nil
	}
	if len(path)-cut > 1 { // what follows must have a place to stay
		if _, ok := m.tree(); !ok {
			return nil
		}
	}
	m.show(path[:cut])
	m.prepare(m.request(cut), history.Message{})
	if cut < len(path) {
		m.turn.oldPath = path
	}
	m.transcript.toEnd()
	return m.begin()
}

// revise puts message i of the branch, one of the user's, into the field. Sending it makes another version.
func (m *Model) revise(i int) tea.Cmd {
	if !m.ready() {
		return nil
	}
	if _, ok := m.tree(); !ok {
		return nil
	}
	m.leaveRevision()
	m.walkBack()
	r := revision{id: m.chat.path[i].ID}
	if !m.composer.empty() {
		r.draft = m.composer.keep()
	}
	text := m.chat.path[i].Content
	if text != "" && text[0] == '/' {
		text = "/" + text // a message, not a command
	}
	if len(text) > foldRevised {
		m.composer.paste(text)
	} else {
		m.composer.set(text)
	}
	r.shown = m.composer.text
	m.chat.revising = r
	m.refresh()
	return nil
}

// foldRevised is the size in bytes beyond which a message stands in the field as a mark: it would be slow to edit there.
const foldRevised = 64 << 10

// leaveRevision gives up writing a message anew, and reports whether one was. What stands in the field can be had again, and
// the draft from before comes back.
func (m *Model) leaveRevision() bool {
	if m.chat.revising.id == "" {
		return false
	}
	m.walkBack()
	m.endRevision()
	m.refresh()
	return true
}

// endRevision puts the draft from before a revision back into the field. What stands there can be had again.
func (m *Model) endRevision() {
	r, c := m.chat.revising, &m.composer
	m.chat.revising = revision{}
	text := c.take()
	if r.draft != nil {
		c.recall()
	}
	if len(text.text) > 0 {
		if !same(text.text, r.shown) {
			c.typed(text.text)
		}
		c.kept = append(c.kept, text)
	}
}

// sayRevised sends what the user has made of an earlier message, as another version of it.
func (m *Model) sayRevised(text string) tea.Cmd {
	c, ok := m.tree()
	if !ok {
		return nil
	}
	r, draft := m.chat.revising, m.composer.sent()
	m.endRevision()
	msg, there := c.Message(r.id)
	if !there { // deleted meanwhile
		return m.say(text, draft)
	}
	old := m.chat.path
	m.show(c.Path(msg.ParentID))
	cmd := m.say(text, draft)
	m.turn.oldPath, m.turn.revised = old, r.id
	return cmd
}

// prune deletes message i of the branch and all that follows it, in all versions.
func (m *Model) prune(i int) tea.Cmd {
	if !m.idle() || m.protected() {
		return nil
	}
	if _, ok := m.tree(); !ok {
		return nil
	}
	m.chat.busy = true
	keep, id := m.chat.keep, m.chat.path[i].ID
	var undo func() error
	run := keep.note(func(f *history.File) (err error) {
		undo, err = f.DeleteBranch(id)
		return err
	})
	return func() tea.Msg {
		err := run() // before undo is looked at
		return prunedMsg{keep, undo, err}
	}
}

// handle shows what is left, and how the rest comes back.
func (msg prunedMsg) handle(m *Model) tea.Cmd {
	if msg.keep != m.chat.keep {
		return nil
	}
	m.chat.busy = false
	if msg.undo == nil {
		if msg.err != nil {
			m.fail(msg.err)
		}
		return nil
	}
	before := m.chat.pruned
	m.chat.pruned = pruning{undo: msg.undo, before: &before, after: m.chat.gone.count}
	m.reread()
	m.tell(levelInfo, "deleted; /undo brings it back")
	return tea.Batch(savedMsg{keep: msg.keep, err: msg.err}.handle(m), m.measure())
}

// unprune brings the branch back that was deleted last.
func (m *Model) unprune() tea.Cmd {
	if !m.idle() {
		return nil
	}
	undo := m.chat.pruned.undo
	keep := m.chat.keep
	m.chat.busy, m.chat.pruned = true, *m.chat.pruned.before
	run := keep.note(func(*history.File) error { return undo() })
	return func() tea.Msg { return unprunedMsg{keep, run()} }
}

// handle shows the branch that was brought back.
func (msg unprunedMsg) handle(m *Model) tea.Cmd {
	if msg.keep != m.chat.keep {
		return nil
	}
	m.chat.busy = false
	m.reread()
	m.tell(levelInfo, "it is back")
	return tea.Batch(savedMsg{keep: msg.keep, err: msg.err}.handle(m), m.measure())
}

// reread shows the branch that the file says is read.
func (m *Model) reread() {
	c := m.chat.file.Conversation()
	m.show(c.Path(c.Leaf()))
	if s, ok := m.overlay.(*selector); ok {
		s.settle(m)
	}
}

// protected reports whether nothing may be written, and says so.
func (m *Model) protected() bool {
	if m.chat.readOnly == "" {
		return false
	}
	m.tell(levelWarn, "read-only: "+m.chat.readOnly+"; /save FILE.jsonl goes on in a copy")
	return true
}
