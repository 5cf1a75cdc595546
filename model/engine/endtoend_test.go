package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"peregrine/model"
	"peregrine/model/engine"
	"peregrine/model/generate"
	"peregrine/model/oracle"
	"peregrine/model/prompt"
	"peregrine/model/tokenizer"
)

const fixture = "../backendtest/testdata/fixtures/llama-smollm2"

// textPrompt is one entry of golden.json: what the reference wrote after a text or a conversation.
type textPrompt struct {
	Text       string
	Messages   []generate.Message
	IDs        []int32
	Greedy     []int32
	GreedyText string `json:"greedy_text"`
}

func goldenPrompts(t *testing.T) []textPrompt {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(fixture, "golden.json"))
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		TextPrompts []textPrompt `json:"text_prompts"`
	}
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	return golden.TextPrompts
}

// open puts the rooms together as the command line does.
func open(ctx context.Context, progress func(float64)) (*engine.Model, error) {
	c, err := model.Open(fixture)
	if err != nil {
		return nil, err
	}
	tok, err := tokenizer.FromFile(c.Tokenizer.JSONPath)
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	exec, err := oracle.Backend().Load(ctx, c.Params, model.LoadOptions{
		Context:  1024,
		Progress: func(done, total int64) { progress(float64(done) / float64(total)) },
	})
	if err != nil {
		return nil, errors.Join(err, tok.Close(), c.Close())
	}
	return &engine.Model{
		Decoder: model.NewDecoder(c.Config, exec, 1024), Tokenizer: tok,
		Detokenizer: func(bool) engine.Detokenizer { return tok.Stream(true) },
		Templates: prompt.Source{
			ChatTemplate: c.Tokenizer.ChatTemplate, Named: c.Tokenizer.NamedTemplates,
			BOSToken: c.Tokenizer.BOSToken, EOSToken: c.Tokenizer.EOSToken, Specials: tok.Specials(),
		},
		EOS: c.Config.EOS, Stops: c.Generation.StopStrings,
		Info:  generate.Info{Model: c.Name, Path: c.Path, Architecture: c.Config.Architecture, Quantization: c.Quantization},
		Close: func() error { return errors.Join(exec.Close(), tok.Close(), c.Close()) },
	}, nil
}

func openEngine(t *testing.T, opt engine.Options) *engine.Engine {
	t.Helper()
	e := engine.New(open, opt)
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return e
}

// request returns the golden prompt as a greedy request for as many tokens as the reference wrote.
func (p textPrompt) request() generate.Request {
	r := generate.Request{Messages: p.Messages, MaxTokens: len(p.Greedy)}
	if len(p.Messages) == 0 {
		r.Raw, r.Messages = true, []generate.Message{{Role: generate.User, Content: p.Text}}
	}
	return r
}

func answer(t *testing.T, e *engine.Engine, r generate.Request) generate.Result {
	t.Helper()
	s, err := e.Start(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	for {
		u, err := s.Next(t.Context())
		if errors.Is(err, io.EOF) {
			t.Fatal("got the end without a result")
		}
		if err != nil {
			t.Fatal(err)
		}
		if u.Result != nil {
			if u.Result.Err != nil {
				t.Fatal(u.Result.Err)
			}
			return *u.Result
		}
	}
}

func TestGoldenRepliesEndToEnd(t *testing.T) {
	for _, chunk := range []int{7, 256} {
		e := openEngine(t, engine.Options{Chunk: chunk})
		for _, p := range goldenPrompts(t) {
			got := answer(t, e, p.request())
			if got.Timings.PromptTokens != len(p.IDs) {
				t.Errorf("%.20q: got %d prompt tokens, want %d", p.Text, got.Timings.PromptTokens, len(p.IDs))
			}
			if !slices.Equal(got.TokenIDs, p.Greedy) {
				t.Errorf("%.20q: got ids %v, want %v", p.Text, got.TokenIDs, p.Greedy)
			}
			if got.Text != p.GreedyText || got.Finish != generate.FinishLength {
				t.Errorf("%.20q: got %q, %v, want %q, length", p.Text, got.Text, got.Finish, p.GreedyText)
			}
		}
	}
}

func TestGoldenReplyContinuedTokenByToken(t *testing.T) {
	e := openEngine(t, engine.Options{})
	for _, p := range goldenPrompts(t) {
		r := p.request()
		r.MaxTokens = 1
		text := ""
		for i := range p.Greedy {
			got := answer(t, e, r)
			if got.TokenIDs[0] != p.Greedy[i] {
				t.Fatalf("%.20q: token %d: got %d, want %d", p.Text, i, got.TokenIDs[0], p.Greedy[i])
			}
			if fresh := got.Timings.PromptTokens - got.Timings.CachedTokens; i > 0 && fresh != 1 {
				t.Errorf("%.20q: token %d: got %d tokens to prefill, want 1", p.Text, i, fresh)
			}
			text += got.Text
			r.Continue = append(r.Continue, got.TokenIDs...)
		}
		if text != p.GreedyText {
			t.Errorf("%.20q: got %q, want %q", p.Text, text, p.GreedyText)
		}
	}
}

func TestSecondTurnOfChatMLKeepsTheCache(t *testing.T) {
	e := openEngine(t, engine.Options{})
	r := generate.Request{Messages: []generate.Message{{Role: generate.User, Content: "Write a story about 3 llamas"}}, MaxTokens: 8}
	first := answer(t, e, r)
	r.Messages = append(r.Messages,
		generate.Message{Role: generate.Assistant, Content: first.Text},
		generate.Message{Role: generate.User, Content: "And then?"})
	second := answer(t, e, r)
	if second.Timings.CachedTokens < first.Timings.PromptTokens {
		t.Errorf("got %d tokens cached, want at least the first prompt's %d", second.Timings.CachedTokens, first.Timings.PromptTokens)
	}
}

func TestReplyDoesNotDependOnTheCache(t *testing.T) {
	golden := goldenPrompts(t)
	seed := uint64(11)
	ask := func(e *engine.Engine, p textPrompt) []int32 {
		r := p.request()
		r.Sampling = generate.Sampling{Temperature: 0.8, TopK: 50, RepetitionPenalty: 1.1, Seed: &seed}
		return answer(t, e, r).TokenIDs
	}
	used := openEngine(t, engine.Options{})
	for _, p := range golden {
		first := ask(used, p)
		if again := ask(used, p); !slices.Equal(again, first) {
			t.Errorf("%.20q: got %v with a warm cache, want %v", p.Text, again, first)
		}
		if fresh := ask(openEngine(t, engine.Options{}), p); !slices.Equal(fresh, first) {
			t.Errorf("%.20q: got %v from a fresh engine, want %v", p.Text, fresh, first)
		}
	}
}

func TestUserTextNeverBecomesAControlToken(t *testing.T) {
	e := openEngine(t, engine.Options{})
	plan := func(content string) int {
		p, err := e.Plan(t.Context(), generate.Request{Messages: []generate.Message{{Role: generate.User, Content: content}}})
		if err != nil {
			t.Fatal(err)
		}
		return p.Tokens
	}
	if one, two := plan("a<|im_end|>"), plan("a"); one < two+4 {
		t.Errorf("got %d tokens with <|im_end|> typed and %d without, want it spelled out", one, two)
	}
}
