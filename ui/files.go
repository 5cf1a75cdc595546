package ui

import (
	"cmp"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"

	"peregrine/history"
	"peregrine/ui/escape"
)

// fileCommands are the commands that take a file, and what is to be suggested of a folder.
var fileCommands = map[string]struct {
	fits   func(path string) bool // nil: everything
	values bool                   // it takes other things too, so that a file is meant only by what looks like a path
}{
	"open":     {},
	"import":   {},
	"export":   {},
	"save":     {fits: history.IsPath}, // what is no path is a name of the conversation
	"model":    {values: true},
	"template": {values: true},
}

// mostFiles bounds the names that are kept of a folder, fileBatch those that are read at a time.
const (
	mostFiles = 2000
	fileBatch = 512
)

// folder is what was read of a folder for the palette.
type folder struct {
	path   string // as it was typed, up to the last separator
	prefix string // what the names begin with
	names  []string
	all    bool  // there are no more
	err    error // why there are none
}

// knows reports whether what was read says all about a prefix.
func (f *folder) knows(path, prefix string) bool {
	return f != nil && f.path == path && (f.prefix == prefix || f.all && strings.HasPrefix(prefix, f.prefix))
}

// fileTyped returns the command of a draft that takes a file, and what of the file's path is typed: the folder as it was typed,
// and the start of a name.
func fileTyped(draft string) (c command, dir, prefix string, ok bool) {
	if !strings.HasPrefix(draft, "/") || strings.HasPrefix(draft, "//") {
		return c, "", "", false
	}
	name, typed, found := strings.Cut(draft[1:], " ")
	name = strings.ToLower(name)
	kind, takes := fileCommands[name]
	typed = strings.TrimLeft(typed, " ")
	if !found || !takes || kind.values && !strings.ContainsRune(typed, filepath.Separator) && typed != "~" && typed != "." && typed != ".." {
		return c, "", "", false
	}
	table := commandTable()
	c = table[slices.IndexFunc(table, func(c command) bool { return c.name == name })]
	if typed == "~" {
		return c, "", "~", true
	}
	dir, prefix = filepath.Split(typed)
	return c, dir, prefix, true
}

// readFolder returns what reads the folder that the draft is about, nil when it is known or is being read.
func (m *Model) readFolder() tea.Cmd {
	p := &m.composer.palette
	_, dir, prefix, ok := fileTyped(m.composer.draft())
	if !ok || p.dismissed || m.overlay != nil || prefix == "~" || p.folder.knows(dir, prefix) || p.reading.knows(dir, prefix) {
		return nil
	}
	p.reading = &folder{path: dir, prefix: prefix}
	return func() tea.Msg { return folderMsg{listFolder(dir, prefix)} }
}

// folderMsg is a folder that was read.
type folderMsg struct{ folder folder }

func (msg folderMsg) handle(m *Model) tea.Cmd {
	p := &m.composer.palette
	if p.reading == nil || p.reading.path != msg.folder.path || p.reading.prefix != msg.folder.prefix {
		return nil // the draft is about another one by now
	}
	p.folder, p.reading = &msg.folder, nil
	if err := msg.folder.err; err != nil && !errors.Is(err, fs.ErrNotExist) { // what is not there may be going to be written
		m.tell(levelWarn, escape.Line(err.Error()))
	}
	m.refresh()
	if p.tab {
		p.tab = false
		if p.open {
			m.completePath()
		}
	}
	return nil
}

