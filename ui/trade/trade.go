// Package trade is what the screen and the lines ask of whoever reads and writes the conversation files of other programs.
package trade

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"peregrine/history"
)

// Exchanger reads and writes conversations in the formats of other programs. Its methods may take long; their errors name the
// file.
type Exchanger interface {
	// Formats lists what Export writes.
	Formats() []string
	// Import saves the conversations of a file among the others. With an error it tells what was saved before it.
	Import(ctx context.Context, path string) (Imported, error)
	// Export writes the current branch or all of them to a file, never over one that is there. Format "" is what the file's
	// name is usual for.
	Export(c *history.Conversation, path, format string, all bool) (Exported, error)
}

// Imported says what became of the conversations of a file. Notes are sentences about what could not be kept.
type Imported struct {
	Saved, Known int // conversations; known are those that were there already
	Format       string
	Notes        []string
}

// Exported says how a file was written. Notes are sentences about what the format has no place for.
type Exported struct {
	Format string
	Notes  []string
}

// Said tells what was imported from a file, "" where nothing was understood.
func (done Imported) Said(path string) string {
	if done.Format == "" {
		return ""
	}
	noun := "conversations"
	if done.Saved == 1 {
		noun = "conversation"
	}
	said := fmt.Sprintf("%s (%s): %d %s saved", path, done.Format, done.Saved, noun)
	if done.Known > 0 {
		said += fmt.Sprintf(", %d there already", done.Known)
	}
	return said
}

// mostNotes bounds what is shown of what could not be kept.
const mostNotes = 5

// Few returns the first notes, and how many more there are.
func Few(notes []string) []string {
	if len(notes) <= mostNotes {
		return notes
	}
	return append(slices.Clone(notes[:mostNotes]), fmt.Sprintf("and %d more of the kind", len(notes)-mostNotes))
}

// SplitExport cuts a format, and whether all branches are meant, off the end of what may be a path with spaces.
func SplitExport(argument string, formats []string) (path, format string, all bool) {
	path = strings.TrimSpace(argument)
	for branches := false; ; {
		at := strings.LastIndexByte(path, ' ')
		word := path[at+1:]
		switch {
		case at < 0:
			return path, format, all
		case !branches && (word == "all" || word == "branch"):
			branches, all = true, word == "all"
		case format == "" && slices.Contains(formats, word):
			format = word
		default:
			return path, format, all
		}
		path = strings.TrimRight(path[:at], " ")
	}
}
