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
	"sync"
	"syscall"
	"testing"
	"time"

	"peregrine/history"
	"peregrine/model/generate"
)

// scripted is a generator that answers what the test says.
type scripted struct {
	mu       sync.Mutex
	info     generate.Info
	requests []generate.Request
	plan     generate.Plan
	// answer writes a reply; it must end with a Result unless ctx ended.
	answer func(ctx context.Context, r generate.Request, w *generate.Writer)
	start  error
}

func (s *scripted) Info() generate.Info {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.info
}

func (s *scripted) Plan(context.Context, generate.Request) (generate.Plan, error) { return s.plan, nil }

func (s *scripted) Start(ctx context.Context, r generate.Request) (*generate.Stream, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.start != nil {
		return nil, s.start
	}
	s.requests = append(s.requests, r)
	ctx, cancel := context.WithCancel(ctx)
	stream, w := generate.NewStream(cancel, r.Sampling)
	go s.answer(ctx, r, w)
	return stream, nil
}

// info of a model that is loaded.
var ready = generate.Info{
	Ready: true, Model: "tiny", Quantization: "F32", Backend: "cpu", Template: "model", Context: 64,
	Defaults: generate.Sampling{Temperature: 0.8, TopK: 50},
}

// says returns a generator whose replies are these pieces.
func says(pieces ...string) *scripted {
	return &scripted{info: ready, answer: func(_ context.Context, r generate.Request, w *generate.Writer) {
		result := generate.Result{Finish: generate.FinishStop, Sampling: r.Sampling, Timings: generate.Timings{ReplyTokens: len(pieces)}}
		seed := uint64(7)
		result.Sampling.Seed = &seed
		for i, p := range pieces {
			id := int32(len(r.Continue) + i)
			result.Text += p
			result.TokenIDs = append(result.TokenIDs, id)
			w.Update(generate.Update{Phase: generate.Decoding, Text: p, Tokens: []generate.Token{{ID: id}}})
		}
		w.Update(generate.Update{Result: &result})
	}}
}

// echoes returns a generator that answers "re: " and the last message.
func echoes() *scripted {
	s := says()
	s.answer = func(_ context.Context, r generate.Request, w *generate.Writer) {
		text := "re: " + r.Messages[len(r.Messages)-1].Content
		w.Update(generate.Update{Text: text, Tokens: []generate.Token{{ID: 1}}, Result: &generate.Result{
			Finish: generate.FinishStop, Text: text, TokenIDs: []int32{1}, Sampling: r.Sampling,
		}})
	}
	return s
}

// hangs returns a generator that says one piece and then waits to be stopped; said is closed with the piece.
func hangs(piece string, said chan struct{}) *scripted {
	return &scripted{info: ready, answer: func(ctx context.Context, r generate.Request, w *generate.Writer) {
		w.Update(generate.Update{Text: piece, Tokens: []generate.Token{{ID: 3}}})
		close(said)
		<-ctx.Done()
		w.Update(generate.Update{Result: &generate.Result{
			Finish: generate.FinishCancelled, Text: piece, TokenIDs: []int32{3}, Sampling: r.Sampling,
		}})
	}}
}

// talk runs with the options and returns what went where.
func talk(t *testing.T, opt Options) (out, errs string, err error) {
	t.Helper()
	var o, e bytes.Buffer
	opt.Out, opt.Err = &o, &e
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	err = Run(ctx, opt)
	if ctx.Err() != nil {
		t.Fatal("it hung")
	}
	return o.String(), e.String(), err
}

