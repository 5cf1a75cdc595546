package plain

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"sync"
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
