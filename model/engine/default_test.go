package engine_test

import (
	"context"
	"errors"
	"testing"

	"peregrine/model"
	"peregrine/model/backendtest"
	"peregrine/model/cpu"
	"peregrine/model/engine"
	"peregrine/model/generate"
	"peregrine/model/prompt"
	"peregrine/model/tokenizer"
)

// openDefault puts the real default model on the CPU behind an engine.
func openDefault(t *testing.T, p model.Precision) *engine.Engine {
	t.Helper()
	c := backendtest.OpenDefault(t)
	const limit = 2048
	e := engine.New(func(ctx context.Context, _ func(float64)) (*engine.Model, error) {
		tok, err := tokenizer.FromGGUF(vocabulary(c))
		if err != nil {
			return nil, err
		}
		backend, err := cpu.Open(cpu.Options{})
		if err != nil {
			return nil, errors.Join(err, tok.Close())
		}
		exec, err := backend.Load(ctx, c.Params, model.LoadOptions{Context: limit, Precision: p})
		if err != nil {
			return nil, errors.Join(err, backend.Close(), tok.Close())
		}
		return &engine.Model{
			Decoder: model.NewDecoder(c.Config, exec, limit), Tokenizer: tok,
			Detokenizer: func(bool) engine.Detokenizer { return tok.Stream(true) },
			Templates: prompt.Source{
				ChatTemplate: c.Tokenizer.ChatTemplate, BOSToken: c.Tokenizer.BOSToken, EOSToken: c.Tokenizer.EOSToken,
				Specials: tok.Specials(),
			},
			EOS:   c.Config.EOS,
			Close: func() error { return errors.Join(exec.Close(), backend.Close(), tok.Close()) },
		}, nil
	}, engine.Options{})
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return e
}

// vocabulary copies what a GGUF file says about tokens.
func vocabulary(c *model.Checkpoint) tokenizer.Vocabulary {
	f := c.Tokenizer.GGUF
	v := tokenizer.Vocabulary{Source: c.Path, BOS: -1, EOS: -1, UNK: -1, PAD: -1}
	v.Model, _ = f.String("tokenizer.ggml.model")
	v.Pre, _ = f.String("tokenizer.ggml.pre")
	v.Tokens, _ = f.Strings("tokenizer.ggml.tokens")
	v.Merges, _ = f.Strings("tokenizer.ggml.merges")
	types, _ := f.Ints("tokenizer.ggml.token_type")
	for _, k := range types {
		v.Types = append(v.Types, int32(k))
	}
	return v
}

// Replies are sampled, so the model may spell a word with other tokens than the tokenizer does; then the cache is good up to
// there. Mostly it does not: a turn costs what is new in it. Of single conversations 82 to 99 of 100 known tokens are found, so there are
// some of them; where nothing of a reply was kept it would be 66.
func TestTurnsOfTheDefaultModelKeepTheCache(t *testing.T) {
	for _, template := range []string{"model", "instruction"} {
		t.Run(template, func(t *testing.T) {
			e := openDefault(t, model.Fast)
			known, kept := 0, 0 // tokens that the cache had seen, and those of them that were found in it
			for seed := range uint64(3) {
				r := generate.Request{Template: template, MaxTokens: 40, Sampling: generate.Sampling{Temperature: 0.8, TopK: 50, Seed: &seed}}
				before := 0
				for _, question := range []string{
					"What is the capital of France?", "Write two sentences about it in German.", "List three animals, with emoji.", "Thank you!",
				} {
					r.Messages = append(r.Messages, generate.Message{Role: generate.User, Content: question})
					got := answer(t, e, r)
					if before > 0 { // else it is another conversation
						known, kept = known+before, kept+got.Timings.CachedTokens
					}
					t.Logf("%d of %d prompt tokens cached, %d generated before: %q", got.Timings.CachedTokens, got.Timings.PromptTokens, before, got.Text)
					before = got.Timings.PromptTokens + len(got.TokenIDs)
					r.Messages = append(r.Messages, generate.Message{Role: generate.Assistant, Content: got.Text})
				}
			}
			t.Logf("%d of %d known tokens found in the cache", kept, known)
			if kept*4 < known*3 {
				t.Errorf("got %d of %d known tokens found in the cache, want three of four", kept, known)
			}
		})
	}
}

// The first token is nearly a tie (0.08 between two logits), so this needs the precise mode: 8-bit activations, llama.cpp's
// among them, begin with "L'Étoile".
func TestDefaultModelAnswers(t *testing.T) {
	e := openDefault(t, model.Precise)
	got := answer(t, e, generate.Request{
		Messages:  []generate.Message{{Role: generate.User, Content: "What is the capital of France?"}},
		MaxTokens: 40,
	})
	if got.Text != "The capital of France is Paris." || got.Finish != generate.FinishStop {
		t.Errorf("got %q, %v, want The capital of France is Paris., stop", got.Text, got.Finish)
	}
	if got.Timings.PromptTokens != 37 { // as llama.cpp encodes the rendered template
		t.Errorf("got %d prompt tokens, want 37", got.Timings.PromptTokens)
	}
}