func store(t *testing.T) *history.Store {
	t.Helper()
	s, err := history.OpenStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// latest returns the conversation that was saved last.
func latest(t *testing.T, s *history.Store) *history.Conversation {
	t.Helper()
	path, err := s.Latest()
	if err != nil {
		t.Fatal(err)
	}
	c, err := history.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func texts(c *history.Conversation) string {
	var all []string
	for _, m := range c.Path(c.Leaf()) {
		all = append(all, string(m.Role)+": "+m.Content)
	}
	return strings.Join(all, "\n")
}

func TestOneAnswer(t *testing.T) {
	for _, x := range []struct {
		name     string
		opt      Options
		pieces   []string
		asked    string
		wantText string
	}{
		{"prompt", Options{Prompt: "hi"}, []string{"he", "llo"}, "hi", "hello\n"},
		{"a newline of its own is not doubled", Options{Prompt: "hi"}, []string{"hello\n"}, "hi", "hello\n"},
		{"input without the shell's newline", Options{In: strings.NewReader("a\nb\n")}, []string{"x"}, "a\nb", "x\n"},
		{"prompt and input", Options{Prompt: "sum up:", In: strings.NewReader("text\r\n")}, []string{"x"}, "sum up:\n\ntext", "x\n"},
		{"empty input beside a prompt", Options{Prompt: "hi", In: strings.NewReader("")}, []string{"x"}, "hi", "x\n"},
		{"invalid bytes", Options{In: strings.NewReader("a\xff")}, []string{"x"}, "a\ufffd", "x\n"},
		{"a pipe gets the exact bytes", Options{Prompt: "hi"}, []string{"\x1b[31m\u202e"}, "hi", "\x1b[31m\u202e\n"},
		{"an empty reply", Options{Prompt: "hi"}, nil, "hi", "\n"},
	} {
		t.Run(x.name, func(t *testing.T) {
			g := says(x.pieces...)
			x.opt.Generator = g
			out, errs, err := talk(t, x.opt)
			if err != nil || errs != "" {
				t.Fatalf("got %v, notes %q", err, errs)
			}
			if out != x.wantText {
				t.Errorf("got %q, want %q", out, x.wantText)
			}
			if m := g.requests[0].Messages; len(m) != 1 || m[0].Content != x.asked || m[0].Role != generate.User {
				t.Errorf("asked %+v, want %q", m, x.asked)
			}
		})
	}
}

func TestRequestCarriesTheOptions(t *testing.T) {
	g := says("x")
	g.info.MaxTokens = 9
	_, _, err := talk(t, Options{Generator: g, Prompt: "q", System: "s", Template: "falcon", Stop: []string{"END"}})
	if err != nil {
		t.Fatal(err)
	}
	r := g.requests[0]
	if len(r.Messages) != 2 || r.Messages[0] != (generate.Message{Role: generate.System, Content: "s"}) || r.Template != "falcon" ||
		r.MaxTokens != 9 || r.Stop[0] != "END" || r.Sampling != ready.Defaults {
		t.Errorf("got %+v", r)
	}
	_, _, err = talk(t, Options{Generator: g, Prompt: "q", System: "s", Raw: true, MaxTokens: 3, Sampling: &generate.Sampling{TopK: 2}})
	if err != nil {
		t.Fatal(err)
	}
	r = g.requests[1]
	if len(r.Messages) != 1 || !r.Raw || r.MaxTokens != 3 || r.Sampling != (generate.Sampling{TopK: 2}) {
		t.Errorf("raw: got %+v", r)
	}
}

func TestAnswerIsSaved(t *testing.T) {
	s := store(t)
	if _, _, err := talk(t, Options{Generator: says("he", "llo"), Store: s, Prompt: "hi", System: "be kind"}); err != nil {
		t.Fatal(err)
	}
	c := latest(t, s)
	if got := texts(c); got != "user: hi\nassistant: hello" {
		t.Errorf("got %q", got)
	}
	m := c.Messages[1]
	if m.Partial || m.Finish != generate.FinishStop || m.Model != "tiny" || len(m.TokenIDs) != 2 || m.Sampling.Seed == nil || m.Timings == nil {
		t.Errorf("got %+v, want all of the reply", m)
	}
	if h := c.Header; h.Model != "tiny" || h.Quantization != "F32" || h.System != "be kind" || h.Context != 64 || h.Template != "model" {
		t.Errorf("got %+v", h)
	}
}

func TestOneAnswerInAConversation(t *testing.T) {
	s := store(t)
	if _, _, err := talk(t, Options{Generator: echoes(), Store: s, Prompt: "one", System: "be kind"}); err != nil {
		t.Fatal(err)
	}
	f, err := s.OpenID(latest(t, s).Header.ID)
	if err != nil {
		t.Fatal(err)
	}
	g := echoes()
	if _, _, err := talk(t, Options{Generator: g, File: f, Prompt: "two"}); err != nil {
		t.Fatal(err)
	}
	if got := texts(latest(t, s)); got != "user: one\nassistant: re: one\nuser: two\nassistant: re: two" {
		t.Errorf("got %q", got)
	}
	if m := g.requests[0].Messages; len(m) != 4 || m[0].Content != "be kind" {
		t.Errorf("asked %+v, want the earlier turns and the system text", m)
	}
}

func TestReadOnlyConversationIsSaidAndLeftAlone(t *testing.T) {
	s := store(t)
	if _, _, err := talk(t, Options{Generator: echoes(), Store: s, Prompt: "one"}); err != nil {
		t.Fatal(err)
	}
	path, _ := s.Latest()
	first, err := history.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	second, err := history.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	out, errs, err := talk(t, Options{Generator: echoes(), File: second, Prompt: "two"})
	if err != nil || out != "re: two\n" || !strings.Contains(errs, "another window") {
		t.Errorf("got %q, notes %q, %v", out, errs, err)
	}
	if got := texts(latest(t, s)); got != "user: one\nassistant: re: one" {
		t.Errorf("got %q, want it as it was", got)
	}
}

func TestJSON(t *testing.T) {
	s := store(t)
	g := says("a\u009b\u202e", "<b>\U000e0041")
	out, errs, err := talk(t, Options{Generator: g, Store: s, Prompt: "hi", JSON: true})
	if err != nil || errs != "" {
		t.Fatalf("got %v, notes %q", err, errs)
	}
	if strings.Count(out, "\n") != 1 || strings.ContainsAny(out, "\u009b\u202e\U000e0041") || !strings.Contains(out, `\udb40\udc41`) {
		t.Errorf("got %q, want one line that a terminal does not obey", out)
	}
	var r Reply
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	path, _ := s.Latest()
	if r.Text != "a\u009b\u202e<b>\U000e0041" || r.FinishReason != generate.FinishStop || len(r.TokenIDs) != 2 || *r.Sampling.Seed != 7 ||
		r.Sampling.TopK != 50 || r.Model != "tiny" || r.Backend != "cpu" || r.Quantization != "F32" || r.Template != "model" ||
		r.Timings.ReplyTokens != 2 || r.Conversation != path {
		t.Errorf("got %+v", r)
	}
}

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
