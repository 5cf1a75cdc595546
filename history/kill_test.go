package history

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"peregrine/model/generate"
)

// writerChild chats into the file at path until it is killed, and says on its output what it has done: "turn ID" once a
// turn is finished, "part ID N" once the reply ID was handed over with N bytes.
func writerChild(path string) {
	f, err := Open(path)
	if err != nil || f.ReadOnly() != "" {
		fmt.Fprintln(os.Stderr, "cannot write:", err)
		os.Exit(1)
	}
	leaf := f.Conversation().Leaf()
	for {
		user, err := f.Append(Message{ParentID: leaf, Role: generate.User, Content: "question"})
		if err != nil {
			os.Exit(1)
		}
		fmt.Println("turn", user.ID)
		reply := Message{ID: NewID(), ParentID: user.ID, Role: generate.Assistant}
		pieces := []int{5, 50, 500}[rand.IntN(3)] // up to five seconds: longer than a second is what can be lost
		for range pieces {
			reply.Content += "word "
			if err := f.Partial(reply); err != nil {
				os.Exit(1)
			}
			fmt.Println("part", reply.ID, len(reply.Content))
			time.Sleep(10 * time.Millisecond)
		}
		reply.Finish = generate.FinishStop
		if _, err := f.Append(reply); err != nil {
			os.Exit(1)
		}
		fmt.Println("turn", reply.ID)
		leaf = reply.ID
	}
}

// said is one line of the child, and when it came.
type said struct {
	at   time.Time
	line string
}

func TestKillLosesNoTurnAndAtMostASecondOfTheReply(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	for i := range 10 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			path := write(t, session)
			killed, done := chatAndKill(t, path, time.Duration(500+rand.IntN(3000))*time.Millisecond)
			f := open(t, path)
			if f.ReadOnly() != "" {
				t.Fatalf("read-only: %s: the lock outlived its process", f.ReadOnly())
			}
			checkKept(t, f.Conversation(), killed, done)
			add(t, f, f.Conversation().Leaf(), generate.User, "on we go")
			if c := reopen(t, f).Conversation(); len(c.Warnings) > 0 {
				t.Errorf("afterwards: got warnings %q", c.Warnings)
			}
		})
	}
}

// chatAndKill runs a child for some time and returns when it was killed and what it had said by then.
func chatAndKill(t *testing.T, path string, life time.Duration) (killed time.Time, done []said) {
	t.Helper()
	cmd := child(t, "writer", path)
	out, err := cmd.StdoutPipe()
	wantNoError(t, err)
	wantNoError(t, cmd.Start())
	lines := make(chan said)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			lines <- said{time.Now(), s.Text()}
		}
	}()
	timer := time.After(life)
	for {
		select {
		case l, ok := <-lines:
			if !ok {
				_ = cmd.Wait() // killed
				return killed, done
			}
			done = append(done, l)
		case <-timer:
			killed = time.Now()
			wantNoError(t, cmd.Process.Kill())
		}
	}
}

func checkKept(t *testing.T, c *Conversation, killed time.Time, done []said) {
	t.Helper()
	turns := 0
	for _, l := range done {
		var id string
		var n int
		if _, err := fmt.Sscanf(l.line, "turn %s", &id); err == nil {
			turns++
			if m, ok := c.Message(id); !ok || m.Partial {
				t.Errorf("turn %s was finished: got %+v", id, m)
			}
			continue
		}
		if _, err := fmt.Sscanf(l.line, "part %s %d", &id, &n); err != nil {
			t.Fatalf("%q: %v", l.line, err)
		}
		if killed.Sub(l.at) < time.Second {
			continue
		}
		if m, ok := c.Message(id); !ok || len(m.Content) < n {
			t.Errorf("%d bytes of reply %s were there %v before: got %d", n, id, killed.Sub(l.at), len(m.Content))
		}
	}
	for _, m := range c.Messages {
		if m.Role == generate.Assistant && strings.Trim(m.Content, "word ") != "" {
			t.Errorf("got a reply of other words: %q", m.Content)
		}
	}
	t.Logf("%d turns, %d messages, %d lines of the child", turns, len(c.Messages), len(done))
}
