package ui

import (
	"context"
	"strings"
	"sync"

	"peregrine/model/generate"
)

// script is a generator that does what a test says.
type script struct {
	mu       sync.Mutex
	info     generate.Info
	plan     generate.Plan
	planErr  error
	startErr error
	loaded   chan struct{} // closed: replies may start
	requests []generate.Request
	reply    func(ctx context.Context, r generate.Request, w *generate.Writer)
	explain  func(ctx context.Context, q generate.Inquiry) (generate.Explanation, error)
}

// newScript returns a loaded model that answers with text, word by word.
func newScript(text string) *script {
	s := &script{
		info: generate.Info{
			Ready: true, Progress: 1, Model: "tiny-falcon", Path: "/models/tiny-falcon", Architecture: "falcon",
			Quantization: "GPTQ 4 bit", Backend: "cpu (avx2, 2 threads)", BackendWhy: "no GPU: libcuda.so.1 not found",
			Templates: []string{"model", "instruction", "falcon", "chatml", "none"}, Template: "model", Context: 2048,
			Defaults: generate.Sampling{Temperature: 0.7, TopK: 40},
		},
		plan:   generate.Plan{Tokens: 20, Limit: 2048},
		loaded: make(chan struct{}),
	}
	close(s.loaded)
	s.says(text)
	s.explain = explainWords
	return s
}

// says makes the model answer with text.
func (s *script) says(text string) {
	s.reply = func(_ context.Context, r generate.Request, w *generate.Writer) {
		var ids []int32
		for i, word := range strings.SplitAfter(text, " ") {
			ids = append(ids, int32(100+i))
			w.Update(generate.Update{Phase: generate.Decoding, Text: word, Tokens: []generate.Token{{ID: int32(100 + i)}}, TokensPerSecond: 20})
		}
		w.Update(generate.Update{Result: result(generate.FinishStop, text, ids, r.Sampling)})
	}
}

// result returns a reply's end.
func result(finish generate.FinishReason, text string, ids []int32, s generate.Sampling) *generate.Result {
	return &generate.Result{
		Finish: finish, Text: text, TokenIDs: ids, Sampling: s,
		Timings: generate.Timings{PromptTokens: 20, ReplyTokens: len(ids), DecodePerSecond: 20},
	}
}

// drip makes the model say words one at a time, each when the test sends to the returned channel, until it is cancelled.
func (s *script) drip() chan string {
	words := make(chan string)
	s.reply = func(ctx context.Context, _ generate.Request, w *generate.Writer) {
		var text string
		var ids []int32
		var values generate.Sampling
		for {
			select {
			case word, ok := <-words:
				values, _ = w.Sampling()
				if !ok {
					w.Update(generate.Update{Result: result(generate.FinishStop, text, ids, values)})
					return
				}
				text += word
				ids = append(ids, int32(len(ids)+1))
				w.Update(generate.Update{Phase: generate.Decoding, Text: word, Tokens: []generate.Token{{ID: int32(len(ids))}}})
			case <-ctx.Done():
				w.Update(generate.Update{Result: result(generate.FinishCancelled, text, ids, values)})
				return
			}
		}
	}
	return words
}

func (s *script) Info() generate.Info {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.info
}

// set changes what Info says.
func (s *script) set(change func(*generate.Info)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.info)
}

func (s *script) Plan(ctx context.Context, _ generate.Request) (generate.Plan, error) {
	select {
	case <-s.loaded:
		return s.plan, s.planErr
	case <-ctx.Done():
		return generate.Plan{}, ctx.Err()
	}
}

func (s *script) Start(ctx context.Context, r generate.Request) (*generate.Stream, error) {
	if s.startErr != nil {
		return nil, s.startErr
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.requests = append(s.requests, r)
	s.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	stream, w := generate.NewStream(cancel, r.Sampling)
	go s.reply(ctx, r, w)
	return stream, nil
}

// last returns the newest request.
func (s *script) last() generate.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests[len(s.requests)-1]
}
