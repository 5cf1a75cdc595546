package ui

import (
	"bufio"
	"encoding/json"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/creack/pty"

	"peregrine/history"
	"peregrine/model/generate"
)

// lossWithin is how old a word may be, whether typed or said by the model, that a killed program loses.
const lossWithin = time.Second

// startWithin bounds how long the chat is waited for.
const startWithin = 20 * time.Second

// TestKillAtAnyMomentLosesNothing kills the whole program a hundred times, each time at a random moment of someone typing,
// pasting, sending and stopping, and looks what the next start finds.
func TestKillAtAnyMomentLosesNothing(t *testing.T) {
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	kills, users := 100, 8
	if testing.Short() {
		kills = 2 * users
	}
	var left, saved, drafts atomic.Int64
	left.Store(int64(kills))
	var wg sync.WaitGroup
	for i := range users {
		wg.Go(func() {
			u := &user{t: t, random: newRandom(seed + int64(i)), store: openStore(t), turns: map[string]string{}}
			for left.Add(-1) >= 0 && !t.Failed() {
				u.run()
			}
			saved.Add(int64(len(u.turns)))
			drafts.Add(int64(u.found))
		})
	}
	wg.Wait()
	t.Logf("%d kills, %d finished turns kept, %d drafts found again", kills, saved.Load(), drafts.Load())
	if !t.Failed() && (saved.Load() < int64(kills)/2 || drafts.Load() < int64(kills)/4) {
		t.Error("that is too few to have tested anything")
	}
}

// user types into one chat after the other, each killed, on one store.
type user struct {
	t      *testing.T
	random *rand.Rand
	store  *history.Store
	turns  map[string]string // what is saved, by id
	draft  string            // what the last start found
	typed  []string          // all that has stood in the field
	found  int               // starts that found one
}

// run starts the chat, uses it for a while, kills it, and checks what is left.
func (u *user) run() {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), killedChat+"="+u.store.Dir(), "TERM=xterm-256color")
	master, tty, err := pty.Open()
	if err == nil {
		defer master.Close()
		err = pty.Setsize(tty, &pty.Winsize{Rows: 24, Cols: 80})
	}
	if err != nil {
		u.t.Errorf("no pseudo-terminal: %v", err)
		return
	}
	told, w, err := os.Pipe()
	if err != nil {
		u.t.Error(err)
		return
	}
	defer told.Close()
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = tty, tty, os.Stderr, []*os.File{w}
	err = cmd.Start()
	_, _ = tty.Close(), w.Close() // the chat has them
	if err != nil {
		u.t.Error(err)
		return
	}
	go func() { _, _ = io.Copy(io.Discard, master) }()
	done, ready := make(chan []deed), make(chan struct{})
	go func() { done <- readDeeds(told, ready) }()
	life := time.Duration(100+u.random.IntN(1600)) * time.Millisecond
	early := u.random.IntN(10) == 0 // killed while it starts
	born := time.Now()
	for start := born; time.Since(start) < life; time.Sleep(time.Duration(5+u.random.IntN(20)) * time.Millisecond) {
		keys := "\x1b[I" // the news that the terminal has the focus makes the chat tell at once what has happened
		select {
		case <-ready:
			keys = u.keys() + keys
		default:
			if !early && time.Since(born) < startWithin {
				start = time.Now()
			}
		}
		if _, err := master.WriteString(keys); err != nil {
			u.t.Errorf("typing: %v", err)
			break
		}
	}
	killed := time.Now()
	if err := cmd.Process.Kill(); err != nil {
		u.t.Error(err)
	}
	if err := cmd.Wait(); cmd.ProcessState.Exited() {
		u.t.Errorf("the chat was not killed, it ended: %v", err)
	}
	u.check(killed, <-done)
}

// pastedBytes is what a large paste has.
const pastedBytes = 10 << 10

// keys returns what is typed next.
func (u *user) keys() string {
	switch n := u.random.IntN(100); {
	case n < 8:
		return enterKey
	case n < 12:
		return ctrlJ
	case n < 15:
		return "\x7f"
	case n < 18:
		return "\x1b[A" // up
	case n < 20:
		return ctrlC + "x" // never twice
	case n < 21:
		return "\x1b[200~" + replyText("pasted", pastedBytes) + "\x1b[201~"
	case n < 30:
		return " "
	}
	return string(rune('a' + u.random.IntN(26)))
}

// readDeeds reads whole lines until the chat is dead, and closes ready.
func readDeeds(r io.Reader, ready chan struct{}) []deed {
	var all []deed
	for in := bufio.NewReader(r); ; {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return all // what is torn is told in no case
		}
		var e deed
		if json.Unmarshal(line, &e) != nil {
			continue
		}
		if all = append(all, e); e.Ready {
			close(ready)
		}
	}
}

