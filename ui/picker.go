package ui

import (
	"context"
	"errors"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"peregrine/history"
	"peregrine/history/words"
)

// picker is the list of conversations: search by typing, read a little, open, rename, delete and take that back.
type picker struct {
	filter   field
	entries  []history.Entry
	places   map[string]int   // path → place in entries
	gone     *deletions       // those of the program: they stay in the list
	listing  *history.Listing // that is being read, or was read last
	news     []history.Entry  // what it had so far
	read     bool             // a whole listing
	err      error
	shown    []int              // places in entries of what fits the filter
	sought   string             // the filter that shown is for
	selected int                // 0: the line that starts a new one
	stop     context.CancelFunc // of the search that runs
	ahead    []tea.KeyPressMsg  // pressed while it ran
	renaming *field             // the new name of the selected one
	preview  preview
}

// showPicker opens the list: what is known at once, then what there is.
func (m *Model) showPicker() tea.Cmd {
	store := m.opt.Store
	if store == nil {
		m.tell(levelWarn, "conversations are not kept in this run")
		return nil
	}
	m.overlay = &picker{gone: m.chat.gone}
	return func() tea.Msg { return recentMsg{store.Recent(screenful)} }
}

// screenful is how many conversations are read before the first of them are shown; later parts have more.
const (
	screenful = 100
	mostParts = 1000
)

// Messages that the commands of the list return.
type (
	recentMsg struct{ entries []history.Entry }
	listedMsg struct {
		listing *history.Listing
		entries []history.Entry // its next
		err     error
	}
	foundMsg struct {
		pattern string
		paths   []string
		err     error
	}
)

// handle shows the newest conversations that are known, and reads what there is.
func (msg recentMsg) handle(m *Model) tea.Cmd {
	p, ok := m.overlay.(*picker)
	if !ok {
		return nil
	}
	p.show(msg.entries)
	return tea.Batch(m.list(), p.look(m))
}

// list reads what conversations there are.
func (m *Model) list() tea.Cmd {
	store := m.opt.Store
	if store == nil {
		return nil
	}
	return func() tea.Msg {
		l, err := store.Listing()
		if err != nil {
			return listedMsg{err: err}
		}
		return part(l, screenful)
	}
}

// part reads n conversations of a list.
func part(l *history.Listing, n int) listedMsg {
	entries, err := l.Next(context.Background(), n)
	return listedMsg{l, entries, err}
}

// handle shows what was read, if the list is still open, and goes on: the parts grow, since each is shown.
func (msg listedMsg) handle(m *Model) tea.Cmd {
	p, ok := m.overlay.(*picker)
	if !ok {
		return nil
	}
	if p.listed(msg) {
		n := min(4*len(msg.entries), mostParts)
		return tea.Batch(func() tea.Msg { return part(msg.listing, n) }, p.look(m))
	}
	keep := func() tea.Msg {
		if msg.err != nil {
			return nil
		}
		if err := msg.listing.Keep(); err != nil { // the next list takes longer, and that is all
			m.opt.Log.Warn("the index of the conversations", "error", err)
		}
		return nil
	}
	return tea.Batch(keep, p.search(m), p.look(m))
}

// listed shows what was read, and returns whether there is more. While the first list is read, its parts are shown; a later one
// takes the place of the first when all of it is there.
func (p *picker) listed(msg listedMsg) (more bool) {
	p.err = msg.err
	if msg.err != nil {
		p.read = true
		return false
	}
	if msg.listing != p.listing {
		p.listing, p.news = msg.listing, nil
	}
	p.news = append(p.news, msg.entries...)
	if more = len(p.news) < p.listing.Len(); p.read && more {
		return true
	}
	p.read = p.read || !more
	p.show(p.news)
	return more
}

// show takes over what there is. What is deleted stays in the list, so that it can be taken back, and what is selected stays
// selected.
func (p *picker) show(entries []history.Entry) {
	first := len(p.entries) == 0
	chosen, moved := p.current()
	moved = moved && p.selected > 1
	var paths []string
	for _, i := range p.shown {
		paths = append(paths, p.entries[i].Path)
	}
	there := slices.DeleteFunc(slices.Clone(entries), func(e history.Entry) bool { return p.gone.of(e.Path) != nil })
	p.entries = append(there, p.gone.entries()...)
	slices.SortStableFunc(p.entries, func(a, b history.Entry) int { return b.Modified.Compare(a.Modified) })
	p.places = make(map[string]int, len(p.entries))
	for i := range p.entries {
		p.places[p.entries[i].Path] = i
	}
	if p.pattern() == "" {
		p.shown = p.all()
	} else {
		p.shown = p.placesOf(paths) // until a search knows better
	}
	p.selected = min(p.selected, len(p.shown))
	if first && p.selected == 0 && len(p.shown) > 0 {
		p.selected = 1
	}
	if moved {
		p.choosePath(chosen.Path)
	}
}

