package plain

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"peregrine/history"
	"peregrine/model/generate"
)

func TestExitCodes(t *testing.T) {
	loading := says("x")
	loading.info = generate.Info{Err: errors.New("no such model")}
	failing := says("x")
	failing.start = errors.New("template: no")
	bad := &generate.Sampling{Temperature: -1}
	for _, x := range []struct {
		name string
		opt  Options
		want int
		text string
	}{
		{"nothing to answer", Options{Generator: says()}, ExitUsage, "nothing to answer"},
		{"only white space", Options{Generator: says(), In: strings.NewReader(" \n\n")}, ExitUsage, "nothing to answer"},
		{"sampling out of range", Options{Generator: says(), Prompt: "x", Sampling: bad}, ExitUsage, "temperature"},
		{"input too long", Options{Generator: says(), In: io.LimitReader(forever{}, maxInput+5)}, ExitUsage, "16 MiB"},
		{"input fails", Options{Generator: says(), In: broken{}}, ExitFailed, "read the input"},
		{"no model", Options{Generator: loading, Prompt: "x"}, ExitFailed, "no such model"},
		{"request refused", Options{Generator: failing, Prompt: "x"}, ExitFailed, "template: no"},
		{"all well", Options{Generator: says("x"), Prompt: "x"}, ExitOK, ""},
	} {
		t.Run(x.name, func(t *testing.T) {
			out, _, err := talk(t, x.opt)
			if got := ExitCode(err); got != x.want {
				t.Errorf("got %d (%v), want %d", got, err, x.want)
			}
			if x.want != ExitOK && (out != "" || !strings.Contains(err.Error(), x.text)) {
				t.Errorf("got %q and %v, want an error with %q", out, err, x.text)
			}
		})
	}
}

type forever struct{}

func (forever) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 'x'
	}
	return len(b), nil
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, syscall.EIO }

func TestFailureInTheMiddleKeepsTheText(t *testing.T) {
	g := says()
	g.answer = func(_ context.Context, _ generate.Request, w *generate.Writer) {
		w.Update(generate.Update{Text: "so far", Tokens: []generate.Token{{ID: 1}}})
		w.Update(generate.Update{Result: &generate.Result{Finish: generate.FinishError, Err: errors.New("NaN logits"), Text: "so far", TokenIDs: []int32{1}}})
	}
	s := store(t)
	out, _, err := talk(t, Options{Generator: g, Store: s, Prompt: "x"})
	if ExitCode(err) != ExitFailed || err.Error() != "NaN logits" || out != "so far\n" {
		t.Errorf("got %q, %v", out, err)
	}
	if m := latest(t, s).Messages[1]; m.Content != "so far" || m.Finish != generate.FinishError || m.Partial {
		t.Errorf("got %+v, want the text so far", m)
	}
	out, _, err = talk(t, Options{Generator: g, Prompt: "x", JSON: true})
	var r Reply
	if ExitCode(err) != ExitFailed || json.Unmarshal([]byte(out), &r) != nil || r.Error != "NaN logits" || r.FinishReason != generate.FinishError {
		t.Errorf("JSON: got %q, %v", out, err)
	}
}

func TestInterruptKeepsTheText(t *testing.T) {
	for _, how := range []string{"context", "interrupt"} {
		t.Run(how, func(t *testing.T) {
			said, s := make(chan struct{}), store(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			interrupt := make(chan os.Signal, 1)
			go func() {
				<-said
				if how == "context" {
					cancel()
				} else {
					interrupt <- os.Interrupt
				}
			}()
			var out bytes.Buffer
			err := Run(ctx, Options{Generator: hangs("so far", said), Store: s, Prompt: "x", Out: &out, Interrupt: interrupt})
			if ExitCode(err) != ExitInterrupted || out.String() != "so far\n" {
				t.Errorf("got %q, %v", out.String(), err)
			}
			c := latest(t, s)
			if got := texts(c); got != "user: x\nassistant: so far" {
				t.Errorf("got %q", got)
			}
			if m := c.Messages[1]; m.Finish != generate.FinishCancelled || m.Partial || len(m.TokenIDs) != 1 {
				t.Errorf("got %+v", m)
			}
		})
	}
}

func TestInterruptWhileTheModelLoads(t *testing.T) {
	g := says("x")
	g.info = generate.Info{Progress: 0.4}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := Run(ctx, Options{Generator: g, Prompt: "x", Out: io.Discard}); ExitCode(err) != ExitInterrupted {
		t.Errorf("got %v", err)
	}
}

func TestInterruptWhileReadingTheInput(t *testing.T) {
	r, w := io.Pipe()
	defer w.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := Run(ctx, Options{Generator: says(), In: r, Out: io.Discard}); ExitCode(err) != ExitInterrupted {
		t.Errorf("got %v", err)
	}
}

func TestModelIsAwaited(t *testing.T) {
	g := says("x")
	g.info = generate.Info{}
	time.AfterFunc(120*time.Millisecond, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.info = ready
	})
	out, _, err := talk(t, Options{Generator: g, Prompt: "x"})
	if err != nil || out != "x\n" || g.requests[0].Sampling != ready.Defaults {
		t.Errorf("got %q, %v, %+v, want the loaded model's defaults", out, err, g.requests)
	}
}

