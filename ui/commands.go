package ui

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	tea "charm.land/bubbletea/v2"

	"peregrine/history"
	"peregrine/model/generate"
	"peregrine/ui/escape"
)

// command is one line of the table of slash commands, from which the palette and the help are printed.
type command struct {
	name     string
	argument string // as the help writes it; "" when it takes none; in brackets when it may be left out
	help     string
	action   action // the key that does the same
	run      func(m *Model, argument string) tea.Cmd
	values   func(m *Model) []string // what the argument may be
}

// commandTable returns all commands in the order of the help.
func commandTable() []command {
	table := []command{
		{"new", "", "start a new conversation", actNone, func(m *Model, _ string) tea.Cmd { return m.fresh() }, nil},
		{"open", "PATH|NAME", "open a conversation", actNone, (*Model).openCommand, nil},
		{"conversations", "", "choose a conversation", actPicker, func(m *Model, _ string) tea.Cmd { return m.showPicker() }, nil},
		{"save", "NAME|PATH", "name the conversation, or write a copy to a file", actNone, (*Model).saveCommand, nil},
		{"rename", "NAME", "name the conversation", actNone, (*Model).renameCommand, nil},
		{"delete", "", "delete this conversation", actNone, (*Model).deleteCommand, nil},
		{"undo", "", "take /delete back", actNone, (*Model).undoCommand, nil},
		{"regenerate", "", "answer the last message again, as another version", actNone, (*Model).regenerate, nil},
		{"continue", "", "go on with a reply that was cut or stopped", actNone, (*Model).goOn, nil},
		{"stop", "", "stop the reply", actStop, (*Model).stopCommand, nil},
		{"system", "[TEXT]", "set the system text, or show it; - removes it", actNone, (*Model).systemCommand, nil},
		{"template", "[NAME]", "set the chat template, or show it", actNone, (*Model).templateCommand, templateNames},
		{"max-tokens", "[N]", "limit of a reply in tokens; 0: none", actNone, (*Model).limitCommand, nil},
	}
	for _, p := range parameters() {
		a := actNone
		switch p.name {
		case "temp":
			a = actTemperature
		case "top-k":
			a = actTopK
		}
		table = append(table, command{
			p.name, "[VALUE]", "set the " + p.label + "; 0: " + p.off, a,
			func(m *Model, argument string) tea.Cmd { return m.parameterCommand(p, argument) }, nil,
		})
	}
	return append(table,
		command{"seed", "[N|off]", "repeat the same random choices", actNone, (*Model).seedCommand, nil},
		command{"model", "", "about the model", actModel, func(m *Model, _ string) tea.Cmd { m.showModel(); return nil }, nil},
		command{"backend", "[NAME]", "load the model on another backend, or show it", actNone, (*Model).backendCommand, backends},
		command{
			"theme", "auto|light|dark", "change the colours", actNone, (*Model).themeCommand,
			func(*Model) []string { return []string{"auto", "light", "dark"} },
		},
		command{
			"mouse", "on|off", "off leaves the mouse to the terminal, to select text", actNone, (*Model).mouseCommand,
			func(*Model) []string { return []string{"on", "off"} },
		},
		command{"help", "", "keys and commands", actHelp, func(m *Model, _ string) tea.Cmd { m.showHelp(); return nil }, nil},
		command{"quit", "", "leave; everything is saved", actQuit, func(m *Model, _ string) tea.Cmd { return m.leaveProgram() }, nil},
	)
}

// needed reports whether a command does nothing without an argument.
func (c command) needed() bool { return c.argument != "" && c.argument[0] != '[' }

// slash splits a draft that is a command. "//" at the start is a message that begins with a slash.
func slash(draft string) (name, argument string, ok bool) {
	if !strings.HasPrefix(draft, "/") || strings.HasPrefix(draft, "//") {
		return "", "", false
	}
	name = draft[1:]
	if i := strings.IndexAny(name, " \n"); i >= 0 {
		name, argument = name[:i], strings.TrimSpace(name[i+1:])
	}
	return strings.ToLower(name), argument, true
}

