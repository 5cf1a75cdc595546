package ui

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"peregrine/history"
	"peregrine/model/generate"
)

// killedChat names the store of a chat that the test binary runs instead of its tests, to be killed.
const killedChat = "UI_TEST_KILLED_CHAT"

func TestMain(m *testing.M) {
	if dir := os.Getenv(killedChat); dir != "" {
		runKilledChat(dir)
		return
	}
	if dir := os.Getenv(pacedChat); dir != "" {
		runPacedChat(dir)
		return
	}
	os.Exit(m.Run())
}

// deed says what a chat has done, a line of JSON each.
type deed struct {
	At      int64  // nanoseconds, by the clock that the killer has too
	Turn    string `json:",omitempty"` // the id of a message that is saved …
	Content string `json:",omitempty"` // … and its text
	Reply   string `json:",omitempty"` // the name of a reply, which begins with it …
	Size    int    `json:",omitempty"` // … and of which so many bytes have come from the model
	Draft   bool   `json:",omitempty"` // there is another draft: …
	Sending string `json:",omitempty"` // … a message that is not known to be saved, and
	Text    string `json:",omitempty"` // what is in the field
	Key     string `json:",omitempty"` // it is pressed: the draft changes next
	Ready   bool   `json:",omitempty"` // the conversation and its draft are there
}

// replyText returns the first bytes of a reply.
func replyText(name string, size int) string {
	var b strings.Builder
	for i := 0; b.Len() < size; i++ {
		fmt.Fprintf(&b, "%s-%d ", name, i)
	}
	return b.String()[:size]
}

// runKilledChat runs the whole program on its terminal, with a model that says words for a while, and tells file 3 about it.
func runKilledChat(dir string) {
	var mu sync.Mutex
	out := os.NewFile(3, "deeds")
	tell := func(e deed) {
		mu.Lock()
		defer mu.Unlock()
		e.At = time.Now().UnixNano()
		line, err := json.Marshal(e)
		if err == nil {
			_, err = out.Write(append(line, '\n'))
		}
		if err != nil {
			os.Exit(3)
		}
	}
	store, err := history.OpenStore(dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(4)
	}
	gen := newScript("")
	gen.reply = func(ctx context.Context, r generate.Request, w *generate.Writer) {
		name, size := history.NewID(), 0
		var ids []int32
		words := []int{3, 30, 300}[rand.IntN(3)]
		for i := range words {
			if ctx.Err() != nil {
				break
			}
			next := len(fmt.Sprintf("%s-%d ", name, i))
			ids = append(ids, int32(i))
			w.Update(generate.Update{
				Phase: generate.Decoding, Text: replyText(name, size+next)[size:], Tokens: []generate.Token{{ID: int32(i)}},
			})
			size += next
			tell(deed{Reply: name, Size: size})
			time.Sleep(7 * time.Millisecond)
		}
		finish := generate.FinishStop
		if ctx.Err() != nil {
			finish = generate.FinishCancelled
		}
		w.Update(generate.Update{Result: result(finish, replyText(name, size), ids, r.Sampling)})
	}
	err = Run(context.Background(), Options{Generator: gen, Store: store, Resume: true}, tea.WithFilter(watch(tell)))
	fmt.Fprintln(os.Stderr, "the chat ended by itself:", err)
	os.Exit(5)
}

// watch tells what has changed by each message of the program.
func watch(tell func(deed)) func(tea.Model, tea.Msg) tea.Msg {
	var last unsent
	ready := false
	return func(model tea.Model, msg tea.Msg) tea.Msg {
		m := model.(*Model)
		if !ready && m.chat.draft.place != nil {
			ready = true
			tell(deed{Ready: true})
		}
		if now := m.unsent(); !same(now.sending, last.sending) || !same(now.text, last.text) {
			last = now
			tell(deed{Draft: true, Sending: textOf(now.sending), Text: textOf(now.text)})
		}
		switch msg := msg.(type) {
		case tea.KeyPressMsg:
			tell(deed{Key: msg.Keystroke()})
		case tea.PasteMsg:
			tell(deed{Key: "paste"})
		case userSavedMsg:
			if said, ok := m.chat.last(); ok && msg.err == nil && said.ID == msg.id {
				tell(deed{Turn: said.ID, Content: said.Content})
			}
		case savedMsg:
			if said, ok := m.chat.last(); ok && msg.err == nil && msg.keep == m.chat.keep && said.Finish != "" {
				tell(deed{Turn: said.ID, Content: said.Content})
			}
		}
		return msg
	}
}
