package cli

import (
	"errors"
	"fmt"
	stdio "io"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"peregrine/history"
	"peregrine/history/exchange"
	"peregrine/ui/escape"
)

// store opens the folder of conversations.
func (s *settings) store() (*history.Store, error) {
	dir, err := dataDir()
	if err != nil {
		return nil, err
	}
	return history.OpenStore(filepath.Join(dir, "conversations"))
}

func newHistory(s *settings, io streams) *cobra.Command {
	parent := group("history", "List, show, import and export conversations")
	parent.AddCommand(
		&cobra.Command{
			Use: "list", Short: "List all conversations, the newest first", Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error { return s.listHistory(cmd, io) },
		},
		&cobra.Command{
			Use: "show [NAME|ID|FILE]", Short: "Print a conversation as Markdown (the last one when none is named)",
			Args:              cobra.MaximumNArgs(1),
			ValidArgsFunction: s.completeConversations,
			RunE:              func(_ *cobra.Command, args []string) error { return s.showHistory(args, io) },
		},
		&cobra.Command{
			Use: "path", Short: "Print the folder of conversations", Args: cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error {
				dir, err := dataDir()
				if err != nil {
					return err
				}
				fmt.Fprintln(io.out, filepath.Join(dir, "conversations"))
				return nil
			},
		},
		newImport(s, io), newExport(s, io),
	)
	return parent
}

func (s *settings) listHistory(cmd *cobra.Command, io streams) error {
	store, err := s.store()
	if err != nil {
		return err
	}
	entries, err := store.List(cmd.Context())
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(io.out, 0, 0, 2, ' ', 0)
	for _, e := range entries {
		title := e.Title
		if e.Err != nil {
			title += " (" + e.Err.Error() + ")"
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\n", e.ID, e.Modified.Local().Format("2006-01-02 15:04"), e.Messages,
			escape.Line(title))
	}
	return w.Flush()
}

// showHistory prints the current branch of a conversation, without taking its lock.
func (s *settings) showHistory(args []string, io streams) error {
	store, err := s.store()
	if err != nil {
		return err
	}
	c, err := readConversation(store, strings.Join(args, ""))
	if err != nil {
		return err
	}
	err = writeVisible(io.out, func(w stdio.Writer) error {
		_, err := exchange.Export(w, c, exchange.Markdown, false)
		return err
	})
	if err != nil {
		return err
	}
	for _, warning := range c.Warnings {
		fmt.Fprintln(io.err, "peregrine:", escape.Line(warning))
	}
	return nil
}

// readConversation reads a conversation by file, id or name, without taking its lock; "" means the last one.
func readConversation(store *history.Store, what string) (*history.Conversation, error) {
	path, err := findConversation(store, what)
	if err != nil {
		return nil, sayOthers(err)
	}
	c, err := history.Read(path)
	return c, sayOthers(err)
}

// sayOthers adds to the error of a conversation that there is not how one sees those that there are.
func sayOthers(err error) error {
	if errors.Is(err, history.ErrNotFound) {
		return fmt.Errorf("%w; `peregrine history list` shows those that are saved", err)
	}
	return err
}

// findConversation finds a conversation by file, id or name; "" means the last one.
func findConversation(store *history.Store, what string) (string, error) {
	switch {
	case what == "":
		return store.Latest()
	case history.IsPath(what):
		return what, nil
	}
	return store.Find(what)
}
