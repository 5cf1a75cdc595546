package plain

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"peregrine/history"
	"peregrine/model/generate"
	"peregrine/ui/preset"
	"peregrine/ui/trade"
)

// Exit codes. A reply that was cut by MaxTokens or by the context is a reply: its finish_reason tells, and a note on Err.
const (
	ExitOK          = 0
	ExitFailed      = 1   // the model, a file or the output failed
	ExitUsage       = 2   // there was nothing to answer, or a value out of range
	ExitInterrupted = 130 // the context ended or Interrupt came; the reply so far was written and saved
	ExitPipe        = 141 // whoever read Out went away; the reply so far was saved
)

// Error is what Run returns: an exit code and, if something is to be said about it, why.
type Error struct {
	Code int
	Err  error // nil: end quietly
}

func (e *Error) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("exit code %d", e.Code)
	}
	return e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

// ExitCode returns the exit code for an error of Run.
func ExitCode(err error) int {
	var e *Error
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &e):
		return e.Code
	}
	return ExitFailed
}

// Generator answers requests, as in the design.
type Generator interface {
	Start(ctx context.Context, r generate.Request) (*generate.Stream, error)
	Plan(ctx context.Context, r generate.Request) (generate.Plan, error)
	Info() generate.Info
}

// Options says what Run does.
type Options struct {
	Generator Generator
	// Store takes the conversation; nil: it is not saved.
	Store *history.Store
	// Presets keeps the user's presets; nil: there are those that are built in.
	Presets preset.Keeper
	// Exchange reads and writes the files of other programs; nil: there is no /import and no /export.
	Exchange trade.Exchanger
	// File is a conversation to go on with; nil: a new one. Run closes it.
	File *history.File

	// In holds the text to answer, after Prompt if there is one too, or the lines of a conversation. nil: Prompt alone.
	In io.Reader
	// Out gets the replies, Err what is said about them.
	Out, Err io.Writer

	// Prompt is the text to answer.
	Prompt string
	// Interactive holds a conversation: Prompt first, if there is one, then every line of In is a turn.
	Interactive bool
	// JSON writes one object for each reply instead of its text.
	JSON bool

	// Template and System are the request's; a System text replaces that of File.
	Template, System string
	// Raw completes the text as it is: no template, no system message, no earlier turns.
	Raw bool
	// MaxTokens limits a reply; 0: as Generator.Info says.
	MaxTokens int
	Stop      []string
	// Sampling is used for every reply; nil: Generator.Info's.
	Sampling *generate.Sampling

	// Interrupt stops the reply that is being written, or the download or loading of the model that /model opens; at the prompt it ends Run.
	// nil: only the context does, for good.
	Interrupt <-chan os.Signal
	// Home is what ~ stands for in "/save ~/FILE" and "/open ~/FILE".
	Home string
}