// obey runs a slash command. What is no command is never sent to the model.
func (m *Model) obey(name, argument string) tea.Cmd {
	for _, c := range commandTable() {
		if c.name != name {
			continue
		}
		if c.needed() && argument == "" {
			m.tell(levelWarn, fmt.Sprintf("/%s %s: %s", c.name, c.argument, c.help))
			return nil
		}
		return c.run(m, argument)
	}
	m.tell(levelWarn, fmt.Sprintf("there is no command /%s; /help lists them, // sends a slash", name))
	return nil
}

func (m *Model) openCommand(argument string) tea.Cmd {
	if history.IsPath(argument) {
		return m.openFile(expandHome(argument))
	}
	store := m.opt.Store
	if store == nil {
		m.tell(levelWarn, "conversations are not kept in this run")
		return nil
	}
	return m.open(func() (*history.File, error) {
		f, err := store.OpenID(argument)
		if errors.Is(err, history.ErrNotFound) {
			if _, missing := os.Stat(argument); missing == nil {
				return store.Open(argument)
			}
		}
		return f, err
	})
}

func (m *Model) saveCommand(argument string) tea.Cmd {
	if history.IsPath(argument) {
		return m.copyTo(argument)
	}
	return m.renameCommand(argument)
}

func (m *Model) renameCommand(argument string) tea.Cmd {
	if m.chat.readOnly != "" {
		m.tell(levelWarn, "read-only: "+m.chat.readOnly+"; /save FILE.jsonl goes on in a copy")
		return nil
	}
	name := history.CleanName(argument)
	m.chat.name = name
	if m.chat.file == nil {
		m.tell(levelInfo, "named "+name+"; it is saved with the first message")
		return nil
	}
	return m.onFile("saved as "+name, func(f *history.File) error { return f.SetName(name) })
}

func (m *Model) deleteCommand(string) tea.Cmd {
	if m.chat.file == nil {
		return m.fresh()
	}
	return m.remove(m.chat.file.Path())
}

func (m *Model) undoCommand(string) tea.Cmd {
	undo := m.chat.undo
	if undo == nil {
		m.tell(levelInfo, "nothing to take back")
	}
	m.chat.undo = nil
	return undo
}

// ready reports whether a reply can be asked for, and says why not.
func (m *Model) ready() bool {
	switch {
	case m.turn != nil:
		m.tell(levelWarn, "still answering; "+m.keys.label(actStop)+" stops it")
	case m.chat.readOnly != "":
		m.tell(levelWarn, "read-only: "+m.chat.readOnly+"; /save FILE.jsonl goes on in a copy")
	case m.info.Err != nil:
		m.tell(levelBad, "there is no model: "+m.info.Err.Error())
	default:
		return true
	}
	return false
}

func (m *Model) regenerate(string) tea.Cmd {
	last, ok := m.chat.last()
	if !ok || !m.ready() {
		if !ok {
			m.tell(levelWarn, "nothing to answer yet")
		}
		return nil
	}
	path := m.chat.path
	var old *item
	if last.Role == generate.Assistant {
		if len(path) < 2 {
			m.tell(levelWarn, "there is no message to answer")
			return nil
		}
		old = m.transcript.lastReply()
		m.transcript.remove(old)
		m.chat.path = path[: len(path)-1 : len(path)-1]
	}
	m.prepare(m.request(len(m.chat.path)), history.Message{})
	m.turn.old, m.turn.oldPath = old, path
	m.transcript.toEnd()
	return m.begin()
}

// goOn continues a reply as the same message: its text and its tokens grow.
func (m *Model) goOn(string) tea.Cmd {
	last, ok := m.chat.last()
	switch {
	case !ok || last.Role != generate.Assistant:
		m.tell(levelWarn, "there is no reply to continue; /regenerate asks for one")
	case last.Finish == generate.FinishStop && !last.Partial:
		m.tell(levelWarn, "the reply is complete; /regenerate asks for another")
	case len(last.TokenIDs) == 0:
		m.tell(levelWarn, "the reply's tokens are not known, so it cannot be continued; /regenerate asks for another")
	case m.ready():
		m.prepare(m.request(len(m.chat.path)-1), last)
		m.transcript.toEnd()
		return m.begin()
	}
	return nil
}

func (m *Model) stopCommand(string) tea.Cmd {
	if !m.stop() {
		m.tell(levelInfo, "nothing to stop")
	}
	return nil
}

