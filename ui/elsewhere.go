package ui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"peregrine/history"
	"peregrine/model/generate"
)

// maxEdited is how much text is taken over from an editor.
const maxEdited = 64 << 20

// elsewhere lets the user write the draft in another program, which has the terminal meanwhile. Bubble Tea calls Run where it
// calls Update and View, so nothing else happens to the chat until it returns.
type elsewhere struct {
	program   string // as $EDITOR holds it: a command line for the shell
	text      string
	meanwhile func(ctx context.Context) // runs beside the program
	left      error                     // why the text lies in a file still
	in        io.Reader
	out, err  io.Writer
}

// SetStdin, SetStdout and SetStderr are called by Bubble Tea with the terminal.
func (e *elsewhere) SetStdin(r io.Reader) { e.in = r }

// SetStdout is where the program draws.
func (e *elsewhere) SetStdout(w io.Writer) { e.out = w }

// SetStderr is where the program complains.
func (e *elsewhere) SetStderr(w io.Writer) { e.err = w }

// Run writes the text to a file for its owner alone (0600), runs the program on it, reads it back and removes it. The file ends
// with a newline more than the text, as editors want it, and one is taken off again: so that any text comes back byte for byte.
// What was written there and cannot be taken over stays in the file, and the error says where. A file that cannot be removed is
// no error: left says so.
func (e *elsewhere) Run() error {
	f, err := os.CreateTemp("", "peregrine-*.md")
	if err != nil {
		return err
	}
	before := e.text + "\n"
	_, err = f.WriteString(before)
	if err = errors.Join(err, f.Close()); err == nil {
		if err = e.run(f.Name()); err != nil && differs(f.Name(), before) {
			return fmt.Errorf("%w; what was written there is kept in %s", err, f.Name())
		}
	}
	if gone := os.Remove(f.Name()); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
		e.left = fmt.Errorf("the editor's file has a copy of the draft and cannot be removed: %w; remove it yourself", gone)
	}
	return err
}

// differs reports whether a file holds something else than text; one that is empty or cannot be read holds nothing.
func differs(path, text string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, int64(len(text))+1))
	return err == nil && len(b) > 0 && string(b) != text
}

// run runs the program on the file and reads what it leaves there.
func (e *elsewhere) run(path string) error {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		e.meanwhile(ctx)
	}()
	cmd := exec.Command("sh", "-c", e.program+` "$1"`, "sh", path)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = e.in, e.out, e.err
	err := cmd.Run()
	cancel()
	<-done
	if err != nil {
		return fmt.Errorf("%s: %w", e.program, err)
	}
	return e.read(path)
}

// read takes the text over. An editor may have put another file in the place of the first.
func (e *elsewhere) read(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxEdited+1))
	switch {
	case err != nil:
		return err
	case len(b) > maxEdited:
		return fmt.Errorf("the text is longer than %d MiB", maxEdited>>20)
	}
	e.text = strings.TrimSuffix(string(b), "\n")
	return nil
}

// editElsewhere opens the draft in the user's editor.
func (m *Model) editElsewhere() tea.Cmd {
	program := os.Getenv("VISUAL")
	if program == "" {
		program = os.Getenv("EDITOR")
	}
	if program == "" {
		m.tell(levelWarn, "there is no editor: set $VISUAL or $EDITOR, for instance to vi")
		return nil
	}
	before := m.composer.text
	e := &elsewhere{program: program, text: textOf(before), meanwhile: m.saveMeanwhile()}
	return m.lend(e, func(err error) tea.Msg { return editedMsg{before, e.text, err, e.left} })
}

// editedMsg brings the text back from the editor.
type editedMsg struct {
	before []unit // what it was made of
	text   string
	err    error
	left   error // why it lies in a file still
}

func (msg editedMsg) handle(m *Model) tea.Cmd {
	c := &m.composer
	switch {
	case msg.err != nil:
		m.opt.Log.Error("editor", "error", msg.err)
		m.tell(levelBad, "the editor failed, the draft is as it was")
		m.transcript.add(newNotice(levelBad, "the editor failed: "+msg.err.Error())) // whole: it may name a file to go back to
	case msg.text == textOf(msg.before):
	case !same(msg.before, c.text): // something else stands there by now
		text := c.unfolded(msg.text, msg.before)
		c.typed(text)
		m.tell(levelInfo, "up brings the text of the editor")
	default:
		c.replace(0, len(c.text), c.unfolded(msg.text, msg.before))
		c.changed()
		m.refresh()
	}
	if msg.left != nil {
		m.transcript.add(newNotice(levelWarn, msg.left.Error()))
	}
	return nil
}

// foldEdited is from which size on a text from the editor is shown as a mark: it is too long to be edited in the field.
const foldEdited = 64 << 10

// unfolded returns a text from the editor. Large pastes of the text before that are in it unchanged are marks again.
func (c *composer) unfolded(text string, before []unit) []unit {
	var out []unit
	add := func(s string) {
		if len(s) > foldEdited {
			out = append(out, c.fold(s))
			return
		}
		out = append(out, units(s, false)...)
	}
	for _, u := range before {
		if u.paste == nil {
			continue
		}
		if at := strings.Index(text, u.text); at >= 0 {
			add(text[:at])
			out = append(out, u)
			text = text[at+len(u.text):]
		}
	}
	add(text)
	return out
}

// saveEvery is how often a reply is looked at while the editor has the terminal.
const saveEvery = 250 * time.Millisecond

// saveMeanwhile returns what goes on saving the reply that is being written, until ctx ends: Update sees none of it meanwhile,
// and takes it over afterwards.
func (m *Model) saveMeanwhile() func(ctx context.Context) {
	t, file, log := m.turn, m.chat.file, m.opt.Log
	if t == nil || t.feed == nil || file == nil || m.chat.readOnly != "" {
		return func(context.Context) {}
	}
	reply := t.reply
	return func(ctx context.Context) {
		ticks := time.NewTicker(saveEvery)
		defer ticks.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticks.C:
			}
			if now := withUpdates(reply, t.feed.peek()); now.Content != reply.Content {
				if err := file.Partial(now); err != nil {
					log.Error("save", "error", err)
				}
			}
		}
	}
}

// withUpdates returns a reply with what has been read since.
func withUpdates(reply history.Message, updates []generate.Update) history.Message {
	reply.TokenIDs = append([]int32(nil), reply.TokenIDs...)
	for _, u := range updates {
		reply.Content += u.Text
		for _, token := range u.Tokens {
			reply.TokenIDs = append(reply.TokenIDs, token.ID)
		}
	}
	return reply
}