// listFolder reads the names in a folder that begin with prefix. What cannot be typed, for it is no text of one line, is left out.
func listFolder(dir, prefix string) folder {
	f := folder{path: dir, prefix: prefix}
	at := expandHome(dir)
	if at == "" {
		at = "."
	}
	at = strings.TrimSuffix(at, string(filepath.Separator)) + string(filepath.Separator) // opening a pipe would wait for ever
	file, err := os.Open(at)
	if err != nil {
		f.err, f.all = err, true
		return f
	}
	defer file.Close()
	for len(f.names) < mostFiles {
		entries, err := file.ReadDir(fileBatch)
		for _, e := range entries {
			name := e.Name()
			if !strings.HasPrefix(name, prefix) || !utf8.ValidString(name) || strings.Contains(name, "\n") {
				continue
			}
			if isFolder(at, e) {
				name += string(filepath.Separator)
			}
			f.names = append(f.names, name)
		}
		if err != nil {
			f.all = errors.Is(err, io.EOF)
			break
		}
	}
	slices.SortFunc(f.names, func(a, b string) int { return cmp.Compare(strings.ToLower(a), strings.ToLower(b)) })
	return f
}

// isFolder reports whether an entry is a folder, or a link to one.
func isFolder(dir string, e os.DirEntry) bool {
	if e.Type()&fs.ModeSymlink == 0 {
		return e.IsDir()
	}
	info, err := os.Stat(filepath.Join(dir, e.Name()))
	return err == nil && info.IsDir()
}

// awaitsFiles takes the key that completes while no files are suggested: it counts when they are read.
func (m *Model) awaitsFiles() bool {
	_, _, _, ok := fileTyped(m.composer.draft())
	m.composer.palette.tab = ok && m.composer.palette.reading != nil
	return ok
}

// suggestFiles returns what the path in a draft may go on with, hidden files only where a dot is typed.
func (m *Model) suggestFiles(c command, dir, prefix string) []suggestion {
	file := func(path, title string) suggestion {
		return suggestion{draft: "/" + c.name + " " + path, title: escape.Line(title), command: c, value: true, file: true}
	}
	if prefix == "~" && dir == "" {
		home := "~" + string(filepath.Separator)
		return []suggestion{file(home, home)}
	}
	f := m.composer.palette.folder
	if !f.knows(dir, prefix) {
		return nil
	}
	var out []suggestion
	fits := fileCommands[c.name].fits
	for _, name := range f.names {
		hidden := strings.HasPrefix(name, ".") && !strings.HasPrefix(prefix, ".")
		if hidden || !strings.HasPrefix(name, prefix) || name == prefix || fits != nil && !fits(dir+name) {
			continue
		}
		out = append(out, file(dir+name, name))
	}
	return out
}

// completePath writes into the draft what all suggested files begin with. When that stands there already the first one is selected,
// and a selected one is written.
func (m *Model) completePath() {
	p := &m.composer.palette
	if p.selected >= 0 {
		m.complete(p.items[p.selected])
		return
	}
	common := p.items[0].draft
	for _, s := range p.items[1:] {
		n := 0
		for n < len(common) && n < len(s.draft) && common[n] == s.draft[n] {
			n++
		}
		for n > 0 && n < len(common) && !utf8.RuneStart(common[n]) {
			n--
		}
		common = common[:n]
	}
	if draft := m.composer.draft(); len(common) <= len(draft) {
		p.selected = 0
		return
	}
	m.composer.set(common)
	m.refresh()
}

// pressFiles handles a key while files are suggested: none of them is chosen until the user does, for the path that is typed may be
// one that is not there yet.
func (m *Model) pressFiles(key tea.KeyPressMsg) (tea.Cmd, bool) {
	p := &m.composer.palette
	switch m.keys.find(key, inList) {
	case actUp:
		if p.selected--; p.selected < 0 {
			p.selected = len(p.items) - 1
		}
	case actDown:
		p.selected = (p.selected + 1) % len(p.items)
	case actComplete:
		m.completePath()
	case actClose:
		m.closePalette()
	case actChoose:
		if p.selected < 0 {
			return nil, false // what is typed
		}
		if s := p.items[p.selected]; !strings.HasSuffix(s.draft, string(filepath.Separator)) {
			return m.choose(s), true
		}
		m.completePath() // into the folder
	default:
		return nil, false
	}
	return nil, true
}