func (m *Model) systemCommand(argument string) tea.Cmd {
	switch argument {
	case "":
		text := "no system text"
		if m.chat.system != "" {
			text = "system: " + m.chat.system
		}
		m.transcript.add(newNotice(levelInfo, text))
		m.transcript.toEnd()
		return nil
	case "-":
		argument = ""
	}
	if m.chat.readOnly != "" {
		m.tell(levelWarn, "read-only: "+m.chat.readOnly)
		return nil
	}
	m.chat.system = argument
	text := "system: " + argument
	if argument == "" {
		text = "no system text from here on"
	}
	m.transcript.add(newNotice(levelInfo, text))
	m.transcript.toEnd()
	h := m.header()
	return tea.Batch(m.onFile("", func(f *history.File) error { return f.SetHeader(h) }), m.measure())
}

func templateNames(m *Model) []string { return m.info.Templates }

func (m *Model) templateCommand(argument string) tea.Cmd {
	if argument == "" {
		name := m.chat.template
		if name == "" {
			name = m.info.Template
		}
		m.tell(levelInfo, "template "+name+"; there are "+strings.Join(m.info.Templates, ", ")+", or a Jinja file")
		return nil
	}
	m.chat.template = expandHome(argument)
	m.tell(levelInfo, "template "+argument)
	gen, r := m.opt.Generator, m.request(len(m.chat.path))
	if len(r.Messages) == 0 {
		r.Messages = []generate.Message{{Role: generate.User, Content: "x"}}
	}
	if !m.info.Ready {
		return nil
	}
	return func() tea.Msg { // a template that cannot be used is named at once, not at the next turn
		plan, err := gen.Plan(context.Background(), r)
		return measuredMsg{plan, err}
	}
}

func (m *Model) limitCommand(argument string) tea.Cmd {
	if argument != "" {
		n, err := strconv.Atoi(argument)
		if err != nil || n < 0 {
			m.tell(levelWarn, fmt.Sprintf("max-tokens: %q is no number from 0 up", argument))
			return nil
		}
		m.chat.limit = n
	}
	switch n := m.chat.limit; {
	case n > 0:
		m.tell(levelInfo, "replies end after "+plural(n, "token")+"; /continue goes on")
	case m.info.MaxTokens > 0:
		m.tell(levelInfo, "replies end after the model's own limit of "+plural(m.info.MaxTokens, "token"))
	default:
		m.tell(levelInfo, "replies have no limit but the context")
	}
	return nil
}

func (m *Model) parameterCommand(p parameter, argument string) tea.Cmd {
	if argument == "" {
		m.tell(levelInfo, p.say(p.get(&m.sampling.now)))
		return nil
	}
	said, err := m.sampling.change(p, argument)
	if err != nil {
		m.tell(levelWarn, err.Error())
		return nil
	}
	m.tune()
	m.tell(levelInfo, said)
	return nil
}

func (m *Model) seedCommand(argument string) tea.Cmd {
	switch argument {
	case "":
	case "off":
		m.sampling.now.Seed = nil
	default:
		seed, err := strconv.ParseUint(argument, 10, 64)
		if err != nil {
			m.tell(levelWarn, fmt.Sprintf("seed: %q is no number from 0 up", argument))
			return nil
		}
		m.sampling.now.Seed = &seed
	}
	if seed := m.sampling.now.Seed; seed != nil {
		m.tell(levelInfo, fmt.Sprintf("seed %d: the same messages and values give the same reply", *seed))
	} else {
		m.tell(levelInfo, "a new seed for each reply")
	}
	return nil
}

func (m *Model) themeCommand(argument string) tea.Cmd {
	switch argument {
	case "light", "dark":
		m.theme.choice = argument
		m.setTheme(argument == "light")
	case "auto":
		m.theme.choice = argument
		return tea.RequestBackgroundColor
	default:
		m.tell(levelWarn, "theme: "+escape.Line(argument)+"? There are auto, light and dark")
	}
	return nil
}

func (m *Model) mouseCommand(argument string) tea.Cmd {
	switch argument {
	case "on", "off":
		m.opt.Mouse = argument
		m.tell(levelInfo, "mouse "+argument)
	default:
		m.tell(levelWarn, "mouse: on or off")
	}
	return nil
}