// check starts the program again, as its next user does, and compares what it shows with what had happened before it was
// killed.
func (u *user) check(killed time.Time, deeds []deed) {
	b := newBench(u.t, Options{Store: u.store, Resume: true})
	b.idle()
	defer func() {
		if err := b.m.close(); err != nil {
			u.t.Error(err)
		}
	}()
	if why := b.m.chat.readOnly; why != "" {
		u.t.Errorf("read-only: %s: the lock outlived its process", why)
	}
	old := func(e deed) bool { return killed.Sub(time.Unix(0, e.At)) >= lossWithin }
	streamed := map[string]int{}
	for _, e := range deeds {
		switch {
		case e.Turn != "":
			u.turns[e.Turn] = e.Content
		case e.Reply != "" && old(e):
			streamed[e.Reply] = e.Size
		}
	}
	c := &history.Conversation{}
	if b.m.chat.file != nil {
		c = b.m.chat.file.Conversation()
	}
	for _, w := range c.Warnings {
		u.t.Errorf("the file is damaged: %s", w)
	}
	for id, content := range u.turns {
		if m, ok := c.Message(id); !ok || m.Content != content || m.Partial {
			u.t.Errorf("message %s was saved as %.60q: got %+v", id, content, m)
		}
	}
	for name, size := range streamed {
		if !hasReply(c, name, size) {
			u.t.Errorf("%d bytes of reply %s had come %v before the kill, and are lost", size, name, lossWithin)
		}
	}
	found := textOf(b.m.draftEditor().text)
	u.checkDraft(found, deeds, old, c)
	if u.draft = found; found != "" {
		u.found++
	}
}

// hasReply reports whether so many bytes of a reply are in the conversation.
func hasReply(c *history.Conversation, name string, size int) bool {
	for _, m := range c.Messages {
		if m.Role == generate.Assistant && strings.HasPrefix(m.Content, replyText(name, size)) {
			return true
		}
	}
	return false
}

// checkDraft makes sure that a draft is one that stood in the field at some moment of the last second.
func (u *user) checkDraft(found string, deeds []deed, old func(deed) bool, c *history.Conversation) {
	said := map[string]bool{"": true}
	for _, m := range c.Messages {
		if m.Role == generate.User {
			said[strings.TrimRight(m.Content, " \n")] = true
		}
	}
	var states []string
	add := func(d deed) {
		if both := d.Sending + "\n" + d.Text; d.Sending != "" {
			states = append(states, strings.TrimSuffix(both, "\n"), both)
		}
		if said[strings.TrimRight(d.Sending, " \n")] {
			states = append(states, d.Text)
		}
	}
	last, key, before := deed{Text: u.draft}, "", "" // until the chat has told another draft
	add(last)
	u.typed = append(u.typed, u.draft)
	for _, e := range deeds {
		switch {
		case e.Key != "":
			key, before = e.Key, key
		case e.Draft:
			if last, key = e, ""; old(e) {
				states = states[:0] // the others were over by then
			}
			add(e)
			u.typed = append(u.typed, e.Text, e.Sending)
		}
	}
	edited := strings.TrimPrefix(found, last.Sending+"\n")
	// Where a walk through earlier texts stands is no draft before it is edited, and so is not told.
	onWalk := before == "up" && slices.ContainsFunc(u.typed, func(s string) bool { return oneKeyOn(s, edited, key) || oneKeyOn(s, found, key) })
	if !slices.Contains(states, found) && !oneKeyOn(last.Text, found, key) && !onWalk && (before != "ctrl+c" || found != key) {
		u.t.Errorf("found draft %.200q; in the last second there were %.200q, then came %q", found, states, key)
	}
}

// oneKeyOn reports whether a key makes one text of another: that it was pressed is told before, what it did afterwards.
func oneKeyOn(from, to, key string) bool {
	added := map[string]string{"space": " ", "ctrl+j": "\n", "paste": replyText("pasted", pastedBytes)}[key]
	switch {
	case key == "backspace":
		from, to, added = to, from, ""
		if len(to) > len(from) {
			added = to[commonPrefix(from, to):][:len(to)-len(from)]
		}
	case len(key) == 1:
		added = key
	}
	if added == "" || len(to) != len(from)+len(added) {
		return false
	}
	for at := commonPrefix(from, to); at >= 0; at-- {
		if to[at:at+len(added)] == added && to[at+len(added):] == from[at:] {
			return true
		}
	}
	return false
}

// commonPrefix returns how many bytes two texts begin with together.
func commonPrefix(a, b string) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}
