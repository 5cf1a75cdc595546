package ui

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/vt"
	"github.com/creack/pty"

	"peregrine/model/generate"
)

// terminal runs the whole program in a pseudo-terminal whose other end is a terminal emulator.
type terminal struct {
	t      testing.TB
	master *os.File
	done   chan error

	mu    sync.Mutex
	emu   *vt.Emulator
	raw   []byte  // everything that the program sent
	other *filter // what makes another terminal of the emulator; nil: nothing
}

func startTerminal(t testing.TB, opt Options, w, h int) *terminal {
	t.Helper()
	return startTerminalOf(t, opt, w, h, func(*terminal) {})
}

// startTerminalOf starts the program in a terminal that prepare has changed.
func startTerminalOf(t testing.TB, opt Options, w, h int, prepare func(*terminal)) *terminal {
	t.Helper()
	master, tty, err := pty.Open()
	if err != nil {
		t.Fatalf("no pseudo-terminal: %v", err)
	}
	if err := pty.Setsize(tty, &pty.Winsize{Rows: uint16(h), Cols: uint16(w)}); err != nil {
		t.Fatal(err)
	}
	term := &terminal{t: t, master: master, emu: vt.NewEmulator(w, h), done: make(chan error, 1)}
	prepare(term)
	go func() { // what the program sends
		buf := make([]byte, 1<<16)
		for {
			n, err := master.Read(buf)
			term.mu.Lock()
			term.raw = append(term.raw, buf[:n]...)
			said := buf[:n]
			if term.other != nil {
				said = term.other.pass(said)
			}
			_, _ = term.emu.Write(said)
			term.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	go func() { _, _ = io.Copy(master, term.emu) }() // what the terminal answers to queries
	go func() {
		err := Run(context.Background(), opt, tea.WithInput(&pasteReader{File: tty}), tea.WithOutput(tty),
			tea.WithEnvironment([]string{"TERM=xterm-256color", "COLORTERM=truecolor"}))
		_ = tty.Close()
		term.done <- err
	}()
	return term
}

// send types bytes as a keyboard would.
func (term *terminal) send(keys ...string) {
	term.t.Helper()
	for _, k := range keys {
		if _, err := term.master.WriteString(k); err != nil {
			term.t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond) // an escape right before another key would be one key
	}
}

// screen returns what the emulator shows.
func (term *terminal) screen() string {
	term.mu.Lock()
	defer term.mu.Unlock()
	return term.emu.String()
}

// sent returns how many bytes the program has sent.
func (term *terminal) sent() int {
	term.mu.Lock()
	defer term.mu.Unlock()
	return len(term.raw)
}

// quiet waits until the program has sent nothing for so long.
func (term *terminal) quiet(long time.Duration) {
	for before, since := term.sent(), time.Now(); time.Since(since) < long; time.Sleep(time.Millisecond) {
		if now := term.sent(); now != before {
			before, since = now, time.Now()
		}
	}
}

// until waits for something that comes true sooner or later, and says whether it did.
func (term *terminal) until(ok func() bool) bool {
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}

// wait waits until the screen holds all of these.
func (term *terminal) wait(parts ...string) {
	term.t.Helper()
	for _, p := range parts {
		if !term.until(func() bool { return strings.Contains(term.screen(), p) }) {
			term.t.Fatalf("the screen never showed %q:\n%s", p, term.screen())
		}
	}
}

// ended waits for the program to end.
func (term *terminal) ended() {
	term.t.Helper()
	select {
	case err := <-term.done:
		if err != nil {
			term.t.Fatal(err)
		}
	case <-time.After(20 * time.Second):
		term.t.Fatalf("the program did not end:\n%s", term.screen())
	}
	_ = term.master.Close()
}

// Keys as a terminal sends them.
const (
	enterKey = "\r"
	escKey   = "\x1b"
	f3Key    = "\x1bOR"
	f6Key    = "\x1b[17~"
	f8Key    = "\x1b[19~"
	ctrlC    = "\x03"
	ctrlD    = "\x04"
	ctrlJ    = "\x0a"
)

// TestAWholeSessionInATerminal types, streams, stops, changes temperature and top-k by key, saves, quits, reopens and finds
// every word.
func TestAWholeSessionInATerminal(t *testing.T) {
	store := openStore(t)
	gen := newScript("")
	spoken := []string{"# Peregrine\n\n", "falcons ", "are **fast** ", "birds. 漢字 ", "👩‍👩‍👧 ", "\x1b[2Jstill here "}
	begun := make(chan generate.Sampling, 1)
	values := make(chan generate.Sampling, 1)
	next := make(chan bool)
	gen.reply = func(ctx context.Context, r generate.Request, w *generate.Writer) {
		begun <- r.Sampling
		text, now := "", r.Sampling
		var ids []int32
		for _, word := range append(spoken, strings.Fields(strings.Repeat("and on ", 500))...) {
			select {
			case <-next:
			case <-ctx.Done():
				w.Update(generate.Update{Result: result(generate.FinishCancelled, text, ids, now)})
				return
			}
			if v, changed := w.Sampling(); changed {
				now = v
				values <- v
			}
			text += word
			ids = append(ids, int32(len(ids)))
			w.Update(generate.Update{Phase: generate.Decoding, Text: word, Tokens: []generate.Token{{ID: ids[len(ids)-1]}}, TokensPerSecond: 33})
		}
	}
	term := startTerminal(t, Options{Generator: gen, Store: store}, 80, 24)
	term.wait("tiny-falcon", "Write a message")
	term.send("tell me", ctrlJ, "about birds")
	term.wait("❯ tell me", "about birds")
	term.send(enterKey)
	term.wait("┃ tell me", "┃ about birds", "Esc stops")
	if s := <-begun; s.Temperature != 0.7 || s.TopK != 40 {
		t.Errorf("the reply began with %+v", s)
	}
	for range 3 {
		next <- true
	}
	term.wait("Peregrine", "falcons are fast")
	term.send(f6Key, f6Key, f8Key)
	term.wait("temp 0.8", "top-k 50")
	next <- true
	if v := <-values; v.Temperature != 0.8 || v.TopK != 50 {
		t.Errorf("got %+v at the next token, want temperature 0.8 and top-k 50", v)
	}
	next <- true
	next <- true
	term.wait("birds. 漢字", "␛[2Jstill here")
	term.send(escKey)
	term.wait("stopped", "6 tokens", "temp 0.8", "top-k 50")
	term.send("/save Bird facts", enterKey)
	term.wait("saved as Bird facts")
	term.send("unsent", ctrlC) // clears the draft
	term.wait("Write a message")
	term.send(ctrlD)
	term.ended()

	gen = newScript("A second answer.")
	term = startTerminal(t, Options{Generator: gen, Store: store, Name: "Bird facts"}, 60, 24)
	term.wait("┃ tell me", "┃ about birds", "Peregrine", "falcons are fast birds. 漢字", "␛[2Jstill here", "stopped")
	term.send("more", enterKey)
	term.wait("A second answer.")
	term.send(f3Key)
	term.wait("Conversations", "Bird facts", "open")
	term.send(escKey)
	term.wait("Write a message")
	term.send(ctrlC)
	term.wait("once more quits")
	term.send(ctrlC)
	term.ended()

	path, err := store.Latest()
	if err != nil {
		t.Fatal(err)
	}
	got := readBack(t, path)
	if len(got) != 4 {
		t.Fatalf("got %d messages, want 4", len(got))
	}
	if want := strings.Join(spoken, ""); got[1].Content != want || got[1].Finish != generate.FinishCancelled {
		t.Errorf("got reply %q (%s), want %q, cancelled", got[1].Content, got[1].Finish, want)
	}
	if s := got[1].Sampling; s == nil || s.Temperature != 0.8 || s.TopK != 50 {
		t.Errorf("got sampling %+v recorded", s)
	}
	term.mu.Lock()
	defer term.mu.Unlock()
	if strings.Contains(string(term.raw), "\x1b[2Jstill") {
		t.Error("a control sequence of the model reached the terminal")
	}
}

func TestTheCursorIsWhereOneTypes(t *testing.T) {
	term := startTerminal(t, Options{Generator: newScript("x")}, 40, 12)
	term.wait("Write a message")
	for _, text := range []string{"ab", "漢字", "é", "👍"} {
		term.send(text)
		term.wait(text)
	}
	at := "❯ ab漢字é👍"
	deadline := time.Now().Add(5 * time.Second)
	for {
		term.mu.Lock()
		pos := term.emu.CursorPosition()
		term.mu.Unlock()
		if pos.X == width(at) && pos.Y == 10 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the cursor is at %v, want column %d of row 10:\n%s", pos, width(at), term.screen())
		}
		time.Sleep(10 * time.Millisecond)
	}
	term.send(ctrlC, ctrlC)
	term.ended()
}

func TestQuittingATerminalWhileItStreamsKeepsTheText(t *testing.T) {
	store := openStore(t)
	gen := newScript("")
	words := gen.drip()
	term := startTerminal(t, Options{Generator: gen, Store: store}, 80, 24)
	term.wait("Write a message")
	term.send("go", enterKey)
	term.wait("Esc stops")
	for i := range 20 {
		words <- fmt.Sprintf("word%d ", i)
	}
	term.wait("word19")
	term.send("/quit", enterKey)
	term.ended()
	path, err := store.Latest()
	if err != nil {
		t.Fatal(err)
	}
	got := readBack(t, path)
	if len(got) != 2 || !strings.HasSuffix(got[1].Content, "word19 ") || got[1].Finish != generate.FinishCancelled || got[1].Partial {
		t.Errorf("got %+v, want the whole text, cancelled", got)
	}
}
