package cli

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"peregrine/model"
	"peregrine/model/engine"
	"peregrine/model/generate"
	"peregrine/model/gguf"
	"peregrine/model/prompt"
	"peregrine/model/tokenizer"
)

// defaultContext bounds the KV cache where the user does not: models that were trained for 128 k tokens would reserve
// gigabytes for a chat that never gets there.
const defaultContext = 8192

// resolve returns the path of the MODEL argument (or of config.toml's model), fetching the default model when it is meant
// and not there. What is fetched is announced on err.
func (s *settings) resolve(ctx context.Context, args []string, io streams) (string, error) {
	arg := s.file.Model
	if len(args) > 0 {
		arg = args[0]
	}
	path, fetch, err := resolve(arg)
	if err != nil || !fetch {
		return path, err
	}
	return fetchDefault(ctx, io)
}

// context returns how many tokens of KV cache to hold for a model.
func (s *settings) context(c model.Config) (int, error) {
	switch {
	case s.file.Context == 0:
		return min(c.MaxContext, defaultContext), nil
	case s.file.Context > c.MaxContext && c.Rope.Scaling != model.RopeDynamic:
		s.log.Warn("context is longer than the model was trained for", "context", s.file.Context, "trained", c.MaxContext)
	}
	return s.file.Context, nil
}

// sequence is a decoder together with the executor below it, which it closes.
type sequence struct {
	*model.Decoder
	backend model.Backend
	exec    model.Executor
	path    string          // of the model, for errors
	file    *model.Repacked // for the repacked weights; nil: none may be used
}

// Forward is the decoder's, with errors that name the model.
func (q *sequence) Forward(ctx context.Context, tokens []int32, pos int, out *model.Output) error {
	if err := q.Decoder.Forward(ctx, tokens, pos, out); err != nil {
		return fmt.Errorf("%s: %w", q.path, errorOf(q.backend, err))
	}
	return nil
}

// Close gives the weights and the KV cache back.
func (q *sequence) Close() error { return q.exec.Close() }

// earlyFrom is from how many bytes of weights on the first token does not wait for their repacking, which for less is done in an
// instant. Tests lower it.
var earlyFrom int64 = 256 << 20

// sequence loads the weights of c on backend, after making sure that they fit. With early, the first token matters more than the next
// few.
func (s *settings) sequence(ctx context.Context, c *model.Checkpoint, backend model.Backend, early bool, progress func(float64)) (*sequence, error) {
	tokens, err := s.context(c.Config)
	if err != nil {
		return nil, err
	}
	var file *model.Repacked
	if !onDevice(backend) {
		if err := checkMemory(c, tokens, s.precision()); err != nil {
			return nil, err
		}
		file = s.repacked(c)
	}
	start := time.Now()
	exec, err := backend.Load(ctx, c.Params, model.LoadOptions{
		Context: tokens, Precision: s.precision(), Repacked: file, Early: early && c.WeightBytes() >= earlyFrom,
		Progress: func(done, total int64) { progress(float64(done) / float64(max(total, 1))) },
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Path, errorOf(backend, err))
	}
	s.log.Info("loaded", "model", c.Path, "backend", backend.Name(), "seconds", time.Since(start).Seconds())
	return &sequence{model.NewDecoder(c.Config, exec, tokens), backend, exec, c.Path, file}, nil
}

// use says what a model is loaded for.
type use struct {
	chatting bool // to stay for a while
	long     bool // the first text may be long already
	timing   bool // replies are timed, and must all find the same state
}

// loader returns the engine's way to get its model: weights and tokenizer side by side.
func (s *settings) loader(path string, u use) func(context.Context, func(float64)) (*engine.Model, error) {
	return func(ctx context.Context, progress func(float64)) (_ *engine.Model, err error) {
		defer postponeGC()()
		c, err := openModel(path)
		if err != nil {
			return nil, err
		}
		backend, why, err := s.device(c.Params)
		if err != nil {
			return nil, errors.Join(err, c.Close())
		}
		release := func() error { return errors.Join(backend.Close(), c.Close()) }
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		words := startTokenizer(path, c.Tokenizer, u.chatting || u.long)
		decoder, err := s.sequence(ctx, c, backend, !u.timing, progress)
		tok := <-words
		if err == nil {
			err = tok.err
		}
		if err == nil {
			err = matchVocabulary(c, tok.value)
		}
		if err != nil {
			if decoder != nil {
				err = errors.Join(err, decoder.Close())
			}
			if tok.value != nil {
				err = errors.Join(err, tok.value.Close())
			}
			return nil, errors.Join(err, release())
		}
		m := s.assemble(c, decoder, tok.value, backend.Name(), why, release)
		if u.chatting {
			s.keep(decoder, m)
		}
		return m, nil
	}
}

// postponeGC lets garbage lie while a model loads, until the function that it returns is called: the collector would run five
// times for ten megabytes, which is a tenth of the time until a small model's first token. What GOGC says stays in force.
func postponeGC() (end func()) {
	before := debug.SetGCPercent(400)
	if before != 100 {
		debug.SetGCPercent(before)
		return func() {}
	}
	return func() { debug.SetGCPercent(before) }
}