// choosePath selects a conversation, if it is shown.
func (p *picker) choosePath(path string) {
	if at := slices.IndexFunc(p.shown, func(i int) bool { return p.entries[i].Path == path }); at >= 0 {
		p.selected = at + 1
	}
}

func (p *picker) pattern() string { return strings.TrimSpace(p.filter.value()) }

func (p *picker) all() []int {
	places := make([]int, len(p.entries))
	for i := range places {
		places[i] = i
	}
	return places
}

// placesOf returns where the conversations are in the list that are in it.
func (p *picker) placesOf(paths []string) []int {
	places := make([]int, 0, len(paths))
	for _, path := range paths {
		if at, ok := p.places[path]; ok {
			places = append(places, at)
		}
	}
	return places
}

// waiting reports whether what is shown is not yet for what was typed.
func (p *picker) waiting() bool { return p.pattern() != p.sought }

// catchUp finds what a search is about to show, after what has no command of its own: a paste, the wheel, another size.
func (m *Model) catchUp() tea.Cmd {
	switch o := m.overlay.(type) {
	case *finder:
		return o.catchUp(m)
	case *modelPicker:
		return o.catchUp(m)
	}
	p, ok := m.overlay.(*picker)
	switch {
	case !ok:
		return nil
	case p.waiting():
		return p.search(m)
	}
	return p.look(m)
}

// search finds what fits the filter.
func (p *picker) search(m *Model) tea.Cmd {
	if p.stop != nil {
		p.stop()
	}
	pattern, store := p.pattern(), m.opt.Store
	if pattern == "" {
		return foundMsg{}.handle(m)
	}
	ctx, stop := context.WithCancel(context.Background())
	p.stop = stop
	return func() tea.Msg {
		defer stop()
		paths, err := store.Search(ctx, pattern)
		return foundMsg{pattern, paths, err}
	}
}

// handle shows what was found, unless something else is searched for by now, and does what was pressed meanwhile.
func (msg foundMsg) handle(m *Model) tea.Cmd {
	p, ok := m.overlay.(*picker)
	if !ok || msg.pattern != p.pattern() || errors.Is(msg.err, context.Canceled) {
		return nil
	}
	p.found(msg)
	var cmds []tea.Cmd
	ahead := p.ahead
	p.ahead = nil
	for _, key := range ahead {
		if m.overlay != p {
			break // the keys were for this list
		}
		cmds = append(cmds, p.press(m, key))
	}
	return tea.Batch(append(cmds, p.look(m))...)
}

// found shows the best first, or lets what is selected stay selected when the same was searched for before.
func (p *picker) found(msg foundMsg) {
	p.err = msg.err
	chosen, had := p.current()
	if p.shown = p.placesOf(msg.paths); msg.pattern == "" {
		p.shown = p.all()
	} else {
		p.shown = append(p.shown, p.buried(msg.pattern)...)
	}
	another := msg.pattern != p.sought
	p.sought = msg.pattern
	p.selected = min(p.selected, len(p.shown))
	switch {
	case another && msg.pattern != "" && len(p.shown) > 0:
		p.selected = 1
	case had:
		p.choosePath(chosen.Path)
	}
}

// buried returns the deleted conversations whose titles fit: a search does not know them any more.
func (p *picker) buried(pattern string) []int {
	var places []int
	for _, gone := range p.gone.list {
		at, ok := p.places[gone.entry.Path]
		if ok && !slices.Contains(p.shown, at) && len(words.Find(gone.entry.Title, pattern)) > 0 {
			places = append(places, at)
		}
	}
	return places
}

// current returns the conversation that is selected.
func (p *picker) current() (history.Entry, bool) {
	if p.selected < 1 || p.selected > len(p.shown) {
		return history.Entry{}, false
	}
	return p.entries[p.shown[p.selected-1]], true
}
