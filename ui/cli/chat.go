package cli

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"strings"

	"github.com/charmbracelet/x/term"
	"github.com/spf13/cobra"

	"peregrine/history"
	"peregrine/model/prompt"
	"peregrine/ui/plain"
)

// mode is how a chat shows itself.
type mode int

const (
	fullScreen mode = iota
	lineByLine
	oneAnswer
)

// chat is the root command.
func chat(cmd *cobra.Command, s *settings, args []string, io streams) (err error) {
	defer func() { err = errors.Join(err, s.close()) }()
	how, err := s.mode(io)
	if err != nil {
		return err
	}
	if err := prompt.Check(s.file.Template); err != nil {
		return usage("%v", err)
	}
	path, err := s.resolve(cmd.Context(), args, io)
	if err != nil {
		return err
	}
	e := newSession(s, path, use{chatting: how != oneAnswer, long: len(s.prompt) > longPrompt || piped(io.in)})
	defer func() { err = errors.Join(err, e.Close()) }()
	if how == fullScreen {
		return s.screen(cmd.Context(), e)
	}
	return s.lines(cmd.Context(), e, how, io)
}

// longPrompt is from how many bytes on a prompt needs the whole vocabulary at once.
const longPrompt = 2 << 10

// piped says whether a text of any length may come from standard input.
func piped(in any) bool {
	file, ok := in.(*os.File)
	if !ok {
		return true
	}
	info, err := file.Stat()
	return err == nil && (info.Mode().IsRegular() || info.Mode()&os.ModeNamedPipe != 0)
}

// mode decides between the full screen, lines, and one answer; it refuses what cannot work before a model is loaded.
func (s *settings) mode(io streams) (mode, error) {
	in, out := isTerminal(io.in), isTerminal(io.out)
	switch {
	case s.open != "" && s.resumeSet:
		return 0, usage("--open and --resume both name a conversation; give one of them")
	case s.promptSet || !in:
		return oneAnswer, nil
	case s.json:
		return 0, usage("--json prints one answer; give the text with -p or on standard input")
	case s.plain || os.Getenv("ACCESSIBLE") != "" || os.Getenv("TERM") == "dumb":
		return lineByLine, nil
	case !out:
		return 0, usage("standard output is no terminal, so there is nowhere to chat; give the text with -p, or use --plain")
	case s.raw:
		return 0, usage("--raw completes a text; give it with -p, on standard input, or use --plain")
	}
	return fullScreen, nil
}

func isTerminal(f any) bool {
	file, ok := f.(*os.File)
	return ok && term.IsTerminal(file.Fd())
}

// conversation opens what --open or --resume name, nil for a new one, and the store. One answer for a script is not saved
// unless it goes on with a conversation.
func (s *settings) conversation(how mode) (*history.File, *history.Store, error) {
	if how == oneAnswer && s.open == "" && !s.resumeSet {
		return nil, nil, nil
	}
	store, err := s.store()
	if err != nil {
		return nil, nil, err
	}
	what := s.open
	switch {
	case s.resumeSet && s.resume != resumeLast:
		what = s.resume
	case s.open == "" && !s.resumeSet:
		return nil, store, nil
	}
	path, err := findConversation(store, what)
	if errors.Is(err, history.ErrNotFound) && s.resume == resumeLast {
		return nil, store, nil // the first chat of all is a new one
	}
	if err != nil {
		return nil, nil, sayOthers(err)
	}
	file, err := store.Open(path)
	return file, store, sayOthers(err)
}

// lines answers once, or holds a conversation line by line.
func (s *settings) lines(ctx context.Context, e *session, how mode, io streams) error {
	file, store, err := s.conversation(how)
	if err != nil {
		return err
	}
	interrupt := make(chan os.Signal, 1)
	if how == lineByLine { // an interrupt stops the reply, not the program
		signal.Notify(interrupt, os.Interrupt)
		defer signal.Stop(interrupt)
	} else {
		var stop context.CancelFunc
		ctx, stop = signal.NotifyContext(ctx, os.Interrupt)
		defer stop()
	}
	home, err := os.UserHomeDir()
	if err != nil {
		s.log.Info("no home folder", "error", err)
	}
	opt := plain.Options{
		Generator: e, Store: store, File: file, Out: io.out, Err: io.err,
		Prompt: s.prompt, Interactive: how == lineByLine, JSON: s.json,
		Template: s.file.Template, System: s.file.System, Raw: s.raw, MaxTokens: s.file.MaxNewTokens,
		Home: home,
	}
	if kept, err := s.presets(); err == nil {
		opt.Presets = kept
	}
	if how == lineByLine {
		opt.Exchange = exchanger{store}
		opt.In, opt.Interrupt = io.in, interrupt
	} else if !isTerminal(io.in) {
		opt.In = io.in
	}
	err = plain.Run(ctx, opt)
	var failed *plain.Error
	if errors.As(err, &failed) {
		return &exitError{code: failed.Code, err: failed.Err}
	}
	return err
}

// modelName is what a model is called before it is open: the last part of its path.
func modelName(path string) string {
	return strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
}
