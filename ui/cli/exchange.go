package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	stdio "io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"peregrine/history"
	"peregrine/history/exchange"
	"peregrine/ui/escape"
)

func newImport(s *settings, io streams) *cobra.Command {
	return &cobra.Command{
		Use:   "import FILE...",
		Short: "Save the conversations of other programs' files among yours",
		Long: `Save the conversations of other programs' files among yours: OpenAI messages (JSON, or JSON lines for fine-tuning),
ShareGPT, text-generation-webui, Ollama, a ChatGPT data export (conversations.json), session traces (STS) and files of
this program. What a file is shows in its content. Branches, titles, times and models are kept; what cannot be is said.
A conversation that is there already, from the same bytes, is not saved twice.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return s.importHistory(cmd.Context(), args, io) },
	}
}

// importHistory saves the conversations of each file and prints their ids and titles. A file that cannot be read does not
// keep the others from it.
func (s *settings) importHistory(ctx context.Context, paths []string, io streams) error {
	store, err := s.store()
	if err != nil {
		return err
	}
	entries, err := store.List(ctx)
	if err != nil {
		return err
	}
	there := idsOf(entries)
	failed := false
	for _, path := range paths {
		err := importFile(ctx, store, there, path, io)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			failed = true
			fmt.Fprintln(io.err, "peregrine:", escape.Line(err.Error()))
		}
	}
	if failed {
		return &exitError{code: ExitError}
	}
	return nil
}

func idsOf(entries []history.Entry) map[string]bool {
	ids := make(map[string]bool, len(entries))
	for _, e := range entries {
		ids[e.ID] = true
	}
	return ids
}

// importFile saves the conversations of one file and prints what became of them.
func importFile(ctx context.Context, store *history.Store, there map[string]bool, path string, io streams) error {
	saved, known, summary, err := addFile(ctx, store, there, path, func(c *history.Conversation) error {
		_, err := fmt.Fprintf(io.out, "%s  %s\n", c.Header.ID, escape.Line(c.Title()))
		return err
	})
	name := escape.Line(path)
	for _, note := range summary.Notes {
		fmt.Fprintf(io.err, "%s: %s\n", name, note)
	}
	if len(summary.Formats) > 0 {
		fmt.Fprintf(io.err, "%s (%s): %s saved", name, joined(summary.Formats), counted(saved))
		if known > 0 {
			fmt.Fprintf(io.err, ", %d there already", known)
		}
		fmt.Fprintln(io.err)
	}
	return err
}

// addFile saves the conversations of one file, but those whose ids are there, adds them there and tells each of them. It returns
// how many were saved, and how many known; with an error too, for then those before it are saved.
func addFile(ctx context.Context, store *history.Store, there map[string]bool, path string, tell func(*history.Conversation) error) (saved, known int, summary exchange.Summary, err error) {
	summary, err = exchange.ImportFile(path, func(c *history.Conversation) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if there[c.Header.ID] {
			known++
			return nil
		}
		if _, err := store.Add(c); err != nil {
			return err
		}
		there[c.Header.ID] = true
		saved++
		return tell(c)
	})
	return saved, known, summary, err
}

func joined(formats []exchange.Format) string {
	names := make([]string, len(formats))
	for i, f := range formats {
		names[i] = string(f)
	}
	return strings.Join(names, ", ")
}

func counted(conversations int) string {
	if conversations == 1 {
		return "1 conversation"
	}
	return fmt.Sprintf("%d conversations", conversations)
}

func newExport(s *settings, io streams) *cobra.Command {
	var format, output string
	var all bool
	var about []string
	for _, f := range exchange.Formats() {
		about = append(about, fmt.Sprintf("  %-13s %s", f, f.About()))
	}
	cmd := &cobra.Command{
		Use:   "export [NAME|ID|FILE] --format FORMAT",
		Short: "Write a conversation for another program (the last one when none is named)",
		Long: `Write a conversation for another program: the branch that was read last, or all of them. What a format has no place
for is said.

` + strings.Join(about, "\n"),
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: s.completeConversations,
		RunE: func(_ *cobra.Command, args []string) error {
			return s.exportHistory(strings.Join(args, ""), exchange.Format(format), all, output, io)
		},
	}
	cmd.Flags().StringVar(&format, "format", "", "one of the formats above")
	cmd.Flags().BoolVar(&all, "all-branches", false, "write all branches, not the current one alone")
	cmd.Flags().StringVar(&output, "output", "", "write a new file instead of standard output")
	must(cmd.MarkFlagRequired("format"))
	must(cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(formatCompletions(), cobra.ShellCompDirectiveNoFileComp)))
	return cmd
}

func formatCompletions() []cobra.Completion {
	var values []cobra.Completion
	for _, f := range exchange.Formats() {
		values = append(values, cobra.CompletionWithDesc(string(f), f.About()))
	}
	return values
}

// completeConversations offers the ids of saved conversations, with their titles; a file's name works too.
func (s *settings) completeConversations(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	store, err := s.store()
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	entries, err := store.List(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveDefault
	}
	var values []cobra.Completion
	for _, e := range entries {
		if e.Err == nil {
			values = append(values, cobra.CompletionWithDesc(e.ID, escape.Line(e.Title)))
		}
	}
	return values, cobra.ShellCompDirectiveDefault
}

// exportHistory writes a conversation, without taking its lock.
func (s *settings) exportHistory(what string, format exchange.Format, all bool, file string, io streams) error {
	if format.About() == "" {
		return usage("format is %q; want one of %s", format, joined(exchange.Formats()))
	}
	store, err := s.store()
	if err != nil {
		return err
	}
	c, err := readConversation(store, what)
	if err != nil {
		return err
	}
	var notes []string
	write := func(w stdio.Writer) (err error) {
		notes, err = exchange.Export(w, c, format, all)
		return err
	}
	switch o, ok := io.out.(*output); {
	case file != "":
		if err = newFile(file, write); err != nil {
			err = fmt.Errorf("--output %w", err)
		}
	case ok && isTerminal(o.Writer):
		err = writeVisible(io.out, write)
	default: // a pipe gets the text as it is
		err = write(io.out)
	}
	if err != nil {
		return err
	}
	for _, note := range append(c.Warnings, notes...) {
		fmt.Fprintln(io.err, "peregrine:", escape.Line(note))
	}
	return nil
}

// writeVisible writes what a terminal must show and not obey.
func writeVisible(to stdio.Writer, write func(stdio.Writer) error) error {
	var b bytes.Buffer // a character must not be cut
	if err := write(&b); err != nil {
		return err
	}
	_, err := fmt.Fprint(to, escape.Visible(b.String()))
	return err
}

// newFile writes a file that was not there. When that fails nothing of it stays.
func newFile(path string, write func(stdio.Writer) error) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	switch {
	case errors.Is(err, os.ErrExist):
		return fmt.Errorf("%s: there is a file already; choose another name, or remove it first", filepath.Clean(path))
	case err != nil:
		return err
	}
	if err := errors.Join(write(f), f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}
