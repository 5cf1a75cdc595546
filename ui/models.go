package ui

import (
	"fmt"

	tea "charm.land/bubbletea/v2"

	"peregrine/history"
	"peregrine/model/generate"
	"peregrine/ui/escape"
	"peregrine/ui/library"
)

// modelsMsg lists the models that can be opened. quiet is for a list that nobody looks at yet.
type modelsMsg struct {
	list  []library.Entry
	err   error
	quiet bool
}

// listModels asks which models there are.
func (m *Model) listModels(quiet bool) tea.Cmd {
	lib, ok := m.opt.Generator.(library.Library)
	if !ok {
		return nil
	}
	return func() tea.Msg {
		list, err := lib.Models()
		return modelsMsg{list, err, quiet}
	}
}

// handle takes over the list and has its entries described, if it is being looked at.
func (msg modelsMsg) handle(m *Model) tea.Cmd {
	m.others.models = msg.list
	p, ok := m.overlay.(*modelPicker)
	if !ok || msg.quiet {
		return nil
	}
	p.listed(msg)
	return p.describe(m)
}

// describedMsg is an entry with all that is known of it.
type describedMsg struct{ entry library.Entry }

func (msg describedMsg) handle(m *Model) tea.Cmd {
	p, ok := m.overlay.(*modelPicker)
	if !ok {
		return nil
	}
	p.described(msg.entry)
	return p.describe(m)
}

// modelNames are what /model completes.
func modelNames(m *Model) []string {
	var names []string
	for _, e := range m.others.models {
		names = append(names, e.Name)
	}
	return names
}

// modelKey shows the models, or what is known of the one there is.
func (m *Model) modelKey(tea.KeyPressMsg) tea.Cmd { return m.modelCommand("") }

// modelCommand loads a model by its name in the list or its path, or brings it by its name at the hub; without an argument it shows
// the list.
func (m *Model) modelCommand(argument string) tea.Cmd {
	_, ok := m.opt.Generator.(library.Library)
	switch {
	case argument == "" && ok:
		m.overlay = &modelPicker{}
		return m.listModels(false)
	case argument == "":
		m.showModel()
		return nil
	case !ok:
		m.tell(levelWarn, "the model cannot be changed here; start again with peregrine MODEL")
		return nil
	case m.pullable(argument, m.others.models):
		return func() tea.Msg { return namedMsg{argument, library.OnDisk(expandHome(argument))} }
	}
	return m.useModel(expandHome(library.Path(m.others.models, argument)))
}

// namedMsg is a model that was asked for by a name which may be a repository's, and whether a path of that name exists.
type namedMsg struct {
	name   string
	onDisk bool
}

func (msg namedMsg) handle(m *Model) tea.Cmd {
	if msg.onDisk {
		return m.useModel(expandHome(msg.name))
	}
	cmd := m.pull(msg.name)
	if cmd != nil {
		m.tell(levelInfo, "downloading "+escape.Line(msg.name)+"; "+m.keys.label(actStop)+" stops it")
	}
	return cmd
}

// useModel loads another model while the conversation stays. What is sent meanwhile waits for it.
func (m *Model) useModel(path string) tea.Cmd {
	lib, ok := m.opt.Generator.(library.Library)
	switch {
	case !ok:
		return nil
	case m.turn != nil:
		m.tell(levelWarn, "still answering; "+m.keys.label(actStop)+" stops it")
		return nil
	}
	if m.others.download != nil {
		m.others.download.aside = true
	}
	back := ""
	if m.info.Ready && m.info.Path != path {
		back = m.info.Path
	}
	m.loading(generate.Info{Model: m.info.Model, Path: m.info.Path, Backend: m.info.Backend})
	m.tell(levelInfo, "opening "+escape.Line(path))
	return func() tea.Msg { return openedModelMsg{path, back, lib.UseModel(path)} }
}

// loading shows that a model is about to load. What its defaults and its context are is not known yet.
func (m *Model) loading(info generate.Info) {
	m.info = info
	m.meters = meters{}
	m.sampling.known = false
	m.hint()
}

// openedModelMsg says that another model loads, or why not. back is the path of the model before it, if it worked.
type openedModelMsg struct {
	path, back string
	err        error
}

func (msg openedModelMsg) handle(m *Model) tea.Cmd {
	m.others.back = msg.back
	if msg.err != nil {
		m.others.back = ""
		m.transcript.add(newNotice(levelBad, msg.err.Error()))
		m.transcript.toEnd()
	}
	return tea.Batch(m.look(0), m.listModels(true))
}

// goBack loads the model before the one that could not be loaded.
func (m *Model) goBack() tea.Cmd {
	lib, ok := m.opt.Generator.(library.Library)
	path := m.others.back
	m.others.back = ""
	if !ok || path == "" {
		return nil
	}
	m.transcript.add(newNotice(levelInfo, fmt.Sprintf("going back to %s", escape.Line(path))))
	m.transcript.toEnd()
	m.loading(generate.Info{Model: m.info.Model, Path: path, Backend: m.info.Backend})
	return func() tea.Msg { return openedModelMsg{path, "", lib.UseModel(path)} }
}

// changedModel says which model answers from now on, and notes it in the conversation.
func (m *Model) changedModel() tea.Cmd {
	m.others.back = ""
	m.tell(levelInfo, escape.Line(m.info.Model)+" answers from now on")
	if m.chat.file == nil || m.chat.readOnly != "" {
		return nil
	}
	h := m.header()
	return m.onFile("", func(f *history.File) error { return f.SetHeader(h) })
}
