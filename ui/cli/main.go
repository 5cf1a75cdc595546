// Package cli is the command line and the composition root: the only room that knows every part, in order to connect it,
// and none of how a part works.
package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// Exit codes of the program. Package plain adds its own for pipes.
const (
	ExitOK          = 0
	ExitError       = 1
	ExitUsage       = 2
	ExitInterrupted = 130
)

// version is set by the linker.
var version = "unknown"

// started is when the program's own code began: packages that it imports have worked for 20 ms by then.
var started = time.Now()

// exitError carries an exit code other than ExitError.
type exitError struct {
	code int
	err  error // nil: nothing to print
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// Main runs the program with args (without the program's name) and returns its exit code.
func Main(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	return run(ctx, args, streams{in: os.Stdin, out: os.Stdout, err: os.Stderr})
}

// streams are the program's three files, so that a test can give its own.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// output is a standard output that remembers why it took no more, since a table or a help text is printed in many pieces.
type output struct {
	io.Writer
	err error
}

func (o *output) Write(p []byte) (int, error) {
	n, err := o.Writer.Write(p)
	if err != nil && o.err == nil {
		o.err = fmt.Errorf("write the output: %w", err)
	}
	return n, err
}

func run(ctx context.Context, args []string, io streams) int {
	s := &settings{}
	out := &output{Writer: io.out}
	root := newRoot(s, io, out)
	root.SetArgs(joinResume(args))
	err := root.ExecuteContext(ctx)
	if out.err != nil {
		s.loaded, err = true, cmp.Or(err, out.err) // --help and --version load nothing
	}
	var exit *exitError
	switch {
	case err == nil:
		return ExitOK
	case !s.loaded: // the command line itself is wrong: cobra's errors, and those of settings
		fmt.Fprintln(io.err, "peregrine:", err)
		return ExitUsage
	case errors.As(err, &exit):
		if exit.err != nil {
			fmt.Fprintln(io.err, "peregrine:", exit.err)
		}
		return exit.code
	case errors.Is(err, context.Canceled):
		return ExitInterrupted
	default:
		fmt.Fprintln(io.err, "peregrine:", err)
		return ExitError
	}
}

// usage marks an error in how the program was called.
func usage(format string, args ...any) error {
	return &exitError{code: ExitUsage, err: fmt.Errorf(format, args...)}
}

// newRoot builds the command tree. Every command gets the same settings, filled from config.toml and the flags. A chat writes
// to io.out itself, which may be a terminal, all others to out.
func newRoot(s *settings, io streams, out *output) *cobra.Command {
	root := &cobra.Command{
		Use:   "peregrine [MODEL]",
		Short: "Chat with a language model in this terminal, run by this process",
		Long: `Chat with a language model in this terminal, run by this process.

MODEL is a folder with config.json and safetensors files (dense or GPTQ; Falcon or Llama architecture), a .gguf or
.safetensors file, a repository that "peregrine pull" has fetched (OWNER/NAME, or the last part of that), or "smollm2", the
small default model, which is fetched once.`,
		Args:          cobra.MaximumNArgs(1),
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE:          func(cmd *cobra.Command, args []string) error { return chat(cmd, s, args, io) },
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.HasParent() { // a chat has its own ways with an interrupt
				ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt)
				cobra.OnFinalize(stop)
				cmd.SetContext(ctx)
			}
			return s.load(cmd)
		},
	}
	root.SetIn(io.in)
	root.SetOut(out)
	root.SetErr(io.err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage("%v; see %s --help", err, cmd.CommandPath())
	})
	root.SetVersionTemplate("peregrine {{.Version}}\n")
	s.register(root)
	tools := streams{in: io.in, out: out, err: io.err}
	root.AddCommand(
		newPull(s, tools), newModels(s, tools), newInspect(s, tools), newBench(s, tools), newEval(s, tools), newQuantize(s, tools), newHistory(s, tools), newConfig(s, tools),
		newDebug(s, tools, out),
	)
	return root
}

// group makes a command that only holds others.
func group(name, short string) *cobra.Command {
	return &cobra.Command{
		Use: name, Short: short, Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage("%s has no command %q; see %s --help", cmd.CommandPath(), args[0], cmd.CommandPath())
			}
			return cmd.Help()
		},
	}
}
