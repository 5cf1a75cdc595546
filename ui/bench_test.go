package ui

import (
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"peregrine/history"
	"peregrine/model/generate"
)

// bench is a chat without a terminal: commands run, their messages come back, the test presses keys.
type bench struct {
	t       testing.TB
	m       *Model
	gen     *script
	msgs    chan tea.Msg
	quit    bool
	blind   bool         // nobody looks at the screen between messages
	raw     []string     // what the terminal was told besides the screen
	busy    atomic.Int64 // commands that run
	waiting atomic.Int64 // those of them that wait
}

// testNow is when all tests happen.
var testNow = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

func newBench(t testing.TB, opt Options) *bench {
	t.Helper()
	var gen *script
	switch g := opt.Generator.(type) {
	case *script:
		gen = g
	case *twoBackends:
		gen = g.script
	case *shelf:
		gen = g.script
	case *hubShelf:
		gen = g.script
	default:
		gen = newScript("hello there")
		opt.Generator = gen
	}
	if opt.Now == nil {
		opt.Now = func() time.Time { return testNow }
	}
	b := &bench{t: t, m: New(opt), gen: gen, msgs: make(chan tea.Msg, 1000)}
	b.run(b.m.Init())
	b.send(tea.WindowSizeMsg{Width: 80, Height: 24})
	b.idle()
	t.Cleanup(func() {
		b.idle()
		_ = b.m.close() // a test that minds closes it itself
	})
	return b
}

