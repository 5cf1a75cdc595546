package cli

import (
	"context"
	"errors"
	stdio "io"
	"path/filepath"
	"strings"

	"peregrine/history"
	"peregrine/history/exchange"
	"peregrine/ui/trade"
)

// exchanger reads and writes other programs' files for the screen.
type exchanger struct {
	store *history.Store // nil: nothing can be imported
}

// Formats lists what Export writes.
func (x exchanger) Formats() []string {
	var names []string
	for _, f := range exchange.Formats() {
		names = append(names, string(f))
	}
	return names
}

// Import saves the conversations of a file among the others.
func (x exchanger) Import(ctx context.Context, path string) (trade.Imported, error) {
	if x.store == nil {
		return trade.Imported{}, errors.New("conversations are not kept in this run")
	}
	entries, err := x.store.List(ctx)
	if err != nil {
		return trade.Imported{}, err
	}
	saved, known, summary, err := addFile(ctx, x.store, idsOf(entries), path, func(*history.Conversation) error { return nil })
	return trade.Imported{Saved: saved, Known: known, Format: joined(summary.Formats), Notes: summary.Notes}, err
}

// Export writes a conversation to a file that is not there yet.
func (x exchanger) Export(c *history.Conversation, path, format string, all bool) (trade.Exported, error) {
	if format == "" {
		format = string(formatFor(path))
	}
	done := trade.Exported{Format: format}
	err := newFile(path, func(w stdio.Writer) (err error) {
		done.Notes, err = exchange.Export(w, c, exchange.Format(format), all)
		return err
	})
	return done, err
}

// formatFor returns the format that a file's name is usual for.
func formatFor(path string) exchange.Format {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".md", ".markdown", ".txt":
		return exchange.Markdown
	case ".jsonl":
		return exchange.STS
	}
	return exchange.OpenAI
}
