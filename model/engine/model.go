package engine

import (
	"context"
	"errors"
	"fmt"

	"peregrine/model/generate"
	"peregrine/model/prompt"
	"peregrine/model/sample"
)

// Decoder runs one sequence. One goroutine at a time.
type Decoder interface {
	// Forward appends tokens at position pos and fills out for the last out.Rows of them. A pos below the current length
	// forgets what lies behind it. It returns ctx's error soon after ctx ends. After an error the positions below pos still
	// hold when the error is ctx's; after any other the engine starts again from position 0.
	Forward(ctx context.Context, tokens []int32, pos int, out *sample.Output) error
	Context() int // most positions of a sequence
	Vocab() int   // logits per row
}

// Tokenizer turns text into ids. It may be used by several goroutines at once.
type Tokenizer interface {
	// EncodeGuarded recognises special tokens except where a guard lies strictly inside one; see prompt.Text.
	EncodeGuarded(text string, guards []int) ([]int32, error)
	// EncodeContinued does so for what follows a text, where some vocabularies put no space in front.
	EncodeContinued(text string, guards []int) ([]int32, error)
	// ID returns the id of a token as the vocabulary spells it.
	ID(token string) (int32, bool)
	// Token returns the vocabulary's spelling of an id.
	Token(id int32) (string, bool)
	// Bytes returns the bytes of text that an id stands for, possibly a part of a character.
	Bytes(id int32) []byte
	IsSpecial(id int32) bool
	Size() int // largest id + 1
}

// Detokenizer turns the ids of one reply into text. Push returns whole characters only and holds back a character's bytes
// until all are there; Flush returns what is held back then, U+FFFD for a part of a character.
type Detokenizer interface {
	Push(id int32) string
	Flush() string
}

// Model is what a load function gives the engine, which owns it from then on.
type Model struct {
	Decoder   Decoder
	Tokenizer Tokenizer
	// Detokenizer starts the text of a reply, without control tokens: tokenizer.Stream(true), or tokenizer.Continue(true) for one
	// that goes on with the text of the request.
	Detokenizer func(continues bool) Detokenizer
	Templates   prompt.Source
	BOS         *int32   // the id that every prompt begins with, once, also where the template writes it; nil: none
	EOS         []int32  // ids that end a reply
	Stops       []string // strings that end a reply, beside those of the template and the request
	// Info is what does not change: Model, Path, Quantization, Backend, Defaults … The engine fills in Ready, Progress,
	// Templates, Template and, where it is 0, Context.
	Info generate.Info
	// Close gives the model's memory back; nil: nothing to do. No Decoder or Tokenizer call runs then or later.
	Close func() error
}

// check refuses a model with which no reply could be made.
func (m *Model) check() error {
	switch {
	case m == nil || m.Decoder == nil || m.Tokenizer == nil || m.Detokenizer == nil:
		return errors.New("engine: a model needs a decoder, a tokenizer and a detokenizer")
	case m.Decoder.Context() < 2:
		return fmt.Errorf("engine: a context of %d tokens holds no prompt and reply; need 2 or more", m.Decoder.Context())
	case m.Decoder.Vocab() < 1:
		return fmt.Errorf("engine: a vocabulary of %d tokens", m.Decoder.Vocab())
	}
	return nil
}
