package ui

import (
	"context"
	"fmt"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"peregrine/ui/escape"
	"peregrine/ui/library"
)

// download is a model that is being brought. One at a time; the chat goes on meanwhile.
type download struct {
	name    string
	cancel  context.CancelFunc
	news    chan library.PullProgress // holds the newest, which nobody has seen yet
	ended   chan struct{}             // closed when Pull has returned
	now     library.PullProgress
	stopped bool // the user wants it to end
	aside   bool // the user has chosen another model since
}

// Messages about a download.
type (
	pullingMsg struct {
		download *download
		now      library.PullProgress
	}
	pulledMsg struct {
		download *download
		pulled   library.Pulled
		err      error
	}
)

// pullable reports whether a name is a repository's, and none of a list. It may be a path all the same: the disk knows.
func (m *Model) pullable(name string, list []library.Entry) bool {
	lib, ok := m.opt.Generator.(library.Puller)
	return ok && lib.Pullable(name) && !slices.ContainsFunc(list, func(e library.Entry) bool { return e.Name == name })
}

// pull begins to bring a model.
func (m *Model) pull(name string) tea.Cmd {
	lib, ok := m.opt.Generator.(library.Puller)
	switch {
	case !ok:
		return nil
	case m.others.download != nil:
		m.tell(levelWarn, "still downloading "+escape.Line(m.others.download.name)+"; "+m.keys.label(actStop)+" stops it")
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	d := &download{name: name, cancel: cancel, news: make(chan library.PullProgress, 1), ended: make(chan struct{}), now: library.PullProgress{Text: "asking the hub"}}
	m.others.download = d
	return tea.Batch(d.work(ctx, lib), d.wait())
}

// work brings the model.
func (d *download) work(ctx context.Context, lib library.Puller) tea.Cmd {
	return func() tea.Msg {
		defer d.cancel()
		defer close(d.ended)
		pulled, err := lib.Pull(ctx, d.name, d.observe)
		return pulledMsg{d, pulled, err}
	}
}

// observe puts the newest progress in the place of one that nobody has seen.
func (d *download) observe(now library.PullProgress) {
	select {
	case <-d.news:
	default:
	}
	select {
	case d.news <- now:
	default:
	}
}

// wait returns the next progress.
func (d *download) wait() tea.Cmd {
	return func() tea.Msg {
		select {
		case now := <-d.news:
			return pullingMsg{d, now}
		case <-d.ended:
			return nil
		}
	}
}

// handle shows how far the download is and waits for more.
func (msg pullingMsg) handle(m *Model) tea.Cmd {
	if !msg.download.stopped {
		msg.download.now = msg.now
	}
	if m.others.download != msg.download {
		return nil
	}
	return msg.download.wait()
}

// handle loads what has come, or says in full why it has not. Where the user does something else by now, it says how to load it.
func (msg pulledMsg) handle(m *Model) tea.Cmd {
	d, name := msg.download, escape.Line(msg.download.name)
	m.others.download = nil
	p, picking := m.overlay.(*modelPicker)
	switch {
	case msg.err != nil && d.stopped:
		m.tell(levelInfo, "stopped downloading "+name+"; what came stays, and another download goes on from there")
		return nil
	case msg.err != nil:
		m.transcript.add(newNotice(levelBad, msg.err.Error())) // the reader stays where they are
		if picking {
			p.failure = msg.err.Error()
			return nil
		}
		m.tell(levelBad, reason(msg.err))
		return nil
	}
	if msg.pulled.Note != "" {
		m.transcript.add(newNotice(levelWarn, msg.pulled.Note))
	}
	elsewhere := m.overlay != nil && (!picking || !p.watches(m, d))
	if d.stopped || d.aside || m.turn != nil || elsewhere {
		how := m.keys.label(actModel) + " opens it"
		if picking {
			how = "it is in this list"
		}
		m.transcript.add(newNotice(levelInfo, fmt.Sprintf("%s is here; /model %s opens it", name, name))) // the next key clears the line
		m.tell(levelInfo, fmt.Sprintf("%s is here; %s", name, how))
		return m.listModels(!picking)
	}
	m.overlay = nil
	return m.useModel(msg.pulled.Path)
}

// stopDownload ends the download, and reports whether there was one to end.
func (m *Model) stopDownload() bool {
	d := m.others.download
	if d == nil || d.stopped {
		return false
	}
	d.stopped = true
	d.now.Text = "stopping"
	d.cancel()
	return true
}

// downloadEnds ends the download with the program. What it returns waits a little: what has come is noted then.
func (m *Model) downloadEnds() (wait func()) {
	d := m.others.download
	if d == nil {
		return func() {}
	}
	m.stopDownload()
	return func() {
		select {
		case <-d.ended:
		case <-time.After(settleWithin):
		}
	}
}

// downloadSegment says in the status line how far the download is.
func (m *Model) downloadSegment() *segment {
	d := m.others.download
	if d == nil {
		return &segment{forms: []string{""}}
	}
	text, percent := escape.Line(d.now.Text), fmt.Sprintf("%.0f %%", 100*d.now.Part)
	return &segment{forms: []string{"download " + escape.Line(d.name) + " " + text, "download " + text, "download " + percent}, colour: m.theme.colours.accent}
}