// openStore returns a store in a folder of the test.
func openStore(t testing.TB) *history.Store {
	t.Helper()
	s, err := history.OpenStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// run runs a command and what it returns, without waiting.
func (b *bench) run(cmd tea.Cmd) {
	if cmd == nil {
		return
	}
	b.busy.Add(1)
	go func() {
		defer b.busy.Add(-1)
		if waits(cmd) {
			b.waiting.Add(1)
			defer b.waiting.Add(-1)
		}
		b.work(cmd)
	}()
}

func (b *bench) work(cmd tea.Cmd) {
	if cmd == nil {
		return
	}
	msg := cmd()
	if batch, ok := msg.(tea.BatchMsg); ok {
		for _, c := range batch {
			b.run(c)
		}
		return
	}
	if v := reflect.ValueOf(msg); msg != nil && v.Kind() == reflect.Slice && v.Type().Elem() == reflect.TypeFor[tea.Cmd]() {
		for i := range v.Len() { // a sequence, whose type is Bubble Tea's own
			b.work(v.Index(i).Interface().(tea.Cmd))
		}
		return
	}
	b.msgs <- msg
}

// send gives the model a message, as Bubble Tea would.
func (b *bench) send(msg tea.Msg) {
	if _, ok := msg.(tea.QuitMsg); ok {
		b.quit = true
		return
	}
	if raw, ok := msg.(tea.RawMsg); ok {
		b.raw = append(b.raw, fmt.Sprint(raw.Msg))
		return
	}
	_, cmd := b.m.Update(msg)
	if !b.blind {
		b.m.View()
	}
	b.run(cmd)
}

// until handles messages until cond holds.
func (b *bench) until(what string, cond func() bool) {
	b.t.Helper()
	deadline := time.After(20 * time.Second)
	for !cond() {
		select {
		case msg := <-b.msgs:
			b.send(msg)
		case <-time.After(10 * time.Millisecond):
		case <-deadline:
			b.t.Fatalf("%s did not happen; the screen is:\n%s", what, b.screen())
		}
	}
}

// idle handles messages until no command runs any more, or those that do have said nothing for long. They wait for a reply or
// for a time, which ends when it ends; or they are at work, which a machine that has other things to do may take its time for.
// What counts are the looks, not the time: while this process does not run, its commands do not either.
func (b *bench) idle() {
	const waitLooks, workLooks = 80, 3000
	for looks := 0; ; looks++ {
		waiting, busy := b.waiting.Load(), b.busy.Load() // before looking, since a command gives its message first
		select {
		case msg := <-b.msgs:
			b.send(msg)
			looks = 0
		default:
			if busy == 0 || looks >= workLooks || looks >= waitLooks && busy <= waiting {
				return
			}
			time.Sleep(time.Millisecond)
		}
	}
}

// waiters are the functions whose commands wait.
var waiters = []string{
	".(*feed).wait.", "/v2.Tick.", ".(*Model).begin.", ".plannedMsg.handle.", ".(*inspector).ask.", ".(*Model).measure.", ".(*Model).foresee.", ".(*download).",
}

// waits reports whether a command is one that waits: for what a reply says next, until a time, or for a generator that a test
// holds back.
func waits(cmd tea.Cmd) bool {
	name := runtime.FuncForPC(reflect.ValueOf(cmd).Pointer()).Name()
	return slices.ContainsFunc(waiters, func(s string) bool { return strings.Contains(name, s) })
}

// keys presses keys by name; what is no key's name is typed.
func (b *bench) keys(names ...string) {
	b.t.Helper()
	for _, name := range names {
		if key, ok := keyNamed(name); ok {
			b.send(key)
			continue
		}
		for _, r := range name {
			b.send(tea.KeyPressMsg{Code: r, Text: string(r)})
		}
	}
}

// keyNamed returns the message of a key such as "f5", "shift+f5", "ctrl+c" or "enter".
func keyNamed(name string) (tea.KeyPressMsg, bool) {
	codes := map[string]rune{
		"enter": tea.KeyEnter, "tab": tea.KeyTab, "esc": tea.KeyEscape, "backspace": tea.KeyBackspace, "delete": tea.KeyDelete,
		"up": tea.KeyUp, "down": tea.KeyDown, "left": tea.KeyLeft, "right": tea.KeyRight, "home": tea.KeyHome, "end": tea.KeyEnd,
		"pgup": tea.KeyPgUp, "pgdown": tea.KeyPgDown, "f1": tea.KeyF1, "f2": tea.KeyF2, "f3": tea.KeyF3, "f4": tea.KeyF4,
		"f5": tea.KeyF5, "f6": tea.KeyF6, "f7": tea.KeyF7, "f8": tea.KeyF8, "f9": tea.KeyF9, "f10": tea.KeyF10,
		"f11": tea.KeyF11, "f12": tea.KeyF12,
	}
	var key tea.KeyPressMsg
	parts := strings.Split(name, "+")
	for _, p := range parts[:len(parts)-1] {
		switch p {
		case "shift":
			key.Mod |= tea.ModShift
		case "ctrl":
			key.Mod |= tea.ModCtrl
		case "alt":
			key.Mod |= tea.ModAlt
		default:
			return key, false
		}
	}
	last := parts[len(parts)-1]
	if code, ok := codes[last]; ok {
		key.Code = code
		return key, true
	}
	if len(parts) > 1 && len(last) == 1 {
		key.Code = rune(last[0])
		return key, true
	}
	return key, false
}

// say types a message, sends it and waits for the whole reply.
func (b *bench) say(text string) {
	b.t.Helper()
	b.keys(text, "enter")
	b.ended()
}

// ended waits until no reply is being made and what was said is on disk.
func (b *bench) ended() {
	b.t.Helper()
	b.until("the end of the reply", func() bool { return b.m.turn == nil })
	last, _ := b.m.chat.last()
	if last.Role == generate.Assistant && b.m.opt.Store != nil && b.m.chat.file != nil {
		b.until("saving", func() bool {
			there, ok := b.m.chat.file.Conversation().Message(last.ID)
			return ok && there.Content == last.Content && there.Finish == last.Finish && !there.Partial
		})
		_ = b.m.chat.keep.note(func(*history.File) error { return nil })() // waits for the disk
	}
	b.idle()
}

// screen returns the screen as plain text.
func (b *bench) screen() string { return ansi.Strip(b.m.View().Content) }

// status returns the last line of the screen.
func (b *bench) status() string {
	lines := strings.Split(b.screen(), "\n")
	return lines[len(lines)-1]
}

func (b *bench) wantScreen(parts ...string) {
	b.t.Helper()
	screen := b.screen()
	for _, p := range parts {
		if !strings.Contains(screen, p) {
			b.t.Errorf("the screen has no %q:\n%s", p, screen)
		}
	}
}

func (b *bench) wantNotScreen(parts ...string) {
	b.t.Helper()
	screen := b.screen()
	for _, p := range parts {
		if strings.Contains(screen, p) {
			b.t.Errorf("the screen has %q:\n%s", p, screen)
		}
	}
}

// saved returns the messages that the conversation's file holds, read from disk as another window would.
func (b *bench) saved() []history.Message {
	b.t.Helper()
	if b.m.chat.file == nil {
		b.t.Fatal("the conversation has no file")
	}
	return readBack(b.t, b.m.chat.file.Path())
}

func readBack(t testing.TB, path string) []history.Message {
	t.Helper()
	f, err := history.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}()
	c := f.Conversation()
	return c.Path(c.Leaf())
}

// sized is the message of a terminal of this size.
func sized(w, h int) tea.WindowSizeMsg { return tea.WindowSizeMsg{Width: w, Height: h} }
