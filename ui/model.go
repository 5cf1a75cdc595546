package ui

import (
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"

	"peregrine/model/generate"
	"peregrine/ui/escape"
	"peregrine/ui/library"
)

// Model is the chat as Bubble Tea sees it.
type Model struct {
	opt        Options
	keys       keymap
	theme      theme
	size       size
	composer   composer
	transcript transcript
	chat       session
	turn       *turn // nil: no reply is being made
	sampling   sampling
	overlay    overlay // nil: the chat has the keys
	stops      stops
	info       generate.Info // what is known of the model
	meters     meters
	others     others
	echo       echo
}

// others are the models beside the one that answers.
type others struct {
	models   []library.Entry // that can be opened, as they were listed last
	back     string          // path of the model before the one that loads, to go back to
	download *download       // a model that is being brought from a hub, to be offered then; nil: none is
}

// echo is what the last key led to. It stands until the next one.
type echo struct {
	notice notice
	armed  bool // another ctrl+c quits
}

// size is that of the terminal.
type size struct{ width, height int }

// tight says that there is room for the least alone: no rule, no hints.
func (s size) tight() bool { return s.height < 6 }

// New returns a chat. It does no I/O and waits for nothing.
func New(opt Options) *Model {
	opt = opt.withDefaults()
	keys, problems := newKeymap(opt.Keys)
	m := &Model{opt: opt, keys: keys, theme: newTheme(opt.Theme), sampling: newSampling(opt.Sampling), transcript: newTranscript()}
	m.composer = newComposer(&m.theme)
	m.composer.log = &inputLog{store: opt.Store}
	m.chat = session{keep: &keeper{store: opt.Store}, leaving: &sync.WaitGroup{}, gone: &deletions{}, system: opt.System, template: opt.Template, limit: opt.MaxTokens}
	m.info = opt.Generator.Info()
	if m.info.Ready {
		m.sampling.defaults(m.info.Defaults)
	}
	for _, p := range append(problems, opt.Notices...) {
		m.transcript.add(newNotice(levelWarn, p))
	}
	m.hint()
	return m
}

// infoMsg says how far the model is loaded.
type infoMsg struct{ info generate.Info }

// pollEvery is how often the progress of loading is looked at.
const pollEvery = 100 * time.Millisecond

// Init starts what goes on in the background.
func (m *Model) Init() tea.Cmd {
	cmds := []tea.Cmd{m.look(0), m.openAtStart(), m.readInputs(), m.readPresets(presetsMsg{}), m.listModels(true), m.stops.wait()}
	if m.theme.choice == "auto" {
		cmds = append(cmds, tea.RequestBackgroundColor)
	}
	return tea.Batch(cmds...)
}

// look asks how far the model is loaded.
func (m *Model) look(after time.Duration) tea.Cmd {
	gen := m.opt.Generator
	if after == 0 {
		return func() tea.Msg { return infoMsg{gen.Info()} }
	}
	return tea.Tick(after, func(time.Time) tea.Msg { return infoMsg{gen.Info()} })
}

// handle takes over what is known of the model, and asks again while it loads.
func (msg infoMsg) handle(m *Model) tea.Cmd {
	was, info := m.info, msg.info
	m.info = info
	defer m.hint()
	m.showPhase()
	switch {
	case info.Err != nil:
		if was.Err == nil {
			m.transcript.add(newNotice(levelBad, info.Err.Error()+m.wayOut(info.Err)))
			m.transcript.toEnd()
		}
		return m.goBack()
	case !info.Ready:
		return m.look(pollEvery)
	}
	m.sampling.defaults(info.Defaults)
	if m.meters.limit == 0 {
		m.meters.limit = info.Context
	}
	var cmds []tea.Cmd
	changed := m.others.back != ""
	if changed {
		cmds = append(cmds, m.changedModel())
	}
	for _, note := range info.Notes {
		switch {
		case was.Ready:
		case changed: // which was told already
			m.transcript.add(newNotice(levelInfo, note))
		default:
			m.tell(levelInfo, escape.Line(note))
		}
	}
	if m.turn == nil {
		cmds = append(cmds, m.measure())
	}
	return tea.Batch(cmds...)
}

// hint says in the empty composer what it is for.
func (m *Model) hint() {
	switch {
	case m.chat.readOnly != "":
		m.composer.setHint("Read-only. /save FILE.jsonl goes on in a copy")
	case m.info.Err != nil:
		m.composer.setHint("There is no model. /model says why")
	case !m.info.Ready:
		m.composer.setHint("The model is loading; you may write already")
	default:
		m.composer.setHint("Write a message, or / for commands")
	}
}

// setTheme changes the colours.
func (m *Model) setTheme(light bool) {
	m.theme.set(light)
	m.composer.changed()
	m.transcript.restyle()
}
