package ui

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"

	"peregrine/history"
	"peregrine/model/generate"
	"peregrine/ui/measure"
)

// pacedChat names the store of a chat that the test binary runs instead of its tests, to see what its screen takes.
const pacedChat = "UI_TEST_PACED_CHAT"

// The paced model's pace, how many of its tokens are measured, and how many come first, to be left out.
const (
	pacePerSecond = 100
	pacedTokens   = 1000
	pacedWarmUp   = 100
)

// share is what a process took of one core, between two moments.
type share struct{ CPU, Wall time.Duration }

// BenchmarkShareOfACore measures what the whole program takes of one core, files included, while a model that takes nothing
// says 100 tokens a second on a screen of 100×40. The terminal is another process and is not counted.
func BenchmarkShareOfACore(b *testing.B) {
	measure.Medians(b, []measure.Quantity{{Name: "share-of-a-core/100-tokens-a-second", Unit: "%", Goal: "<= 5"}}, func() []float64 {
		s := pacedShare(b)
		return []float64{100 * float64(s.CPU) / float64(s.Wall)}
	})
}

// pacedShare runs the paced chat on a terminal of its own.
func pacedShare(b *testing.B) share {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), pacedChat+"="+b.TempDir(), "TERM=xterm-256color", "COLORTERM=truecolor")
	master, tty, err := pty.Open()
	if err != nil {
		b.Fatalf("no pseudo-terminal: %v", err)
	}
	defer master.Close()
	if err := pty.Setsize(tty, &pty.Winsize{Rows: 40, Cols: 100}); err != nil {
		b.Fatal(err)
	}
	told, w, err := os.Pipe()
	if err != nil {
		b.Fatal(err)
	}
	defer told.Close()
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = tty, tty, os.Stderr, []*os.File{w}
	err = cmd.Start()
	_, _ = tty.Close(), w.Close() // the chat has them
	if err != nil {
		b.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, master) }()
	time.Sleep(500 * time.Millisecond) // until it reads keys
	if _, err := master.WriteString("go on\r"); err != nil {
		b.Fatal(err)
	}
	var s share
	if err := json.NewDecoder(told).Decode(&s); err != nil {
		b.Errorf("the chat did not say what it took: %v", err)
	}
	_, _ = master.WriteString("\x03\x03") // it ends
	if err := cmd.Wait(); err != nil {
		b.Fatal(err)
	}
	return s
}

// runPacedChat runs the whole program on its terminal and tells file 3 what it took.
func runPacedChat(dir string) {
	store, err := history.OpenStore(dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(4)
	}
	gen := newScript("")
	gen.reply = func(ctx context.Context, r generate.Request, w *generate.Writer) {
		shape := replyShapes[len(replyShapes)-1]
		text := replyOf(shape.line, pacedWarmUp+pacedTokens)
		var ids []int32
		var before share
		start := time.Now()
		for i := 0; i < len(text) && ctx.Err() == nil; i += 4 {
			if len(ids) == pacedWarmUp {
				before = spent(start)
			}
			id := int32(len(ids))
			ids = append(ids, id)
			w.Update(generate.Update{
				Phase: generate.Decoding, Text: text[i : i+4], Tokens: []generate.Token{{ID: id}}, TokensPerSecond: pacePerSecond,
			})
			time.Sleep(time.Until(start.Add(time.Duration(len(ids)) * time.Second / pacePerSecond)))
		}
		after := spent(start)
		w.Update(generate.Update{Result: result(generate.FinishStop, text, ids, r.Sampling)})
		out := os.NewFile(3, "share")
		if err := json.NewEncoder(out).Encode(share{after.CPU - before.CPU, after.Wall - before.Wall}); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	if err := Run(context.Background(), Options{Generator: gen, Store: store}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(5)
	}
}

// spent returns what this process took so far, and the time since start.
func spent(start time.Time) share {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // the arguments are right
	}
	return share{time.Duration(u.Utime.Nano() + u.Stime.Nano()), time.Since(start)}
}
