package exchange

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"

	"peregrine/history"
	"peregrine/model/generate"
)

// writeMarkdown writes a text to read: a line in bold says who speaks, and the messages stay the Markdown that they are.
func writeMarkdown(to io.Writer, s *script) error {
	w := bufio.NewWriter(to)
	if s.header.Name != "" {
		fmt.Fprintf(w, "# %s\n\n", s.header.Name)
	}
	for i, branch := range s.branches {
		if len(s.branches) > 1 {
			fmt.Fprintf(w, "## Branch %d of %d\n\n", i+1, len(s.branches))
		}
		for _, m := range s.withSystem(branch) {
			fmt.Fprintf(w, "%s\n\n%s\n\n", speaker(m), strings.TrimSpace(m.Content))
		}
	}
	return w.Flush()
}

// speaker returns the line above a message.
func speaker(m history.Message) string {
	who := "**You**"
	switch m.Role {
	case generate.System:
		who = "**System**"
	case generate.Assistant:
		who = "**Assistant**"
	default: // a person's
	}
	if m.Model != "" {
		who += " · " + m.Model
	}
	if !m.CreatedAt.IsZero() {
		who += " · " + m.CreatedAt.UTC().Format(time.DateTime) + " UTC"
	}
	return who
}