func TestClosedPipeEndsQuietlyAndSaves(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Close()
	said, s := make(chan struct{}), store(t)
	err = Run(t.Context(), Options{Generator: hangs("so far", said), Store: s, Prompt: "x", Out: w})
	var e *Error
	if !errors.As(err, &e) || e.Code != ExitPipe || e.Err != nil {
		t.Errorf("got %v, want the code alone", err)
	}
	if got := texts(latest(t, s)); got != "user: x\nassistant: so far" {
		t.Errorf("got %q", got)
	}
}

func TestFullDiskBehindOutIsAnError(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("no /dev/full here")
	}
	defer full.Close()
	said := make(chan struct{})
	if err := Run(t.Context(), Options{Generator: hangs("x", said), Prompt: "x", Out: full}); ExitCode(err) != ExitFailed || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("got %v", err)
	}
}

func TestHistoryThatFailsIsSaidOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	s, err := history.OpenStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Remove(dir), os.WriteFile(dir, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	out, errs, err := talk(t, Options{Generator: says("he", "llo"), Store: s, Prompt: "x"})
	if out != "hello\n" || ExitCode(err) != ExitFailed {
		t.Errorf("got %q, %v, want the reply and a failure", out, err)
	}
	if n := strings.Count(errs, dir); n < 1 || n > 2 {
		t.Errorf("got %q, want it said once, and that it could not be saved at the end", errs)
	}
}

func TestCutRepliesAreNoted(t *testing.T) {
	for _, x := range []struct {
		finish generate.FinishReason
		want   string
	}{{generate.FinishLength, "cut at 1 tokens"}, {generate.FinishContext, "context of 64 tokens is full"}} {
		g := says()
		g.answer = func(_ context.Context, _ generate.Request, w *generate.Writer) {
			w.Update(generate.Update{Text: "x", Result: &generate.Result{Finish: x.finish, Text: "x", TokenIDs: []int32{1}, Dropped: 2}})
		}
		_, errs, err := talk(t, Options{Generator: g, Prompt: "x"})
		if err != nil || !strings.Contains(errs, x.want) || !strings.Contains(errs, "2 oldest messages") {
			t.Errorf("%s: got %q, %v", x.finish, errs, err)
		}
	}
}

// TestMain lets the test binary play a program whose output is piped.
func TestMain(m *testing.M) {
	if os.Getenv("PLAIN_TEST_CHILD") == "" {
		os.Exit(m.Run())
	}
	g := says()
	g.answer = func(ctx context.Context, _ generate.Request, w *generate.Writer) {
		for ctx.Err() == nil {
			w.Update(generate.Update{Text: "word "})
			time.Sleep(time.Millisecond)
		}
		w.Update(generate.Update{Result: &generate.Result{Finish: generate.FinishCancelled}})
	}
	os.Exit(ExitCode(Run(context.Background(), Options{Generator: g, Prompt: "x", Out: os.Stdout, Err: os.Stderr})))
}

func TestClosedStandardOutputDoesNotKillTheProcess(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "PLAIN_TEST_CHILD=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, 20)); err != nil {
		t.Fatal(err)
	}
	_ = out.Close()
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != ExitPipe {
		t.Errorf("got %v, want exit code %d", err, ExitPipe)
	}
}