type result[T any] struct {
	value T
	err   error
}

// assemble puts the parts into the form that the engine takes. release closes what lies below the decoder.
func (s *settings) assemble(c *model.Checkpoint, d *sequence, t *tokenizer.Tokenizer, backend, why string, release func() error) *engine.Model {
	for _, w := range c.Warnings {
		s.log.Warn("checkpoint", "warning", w)
	}
	src := templateSource(c.Tokenizer)
	src.Specials = t.Specials()
	limit := s.file.MaxNewTokens
	if limit == 0 && c.Generation.MaxNewTokens != nil {
		limit = *c.Generation.MaxNewTokens
	}
	return &engine.Model{
		Decoder: d, Tokenizer: t, Templates: src, BOS: bosOf(c.Tokenizer, t),
		Detokenizer: func(continues bool) engine.Detokenizer {
			if continues {
				return t.Continue(true)
			}
			return t.Stream(true)
		},
		EOS: c.StopIDs(t.ID, t.IsSpecial), Stops: c.Generation.StopStrings,
		Info: generate.Info{
			Model: c.Name, Path: c.Path, Architecture: c.Config.Architecture, Quantization: c.Quantization,
			Backend: backend, BackendWhy: why, Templates: prompt.Names(src), Template: prompt.Default(src),
			Context: d.Context(), Defaults: s.sampling(c.Generation), MaxTokens: limit,
		},
		Close: func() error { return errors.Join(d.Close(), t.Close(), release()) },
	}
}

// templateSource hands what the checkpoint says about chat templates to package prompt.
func templateSource(t model.TokenizerSource) prompt.Source {
	return prompt.Source{
		ChatTemplate: t.ChatTemplate, Named: t.NamedTemplates, BOSToken: t.BOSToken, EOSToken: t.EOSToken, Now: time.Now,
	}
}

// bosOf returns the id that every text begins with, nil if there is none.
func bosOf(src model.TokenizerSource, t *tokenizer.Tokenizer) *int32 {
	if id, ok := src.BOS(t.ID, t.Begin); ok {
		return &id
	}
	return nil
}

// matchVocabulary refuses a tokenizer whose ids the embedding does not have. The reverse, padding rows, is usual.
func matchVocabulary(c *model.Checkpoint, t *tokenizer.Tokenizer) error {
	if t.Size() > c.Config.Vocab {
		return fmt.Errorf("%s: the tokenizer has %d tokens, the embedding %d rows; the folder mixes files of different models",
			c.Path, t.Size(), c.Config.Vocab)
	}
	return nil
}

// startTokenizer builds the tokenizer while the weights are loaded, and with whole goes on in the background until it knows its
// whole vocabulary. The caller receives it, also when those fail, and closes it.
func startTokenizer(path string, src model.TokenizerSource, whole bool) <-chan result[*tokenizer.Tokenizer] {
	words := make(chan result[*tokenizer.Tokenizer], 1)
	go func() {
		t, err := openTokenizer(path, src)
		words <- result[*tokenizer.Tokenizer]{t, err}
		if err == nil && whole {
			_ = t.Complete() // an error comes again from the text that needs it
		}
	}()
	return words
}

// openTokenizer builds the tokenizer of the checkpoint at path from whatever it has.
func openTokenizer(path string, src model.TokenizerSource) (*tokenizer.Tokenizer, error) {
	switch {
	case src.JSONPath != "":
		return tokenizer.FromFile(src.JSONPath)
	case src.GGUF != nil:
		return tokenizer.FromGGUF(vocabulary(src.GGUF))
	default:
		return nil, fmt.Errorf("%s: no tokenizer.json; copy it from the model's original repository into this folder", path)
	}
}

// vocabulary reads the tokenizer's part of GGUF metadata; absent values stay at their zero or -1.
func vocabulary(f *gguf.File) tokenizer.Vocabulary {
	text := func(key string) string { v, _ := f.String("tokenizer.ggml." + key); return v }
	id := func(key string) int32 {
		if v, ok := f.Int("tokenizer.ggml." + key + "_token_id"); ok && v >= 0 && v < 1<<31 {
			return int32(v)
		}
		return -1
	}
	v := tokenizer.Vocabulary{
		Source: f.Path(), Model: text("model"), Pre: text("pre"),
		BOS: id("bos"), EOS: id("eos"), UNK: id("unknown"), PAD: id("padding"),
	}
	v.Tokens, _ = f.Strings("tokenizer.ggml.tokens")
	v.Merges, _ = f.Strings("tokenizer.ggml.merges")
	if types, ok := f.Ints("tokenizer.ggml.token_type"); ok {
		v.Types = make([]int32, len(types))
		for i, t := range types {
			v.Types[i] = int32(t)
		}
	}
	if scores, ok := f.Floats("tokenizer.ggml.scores"); ok {
		v.Scores = make([]float32, len(scores))
		for i, s := range scores {
			v.Scores[i] = float32(s)
		}
	}
	if add, ok := f.Bool("tokenizer.ggml.add_space_prefix"); ok {
		v.AddSpacePrefix = &add
	}
	return v
}
